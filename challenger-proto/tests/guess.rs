//! Decisions on rows that a driver remembers: they lead to a commit or to nothing.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use challenger_proto::http::Request;
use challenger_proto::machine::Validation;
use challenger_proto::secret::Nonce;
use challenger_proto::store::{Commit, Keys, Records, Rows, Write};
use challenger_proto::{
    Committing, Entropy, FailureKind, Loading, ROUNDS_MAX, Refusal, Service, Step,
};
use challenger_testkit::audit::{query_of, redirect_of};
use challenger_testkit::world::{self, Outcome, Redemption, START};

const JSON: &str = "application/json";
const ADA: &str = "ada@example.com";

/// A service, its store, and a validation in it.
struct Scene {
    service: Service,
    records: Records,
    nonce: String,
}

impl Scene {
    fn new() -> Self {
        let service = world::service(world::small_limits());
        let mut scene = Self { service, records: world::records(), nonce: String::new() };
        let setup = scene.ask(&world::setup(world::SECRET, ""));
        scene.nonce = world::member(&setup.response, "nonce").unwrap();
        scene
    }

    /// Answers a request, without a guess.
    fn ask(&mut self, request: &Request) -> Outcome {
        let rows = world::rows(request, &self.records, START, &self.service);
        let outcome = world::decide(request, rows, START, 7, &self.service);
        if let Some(write) = &outcome.write {
            assert_eq!(self.records.commit(write), Commit::Done);
            let validation = write.row().map(|row| row.id);
            let row = self.load(&Keys { validation, ..Keys::default() });
            assert_eq!(row.validation, write.row_after());
        }
        outcome
    }

    fn load(&self, keys: &Keys) -> Rows {
        self.records.load(keys)
    }

    fn row(&self) -> Validation {
        let validation = Nonce::parse(&self.nonce).map(|nonce| nonce.digest());
        self.load(&Keys { validation, ..Keys::default() }).validation.unwrap()
    }

    fn loading(&self, request: &Request) -> Loading<'_> {
        loading(Step::begin(request, &self.service, START))
    }

    /// Guesses with a row, whatever it is.
    #[expect(clippy::result_large_err, reason = "as in the core")]
    fn guess(&self, request: &Request, row: Validation) -> Result<Committing<'_>, Loading<'_>> {
        let it = self.loading(request);
        let beside = it.beside().map_or_else(Rows::default, |keys| self.load(&keys));
        it.guess(row, beside, START, Entropy::new([7; 32]))
    }

    /// Checks that a guess with the row as it is leads to the write that loading it leads to, and
    /// carries it out.
    fn guess_and_ask(&mut self, request: &Request) -> Outcome {
        let guessed = self.guess(request, self.row()).ok().map(|it| it.write().clone());
        let outcome = self.ask(request);
        assert_eq!(guessed, outcome.write, "{}", request.target);
        outcome
    }

    fn authorize(&self, state: &str) -> Request {
        world::authorize(&self.nonce, 1, &format!("&state={state}"), JSON)
    }

    fn challenge(&self) -> Request {
        world::challenge(&self.nonce, ADA, JSON)
    }

    fn solve(&self, pin: &str) -> Request {
        world::solve(&self.nonce, pin, JSON)
    }
}

