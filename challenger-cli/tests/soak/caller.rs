//! A client that takes turns between two servers, and tries again as real ones do.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use challenger_testkit::{Dice, Peer, Reply, request};

use super::figures::Sample;
use super::world::{Pair, World};

/// How long somebody goes on trying.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long to wait before another try.
const PAUSE: Duration = Duration::from_millis(500);

/// Why somebody did not get on.
#[derive(Debug)]
pub enum Trouble {
    /// Something that must not be: the rule, and what happened.
    Broken(&'static str, String),
    /// Nothing but errors until patience ended; the last of them.
    GaveUp(String),
    /// This validation leads nowhere any more, and another may.
    StartOver(&'static str),
}

/// A request that a client wants to make.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// Its name in the figures.
    pub kind: &'static str,
    pub method: &'static str,
    /// Without the first slash.
    pub target: &'a str,
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a str,
}

impl Call<'_> {
    /// Returns the answer, and whether the connection may be used again.
    pub fn ask(&self, peer: &mut Peer, keeps: bool) -> io::Result<(Reply, bool)> {
        let connection = ("Connection", if keeps { "keep-alive" } else { "close" });
        let headers = [self.headers, &[connection]].concat();
        peer.send(request(self.method, self.target, &headers, self.body.as_bytes()));
        let reply = peer.try_reply_to(self.method)?;
        let closes = reply.header("Connection").is_some_and(|it| it.eq_ignore_ascii_case("close"));
        Ok((reply, keeps && !closes))
    }
}

/// A client and its connections.
pub struct Caller<'a> {
    pub world: &'a World,
    pub pair: &'a Pair,
    turn: usize,
    keeps: bool,
    kept: [Option<Peer>; 2],
    begun: Instant,
    pub samples: Vec<Sample>,
    /// The errors, each with the kind of its request.
    pub errors: Vec<(&'static str, String)>,
}

impl<'a> Caller<'a> {
    pub fn new(world: &'a World, pair: &'a Pair, dice: &mut Dice) -> Self {
        Self {
            world,
            pair,
            turn: usize::from(dice.one_in(2)),
            keeps: dice.one_in(2),
            kept: [None, None],
            begun: Instant::now(),
            samples: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// Asks until there is an answer that is not an error of the service.
    pub fn call(&mut self, call: &Call<'_>) -> Result<Reply, Trouble> {
        loop {
            let error = match self.try_once(call) {
                Ok(reply) if reply.status < 500 => return Ok(reply),
                Ok(reply) => label(&reply),
                Err(error) => format!("no answer ({:?})", error.kind()),
            };
            let last = format!("{} {error}", call.kind);
            self.errors.push((call.kind, error));
            if self.begun.elapsed() > PATIENCE {
                return Err(Trouble::GaveUp(last));
            }
            thread::sleep(PAUSE);
        }
    }

    /// Makes the same request twice at a time, on both servers.
    pub fn call_twice(&mut self, call: &Call<'_>) -> Vec<Result<Reply, Trouble>> {
        let mut other = Caller {
            turn: self.turn + 1,
            kept: [None, None],
            samples: Vec::new(),
            errors: Vec::new(),
            ..*self
        };
        let replies = thread::scope(|scope| {
            let second = scope.spawn(|| other.call(call));
            let first = self.call(call);
            vec![first, second.join().unwrap()]
        });
        self.samples.append(&mut other.samples);
        self.errors.append(&mut other.errors);
        replies
    }

    fn try_once(&mut self, call: &Call<'_>) -> io::Result<Reply> {
        let turn = self.turn % 2;
        self.turn += 1;
        let begun = Instant::now();
        let mut peer = match self.kept[turn].take() {
            Some(peer) => peer,
            None => self.pair.servers[turn].connect()?,
        };
        let (reply, again) = call.ask(&mut peer, self.keeps)?;
        self.kept[turn] = again.then_some(peer);
        self.samples.push(Sample::new(call.kind, begun, begun.elapsed()));
        Ok(reply)
    }

    /// Whether anything went wrong, but that all helpers were at work, which is not a fault.
    pub fn had_errors(&self) -> bool {
        self.errors.iter().any(|(_, error)| !error.starts_with("503"))
    }

    /// Enters everything into the figures.
    pub fn settle(&mut self, is_clean: bool) {
        let pair = self.pair.name;
        for (kind, error) in self.errors.drain(..) {
            let when = if is_clean { "else" } else { "fault" };
            self.world.ledger.count(&format!("error|{pair}|{kind}|{error}|{when}"), 1);
        }
        let settled = self.samples.drain(..).map(|it| Sample { pair, is_clean, ..it });
        self.world.figures.add(settled);
    }
}

/// Status and code of an error, as far as they can be seen.
pub fn label(reply: &Reply) -> String {
    let json: Option<serde_json::Value> = serde_json::from_str(&reply.body).ok();
    match json.and_then(|json| json["code"].as_u64()) {
        Some(code) => format!("{}/{code}", reply.status),
        None => format!("{} page", reply.status),
    }
}
