//! People whom an operator finds by an address in any spelling or by a reference, and forgets, on
//! both stores.

#![cfg(all(feature = "postgres", feature = "sqlite"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod place;
mod site;

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use challenger_proto::secret::Nonce;
use place::Place;
use rusqlite::Connection;
use serde_json::{Value, json};
use site::{REDIRECT_URI, SECRET, Site, admin, json_of, stderr, stdout, told};

/// Nothing waits for another message.
const OPTIONS: &str = "RETRANSMISSION_INTERVAL = 0 s\nADDRESS_MESSAGES = 20";

/// A helper that says that addresses do not exist.
const REFUSING: &str = "#!/bin/sh\ncat > /dev/null\nexit 67\n";

impl Place {
    /// All that is in the database, also where nothing refers to it any more.
    fn contents(&self) -> String {
        let Some((cluster, database)) = &self.postgres else {
            let wal = fs::read(self.file().with_extension("sqlite-wal")).unwrap_or_default();
            let bytes = [fs::read(self.file()).unwrap(), wal].concat();
            return String::from_utf8_lossy(&bytes).into_owned();
        };
        let tables = ["validations", "grants", "ledger"];
        let rows = tables.map(|it| format!("SELECT t::text FROM challenger.{it} t"));
        cluster.psql(database, &rows.join(" UNION ALL "))
    }

    fn execute(&self, sqlite: &str, postgres: &str) {
        match &self.postgres {
            None => Connection::open(self.file()).unwrap().execute_batch(sqlite).unwrap(),
            Some((cluster, database)) => drop(cluster.psql(database, postgres)),
        }
    }
}

fn reference(nonce: &str) -> String {
    Nonce::parse(nonce).unwrap().digest().reference()
}

/// `/setup` with a proposal.
fn proposed(site: &Site, email: &str) -> String {
    let bearer = format!("Bearer {SECRET}");
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    let reply = site.post("setup/1", &headers, json!({"CONTACT_EMAIL": email}).to_string());
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()["nonce"].as_str().unwrap().to_owned()
}

/// The validations in an answer of `--find --json`, by their references.
fn states(found: &Value) -> Vec<(String, String)> {
    let validations = found["validations"].as_array().unwrap().iter();
    let text = |it: &Value| it.as_str().unwrap().to_owned();
    let mut states: Vec<_> =
        validations.map(|it| (text(&it["reference"]), text(&it["state"]))).collect();
    states.sort();
    states
}

fn expected(states: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut states: Vec<_> =
        states.iter().map(|(nonce, state)| (reference(nonce), (*state).to_owned())).collect();
    states.sort();
    states
}

