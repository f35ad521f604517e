//! People who mean no good, and people who cannot do better.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use challenger_testkit::{Dice, Peer, wrong};

use super::caller::{Call, Caller, Trouble};
use super::people::{LETTERS_MAX, reason};
use super::site::{REDIRECT_URI, SECRET};
use super::visit::{INTERVAL, Visit, info, token_request};
use super::world::World;

/// How many guesses each letter allows, and how many letters an address gets.
const GUESSES: usize = 3;
const LETTERS: usize = 3;
/// How many connections a crowd opens at once.
const CROWD: usize = 60;

type Deed = fn(&mut Stranger<'_>) -> Result<(), Trouble>;

/// Their deeds, and the share of each.
const DEEDS: [(&str, Deed, usize); 12] = [
    ("crowd", |it| it.crowd(), 1),
    ("foreign client", |it| it.be_a_foreign_client(), 4),
    ("garbage", |it| it.send_garbage(), 4),
    ("gone early", |it| it.go_early(), 4),
    ("guesser", |it| it.guess(), 4),
    ("idle", |it| it.stay_idle(), 2),
    ("oversized", |it| it.send_too_much(), 4),
    ("pipelining", |it| it.pipeline(), 4),
    ("slow", |it| it.be_slow(), 2),
    ("stalled body", |it| it.stall(), 2),
    ("unknown nonce", |it| it.try_nonces(), 6),
    ("wrong path", |it| it.get_lost(), 4),
];

/// Sends one after the other until the time is over.
pub fn send<'a>(scope: &'a Scope<'a, '_>, world: &'a World) {
    let pause = Duration::from_millis(5000 / world.settings.rate.max(1));
    let mut cards: Vec<(&str, Deed)> = Vec::new();
    let mut dice = Dice::for_purpose(world.settings.seed, "strangers", 0);
    for number in 0.. {
        thread::sleep(pause);
        if world.begun.elapsed() >= world.settings.duration {
            return;
        }
        if cards.is_empty() {
            cards = DEEDS.iter().flat_map(|(name, it, often)| vec![(*name, *it); *often]).collect();
            dice.shuffle(&mut cards);
        }
        let (name, deed) = cards.pop().unwrap();
        world.ledger.set_out();
        scope.spawn(move || {
            let act = AssertUnwindSafe(|| Stranger::act(world, number, name, deed));
            if let Err(panic) = catch_unwind(act) {
                world.ledger.break_rule("answers make sense", reason(&*panic));
            }
            world.ledger.arrive();
        });
    }
}

struct Stranger<'a> {
    world: &'a World,
    number: u64,
    dice: Dice,
    caller: Caller<'a>,
}

impl<'a> Stranger<'a> {
    fn act(world: &'a World, number: u64, name: &'static str, deed: Deed) {
        let mut dice = Dice::for_purpose(world.settings.seed, "stranger", number);
        let pair = &world.pairs[usize::from(dice.one_in(2))];
        let caller = Caller::new(world, pair, &mut dice);
        let begun = Instant::now();
        let mut stranger = Self { world, number, dice, caller };
        let end = deed(&mut stranger);
        let is_clean = !pair.was_troubled(begun, Instant::now());
        world.ledger.count(&format!("stranger|{name}"), 1);
        match end {
            Err(Trouble::Broken(rule, case)) => {
                world.ledger.break_rule(rule, format!("{name}: {case}"));
            }
            Err(Trouble::GaveUp(why)) if is_clean => {
                world.ledger.break_rule("strangers are answered when nothing is wrong", why);
            }
            _ => {}
        }
        // Their times do not count in the figures, but the errors do.
        stranger.caller.samples.clear();
        stranger.caller.settle(is_clean);
    }

    fn expect(&mut self, call: &Call<'_>, expected: (u16, u64)) -> Result<(), Trouble> {
        let reply = self.caller.call(call)?;
        if reply.refusal() == expected {
            return Ok(());
        }
        let case = format!("{} {:?} instead of {expected:?}", call.target, reply.refusal());
        Err(Trouble::Broken("strangers are refused", case))
    }

