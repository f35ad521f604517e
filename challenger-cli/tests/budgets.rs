//! Budgets for messages, as operators set them, see them spent, and give them back, on both stores.

#![cfg(all(feature = "postgres", feature = "sqlite"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod site;

use std::io::Write as _;
use std::process::Stdio;
use std::sync::Arc;

use challenger_testkit::{Cluster, Reply};
use serde_json::{Value, json};
use site::{REDIRECT_URI, SECRET, Site, admin, json_of, stderr, stdout, told};

const OTHER: &str = "https://other.example/cb";

/// Two messages for an address, and sections that follow.
const OPTIONS: &str = "ADDRESS_MESSAGES = 2\nRETRANSMISSION_INTERVAL = 0 s\n\
    SERVICE_MESSAGES = 100\nSERVICE_PERIOD = 30 days\n\
    [challenger-destination-ours]\nDOMAIN = example.com\nMESSAGES = 20\n\
    [challenger-destination-blocked]\nDOMAIN = bad.example\nMESSAGES = 0";

/// A site, and the cluster that lives as long.
fn on_postgres(options: &str) -> (Arc<Cluster>, Site) {
    let cluster = Cluster::shared();
    let database = cluster.create_database();
    let site = Site::on_postgres(options, &cluster.uri(&database));
    (cluster, site)
}

/// The answer to a new validation that wants a message.
fn asked(site: &Site, email: &str) -> Reply {
    site.challenge(&site.setup(), email)
}

/// The table, with a point in time as `TIME`.
fn table(site: &Site) -> Vec<String> {
    let timeless = |line: &str| {
        let Some((before, after)) = line.split_once(" UTC") else { return line.to_owned() };
        format!("{}TIME{after}", &before[..before.len() - "2026-01-05 10:01".len()])
    };
    told(site, &["--budgets"]).lines().map(timeless).collect()
}

fn line(budget: &str, messages: &str, proved: u8, ratio: &str, ends: &str, name: &str) -> String {
    let line = format!("{budget:<20}  {messages:>16}  {proved:>8}  {ratio:>6}  {ends:<20}  {name}");
    line.replace("TIME                ", "TIME").trim_end().to_owned()
}

fn what_is_spent_is_listed_and_given_back(mut site: Site) {
    let head =
        "BUDGET                        MESSAGES    PROVED   RATIO  ENDS                  NAME";
    let head = head.to_owned();
    assert_eq!(
        told(&site, &["--messages-per-day=10", REDIRECT_URI]),
        "Client changed. Client ID is: 1\nMessages per day: 10\n"
    );
    let nothing = [
        head.clone(),
        line("client:1", "0 of 10", 0, "-", "-", REDIRECT_URI),
        line("domain:bad.example", "0 of 0", 0, "-", "-", "blocked"),
        line("domain:example.com", "0 of 20", 0, "-", "-", "ours"),
        line("service", "0 of 100", 0, "-", "-", ""),
        "Addresses with messages: 0, exhausted: 0".to_owned(),
    ];
    assert_eq!(table(&site), nothing);

    site.start();
    site.prove("ada@example.com");
    assert_eq!(asked(&site, "bob@example.com").status, 200);
    assert_eq!(asked(&site, "Ada%2Bshop@example.com").status, 200);
    let over = asked(&site, "a.da@example.com");
    assert_eq!(over.refusal(), (429, 9757), "{}", over.body);
    let spent = |messages: [&str; 3], addresses: &str| {
        [
            head.clone(),
            line("client:1", messages[0], 1, "33 %", "TIME", REDIRECT_URI),
            line("domain:bad.example", "0 of 0", 0, "-", "-", "blocked"),
            line("domain:example.com", messages[1], 1, "33 %", "TIME", "ours"),
            line("service", messages[2], 1, "33 %", "TIME", ""),
            format!("Addresses with messages: {addresses}"),
        ]
    };
    assert_eq!(table(&site), spent(["3 of 10", "3 of 20", "3 of 100"], "2, exhausted: 1"));

    // In any spelling, and once.
    let whole = "The address has its whole budget again.\n";
    let unspent = "The address has spent nothing of its budget.\n";
    assert_eq!(told(&site, &["--forgive", " A.DA@Example.COM."]), whole);
    assert_eq!(told(&site, &["--forgive=ada@example.com"]), unspent);
    let bob = "{\"CONTACT_EMAIL\": \"bob@example.com\"}";
    assert_eq!(json_of(&site, &["--forgive", bob, "--json"]), json!({"forgiven": true}));
    assert_eq!(json_of(&site, &["--forgive", bob, "--json"]), json!({"forgiven": false}));
    assert_eq!(told(&site, &["--forgive", "ada@example.com", "-q"]), "");
    assert_eq!(table(&site), spent(["3 of 10", "3 of 20", "3 of 100"], "0, exhausted: 0"));
    for _ in 0..2 {
        assert_eq!(asked(&site, "ada@example.com").status, 200);
    }
    assert_eq!(asked(&site, "ada@example.com").status, 429);

    // Those that many share have names.
    assert_eq!(
        told(&site, &["--budgets", "-q"]),
        "client:1\ndomain:bad.example\ndomain:example.com\nservice\n"
    );
    for name in ["client:1", "domain:example.com", "service"] {
        let sentence = format!("{name} has its whole budget again.\n");
        assert_eq!(told(&site, &["--forgive", name]), sentence);
        let sentence = format!("{name} has spent nothing of its budget.\n");
        assert_eq!(told(&site, &["--forgive", name]), sentence);
    }
    assert_eq!(table(&site)[..5], nothing[..5]);
    site.stop();
}

