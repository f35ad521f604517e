//! Replays every story of `testdata/transcripts` through the core, and watches what they cover.
#![allow(clippy::unwrap_used, reason = "a broken story may panic")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use challenger_proto::http::{PageName, is_variable};
use challenger_proto::machine::{Progress, Validation};
use challenger_proto::oauth::AuthorizationRequest;
use challenger_proto::store::{Balance, Commit, Entry, Event, Keys, Records, Rows, Write};
use challenger_proto::{Entropy, Refusal, Service, Step, Timestamp, Transmission, refuse};
use challenger_testkit::Dice;
use challenger_testkit::transcript::{self, Cue, Played, Shown, Stage, Transcript};
use serde_json::Value;

/// The core with the reference store.
struct Core {
    service: Service,
    records: Records,
    draws: Dice,
}

impl Core {
    fn new(story: &Transcript) -> Self {
        let mut records = Records::default();
        story.head.registered().for_each(|client| records.insert_client(client));
        Self { service: story.head.service.clone(), records, draws: Dice::Seeded(0) }
    }

    /// The next 32 bytes, the same in every run.
    fn draw(&mut self) -> Entropy {
        let mut bytes = [0; 32];
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.draws.number().to_be_bytes());
        }
        Entropy::new(bytes)
    }

    /// Carries out a request as its cue wants it, and writes down what was asked for.
    fn carry_out(&mut self, cue: &Cue) -> Played {
        let (mut facts, mut pins, mut grant) = (Vec::new(), Vec::new(), None);
        let service = self.service.clone();
        let mut step = Step::begin(&cue.request, &service, cue.now);
        loop {
            step = match step {
                Step::Load(it) => {
                    let rows = self.records.load(it.keys());
                    describe_rows(it.keys(), &rows, &mut facts);
                    it.loaded(rows, cue.now, self.draw())
                }
                Step::Commit(it) if it.pays_for_message() && cue.helpers_busy => it.busy(),
                Step::Commit(it) => {
                    facts.push(describe_write(it.write()));
                    if let Write::Redeem(_, bought) = it.write() {
                        grant = Some(format!("{:?}", bought.token));
                    }
                    assert_eq!(self.records.commit(it.write()), Commit::Done);
                    it.done()
                }
                Step::Send(it) => {
                    for path in paths(&it.message().variables("id.example").into()) {
                        assert!(
                            is_variable(&Transmission::variable_names(), &path),
                            "messages have {path}"
                        );
                    }
                    facts.push(describe_message(it.message()));
                    pins.push(it.message().pin.digits().to_owned());
                    match &cue.helper_fails {
                        Some(failure) => it.failed(failure.clone()),
                        None => it.sent(),
                    }
                }
                Step::Respond(response) => {
                    return Played { facts: Some(facts), pins, grant, ..self.played(response) };
                }
            };
        }
    }
}

impl Stage for Core {
    fn play(&mut self, cue: &Cue) -> Played {
        match &cue.refuse {
            Some(refused) => {
                let response = refuse(Some(&cue.request), refused, &self.service);
                Played { facts: Some(vec![]), ..self.played(response) }
            }
            None => self.carry_out(cue),
        }
    }
}

impl Core {
    fn played(&self, response: challenger_proto::http::Response) -> Played {
        Played::new(response, &self.service.address_type)
    }
}

fn describe_rows(load: &Keys, rows: &Rows, facts: &mut Vec<String>) {
    if let Some(id) = load.client {
        let is_full = load.count.is_some_and(|count| rows.count >= count.most);
        let what = match &rows.client {
            None => ", unknown",
            Some(_) if is_full => ", with all the validations it may have",
            Some(_) => "",
        };
        facts.push(format!("= client {id}{what}"));
    }
    match (load.validation, &rows.validation) {
        (Some(_), None) => facts.push("= validation, unknown".into()),
        (Some(id), Some(_)) => facts.push(format!("= validation {id:?}")),
        (None, _) => {}
    }
    for Balance { account, spent, proved, budget, ends } in &rows.balances {
        let (most, ends) = (budget.messages, ends.seconds());
        let proved = if *proved > 0 { format!(", {proved} proved") } else { String::new() };
        facts.push(format!("= spent of {account}: {spent} of {most} until {ends}{proved}"));
    }
    match (load.grant, &rows.grant) {
        (Some(_), None) => facts.push("= grant, unknown".into()),
        (Some(token), Some(_)) => facts.push(format!("= grant {token:?}")),
        (None, _) => {}
    }
}

