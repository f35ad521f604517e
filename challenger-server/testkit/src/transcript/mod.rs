//! Golden transcripts: reads the stories of `testdata/transcripts`, plays them on a [`Stage`], and
//! compares the outcome with the text.
//!
//! ```text
//! A sentence: the claim of the story.          > request      ~ helper fails KIND: how
//! config  OPTION = VALUE                       # STATUS CODE CLAUSE, and why
//! clock   2026-01-05T10:00:00Z                 = the keys to load
//! client  ID SECRET URI [MESSAGES] [open]     ! the write and the message
//!         [disabled] [named NAME]              < response
//! pages   [except NAME …]                      +5s, +2 days, -1h move the clock
//! terms   VERSION LANG.EXT TEXT
//! destination  PREFIX|DOMAIN|COUNTRY VALUE MESSAGES PERIOD
//! ```
//!
//! 1. `UPDATE=1` rewrites the `=`, `!` and `<` lines. The `#` lines are written by hand from the
//!    specification and checked always, so no rewriting can bless an answer.
//! 2. `~ refuse NAME: detail` stands for trouble outside the core: it answers with
//!    [`challenger_proto::refuse`]. `~ helpers busy`: no helper is free for the message. Neither
//!    kind of story can be played to a server, see [`Transcript::is_portable`]. The KIND of a
//!    failed delivery is the name of a `FailureKind`; without it, it is `unknown`.
//! 3. Codes, nonces and the like become `{name}`, see [`Captures`]. In requests, `\xNN` is a byte,
//!    `hex:` begins a binary body, and a story may bend a value: `{pin:wrong}`, `{x*70000}`.
//! 4. Left out of `<` lines: the headers of [`COMMON_HEADERS`] with their standard value, and those
//!    that only a connection needs ([`FRAMING_HEADERS`]).

mod captures;
mod head;

use std::path::{Path, PathBuf};

use challenger_proto::address::AddressType;
use challenger_proto::http::{Body, Method, PageName, Request, Response};
use challenger_proto::{Failure, Refusal, Refused, Timestamp};
use serde_json::Value;

pub use captures::Captures;
pub use head::{Head, Registered};

/// The headers that every response carries (the core's `Response::new`).
pub const COMMON_HEADERS: [(&str, &str); 7] = [
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Expose-Headers", "*"),
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
];

/// The headers that the writer of a response adds.
pub const FRAMING_HEADERS: [&str; 3] = ["Connection", "Content-Length", "Date"];

/// A story.
pub struct Transcript {
    /// The name of its file, without the extension.
    pub name: String,
    /// The sentence that the story proves.
    pub sentence: String,
    /// The service, its clients and the first moment.
    pub head: Head,
    path: PathBuf,
    text: String,
    parts: Vec<Part>,
}

enum Part {
    /// A line that means nothing to the replay.
    Line(String),
    /// A move of the clock, in seconds.
    Clock(String, i64),
    Exchange(Exchange),
}

/// One request and its outcome, as written in the file.
#[derive(Default)]
pub struct Exchange {
    kept: Vec<String>,
    request: Vec<String>,
    helper_fails: Option<Failure>,
    helpers_busy: bool,
    refuse: Option<Refused>,
    status: u16,
    code: Option<u64>,
    facts: Vec<String>,
    response: Vec<String>,
}

/// An exchange for a stage to play.
pub struct Cue {
    pub now: Timestamp,
    /// The method as written; [`Method`] does not keep the unknown ones.
    pub verb: String,
    pub request: Request,
    /// How the helper fails, if it does.
    pub helper_fails: Option<Failure>,
    /// Whether no helper is free.
    pub helpers_busy: bool,
    /// The refusal to answer with, without asking the core's logic.
    pub refuse: Option<Refused>,
}

impl Cue {
    /// The request as a client sends it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let target = &self.request.target;
        let mut head = format!("{} {target} HTTP/1.1\r\nHost: challenger.test\r\n", self.verb);
        for (name, value) in &self.request.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.request.body.is_empty() || self.verb == "POST" {
            head.push_str(&format!("Content-Length: {}\r\n", self.request.body.len()));
        }
        head.push_str("\r\n");
        [head.as_bytes(), &self.request.body].concat()
    }
}