#[test]
fn what_is_spent_is_listed_and_given_back_on_sqlite() {
    what_is_spent_is_listed_and_given_back(Site::new(OPTIONS));
}

#[test]
fn what_is_spent_is_listed_and_given_back_on_postgresql() {
    let (_cluster, site) = on_postgres(OPTIONS);
    what_is_spent_is_listed_and_given_back(site);
}

fn a_client_has_a_budget_of_its_own(mut site: Site) {
    let per_day = |site: &Site| -> Vec<Value> {
        let list = json_of(site, &["--list", "--json"]);
        list.as_array().unwrap().iter().map(|it| it["messages_per_day"].clone()).collect()
    };
    let add = format!("--add={SECRET}");
    assert_eq!(
        told(&site, &[&add, "--messages-per-day=2", OTHER]),
        "Client added. Client ID is: 2\nMessages per day: 2\n"
    );
    let made = json_of(&site, &["-g", "--messages-per-day=0", "--json", "https://a.example/"]);
    assert_eq!((&made["client_id"], &made["messages_per_day"]), (&json!(3), &json!(0)));
    assert!(made["client_secret"].is_string());
    assert_eq!(per_day(&site), [json!(null), json!(2), json!(0)]);
    let list = told(&site, &["--list"]);
    let columns: Vec<&str> = list.lines().map(|it| it.split_whitespace().nth(3).unwrap()).collect();
    assert_eq!(columns, ["MESSAGES/DAY", "unlimited", "2", "0"], "{list}");

    site.start();
    for number in 0..2 {
        assert_eq!(asked(&site, &format!("person{number}@example.com")).status, 200);
    }
    // It counts at once, and what was sent without a budget is forgotten.
    assert_eq!(
        told(&site, &["--messages-per-day=1", "--json", REDIRECT_URI]),
        format!("{{\"client_id\":1,\"messages_per_day\":1,\"redirect_uri\":\"{REDIRECT_URI}\"}}\n")
    );
    assert_eq!(asked(&site, "ada@example.com").status, 200);
    let over = asked(&site, "bob@example.com");
    assert_eq!(over.refusal(), (429, 9757), "{}", over.body);
    let seconds: u64 = over.header("Retry-After").unwrap().parse().unwrap();
    assert!((86_000..=86_400).contains(&seconds), "{seconds}");
    assert_eq!(told(&site, &["--messages-per-day", "3", "-q", REDIRECT_URI]), "1\n");
    assert_eq!(asked(&site, "bob@example.com").status, 200);
    told(&site, &["--messages-per-day=0", REDIRECT_URI]);
    let blocked = asked(&site, "eve@example.com");
    assert_eq!((blocked.status, blocked.header("Retry-After")), (429, None));
    told(&site, &["--messages-per-day=Unlimited", REDIRECT_URI]);
    assert_eq!(asked(&site, "eve@example.com").status, 200);
    assert_eq!(per_day(&site)[0], json!(null));
    let output = admin(&site, &["--messages-per-day=1", "https://nobody.example/"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("no client is registered"), "{}", stderr(&output));
    site.stop();
}

#[test]
fn a_client_has_a_budget_of_its_own_on_sqlite() {
    a_client_has_a_budget_of_its_own(Site::new(""));
}

#[test]
fn a_client_has_a_budget_of_its_own_on_postgresql() {
    let (_cluster, site) = on_postgres("");
    a_client_has_a_budget_of_its_own(site);
}

fn an_open_client_keeps_its_budget(site: &Site) {
    let refused = |arguments: &[&str], advice: &str| {
        let output = admin(site, arguments);
        let expected = "client 1 was left as it is: an open client needs a budget; ";
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(1), ""));
        assert!(stderr(&output).contains(&format!("{expected}{advice}")), "{}", stderr(&output));
    };
    let warns = |arguments: &[&str]| {
        stderr(&admin(site, arguments)).contains(" WARNING any visitor may now have messages sent")
    };
    refused(&["--open", REDIRECT_URI], "add --messages-per-day=N");
    assert!(warns(&["--open", "--messages-per-day=5", REDIRECT_URI]));
    refused(&["--messages-per-day=unlimited", REDIRECT_URI], "close it first, with --close");
    let open = "--messages-per-day=2 --open --json -L ERROR".split(' ').chain([REDIRECT_URI]);
    let changed = json_of(site, &open.collect::<Vec<_>>());
    let expected = json!({
        "client_id": 1, "messages_per_day": 2, "open": true, "redirect_uri": REDIRECT_URI,
    });
    assert_eq!(changed, expected);
    let made = told(site, &["-g", "--open", "--messages-per-day=500", "-L", "ERROR", OTHER]);
    assert!(made.starts_with("Client added. Client ID is: 2\nClient secret is: "), "{made}");
    assert!(made.ends_with("\nMessages per day: 500\nOpen: yes\n"), "{made}");
    told(site, &["--generate", "https://a.example/"]);
    let list = json_of(site, &["--list", "--json"]);
    assert_eq!([0, 1, 2].map(|at| list[at]["open"].clone()), [true, true, false].map(Value::from));
    let list = told(site, &["--list"]);
    let marked = list.lines().map(|line| line.ends_with(" (open)")).collect::<Vec<_>>();
    assert_eq!(marked, [false, true, true, false], "{list}");

    assert!(!warns(&["--close", OTHER]));
    assert_eq!(told(site, &["--close", OTHER]), "Client changed. Client ID is: 2\nOpen: no\n");
    assert_eq!(
        told(site, &["--messages-per-day=unlimited", "--close", REDIRECT_URI]),
        "Client changed. Client ID is: 1\nMessages per day: unlimited\nOpen: no\n"
    );
    assert!(!told(site, &["--list"]).contains("(open)"));
}