fn describe_message(message: &Transmission) -> String {
    let json = message.address.to_json().to_string();
    let plain =
        if message.argument == json { String::new() } else { format!(" as {}", message.argument) };
    let language = match message.language.as_str() {
        "en" => String::new(),
        other => format!(" in {other}"),
    };
    format!("! send {json} {}{plain}{language}", message.pin.digits())
}

fn describe_write(write: &Write) -> String {
    match write {
        Write::Open(row, _) => {
            let mut text = format!("! open {:?}, expires {}", row.id, row.expires.seconds());
            if let Some(address) = &row.prefill {
                let _ = write!(text, ", prefill {}", address.to_json());
            }
            text.push_str(if row.read_only { ", read only" } else { "" });
            if let (Some(request), Some(until)) = (&row.authorization, row.request_uri_until) {
                text.push_str(&describe_request(request));
                let _ = write!(text, ", request URI until {}", until.seconds());
            }
            text
        }
        Write::Update(row, entries) => describe("update", row) + &describe_entries(entries),
        Write::Redeem(row, grant) => format!(
            "{}, grant {:?} expires {}, address valid until {}",
            describe("redeem", row),
            grant.token,
            grant.expires.seconds(),
            if grant.valid_until == Timestamp::NEVER {
                "forever".into()
            } else {
                grant.valid_until.seconds().to_string()
            },
        ),
        Write::Revoke(row, token) => format!("{}, grant {token:?}", describe("revoke", row)),
        Write::Discard(token) => format!("! discard grant {token:?}"),
    }
}

/// What is posted to the ledger, such as `, charged address, service`.
fn describe_entries(entries: &[Entry]) -> String {
    let mut text = String::new();
    let mut latest = "";
    for Entry { account, event } in entries {
        let verb = match event {
            Event::Message { .. } => "charged",
            Event::Proof { .. } => "proved",
            Event::Refund { .. } => "refunded",
        };
        let verb = if verb == latest { "" } else { verb };
        latest = if verb.is_empty() { latest } else { verb };
        let space = if verb.is_empty() { "" } else { " " };
        let _ = write!(text, ", {verb}{space}{account}");
    }
    text
}

fn describe_request(request: &AuthorizationRequest) -> String {
    let mut text = String::new();
    for (name, value) in [("state", &request.state), ("scope", &request.scope)] {
        if let Some(value) = value {
            let _ = write!(text, ", {name} {}", Value::from(value.as_str()));
        }
    }
    if let Some(challenge) = &request.code_challenge {
        let _ = write!(text, ", {} {}", challenge.method(), challenge.value());
    }
    text
}

fn describe(verb: &str, row: &Validation) -> String {
    let mut text = format!("! {verb} {:?}, version {}", row.id, row.version.next().0);
    match &row.progress {
        Progress::Open => {
            let Some(request) = &row.authorization else { return text };
            text.push_str(&describe_request(request));
        }
        Progress::Challenged(challenge) => {
            let _ = write!(
                text,
                ", challenged, left: addresses {}, transmissions {}, attempts {}, refunds {}",
                row.addresses_left,
                challenge.transmissions_left,
                challenge.attempts_left,
                row.refunds_left,
            );
        }
        Progress::Solved(solution) => {
            let (at, renewed_at) = (solution.at.seconds(), solution.renewed_at.seconds());
            let _ = write!(text, ", solved {at}, renewed {renewed_at}");
        }
        Progress::Redeemed { .. } => text.push_str(", redeemed"),
        Progress::Revoked(_) => text.push_str(", revoked"),
    }
    text
}