fn loading(step: Step<'_>) -> Loading<'_> {
    let Step::Load(it) = step else { panic!("nothing to load: {step:?}") };
    it
}

#[test]
fn a_right_guess_writes_what_loaded_rows_would() {
    let mut scene = Scene::new();
    assert!(scene.guess_and_ask(&scene.authorize("one")).write.is_some());
    assert!(scene.guess_and_ask(&scene.authorize("one")).write.is_none(), "it is the same");
    let pin = scene.ask(&scene.challenge()).message.unwrap().pin.digits().to_string();
    assert!(scene.guess_and_ask(&scene.solve("00000000")).write.is_some());
    assert!(scene.guess_and_ask(&scene.solve("no code")).write.is_none());
    let solved = scene.guess_and_ask(&scene.solve(&pin));
    assert!(solved.write.is_some());
    assert!(scene.guess_and_ask(&scene.solve(&pin)).write.is_none(), "a double click");
    let url = redirect_of(&solved.response).unwrap();
    let code = query_of(&url).get("code").unwrap().to_string();
    let wrong = Redemption { secret: "wrong", ..Redemption::honest(&code, None) };
    assert!(scene.guess_and_ask(&wrong.request()).write.is_none());
    let redeemed = scene.guess_and_ask(&Redemption::honest(&code, None).request());
    assert!(matches!(redeemed.write, Some(Write::Redeem(..))));
    assert!(scene.guess_and_ask(&Redemption::honest(&code, None).request()).write.is_none());
}

#[test]
fn only_a_validation_is_guessed_and_its_client_is_loaded() {
    let scene = Scene::new();
    let id = scene.row().id;
    let code =
        format!("{}-{}", Nonce::draw(Entropy::new(*id.as_bytes())).to_text(), "0".repeat(52));
    for (request, guessable, client) in [
        (scene.authorize("one"), true, false),
        (scene.solve("00000000"), true, false),
        (Redemption::honest(&code, None).request(), true, true),
        // The client and the balances would have to be loaded in any case.
        (scene.challenge(), false, true),
        (world::setup(world::SECRET, ""), false, true),
        (world::push(&world::CLIENTS[0], ""), false, true),
        (world::begin_direct(1, "", JSON), false, true),
        // A question writes nothing that could prove the row.
        (world::look(&scene.nonce, JSON), false, false),
        (world::status(&scene.nonce, world::SECRET), false, true),
        (world::about_token("/revoke", &world::CLIENTS[0], "x"), false, true),
        (world::info(&Nonce::draw(Entropy::new([1; 32])).to_text()), false, true),
    ] {
        let it = scene.loading(&request);
        assert_eq!(it.guessable().is_some(), guessable, "{}", request.target);
        assert!(it.guessable().is_none_or(|it| *it == id));
        assert_eq!(it.beside().is_some(), client, "{}", request.target);
        assert!(it.beside().is_none_or(|keys| keys.validation.is_none()));
    }
}

#[test]
fn what_is_not_proved_is_loaded_and_not_guessed_again() {
    let scene = Scene::new();
    let it = scene.guess(&scene.solve("00000000"), scene.row());
    let it = it.expect_err("no message was sent, so there is nothing to judge");
    assert_eq!(it.keys().validation, Some(scene.row().id));
    assert_eq!(it.guessable(), None);
    let it = it.guess(scene.row(), Rows::default(), START, Entropy::new([7; 32]));
    assert_eq!(it.unwrap_err().guessable(), None, "a second guess is not decided on");
    let mut other = scene.row();
    other.id = Nonce::draw(Entropy::new([1; 32])).digest();
    assert!(scene.guess(&scene.authorize("one"), other).is_err(), "another's row");
    let challenge = scene.guess(&scene.challenge(), scene.row());
    assert!(challenge.is_err(), "it may not be guessed");
}

#[test]
fn a_conflict_loads_as_often_as_ever() {
    let mut scene = Scene::new();
    let old = scene.row();
    scene.ask(&scene.authorize("one"));
    let guess = scene.guess(&scene.authorize("two"), old).unwrap();
    assert_eq!(scene.records.clone().commit(guess.write()), Commit::Conflict);
    let mut step = guess.conflict();
    for _ in 0..ROUNDS_MAX {
        let it = loading(step);
        assert_eq!(it.guessable(), None);
        let rows = scene.load(it.keys());
        let Step::Commit(it) = it.loaded(rows, START, Entropy::new([7; 32])) else {
            panic!("a new state is written")
        };
        step = it.conflict();
    }
    let Step::Respond(response) = step else { panic!("a request without end") };
    assert_eq!(response.refusal, Some(Refusal::Contention));
}

#[test]
fn what_follows_a_message_is_loaded() {
    let scene = Scene::new();
    let commit = || {
        let it = scene.loading(&scene.challenge());
        let rows = scene.load(it.keys());
        let Step::Commit(it) = it.loaded(rows, START, Entropy::new([7; 32])) else {
            panic!("a message is to be sent")
        };
        it
    };
    assert_eq!(loading(commit().busy()).guessable(), None);
    let Step::Send(it) = commit().done() else { panic!("a message is to be sent") };
    assert_eq!(loading(it.failed(FailureKind::Unknown)).guessable(), None);
}
