//! Many requests at once: each is loaded, decided, committed and sent in its own time.

use challenger_proto::http::{Request, Response};
use challenger_proto::{
    Commit, Entropy, Limits, Loaded, Outcome, Plan, Records, Service, Span, Timestamp,
    Transmission, route,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::audit::{Ask, Auditor, Cause, Round};
use crate::world::{self, Redemption};

const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";

/// Where a request is on its way.
enum Beat {
    Routed,
    Loaded(Box<Loaded>),
    Decided(Box<Outcome>, Timestamp),
    Done,
}

/// A request on its way, or what follows from a message that failed.
struct Walker {
    ask: Ask,
    failure: Option<Transmission>,
    plan: Plan,
    beat: Beat,
}

struct Crowd {
    service: Service,
    records: Records,
    auditor: Auditor,
    now: Timestamp,
    draws: u64,
    walkers: Vec<Walker>,
    inbox: Vec<Transmission>,
    answers: Vec<Response>,
    conflicts: usize,
}

impl Crowd {
    fn new(limits: &Limits) -> Self {
        Self {
            service: world::service(limits.clone()),
            records: world::records(),
            auditor: world::auditor(limits),
            now: world::START,
            draws: 0,
            walkers: Vec::new(),
            inbox: Vec::new(),
            answers: Vec::new(),
            conflicts: 0,
        }
    }

    fn come(&mut self, request: Request) {
        let plan = route(&request);
        self.auditor.assert_hidden(&plan);
        let ask = Ask::read(&request);
        self.walkers.push(Walker { ask, failure: None, plan, beat: Beat::Routed });
    }

    /// One request from its beginning to its end, alone.
    fn ask(&mut self, request: Request) -> Response {
        self.come(request);
        let last = self.walkers.len() - 1;
        while self.walkers.len() > last {
            self.advance(last, false);
        }
        self.answers.last().unwrap().clone()
    }

    /// A new validation.
    fn begin(&mut self) -> String {
        let response = self.ask(world::setup(world::SECRET, ""));
        world::member(&response, "nonce").unwrap()
    }

    /// A validation that was sent its PIN.
    fn begin_challenged(&mut self) -> (String, String) {
        let nonce = self.begin();
        self.ask(world::challenge(&nonce, ADA, ""));
        let pin = self.inbox.last().unwrap().secret.digits().to_string();
        (nonce, pin)
    }

    /// Advances one of those on their way by one beat. Whoever arrives leaves the crowd.
    fn advance(&mut self, which: usize, is_unlucky: bool) {
        let mut walker = self.walkers.swap_remove(which);
        walker.beat = match std::mem::replace(&mut walker.beat, Beat::Done) {
            Beat::Routed => {
                let load = walker.plan.load(self.now, &self.service);
                Beat::Loaded(Box::new(self.records.load(&load)))
            }
            Beat::Loaded(loaded) => {
                self.draws += 1;
                let mut bytes = [0; 32];
                bytes[..8].copy_from_slice(&self.draws.to_le_bytes());
                let entropy = Entropy::new(bytes);
                let outcome = walker.plan.decide(*loaded, self.now, entropy, &self.service);
                self.auditor.decided(walker.cause(), &outcome, self.now);
                Beat::Decided(Box::new(outcome), self.now)
            }
            Beat::Decided(outcome, at) => self.carry_out(&mut walker, *outcome, at, is_unlucky),
            Beat::Done => Beat::Done,
        };
        if !matches!(walker.beat, Beat::Done) {
            self.walkers.push(walker);
        }
    }

    fn carry_out(
        &mut self,
        walker: &mut Walker,
        outcome: Outcome,
        at: Timestamp,
        is_unlucky: bool,
    ) -> Beat {
        if let Some(write) = &outcome.write {
            if self.records.commit(write) == Commit::Conflict {
                self.conflicts += 1;
                return Beat::Routed;
            }
            self.auditor.committed(walker.cause(), &outcome, at);
        }
        let Some(send) = outcome.send else {
            self.auditor.responded(&walker.ask, &outcome.response, at);
            self.answers.push(outcome.response);
            return Beat::Done;
        };
        self.auditor.sent(&send);
        self.inbox.push(send.clone());
        if is_unlucky {
            self.auditor.failed(&send);
            walker.plan = send.clone().undelivered("status 1");
            walker.failure = Some(send);
            return Beat::Routed;
        }
        self.auditor.responded(&walker.ask, &outcome.response, at);
        self.answers.push(outcome.response);
        Beat::Done
    }

    fn count(&self, status: u16) -> usize {
        self.answers.iter().filter(|answer| answer.status.0 == status).count()
    }
}

impl Walker {
    const fn cause(&self) -> Cause<'_> {
        match &self.failure {
            Some(send) => Cause::Failure(send),
            None => Cause::Request(&self.ask),
        }
    }
}