#[test]
fn an_open_client_keeps_its_budget_on_sqlite() {
    an_open_client_keeps_its_budget(&Site::new(""));
}

#[test]
fn an_open_client_keeps_its_budget_on_postgresql() {
    let (_cluster, site) = on_postgres("");
    an_open_client_keeps_its_budget(&site);
}

#[test]
fn a_running_service_knows_at_once_whether_a_client_is_open() {
    let mut site = Site::new("");
    site.start();
    let begun = || {
        let reply = site.get("authorize?response_type=code&client_id=1", &[]);
        (reply.status, reply.header("Location").is_some_and(|it| it.starts_with("authorize/")))
    };
    assert_eq!(begun(), (400, false));
    told(&site, &["--open", "--messages-per-day=2", "-L", "ERROR", REDIRECT_URI]);
    assert_eq!(begun(), (302, true));
    told(&site, &["--close", REDIRECT_URI]);
    assert_eq!(begun(), (400, false));
    site.stop();
}

#[test]
fn programs_get_what_is_spent_as_json() {
    let mut site = Site::new(&OPTIONS.replace("ADDRESS_MESSAGES = 2", "ADDRESS_MESSAGES = 1"));
    let before = challenger_server::os::now();
    site.start();
    site.prove("ada@example.com");
    let json = json_of(&site, &["--budgets", "--json"]);
    let (now, service) = (challenger_server::os::now(), &json["budgets"][2]);
    let ends = service["ends"]["t_s"].as_u64().unwrap();
    let month = 30 * 86_400;
    assert!((before.seconds() + month..=now.seconds() + month).contains(&ends), "{service}");
    let of = |budget: &str, spent: u32, allowed: u32, ends: &Value, name: Value| {
        json!({
            "budget": budget, "spent": spent, "allowed": allowed, "proved": spent,
            "ends": ends, "name": name,
        })
    };
    let day = &json["budgets"][1]["ends"];
    let expected = json!({
        "budgets": [
            of("domain:bad.example", 0, 0, &Value::Null, "blocked".into()),
            of("domain:example.com", 1, 20, day, "ours".into()),
            of("service", 1, 100, &service["ends"], "".into()),
        ],
        "addresses": 1,
        "addresses_exhausted": 1,
    });
    assert_eq!(json, expected);
    // A budget that is not set any more is still spent, until its window ends.
    let text = std::fs::read_to_string(site.config()).unwrap();
    std::fs::write(site.config(), text.replace("DOMAIN = example.com", "DOMAIN = example.org"))
        .unwrap();
    let row = table(&site)[2].clone();
    assert!(row.starts_with("domain:example.com") && row.ends_with("(no longer set)"), "{row}");
    assert_eq!(json_of(&site, &["--budgets", "--json"])["budgets"][1]["name"], Value::Null);
    site.stop();
}