/// Refusals that no request can bring about in the core: what it stands for, and where it is made.
/// `refusals-*.http` show their answers.
const MADE_ELSEWHERE: [Refusal; 12] = [
    // The front reads heads, which never get as far as a `Request`.
    Refusal::ContentLengthMalformed,
    Refusal::ExpectationUnknown,
    Refusal::HeadMalformed,
    Refusal::HeadTooLarge,
    Refusal::RequestTimeout,
    Refusal::TransferEncodingUnsupported,
    Refusal::VersionUnsupported,
    // The engine talks to the store.
    Refusal::Contention,
    Refusal::StorageUnreadable,
    Refusal::StorageUnwritable,
    // The renderer expands templates.
    Refusal::TemplateBroken,
    // Code that should never run.
    Refusal::Internal,
];

/// All headers that a response may have, beside those that frame it.
const HEADERS: [&str; 21] = [
    "Access-Control-Allow-Headers",
    "Access-Control-Allow-Methods",
    "Access-Control-Allow-Origin",
    "Access-Control-Expose-Headers",
    "Allow",
    "Avail-Languages",
    "Cache-Control",
    "Content-Language",
    "Content-Security-Policy",
    "Content-Type",
    "ETag",
    "Expires",
    "Location",
    "Pragma",
    "Referrer-Policy",
    "Retry-After",
    "Taler-Terms-Version",
    "Vary",
    "WWW-Authenticate",
    "X-Content-Type-Options",
    "X-Frame-Options",
];

/// What the stories showed, beside what each of them checks.
#[derive(Default)]
struct Findings {
    failed: Vec<String>,
    headers: BTreeSet<String>,
    /// Refusals that a request brought about.
    met: BTreeSet<Refusal>,
    /// The variables of pages.
    variables: BTreeSet<(Option<PageName>, String)>,
    /// Refusals that a story staged, with the shape of the answer: `html`, `json` or `oauth`.
    staged: BTreeSet<(Refusal, &'static str)>,
}

/// The core, with a record of what was met.
struct Observed<'a> {
    core: Core,
    findings: &'a mut Findings,
}

impl Stage for Observed<'_> {
    fn may_rewrite(&self) -> bool {
        true
    }

    fn play(&mut self, cue: &Cue) -> Played {
        let played = self.core.play(cue);
        self.findings.headers.extend(played.headers.iter().map(|(name, _)| name.clone()));
        if let Shown::Page(page, _, data) = &played.body {
            let page = transcript::page_name(page, &self.core.service.address_type);
            let paths = paths(data).into_iter();
            self.findings.variables.extend(paths.map(|path| (page, path)));
        }
        match (&cue.refuse, played.refusal) {
            (Some(refused), _) => {
                let shape = match &played.body {
                    Shown::Page(..) => "html",
                    Shown::Bytes(_) if cue.request.path() == "/token" => "oauth",
                    Shown::Bytes(_) => "json",
                };
                self.findings.staged.insert((refused.refusal, shape));
            }
            (None, Some(refusal)) => drop(self.findings.met.insert(refusal)),
            (None, None) => {}
        }
        played
    }
}

/// The paths to all values that are neither objects nor lists, without the places in lists.
fn paths(data: &Value) -> Vec<String> {
    let below = |name: &str, value: &Value| {
        let paths = paths(value).into_iter();
        paths
            .map(|path| format!("{name}.{path}").trim_end_matches('.').to_owned())
            .collect::<Vec<_>>()
    };
    match data {
        Value::Object(members) => {
            members.iter().flat_map(|(name, value)| below(name, value)).collect()
        }
        Value::Array(items) => items.iter().flat_map(paths).collect(),
        _ => vec![String::new()],
    }
}