    fn try_nonces(&mut self) -> Result<(), Trouble> {
        let nonce: String =
            self.dice.bytes::<51>().iter().map(|it| char::from(b'A' + it % 8)).collect();
        let query = "?response_type=code&client_id=1";
        for (method, target, body) in [
            ("GET", format!("authorize/{nonce}0{query}"), ""),
            ("POST", format!("challenge/{nonce}0"), "CONTACT_EMAIL=a%40example.com"),
            ("POST", format!("solve/{nonce}0"), "pin=12345678"),
            ("GET", format!("authorize/{nonce}{query}"), ""),
        ] {
            let headers = [("Accept", "application/json")];
            let call = Call { kind: "stranger", method, target: &target, headers: &headers, body };
            self.expect(&call, (404, 9755))?;
        }
        Ok(())
    }

    fn be_a_foreign_client(&mut self) -> Result<(), Trouble> {
        let bearer = [("Authorization", "Bearer secret-token:guessed")];
        for target in ["setup/1", "setup/999"] {
            let call =
                Call { kind: "stranger", method: "POST", target, headers: &bearer, body: "" };
            self.expect(&call, (404, 9750))?;
        }
        let half = "A".repeat(51) + "0";
        let code = format!("{half}-{half}");
        for (secret, expected) in [("secret-token:guessed", 9750), (SECRET, 9755)] {
            let body = token_request(secret, REDIRECT_URI, &code, None);
            let call = Call {
                kind: "stranger",
                method: "POST",
                target: "token",
                headers: &[],
                body: &body,
            };
            self.expect(&call, (401, expected))?;
        }
        let reply = info(&mut self.caller, "stranger", &half)?;
        match reply.refusal() {
            (404, 9753) => Ok(()),
            other => Err(Trouble::Broken("strangers are refused", format!("info {other:?}"))),
        }
    }

    fn get_lost(&mut self) -> Result<(), Trouble> {
        let json = [("Accept", "application/json")];
        for (method, target, expected) in [
            ("GET", "nowhere", (404, 21)),
            ("GET", "setup/1", (405, 20)),
            ("DELETE", "token", (405, 20)),
            ("POST", "setup/one", (400, 26)),
            ("POST", "setup/1", (400, 25)),
        ] {
            let headers: &[_] = match target {
                "setup/one" => &[("Authorization", "Bearer x")],
                _ => &json,
            };
            self.expect(&Call { kind: "stranger", method, target, headers, body: "" }, expected)?;
        }
        Ok(())
    }

    /// Uses up every letter and every guess of an address.
    fn guess(&mut self) -> Result<(), Trouble> {
        let address = format!("g{}@example.com", self.number);
        let result = self.guess_for(&address);
        let pair = self.caller.pair;
        let letters = pair.letters_for(&address);
        if letters > LETTERS_MAX || (letters > LETTERS && !self.caller.had_errors()) {
            let case = format!("{letters} to {address}");
            self.world.ledger.break_rule("no message beyond the budget", case);
        }
        let _ = fs::remove_file(pair.letter_box(&address));
        result
    }

    fn guess_for(&mut self, address: &str) -> Result<(), Trouble> {
        let mut visit = Visit::set_up(&mut self.caller, address, false, None, false)?;
        let (mut judged, mut code) = (0, String::new());
        for _ in 0..LETTERS {
            code = visit.get_letter(&mut self.caller, false)?;
            for _ in 0..=GUESSES {
                let reply = visit.guess(&mut self.caller, &wrong(&code), false)?.remove(0);
                if !matches!(reply.status, 403 | 429) {
                    return Err(Trouble::Broken("a wrong code is refused", reply.body));
                }
                judged += usize::from(reply.json()["exhausted"] == false);
            }
            thread::sleep(INTERVAL);
        }
        let letters = self.caller.pair.letters_for(address).max(LETTERS);
        if judged > letters * GUESSES {
            let case = format!("{judged} after {letters} letters");
            return Err(Trouble::Broken("no guess beyond the budget", case));
        }
        let reply = visit.guess(&mut self.caller, &code, false)?.remove(0);
        match reply.status {
            403 | 429 => Ok(()),
            // Whatever an error answered may have been carried out.
            _ if self.caller.had_errors() => Ok(()),
            _ => Err(Trouble::Broken("no guess beyond the budget", reply.body)),
        }
    }

    /// A connection, unless there is no server.
    fn connect(&mut self) -> Option<Peer> {
        let servers = &self.caller.pair.servers;
        servers[usize::from(self.dice.one_in(2))].connect().ok()
    }