/// The report of a stage.
pub struct Played {
    /// The `=` and `!` lines; `None` where they cannot be seen.
    pub facts: Option<Vec<String>>,
    /// The PINs that were handed to the helper, eight digits each.
    pub pins: Vec<String>,
    /// The name of the grant in `facts`, if one was made.
    pub grant: Option<String>,
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Shown,
    /// Why it was refused, where that can be seen.
    pub refusal: Option<Refusal>,
}

/// A response's body.
pub enum Shown {
    Bytes(Vec<u8>),
    /// A page that was not rendered: template, language, variables.
    Page(String, String, Value),
}

impl Played {
    /// An answer of the core, without facts.
    pub fn new(response: Response, address_type: &AddressType) -> Self {
        Self {
            facts: None,
            pins: Vec::new(),
            grant: None,
            status: response.status.0,
            headers: response
                .headers
                .into_iter()
                .map(|(name, it)| (name.into(), it.into_owned()))
                .collect(),
            body: match response.body {
                Body::Empty => Shown::Bytes(Vec::new()),
                Body::Document(bytes) => Shown::Bytes(bytes.to_vec()),
                Body::Json(value) => Shown::Bytes(value.to_string().into_bytes()),
                Body::Page(page) => {
                    let name = page.name.template(address_type);
                    Shown::Page(name, page.language, page.data.into())
                }
                Body::Text(text) => Shown::Bytes(text.into()),
            },
            refusal: response.refusal,
        }
    }

    /// The Taler error code of the answer.
    fn code(&self) -> Option<u64> {
        let value = match &self.body {
            Shown::Bytes(bytes) => &serde_json::from_slice(bytes).unwrap_or_default(),
            Shown::Page(_, _, data) => data,
        };
        value.get("code").or_else(|| value.get("ec")).and_then(Value::as_u64)
    }
}

/// Where a story is played: the core alone, or a server behind a socket.
pub trait Stage {
    fn play(&mut self, cue: &Cue) -> Played;

    /// Whether `UPDATE=1` may rewrite stories from the outcome on this stage.
    fn may_rewrite(&self) -> bool {
        false
    }

    /// Renders a page, for stages that answer with rendered pages.
    fn render(&mut self, page: &str, language: &str, data: &Value) -> Vec<u8> {
        panic!("this stage cannot render {page} in {language} with {data}")
    }
}

/// The directory of the stories.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/transcripts")
}

/// All stories, in the order of their names.
pub fn all() -> Vec<Transcript> {
    let entries = std::fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|it| it == "http")).collect();
    paths.sort();
    paths.iter().map(|path| Transcript::read(path)).collect()
}

impl Transcript {
    pub fn read(path: &Path) -> Self {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(path).unwrap();
        let (head, story) = text.split_once("\n\n").unwrap_or((&text, ""));
        let (sentence, options) = head.split_once('\n').unwrap_or((head, ""));
        let mut parts = Vec::new();
        let mut next = Exchange::default();
        let first = head.lines().count() + 1;
        for (number, line) in (first + 1..).zip(story.lines()) {
            let place = format!("{name}:{number}: {line}");
            take_line(line, &place, &mut parts, &mut next);
        }
        assert!(next.kept.is_empty(), "{name}: the last request has no # line");
        let head = Head::parse(options, &name);
        Self { sentence: sentence.into(), head, path: path.into(), parts, name, text }
    }

    /// The requests with their outcomes, as written in the file.
    pub fn exchanges(&self) -> impl Iterator<Item = &Exchange> {
        self.parts.iter().filter_map(|part| match part {
            Part::Exchange(exchange) => Some(exchange),
            Part::Line(_) | Part::Clock(..) => None,
        })
    }

    /// Whether a server can play it: nothing in it happens behind the protocol's back.
    pub fn is_portable(&self) -> bool {
        self.exchanges().all(|exchange| exchange.refuse.is_none() && !exchange.helpers_busy)
    }

