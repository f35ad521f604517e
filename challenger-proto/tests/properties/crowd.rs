//! Many requests at once: each is loaded, decided, committed and sent in its own time.

use challenger_proto::http::{Request, Response};
use challenger_proto::store::MessageBudget;
use challenger_proto::{Service, Span};
use proptest::collection::vec;
use proptest::prelude::*;

use challenger_testkit::Dice;
use challenger_testkit::escape;
use challenger_testkit::simulation::Weather;
use challenger_testkit::simulation::server::{Errand, Server, What};
use challenger_testkit::world::{self, Redemption};

const ADA: &str = "ada@example.com";

/// Requests that may be refused.
const ANY: Errand = Errand { who: 0, what: What::Other("a crowd") };

struct Crowd<'s> {
    server: Server<'s>,
    dice: Dice,
    answers: Vec<Response>,
}

impl<'s> Crowd<'s> {
    fn new(service: &'s Service, dice: &[u8]) -> Self {
        let server = Server::new(service, [None; 2], Weather::CALM, 64);
        Self { server, dice: Dice::fed(dice), answers: Vec::new() }
    }

    /// Carries on until all are answered.
    fn finish(&mut self) {
        while self.server.walkers() > 0 {
            let arrivals = self.server.advance(&mut self.dice);
            self.answers.extend(arrivals.into_iter().filter_map(|arrival| arrival.response));
        }
    }

    /// One request from its beginning to its end, alone.
    fn ask(&mut self, request: Request) -> Response {
        self.server.come(ANY, request);
        self.finish();
        self.answers.pop().unwrap()
    }

    /// 64 at once; the dice say whose turn it is.
    fn ask_64(&mut self, request: impl Fn(usize) -> Request) {
        self.answers.clear();
        (0..64).for_each(|which| self.server.come(ANY, request(which)));
        self.finish();
        assert_eq!(self.answers.len(), 64);
        assert!(self.server.conflicts > 0, "nobody met anybody");
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
        (nonce, self.server.mail.last().unwrap().pin.clone())
    }

    /// The code of a validation that is solved.
    fn code(&self, nonce: &str) -> String {
        self.server.auditor.case(nonce).unwrap().code().unwrap().to_string()
    }

    fn count(&self, status: u16) -> usize {
        self.answers.iter().filter(|answer| answer.status.0 == status).count()
    }
}