    /// Sends something that is not a request, and gets one of these answers or none.
    fn say(&mut self, bytes: &[u8], expected: &[u16]) -> Result<(), Trouble> {
        let Some(mut line) = self.connect() else { return Ok(()) };
        // It may be cut off before it has said everything.
        line.send(bytes);
        match line.try_reply_to("GET") {
            Ok(reply) if !expected.contains(&reply.status) => {
                let case = format!("{} instead of {expected:?}", reply.status);
                Err(Trouble::Broken("what is no request is refused", case))
            }
            _ => Ok(()),
        }
    }

    fn send_garbage(&mut self) -> Result<(), Trouble> {
        let count = usize::try_from(self.dice.between(1, 3000)).unwrap();
        let mut bytes: Vec<u8> = (0..count).map(|_| self.dice.byte()).collect();
        bytes.extend(b"\r\n\r\n");
        self.say(&bytes, &[400, 414, 431, 501, 505])
    }

    fn send_too_much(&mut self) -> Result<(), Trouble> {
        let long = "x".repeat(20_000);
        let (text, status) = match self.dice.below(4) {
            0 => (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", &long[..9000]), 414),
            1 => (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"), 431),
            2 => {
                let head = "POST /token HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n";
                (head.to_string() + &long.repeat(20), 413)
            }
            _ => {
                let head = "POST /token HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
                (format!("{head}1;{long}\r\n"), 413)
            }
        };
        self.say(text.as_bytes(), &[status])
    }

    /// Sends a head so slowly that its time is over before its end.
    fn be_slow(&mut self) -> Result<(), Trouble> {
        let Some(mut line) = self.connect() else { return Ok(()) };
        for byte in b"GET /config HTTP/1.1\r\nHost: challenger.example\r\n" {
            if !line.send([*byte]) {
                break;
            }
            thread::sleep(Duration::from_millis(300));
        }
        self.expect_timeout(line)
    }

    /// Promises a body and sends half of it.
    fn stall(&mut self) -> Result<(), Trouble> {
        let Some(mut line) = self.connect() else { return Ok(()) };
        line.send(b"POST /token HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello");
        self.expect_timeout(line)
    }

    fn expect_timeout(&self, mut line: Peer) -> Result<(), Trouble> {
        match line.try_reply_to("GET") {
            Ok(reply) if reply.status != 408 => {
                Err(Trouble::Broken("what is late is refused", reply.status.to_string()))
            }
            _ => Ok(()),
        }
    }

    /// Asks for something and does not wait for it.
    fn go_early(&mut self) -> Result<(), Trouble> {
        let Some(mut line) = self.connect() else { return Ok(()) };
        line.send(
            format!("POST /setup/1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {SECRET}\r\n")
                .as_bytes(),
        );
        if self.dice.one_in(2) {
            line.send(b"Content-Length: 0\r\n\r\n");
        }
        Ok(())
    }

    fn stay_idle(&mut self) -> Result<(), Trouble> {
        let Some(_line) = self.connect() else { return Ok(()) };
        let most = self.world.settings.pace(5, 70);
        thread::sleep(Duration::from_secs(self.dice.between(1, most)));
        Ok(())
    }

    fn crowd(&mut self) -> Result<(), Trouble> {
        let lines: Vec<Option<Peer>> = (0..CROWD).map(|_| self.connect()).collect();
        thread::sleep(Duration::from_secs(self.dice.between(1, 5)));
        drop(lines);
        Ok(())
    }

    /// Asks many things at once.
    fn pipeline(&mut self) -> Result<(), Trouble> {
        let Some(mut line) = self.connect() else { return Ok(()) };
        let paths = ["config", "nowhere", "terms", "config", "robots.txt", "nowhere"];
        let requests: String =
            paths.iter().map(|it| format!("GET /{it} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
        line.send(requests.as_bytes());
        for path in paths {
            let Ok(reply) = line.try_reply_to("GET") else { return Ok(()) };
            let expected = match path {
                "nowhere" => 404,
                "terms" => 501,
                _ => 200,
            };
            if reply.status != expected {
                let case = format!("{} for {path}", reply.status);
                return Err(Trouble::Broken("answers come in the order of requests", case));
            }
        }
        Ok(())
    }
}