    /// Plays the story. Returns the refusals that were seen.
    ///
    /// Panics when anything differs from the file. With `UPDATE=1` in the environment and a stage
    /// that may do so, the file is rewritten instead, and only the `#` lines can still differ.
    pub fn replay(&self, stage: &mut dyn Stage) -> Vec<Refusal> {
        let mut now = self.head.start;
        let mut captures = Captures::default();
        let mut lines = self.text.split("\n\n").take(1).flat_map(str::lines).map(String::from);
        let mut written: Vec<String> = lines.by_ref().chain([String::new()]).collect();
        let mut complaints = Vec::new();
        let mut refusals = Vec::new();
        for part in &self.parts {
            match part {
                Part::Line(line) => written.push(line.clone()),
                Part::Clock(line, seconds) => {
                    now = Timestamp::from_seconds(now.seconds().saturating_add_signed(*seconds));
                    written.push(line.clone());
                }
                Part::Exchange(exchange) => {
                    let cue = exchange.cue(now, &captures);
                    let played = stage.play(&cue);
                    complaints.extend(exchange.judge(&played, written.len()));
                    captures.learn_from(&played);
                    refusals.extend(played.refusal);
                    written.extend(exchange.kept.iter().cloned());
                    written.extend(match &played.facts {
                        Some(facts) => facts.iter().map(|fact| captures.fold(fact)).collect(),
                        None => exchange.facts.clone(),
                    });
                    written.extend(exchange.show(&cue, &played, &captures, stage));
                }
            }
        }
        let update = std::env::var_os("UPDATE").is_some_and(|value| value == "1");
        if update && stage.may_rewrite() {
            std::fs::write(&self.path, written.join("\n") + "\n").unwrap();
        } else {
            complaints.extend(self.compare(&written));
        }
        assert!(complaints.is_empty(), "{}:\n{}\n", self.name, complaints.join("\n"));
        refusals
    }

    /// The first line that is not as written.
    fn compare(&self, written: &[String]) -> Option<String> {
        let old: Vec<&str> = self.text.lines().collect();
        let differs = |at: &usize| old.get(*at).copied() != written.get(*at).map(String::as_str);
        let at = (0..old.len().max(written.len())).find(differs)?;
        let new = written.get(at).map_or("the end", String::as_str);
        Some(format!("line {} should now be: {new}", at + 1))
    }
}

/// Sorts a line of a story into the parts.
fn take_line(line: &str, place: &str, parts: &mut Vec<Part>, next: &mut Exchange) {
    let content = line.get(2..).unwrap_or("");
    match line.chars().next() {
        None => parts.push(Part::Line(String::new())),
        Some('+' | '-') => parts.push(Part::Clock(line.into(), head::seconds(line, place))),
        Some('~') => {
            next.kept.push(line.into());
            if let Some(failure) = content.strip_prefix("helper fails") {
                next.helper_fails = Some(head::failure(failure));
            } else if content == "helpers busy" {
                next.helpers_busy = true;
            } else {
                let refused = content.strip_prefix("refuse ").map(head::refused);
                next.refuse = Some(refused.unwrap_or_else(|| panic!("{place}")));
            }
        }
        Some('>') => {
            next.kept.push(line.into());
            next.request.push(content.into());
        }
        Some('#') => {
            next.kept.push(line.into());
            let mut words = content.split_whitespace();
            let mut word = || words.next().unwrap_or_else(|| panic!("{place}"));
            next.status = word().parse().unwrap_or_else(|_| panic!("{place}"));
            let code = word();
            next.code = (code != "-").then(|| code.parse().unwrap_or_else(|_| panic!("{place}")));
            // `RFC 6749 4.1.3`; `API`, for docs/api.md; or else of the protocol.
            let mut clause = word();
            if clause == "RFC" {
                word().parse::<u16>().unwrap_or_else(|_| panic!("{place}: no RFC"));
                clause = word();
            }
            let clause = clause.trim_end_matches([':', ',']).trim_start_matches('Q');
            let numbers = clause.split('.').all(|number| number.parse::<u8>().is_ok());
            assert!(numbers || clause == "API", "{place}: no clause of the specification");
            assert!(!next.request.is_empty(), "{place}: no request");
            parts.push(Part::Exchange(std::mem::take(next)));
        }
        Some(sign @ ('=' | '!' | '<')) => match parts.last_mut() {
            Some(Part::Exchange(exchange)) if sign == '<' => exchange.response.push(line.into()),
            Some(Part::Exchange(exchange)) => exchange.facts.push(line.into()),
            _ => panic!("{place}"),
        },
        Some(_) => panic!("{place}"),
    }
}

