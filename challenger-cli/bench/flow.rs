//! One person proves an address, and the client reads it: seven requests, every answer checked.

use std::io;
use std::time::{Duration, Instant};

use super::codes::Codes;
use super::wire::{Answer, Connection, Place};

/// The requests of a flow in their order.
pub const STEPS: [&str; 7] =
    ["setup", "authorize", "challenge", "solve wrong", "solve right", "token", "info"];

/// The state that the client sends along, and expects back.
const STATE: &str = "a1b2c3d4";

/// How many characters of a nonce, which is random, make an address that nobody had before.
const UNIQUE: usize = 16;

/// A registered client of the service.
#[derive(Clone, Debug)]
pub struct Client {
    /// The client's number.
    pub id: String,
    /// Its secret.
    pub secret: String,
    /// Where its users are sent back to.
    pub redirect_uri: String,
}

/// The kind of answers that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Pages, as people see them.
    Browser,
    /// JSON.
    Program,
}

impl Reader {
    const fn accept(self) -> &'static str {
        match self {
            Self::Browser => {
                "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
                 Accept-Language: en-US,en;q=0.5\r\n"
            }
            Self::Program => "Accept: application/json\r\n",
        }
    }
}

/// The reason why a flow did not come to its end.
#[derive(Debug)]
pub struct Trouble(pub String);

/// How long each answered request took, in the order of [`STEPS`].
pub type Times = [Option<Duration>; STEPS.len()];

/// Somebody who goes through flows, one after the other, over one connection to each server.
pub struct Person<'a> {
    places: &'a [Place],
    client: &'a Client,
    reader: Reader,
    codes: Codes,
    lines: Option<Lines>,
    number: usize,
}

/// Connections to all servers, used in turn.
struct Lines {
    connections: Vec<Connection>,
    next: usize,
}

impl Lines {
    fn open(places: &[Place]) -> io::Result<Self> {
        let connections = places.iter().map(Connection::open).collect::<Result<_, _>>()?;
        Ok(Self { connections, next: 0 })
    }

    fn ask(&mut self, request: &str) -> io::Result<Answer<'_>> {
        let turn = self.next % self.connections.len().max(1);
        self.next = turn + 1;
        self.connections.get_mut(turn).ok_or(io::ErrorKind::NotConnected)?.ask(request)
    }
}

impl<'a> Person<'a> {
    pub const fn new(
        places: &'a [Place],
        client: &'a Client,
        reader: Reader,
        codes: Codes,
        number: usize,
    ) -> Self {
        Self { places, client, reader, codes, lines: None, number }
    }

    /// Goes through one flow.
    pub fn walk(&mut self, times: &mut Times) -> Result<(), Trouble> {
        let mut lines = match self.lines.take() {
            Some(lines) => lines,
            None => Lines::open(self.places).map_err(|e| lost("connect", &e))?,
        };
        let keeps = self.go(&mut lines, times)?;
        self.lines = keeps.then_some(lines);
        Ok(())
    }