fn a_person_is_found_and_forgotten(mut place: Place) {
    let site = &mut place.site;
    let nothing = admin(site, &["--find=ada@example.com"]);
    assert_eq!((nothing.status.code(), stdout(&nothing).as_str()), (Some(1), ""));
    let said = "challenger-admin: nothing is kept about this address\n";
    assert_eq!(stderr(&nothing), said);

    site.start();
    let site = &place.site;
    let redeemed = site.prove("ada@example.com");
    let (solved, _) = site.solved("ada@example.com");
    let waiting = site.setup();
    assert_eq!(site.challenge(&waiting, "a.da%2Bshop@example.com").status, 200);
    let pin = site.pin("a.da+shop@example.com");
    let (open, other) = (proposed(site, "ADA@example.com"), site.setup());
    assert_eq!(site.challenge(&other, "bob@example.com").status, 200);
    let elsewhere = proposed(site, "ada@example.com");
    assert_eq!(site.challenge(&elsewhere, "bob@example.com").status, 200);
    site.set_helper(REFUSING);
    let refused = site.setup();
    assert_eq!(site.challenge(&refused, "ada@example.com").status, 502);

    let all = expected(&[
        (&redeemed, "redeemed"),
        (&solved, "proved"),
        (&waiting, "message_sent"),
        (&open, "open"),
        (&elsewhere, "message_sent"),
        (&refused, "message_sent"),
    ]);
    for spelling in
        ["ada@example.com", " A.D.A+x@Example.COM.", "{\"CONTACT_EMAIL\":\"ada@example.com\"}"]
    {
        let found = json_of(site, &["--json", "--find", spelling]);
        assert_eq!(states(&found), all, "{spelling}");
        let token = &found["access_tokens"][0];
        assert_eq!(token["address"], json!({"CONTACT_EMAIL": "ada@example.com"}));
        // One of the messages was refunded.
        assert_eq!((&found["budgets"][0]["spent"], &found["complete"]), (&json!(3), &json!(true)));
    }
    in_words(site, &waiting, &refused, &redeemed);
    no_secret_is_shown(site, &[&redeemed, &solved, &waiting], &pin);

    let forgotten = json_of(site, &["--json", "--forget=Ada@example.com"]);
    assert_eq!(forgotten, json!({"validations": 6, "access_tokens": 1, "balances": 1}));
    assert_eq!(admin(site, &["--find=ada@example.com"]).status.code(), Some(1));
    assert_eq!(states(&json_of(site, &["--json", "--find=bob@example.com"])).len(), 1);
    // The service remembers the rows of a moment ago, and believes none of them.
    assert_eq!(site.solve(&waiting, &pin).status, 404);
    assert_eq!(site.challenge(&refused, "ada@example.com").status, 404);
    let list = json_of(site, &["--list", "--json"]);
    let totals = (&list[0]["validations"], &list[0]["grants"]);
    assert_eq!(totals, (&json!(7), &json!(1)), "the totals stay: {list}");
    let contents = place.contents().to_lowercase();
    assert!(contents.contains("bob@example.com"), "that is where addresses are");
    for trace in ["ada@", "a.da"] {
        assert!(!contents.contains(trace), "{trace}");
    }

    let again = told(&place.site, &["--forget=ada@example.com"]);
    let nothing = "Deleted: validations 0, access tokens 0, balances of budgets 0.\n";
    assert!(again.starts_with(nothing), "{again}");
    assert_eq!(again.contains("VACUUM"), place.postgres.is_some(), "{again}");
    assert_eq!(told(&place.site, &["-q", "--forget=ada@example.com"]), "");
    place.site.stop();
}

/// What people read.
fn in_words(site: &Site, waiting: &str, refused: &str, redeemed: &str) {
    let reference = reference(waiting);
    let spaced = format!("{} {}", &reference[..3].to_lowercase(), &reference[3..]);
    let said = told(site, &["--find", &spaced]);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], format!("Validation {reference}"));
    for line in [
        "  Client:         client.example, number 1",
        "  State:          waiting for the code",
        "  Address:        a.da+shop@example.com",
        "  Left:           messages: 2, guesses: 3, changes of the address: 2",
        "  Messages:       3 of 20",
    ] {
        assert!(lines.contains(&line), "{line}: {said}");
    }
    for name in ["Opened", "Last message", "Expires", "Until"] {
        let is_time =
            |line: &&str| line.starts_with(&format!("  {name}: ")) && line.ends_with(" UTC");
        assert!(lines.iter().any(is_time), "{name}: {said}");
    }
    for name in ["Proposed", "Proved", "Exchanged", "Last failure", "Access token"] {
        assert!(!said.contains(name), "{name}: {said}");
    }
    let said = told(site, &["--find", &self::reference(refused)]);
    let failure = said.lines().find(|line| line.starts_with("  Last failure:   ")).unwrap();
    assert!(
        failure.ends_with(" UTC, the address does not exist or cannot be reached"),
        "{failure}"
    );
    let said = told(site, &["--find", &self::reference(redeemed)]);
    for part in
        ["proved, and the client has exchanged its code", "\n  Access token:   number 1, 20"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
}

fn no_secret_is_shown(site: &Site, nonces: &[&str], pin: &str) {
    for arguments in [&["--find=ada@example.com"][..], &["--find=ada@example.com", "--json"]] {
        let said = told(site, arguments);
        let digits = pin.replace('-', "");
        for secret in nonces.iter().copied().chain([pin, &digits]) {
            assert!(!said.contains(secret), "{secret}: {said}");
        }
    }
}