#[test]
fn an_address_of_several_fields_is_an_object() {
    let site = Site::new("ADDRESS_TYPE = postal");
    let output = admin(&site, &["--forgive", "Ada, Street 1"]);
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(
        said.contains("expected a JSON object with CONTACT_NAME, ADDRESS_LINES, ADDRESS_COUNTRY"),
        "{said}"
    );
    let address = json!({"CONTACT_NAME": "Ada", "ADDRESS_LINES": "S 1", "ADDRESS_COUNTRY": "uk"});
    let said = told(&site, &["--forgive", &address.to_string()]);
    assert_eq!(said, "The address has spent nothing of its budget.\n");
    let address = json!({"CONTACT_NAME": "Ada", "ADDRESS_COUNTRY": "Zz", "CITY": "Secret City"});
    let output = admin(&site, &["--forgive", &address.to_string()]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("--forgive: no address of this service: check CITY"), "{said}");
    assert!(!said.contains("Secret City"), "{said}");
}

#[test]
fn an_address_is_read_from_standard_input_and_not_repeated() {
    let restriction = "{\"CONTACT_EMAIL\": {\"regex\": \"@own[.]example$\", \"hint\": \"\"}}";
    let site = Site::new(&format!("ADDRESS_RESTRICTIONS = {restriction}"));
    for (input, code, expected) in [
        ("ada@own.example\n", 0, "The address has spent nothing"),
        ("ada@other.example\n", 2, "no address of this service: check CONTACT_EMAIL"),
        ("", 2, "no address of this service: check CONTACT_EMAIL"),
    ] {
        let mut command = site.command("challenger-admin");
        command.args(["--forgive=-", "-L", "DEBUG"]).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = stdout(&output) + &stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(expected) && !said.contains("ada"), "{said}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let site = Site::bare("");
    let number = "expected a number from 0 to 4294967295, or unlimited";
    let alone = "--messages-per-day=N, --name=NAME and --open stand alone, or belong to";
    let cases: [(&[&str], &str); 12] = [
        (&["--messages-per-day=-1", OTHER], number),
        (&["--messages-per-day=+1", OTHER], number),
        (&["--messages-per-day=", OTHER], number),
        (&["--messages-per-day=4294967296", OTHER], number),
        (&["--messages-per-day=5"], "REDIRECT_URI or CLIENT_ID is missing"),
        (&["--messages-per-day=5", "--regenerate", OTHER], alone),
        (&["--messages-per-day=5", "--delete", OTHER], alone),
        (&["--messages-per-day=5", "--list"], alone),
        (&["--messages-per-day=5", "--keep-open", OTHER], "--keep-open belongs to"),
        (&["--budgets", OTHER], "--budgets takes no CLIENT"),
        (&["--forgive=ada@example.com", OTHER], "--forgive takes no CLIENT"),
        (&["--forgive=ada@example.com", "--budgets"], "only one of"),
    ];
    for (arguments, complaint) in cases {
        let output = admin(&site, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(complaint), "{arguments:?}: {}", stderr(&output));
        assert_eq!(stdout(&output), "", "{arguments:?}");
    }
}

#[test]
fn a_wrong_configuration_is_a_reason_of_its_own() {
    let site = Site::new("ADDRESS_TYPE = no/type\n[challenger-destination-x]\nMESSAGES = 1");
    for (arguments, complaint) in [
        (["--budgets"], "[challenger-destination-x] has none: expected one of COUNTRY"),
        (["--forgive=ada@example.com"], "[challenger] ADDRESS_TYPE = \"no/type\": expected"),
    ] {
        let output = admin(&site, &arguments);
        assert_eq!(output.status.code(), Some(6), "{}", stderr(&output));
        assert!(stderr(&output).contains(complaint), "{}", stderr(&output));
    }
}

#[test]
fn the_log_warns_of_a_service_without_a_limit() {
    for (options, expected) in [("ADDRESS_MESSAGES = 0", 1), ("", 0)] {
        let mut site = Site::new(options);
        site.start();
        site.stop();
        let log = site.log();
        let is_it = |line: &&str| {
            line.contains(" WARNING [challenger] ADDRESS_MESSAGES = 0: anybody may have any number")
        };
        assert_eq!(log.lines().filter(is_it).count(), expected, "{log}");
    }
}