fn limits() -> Limits {
    Limits { retransmission_interval: Span::seconds(5), ..world::small_limits() }
}

/// 64 that all load before any of them commits; the dice say who goes first.
fn crowd_of_64(crowd: &mut Crowd, request: impl Fn(usize) -> Request, dice: &[usize]) {
    crowd.answers.clear();
    for which in 0..64 {
        crowd.come(request(which));
    }
    for which in (0..64).rev() {
        // Loaded and decided, in place: the last one moves to the end each time.
        crowd.advance(which, false);
    }
    for which in (0..64).rev() {
        crowd.advance(which, false);
    }
    for die in dice.iter().cycle() {
        match crowd.walkers.len() {
            0 => break,
            length => crowd.advance(die % length, false),
        }
    }
    assert_eq!(crowd.answers.len(), 64);
    assert!(crowd.conflicts > 0, "nobody met anybody");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.min(32), ..ProptestConfig::default()
    })]

    #[test]
    fn sixty_four_guesses_at_once_are_judged_twice(dice in vec(any::<usize>(), 100)) {
        let mut crowd = Crowd::new(&limits());
        let (nonce, pin) = crowd.begin_challenged();
        let number: u32 = pin.parse().unwrap();
        let wrong = |which: usize| {
            let guess = (number + 1 + u32::try_from(which).unwrap()) % 100_000_000;
            world::solve(&nonce, &format!("{guess:08}"), "application/json")
        };
        crowd_of_64(&mut crowd, wrong, &dice);
        prop_assert_eq!(crowd.count(403), 64);
        prop_assert_eq!(crowd.auditor.case(&nonce).unwrap().round.as_ref().unwrap().guesses, 2);
        let judged = crowd.answers.iter().filter(|answer| {
            world::member(answer, "exhausted").as_deref() == Some("false")
        });
        prop_assert_eq!(judged.count(), 2, "I2");
        let late = crowd.ask(world::solve(&nonce, &pin, "application/json"));
        prop_assert_eq!(late.status.0, 403, "the right one comes too late");
    }

    #[test]
    fn sixty_four_redemptions_at_once_buy_one_grant(dice in vec(any::<usize>(), 100)) {
        let mut crowd = Crowd::new(&limits());
        let (nonce, pin) = crowd.begin_challenged();
        crowd.ask(world::solve(&nonce, &pin, ""));
        let code = crowd.auditor.case(&nonce).unwrap().code().unwrap().to_string();
        crowd_of_64(&mut crowd, |_| Redemption::honest(&code, None).request(), &dice);
        prop_assert_eq!((crowd.count(200), crowd.count(401)), (1, 63), "I3");
        let token = crowd.answers.iter().find_map(|it| world::member(it, "access_token")).unwrap();
        prop_assert_eq!(crowd.ask(world::info(&token)).status.0, 200);
        // Within ten seconds that is impatience, later it is a theft.
        for (seconds, status) in [(10, 200), (1, 404)] {
            crowd.now = crowd.now.plus(Span::seconds(seconds));
            crowd.ask(Redemption::honest(&code, None).request());
            prop_assert_eq!(crowd.ask(world::info(&token)).status.0, status);
        }
    }

    #[test]
    fn sixty_four_solves_at_once_all_lead_back(dice in vec(any::<usize>(), 100)) {
        let mut crowd = Crowd::new(&limits());
        let (nonce, pin) = crowd.begin_challenged();
        crowd_of_64(&mut crowd, |_| world::solve(&nonce, &pin, ""), &dice);
        prop_assert_eq!(crowd.count(302), 64, "a double click strands nobody");
    }

    #[test]
    fn sixty_four_addresses_at_once_get_one_message(dice in vec(any::<usize>(), 100)) {
        let mut crowd = Crowd::new(&limits());
        let nonce = crowd.begin();
        crowd_of_64(&mut crowd, |_| world::challenge(&nonce, ADA, ""), &dice);
        prop_assert_eq!((crowd.count(200), crowd.inbox.len()), (64, 1), "I1");
    }

    #[test]
    fn one_bent_character_is_refused_and_writes_nothing(
        which in 0_usize..6,
        place in any::<usize>(),
        other in "[2-9a-z%.]",
    ) {
        let mut crowd = Crowd::new(&limits());
        let (nonce, pin) = crowd.begin_challenged();
        let verifier = "a-plain-verifier-of-forty-three-characters.";
        crowd.ask(world::authorize(&nonce, 1, &format!("&code_challenge={verifier}"), ""));
        crowd.ask(world::solve(&nonce, &pin, ""));
        let code = crowd.auditor.case(&nonce).unwrap().code().unwrap().to_string();
        let honest = Redemption::honest(&code, Some(verifier));
        let parts = [&code, world::SECRET, world::REDIRECT, verifier, &nonce, &nonce];
        let part = parts[which];
        let place = place % part.len();
        let bent = format!("{}{other}{}", &part[..place], &part[place + 1..]);
        // Crockford's base32 does not care for case, nor for letters that look like digits.
        let canonical = |text: &str| {
            text.to_ascii_uppercase().replace('O', "0").replace(['I', 'L'], "1").replace('U', "V")
        };
        prop_assume!(canonical(&bent) != canonical(part));
        let request = match which {
            0 => Redemption { code: &bent, ..honest }.request(),
            1 => Redemption { secret: &bent, ..honest }.request(),
            2 => Redemption { redirect: &bent, ..honest }.request(),
            3 => Redemption { verifier: Some(&bent), ..honest }.request(),
            4 => world::solve(&world::escape(&bent), &pin, ""),
            _ => world::challenge(&world::escape(&bent), ADA, ""),
        };
        let plan = route(&request);
        let loaded = crowd.records.load(&plan.load(crowd.now, &crowd.service));
        let outcome = plan.decide(loaded, crowd.now, Entropy::new([0; 32]), &crowd.service);
        prop_assert!(outcome.write.is_none(), "I9");
        prop_assert!((400..500).contains(&outcome.response.status.0), "I9");
        prop_assert_eq!(crowd.ask(honest.request()).status.0, 200);
    }

    /// People, clients, guessers and bombers in any order, with a helper that fails now and then, a
    /// clock that leaps, and requests that die on their way.
    #[test]
    fn any_interleaving_passes_the_audit(dice in vec(any::<(u8, u8)>(), 1..250)) {
        let mut crowd = Crowd::new(&limits());
        let nonces = [crowd.begin(), crowd.begin()];
        for (die, detail) in dice {
            let nonce = &nonces[usize::from(detail % 2)];
            let case = crowd.auditor.case(nonce).unwrap();
            let pin = case.round.as_ref().map_or("12345678", Round::pin_or_guess).to_string();
            let code = case.code().map(ToString::to_string);
            match die {
                0..=9 => crowd.come(world::authorize(nonce, 1, &format!("&state=s{detail}"), "")),
                10..=24 => crowd.come(world::challenge(nonce, ADA, "text/html")),
                25..=34 => crowd.come(world::challenge(nonce, BOB, "")),
                35..=44 => crowd.come(world::solve(nonce, &pin, "")),
                45..=54 => crowd.come(world::solve(nonce, &format!("1234567{}", detail % 10), "")),
                55..=69 => if let Some(code) = code {
                    crowd.come(Redemption::honest(&code, None).request());
                },
                70..=74 => crowd.now = crowd.now.plus(Span::seconds(u64::from(detail % 8))),
                75 => crowd.now = Timestamp::from_seconds(crowd.now.seconds() - 7),
                76 => crowd.now = crowd.now.plus(Span::seconds(u64::from(detail))),
                77..=80 => drop(crowd.walkers.pop()),
                _ => if let Some(last) = crowd.walkers.len().checked_sub(1) {
                    crowd.advance(usize::from(detail / 2).min(last), die % 4 == 0);
                },
            }
        }
        while let Some(last) = crowd.walkers.len().checked_sub(1) {
            crowd.advance(last, false);
        }
    }
}