#[test]
fn a_person_is_found_and_forgotten_on_sqlite() {
    a_person_is_found_and_forgotten(Place::on_sqlite(OPTIONS));
}

#[test]
fn a_person_is_found_and_forgotten_on_postgresql() {
    a_person_is_found_and_forgotten(Place::on_postgres(OPTIONS));
}

/// How many strangers' rows the search reads, and how much text each of them has.
const STRANGERS: u32 = 20_000;
const TEXT: u32 = 500;
/// The most memory that a search may take for data, in KiB: the program has 5 MB or so at rest, and
/// the texts are 10 MB.
const MEMORY_MAX: u64 = 12_000;

/// Reads many rows, of which some are about Ada.
fn many_rows_take_little_memory(place: &Place) {
    let columns = "id, version, client, expires, redirect_uri, prefill, read_only, authorized, \
        addresses_left, refunds_left, progress";
    let prefill = "'{\"CONTACT_EMAIL\":\"' || CASE WHEN i % 5000 = 1 THEN 'ada' ELSE 'p' || i END \
        || '@example.com\",\"X\":\"' || TEXT || '\"}'";
    let sqlite = prefill.replace("TEXT", &format!("hex(zeroblob({}))", TEXT / 2));
    let postgres = prefill.replace("TEXT", &format!("repeat('0', {TEXT})"));
    place.execute(
        &format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {STRANGERS})
            INSERT INTO validations ({columns}) SELECT randomblob(32), 1, 1, 4000000000 + i, \
            '{REDIRECT_URI}', {sqlite}, 0, 0, 3, 3, 'open' FROM n"
        ),
        &format!(
            "INSERT INTO challenger.validations ({columns}) SELECT sha256(int8send(i)), 1, 1, \
            4000000000 + i, '{REDIRECT_URI}', {postgres}, false, false, 3, 3, 'open' \
            FROM generate_series(1, {STRANGERS}) i"
        ),
    );
    let text = "0".repeat(TEXT as usize);
    let ada = json!({"CONTACT_EMAIL": "ada@example.com", "X": text}).to_string();
    let found = searched(&place.site, &["--json", "--find=-"], &ada);
    assert_eq!(states(&serde_json::from_str(&found).unwrap()).len(), 4, "{found}");
    let deleted = searched(&place.site, &["--json", "--forget=-"], &ada);
    let deleted: Value = serde_json::from_str(&deleted).unwrap();
    assert_eq!(deleted, json!({"validations": 4, "access_tokens": 0, "balances": 0}));
}

/// What the tool prints, with an address on its standard input and little memory.
fn searched(site: &Site, arguments: &[&str], address: &str) -> String {
    let tool = site.command("challenger-admin");
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("ulimit -d {MEMORY_MAX} && exec \"$0\" \"$@\"")]);
    limited.arg(tool.get_program()).args(tool.get_args()).args(["-L", "ERROR"]).args(arguments);
    limited.envs(tool.get_envs().filter_map(|(name, value)| Some((name, value?))));
    limited.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = limited.spawn().unwrap();
    child.stdin.take().unwrap().write_all(address.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    stdout(&output)
}

#[test]
fn many_rows_take_little_memory_on_sqlite() {
    many_rows_take_little_memory(&Place::on_sqlite(""));
}

#[test]
fn many_rows_take_little_memory_on_postgresql() {
    many_rows_take_little_memory(&Place::on_postgres(""));
}

/// An address of one type is found by each of these.
fn is_found_by(site: &Site, form: &str, spellings: &[Value]) {
    let nonce = site.setup();
    let reply = site.post(&format!("challenge/{nonce}"), &[], form);
    assert_eq!(reply.status, 200, "{}", reply.body);
    for spelling in spellings {
        let text = spelling.as_str().map_or_else(|| spelling.to_string(), str::to_owned);
        let found = json_of(site, &["--json", "--find", &text]);
        assert_eq!(states(&found), expected(&[(&nonce, "message_sent")]), "{text}");
    }
    let text = spellings[0].as_str().map_or_else(|| spellings[0].to_string(), str::to_owned);
    let forgotten = json_of(site, &["--json", "--forget", &text]);
    assert_eq!(forgotten, json!({"validations": 1, "access_tokens": 0, "balances": 1}));
}