impl Exchange {
    fn cue(&self, now: Timestamp, captures: &Captures) -> Cue {
        let start = captures.expand(&self.request[0]);
        let (verb, target) = start.split_once(' ').unwrap();
        let rest = &self.request[1..];
        let blank = rest.iter().position(String::is_empty).unwrap_or(rest.len());
        let header = |line: &String| {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            (name.to_owned(), captures.expand(value.trim_start()))
        };
        let request = Request {
            method: Method::parse(verb),
            target: target.into(),
            headers: rest[..blank].iter().map(header).collect(),
            body: captures.expand_body(rest.get(blank + 1..).unwrap_or_default()),
        };
        Cue {
            now,
            verb: verb.into(),
            request,
            helper_fails: self.helper_fails.clone(),
            helpers_busy: self.helpers_busy,
            refuse: self.refuse.clone(),
        }
    }

    /// Compares the answer with the `#` line.
    fn judge(&self, played: &Played, line: usize) -> Option<String> {
        // An answer to HEAD, and a page that was rendered, show no code of their own; the text that
        // they do show is compared as a whole.
        let head = self.request.first().is_some_and(|start| start.starts_with("HEAD "));
        let page = self.response.iter().any(|line| line.starts_with("< page "));
        let coded = match &played.body {
            Shown::Bytes(bytes) if page || head && bytes.is_empty() => self.code,
            Shown::Bytes(_) | Shown::Page(..) => played.code(),
        };
        let agreed = (played.status, coded) == (self.status, self.code);
        let verdict = || self.kept.last().cloned().unwrap_or_default();
        (!agreed).then(|| format!("line {line}: {} {coded:?} is not {}", played.status, verdict()))
    }

    /// The `<` lines of an answer.
    fn show(
        &self,
        cue: &Cue,
        played: &Played,
        captures: &Captures,
        stage: &mut dyn Stage,
    ) -> Vec<String> {
        let mut lines = vec![format!("< {}", played.status)];
        for (name, value) in &played.headers {
            let common = COMMON_HEADERS.contains(&(name, value));
            if !common && !FRAMING_HEADERS.contains(&name.as_str()) {
                lines.push(format!("< {name}: {}", captures.fold(value)));
            }
        }
        for (name, _) in COMMON_HEADERS {
            if !played.headers.iter().any(|(present, _)| present == name) {
                lines.push(format!("< {name} is missing"));
            }
        }
        let body = match &played.body {
            // On a connection an answer to HEAD has no body to compare.
            Shown::Bytes(bytes) if bytes.is_empty() && cue.request.method == Method::Head => {
                self.body_lines()
            }
            Shown::Bytes(bytes) => match self.page(captures) {
                Some((name, language, data)) if &stage.render(&name, &language, &data) == bytes => {
                    self.body_lines()
                }
                _ => show_bytes(bytes, captures),
            },
            Shown::Page(name, language, data) => {
                vec![format!("< page {name} {language} {}", captures.fold(&data.to_string()))]
            }
        };
        if !body.is_empty() {
            lines.push("<".into());
        }
        lines.extend(body);
        lines
    }

    fn body_lines(&self) -> Vec<String> {
        let blank = self.response.iter().position(|line| line == "<");
        blank.map(|at| self.response[at + 1..].to_vec()).unwrap_or_default()
    }

    /// The page that is written there: template, language, variables.
    fn page(&self, captures: &Captures) -> Option<(String, String, Value)> {
        let body = self.body_lines();
        let mut words = body.first()?.strip_prefix("< page ")?.splitn(3, ' ');
        let (name, language) = (words.next()?.to_owned(), words.next()?.to_owned());
        Some((name, language, serde_json::from_str(&captures.expand(words.next()?)).ok()?))
    }
}

fn show_bytes(bytes: &[u8], captures: &Captures) -> Vec<String> {
    if bytes.is_empty() {
        return Vec::new();
    }
    let text = captures.fold(std::str::from_utf8(bytes).unwrap());
    let show = |line: &str| if line.is_empty() { "<".into() } else { format!("< {line}") };
    text.split('\n').map(show).collect()
}

/// The page of a template's name.
pub fn page_name(template: &str, address_type: &AddressType) -> Option<PageName> {
    PageName::ALL.into_iter().find(|name| name.template(address_type) == template)
}