    fn go(&self, lines: &mut Lines, times: &mut Times) -> Result<bool, Trouble> {
        let Client { id, secret, redirect_uri } = self.client;
        let accept = self.reader.accept();
        let bearer = format!("Authorization: Bearer {secret}\r\n");
        let nonce = step(lines, times, 0, &post(&format!("/setup/{id}"), &bearer, ""), {
            |it| (it.status == 200).then(|| member(it.body, "nonce")).flatten()
        })?;
        let target = format!(
            "/authorize/{nonce}?response_type=code&client_id={id}&redirect_uri={}&state={STATE}",
            escape(redirect_uri)
        );
        let is_good = |it: &Answer<'_>| (it.status == 200 && it.body.len() > 100).then_some(());
        step(lines, times, 1, &get(&target, accept), is_good)?;
        // Nobody has it twice, not even in another run: an address has a budget for a day.
        let unique = nonce.get(..UNIQUE).unwrap_or(&nonce);
        let address = format!("person{}.{unique}@bench.example", self.number);
        let body = format!("CONTACT_EMAIL={}", escape(&address));
        let request = post(&format!("/challenge/{nonce}"), accept, &body);
        step(lines, times, 2, &request, |it| (it.status == 200).then_some(()))?;
        let code = self.codes.take(&address).map_err(|e| Trouble(format!("no code: {e}")))?;
        let solve = format!("/solve/{nonce}");
        let request = post(&solve, accept, &format!("pin={}", other_than(&code)));
        step(lines, times, 3, &request, |it| (it.status == 403).then_some(()))?;
        let request = post(&solve, accept, &format!("pin={code}"));
        let code = step(lines, times, 4, &request, |it| self.code_in(it))?;
        let body = format!(
            "grant_type=authorization_code&client_id={id}&client_secret={}&code={}&redirect_uri={}",
            escape(secret),
            escape(&code),
            escape(redirect_uri)
        );
        let token = step(lines, times, 5, &post("/token", "", &body), |it| {
            (it.status == 200).then(|| member(it.body, "access_token")).flatten()
        })?;
        let mut is_last = false;
        let request = get("/info", &format!("Authorization: Bearer {token}\r\n"));
        let proved = step(lines, times, 6, &request, |it| {
            is_last = it.is_last;
            (it.status == 200).then(|| member(it.body, "CONTACT_EMAIL")).flatten()
        })?;
        if proved != address {
            return Err(Trouble("info tells of another address than was entered".to_owned()));
        }
        Ok(!is_last)
    }

    /// The authorization code with which the person is sent back.
    fn code_in(&self, answer: &Answer<'_>) -> Option<String> {
        let url = match self.reader {
            Reader::Browser if answer.status == 302 => answer.header("Location")?.to_owned(),
            Reader::Program if answer.status == 200 => member(answer.body, "redirect_url")?,
            Reader::Browser | Reader::Program => return None,
        };
        let query = url.strip_prefix(&self.client.redirect_uri)?;
        let mut pairs = query.trim_start_matches(['?', '&']).split('&');
        let code = pairs.next()?.strip_prefix("code=")?;
        (pairs.next()?.strip_prefix("state=")? == STATE).then(|| code.to_owned())
    }
}

/// Sends the request of a step, and takes the wanted part from its answer.
fn step<T>(
    lines: &mut Lines,
    times: &mut Times,
    number: usize,
    request: &str,
    read: impl FnOnce(&Answer<'_>) -> Option<T>,
) -> Result<T, Trouble> {
    let name = STEPS.get(number).copied().unwrap_or_default();
    let begun = Instant::now();
    let answer = lines.ask(request).map_err(|error| lost(name, &error))?;
    if let Some(time) = times.get_mut(number) {
        *time = Some(begun.elapsed());
    }
    read(&answer).ok_or_else(|| {
        let code = answer.code().map_or_else(|| "-".to_owned(), |code| code.to_string());
        Trouble(format!("{name}: status {}, code {code}", answer.status))
    })
}

fn lost(what: &str, error: &io::Error) -> Trouble {
    Trouble(format!("{what}: {}", error.kind()))
}

fn get(target: &str, headers: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: bench.example\r\n{headers}\r\n")
}

fn post(target: &str, headers: &str, body: &str) -> String {
    format!(
        "POST {target} HTTP/1.1\r\nHost: bench.example\r\n{headers}\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The text of a member, wherever it is in a JSON object. Parsing all of it would cost the driver
/// more than it is worth: the values that are compared are long and random.
fn member(json: &str, name: &str) -> Option<String> {
    let (_, rest) = json.split_once(&format!("\"{name}\":"))?;
    let (value, _) = rest.trim_start().strip_prefix('"')?.split_once('"')?;
    Some(value.to_owned())
}

/// A code that is not this one.
fn other_than(code: &str) -> String {
    let (rest, last) = code.split_at(code.len().saturating_sub(1));
    format!("{rest}{}", if last == "1" { "2" } else { "1" })
}

/// Escapes a text for forms and queries.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}