#[test]
fn numbers_letters_and_domains_of_all_scripts_are_found_in_any_spelling() {
    let mut email = Site::new("");
    email.start();
    let spellings = [json!("ada@bücher.example"), json!("a.da@xn--bcher-kva.example")];
    is_found_by(&email, "CONTACT_EMAIL=ada%40b%C3%BCcher.example", &spellings);
    email.stop();

    let mut phone = Site::new("ADDRESS_TYPE = phone");
    phone.start();
    let spellings = [json!("+41 (0)79 123-45-67"), json!("0041791234567"), json!("+41791234567")];
    is_found_by(&phone, "CONTACT_PHONE=%2B41791234567", &spellings);
    phone.stop();

    let mut postal = Site::new("ADDRESS_TYPE = postal");
    postal.start();
    let spellings =
        [("Ada Lovelace", "Street 1\n8001 Town"), ("ADA  LOVELACE", "STREET 1\n8001 TOWN")];
    let spellings = spellings.map(|(name, lines)| {
        json!({"CONTACT_NAME": name, "ADDRESS_LINES": lines, "ADDRESS_COUNTRY": "ch"})
    });
    let form = "CONTACT_NAME=Ada+Lovelace&ADDRESS_LINES=Street+1%0D%0A8001+Town&ADDRESS_COUNTRY=CH";
    is_found_by(&postal, form, &spellings);
    let output = admin(&postal, &["--find=Ada Lovelace"]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    let wanted = "--find: expected a JSON object with CONTACT_NAME, ADDRESS_LINES, \
        ADDRESS_COUNTRY, or the six letters of a reference";
    assert!(said.contains(wanted), "{said}");
    postal.stop();
}

#[test]
fn what_is_no_longer_accepted_is_found_and_forgotten_all_the_same() {
    let mut site = Site::new("");
    site.start();
    site.prove("ada@example.com");
    site.stop();
    let config = fs::read_to_string(site.config()).unwrap();
    let own = "ADDRESS_TYPE = email\nADDRESS_RESTRICTIONS = {\"CONTACT_EMAIL\": \
        {\"hint\": \"h\", \"regex\": \"^.*@other[.]example$\"}}";
    fs::write(site.config(), config.replace("ADDRESS_TYPE = email", own)).unwrap();
    let output = admin(&site, &["--json", "--forget=ADA@example.com"]);
    let warning = "--forget: no address of this service: check CONTACT_EMAIL; looking for it all \
        the same\n";
    assert!(stderr(&output).ends_with(warning), "{}", stderr(&output));
    let deleted: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(deleted, json!({"validations": 1, "access_tokens": 1, "balances": 1}));
}

#[test]
fn what_is_no_person_is_refused_without_repeating_it() {
    let site = Site::new("");
    for (arguments, status, complaint) in [
        (&["--find=ABCDEF"][..], 1, "no validation has this reference; it may have been deleted"),
        (&["--find=abc-oil"], 2, "no reference has an I, L, O or U: expected six letters"),
        (&["--find="], 2, "--find: no address: check "),
        (&["--forget= "], 2, "--forget: no address: check "),
        (&["--find=ada@example.com", REDIRECT_URI], 2, "--find takes no CLIENT"),
        (&["--forget=ada@example.com", REDIRECT_URI], 2, "--forget takes no CLIENT"),
        (&["--forget=ada@example.com", "--find=ada@example.com"], 2, "only one of --add=SECRET"),
    ] {
        let output = admin(&site, arguments);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
        assert!(said.contains(complaint), "{arguments:?}: {said}");
        assert!(!said.contains("ada@"), "{said}");
    }
}