/// Plays all stories, once for all tests, because `UPDATE=1` lets them write.
fn findings() -> &'static Findings {
    static FINDINGS: OnceLock<Findings> = OnceLock::new();
    FINDINGS.get_or_init(|| {
        let mut findings = Findings::default();
        for story in transcript::all() {
            let mut stage = Observed { core: Core::new(&story), findings: &mut findings };
            if catch_unwind(AssertUnwindSafe(|| story.replay(&mut stage))).is_err() {
                findings.failed.push(story.name);
            }
        }
        findings
    })
}

#[test]
fn every_story_comes_true() {
    assert!(findings().failed.is_empty(), "{:?}", findings().failed);
}

/// What a peer sees of the core: bytes, and none of its facts.
struct Outside(Core);

impl Stage for Outside {
    fn play(&mut self, cue: &Cue) -> Played {
        let mut played = self.0.play(cue);
        if let Shown::Page(page, language, data) = &played.body {
            played.body = Shown::Bytes(self.render(page, language, data));
        }
        if cue.verb == "HEAD" {
            played.body = Shown::Bytes(Vec::new());
        }
        played.headers.push(("Content-Length".into(), "1".into()));
        Played { facts: None, grant: None, refusal: None, ..played }
    }

    fn render(&mut self, page: &str, language: &str, data: &Value) -> Vec<u8> {
        format!("<html lang={language}>{page} {data}").into_bytes()
    }
}

#[test]
fn every_portable_story_holds_for_an_outsider() {
    assert!(findings().failed.is_empty());
    for story in transcript::all().iter().filter(|story| story.is_portable()) {
        story.replay(&mut Outside(Core::new(story)));
    }
}

#[test]
fn pages_have_the_variables_that_are_listed_and_no_others() {
    let met = &findings().variables;
    for (page, path) in met {
        let page = page.unwrap();
        assert!(is_variable(&page.variables(), path), "{page:?} has {path}");
    }
    let is_met = |name: &&str| met.iter().any(|(_, path)| is_variable(&[name], path));
    let names = PageName::ALL.into_iter().flat_map(PageName::variables);
    // All stories play in one month, and after its first day.
    let times = ["until.day", "until.hour", "until.january", "until.minute", "until.year"];
    let may_be_met = |name: &&str| !name.starts_with("until.") || times.contains(name);
    let unmet: BTreeSet<&str> = names.filter(may_be_met).filter(|name| !is_met(name)).collect();
    // The stories have no privacy policy, and their operator never changes the restrictions.
    assert_eq!(unmet, BTreeSet::from(["has_privacy", "privacy_url", "stuck.url"]));
}

#[test]
fn every_refusal_of_the_core_is_met() {
    for &refusal in Refusal::ALL {
        let met = findings().met.contains(&refusal);
        let elsewhere = MADE_ELSEWHERE.contains(&refusal);
        assert_ne!(met, elsewhere, "{refusal:?}: met by a story {met}, made elsewhere {elsewhere}");
    }
}

#[test]
fn every_refusal_is_shown_in_every_shape() {
    for &refusal in Refusal::ALL {
        for shape in ["html", "json", "oauth"] {
            // There may be no page to report that a page is missing or broken.
            let about_pages = [Refusal::TemplateBroken, Refusal::TemplateMissing];
            let exempt = about_pages.contains(&refusal) && shape == "html";
            let shown = findings().staged.contains(&(refusal, shape));
            assert_ne!(shown, exempt, "{refusal:?} as {shape}");
        }
    }
}

#[test]
fn every_header_is_known() {
    let known: BTreeSet<String> = HEADERS.map(String::from).into();
    assert_eq!(findings().headers, known);
}

#[test]
fn every_story_begins_with_a_sentence() {
    for story in transcript::all() {
        let sentence = &story.sentence;
        assert!(sentence.starts_with(|it: char| it.is_uppercase()), "{}: {sentence}", story.name);
        assert!(sentence.ends_with('.'), "{}: {sentence}", story.name);
        assert!(story.exchanges().count() > 0, "{}: nothing happens", story.name);
    }
}