fn service() -> Service {
    let mut limits = world::small_limits();
    limits.retransmission_interval = Span::seconds(5);
    world::service(limits)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.min(32), ..ProptestConfig::default()
    })]

    #[test]
    fn sixty_four_validations_of_one_address_share_its_messages(dice in vec(any::<u8>(), 600)) {
        let mut service = service();
        let period = Span::seconds(60);
        service.budgets.address = Some(MessageBudget { messages: 10, period });
        let mut crowd = Crowd::new(&service, &dice);
        // Two servers, of which one is behind.
        crowd.server.clocks = vec![Span::seconds(0), Span::seconds(3)];
        let nonces: Vec<String> = (0..64).map(|_| crowd.begin()).collect();
        let spelled = |which: usize| match which % 3 {
            0 => ADA.to_string(),
            1 => format!("Ada+{which}@Example.com"),
            _ => "\"a.d.a\"@example.com".to_string(),
        };
        let ask = |which: usize| world::challenge(&nonces[which], &spelled(which), "");
        crowd.ask_64(ask);
        prop_assert_eq!((crowd.count(200), crowd.count(429)), (10, 54), "I13");
        prop_assert_eq!(crowd.server.mail.len(), 10, "I13");
        crowd.server.pass(period.as_seconds() + 3);
        let again = crowd.ask(ask(0));
        prop_assert_eq!(again.status.0, 200, "the next window");
    }

    #[test]
    fn sixty_four_guesses_at_once_are_judged_twice(dice in vec(any::<u8>(), 600)) {
        let service = service();
        let mut crowd = Crowd::new(&service, &dice);
        let (nonce, pin) = crowd.begin_challenged();
        let number: u32 = pin.parse().unwrap();
        let wrong = |which: usize| {
            let guess = (number + 1 + u32::try_from(which).unwrap()) % 100_000_000;
            world::solve(&nonce, &format!("{guess:08}"), "application/json")
        };
        crowd.ask_64(wrong);
        prop_assert_eq!(crowd.count(403), 64);
        let case = crowd.server.auditor.case(&nonce).unwrap();
        prop_assert_eq!(case.round.as_ref().unwrap().guesses, 2);
        let judged = crowd.answers.iter().filter(|answer| {
            world::member(answer, "exhausted").as_deref() == Some("false")
        });
        prop_assert_eq!(judged.count(), 2, "I2");
        let late = crowd.ask(world::solve(&nonce, &pin, "application/json"));
        prop_assert_eq!(late.status.0, 403, "the right one comes too late");
    }

    #[test]
    fn sixty_four_redemptions_at_once_buy_one_grant(dice in vec(any::<u8>(), 600)) {
        let service = service();
        let mut crowd = Crowd::new(&service, &dice);
        let (nonce, pin) = crowd.begin_challenged();
        crowd.ask(world::solve(&nonce, &pin, ""));
        let code = crowd.code(&nonce);
        crowd.ask_64(|_| Redemption::honest(&code, None).request());
        prop_assert_eq!((crowd.count(200), crowd.count(401)), (1, 63), "I3");
        let token = crowd.answers.iter().find_map(|it| world::member(it, "access_token")).unwrap();
        prop_assert_eq!(crowd.ask(world::info(&token)).status.0, 200);
        // Within ten seconds that is impatience, later it is a theft.
        for (seconds, status) in [(10, 200), (1, 404)] {
            crowd.server.pass(seconds);
            crowd.ask(Redemption::honest(&code, None).request());
            prop_assert_eq!(crowd.ask(world::info(&token)).status.0, status);
        }
    }

    #[test]
    fn sixty_four_solves_at_once_all_lead_back(dice in vec(any::<u8>(), 600)) {
        let service = service();
        let mut crowd = Crowd::new(&service, &dice);
        let (nonce, pin) = crowd.begin_challenged();
        crowd.ask_64(|_| world::solve(&nonce, &pin, ""));
        prop_assert_eq!(crowd.count(302), 64, "a double click strands nobody");
    }

    #[test]
    fn sixty_four_addresses_at_once_get_one_message(dice in vec(any::<u8>(), 600)) {
        let service = service();
        let mut crowd = Crowd::new(&service, &dice);
        let nonce = crowd.begin();
        crowd.ask_64(|_| world::challenge(&nonce, ADA, ""));
        prop_assert_eq!((crowd.count(200), crowd.server.mail.len()), (64, 1), "I1");
    }

    #[test]
    fn one_bent_character_is_refused_and_writes_nothing(
        which in 0_usize..6,
        place in any::<usize>(),
        other in "[2-9a-z%.]",
    ) {
        let service = service();
        let mut crowd = Crowd::new(&service, &[]);
        let (nonce, pin) = crowd.begin_challenged();
        let verifier = "a-plain-verifier-of-forty-three-characters.";
        crowd.ask(world::authorize(&nonce, 1, &format!("&code_challenge={verifier}"), ""));
        crowd.ask(world::solve(&nonce, &pin, ""));
        let code = crowd.code(&nonce);
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
            4 => world::solve(&escape(&bent), &pin, ""),
            _ => world::challenge(&escape(&bent), ADA, ""),
        };
        // The server asserts I9 of what is bent.
        crowd.server.come(Errand { who: 0, what: What::Bent("one character") }, request);
        crowd.finish();
        prop_assert_eq!(crowd.ask(honest.request()).status.0, 200);
    }
}
