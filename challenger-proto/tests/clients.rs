//! What an operator decides about clients: names, a second secret, and none at all.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use challenger_proto::http::Request;
use challenger_proto::oauth::{Client, HashedSecret};
use challenger_proto::store::{Commit, Keys, Milestone, Records, Rows, Write};
use challenger_proto::{Entropy, Refusal, Span};
use challenger_testkit::world::{self, DISABLED, Outcome, SECRET, START};

const OLD: &str = "secret-token:of-before";

/// What comes of a request that finds these rows.
fn ask(request: &Request, rows: Rows) -> Outcome {
    world::decide(request, rows, START, 1, &world::service(world::small_limits()))
}

fn row(number: i64) -> Client {
    let client = challenger_proto::oauth::ClientId::new(number);
    world::records().load(&Keys { client, ..Keys::default() }).client.unwrap()
}

fn of(client: Client) -> Rows {
    Rows { client: Some(client), ..Rows::default() }
}

#[test]
fn the_secret_of_before_is_good_until_its_time() {
    let old = HashedSecret::new(OLD, Entropy::new([1; 32]));
    let at = |until| Client { earlier_secret: Some((old, until)), ..row(1) };
    let refusal =
        |secret: &str, client: Client| ask(&world::setup(secret, ""), of(client)).response.refusal;
    let (good, over) = (START.plus(Span::seconds(1)), START);
    assert_eq!(refusal(OLD, at(good)), None);
    assert_eq!(refusal(OLD, at(over)), Some(Refusal::ClientUnknown));
    assert_eq!(refusal(OLD, row(1)), Some(Refusal::ClientUnknown));
    for until in [good, over] {
        assert_eq!(refusal(SECRET, at(until)), None);
        assert_eq!(refusal("secret-token:neither", at(until)), Some(Refusal::ClientUnknown));
    }
    // Whichever was used: what rests on it is void once the secret is another.
    let Some(Write::Open(opened, secret)) = ask(&world::setup(OLD, ""), of(at(good))).write else {
        panic!("it opens a validation")
    };
    let mut records = Records::default();
    let new = HashedSecret::new("secret-token:new", Entropy::new([2; 32]));
    records.insert_client(Client { secret: new, ..at(good) });
    assert_eq!(records.commit(&Write::Open(opened, secret)), Commit::Conflict);
}

#[test]
fn a_client_that_is_disabled_meanwhile_sends_no_message_and_opens_nothing() {
    let opened = ask(&world::setup(SECRET, ""), of(row(1)));
    let Some(Write::Open(validation, secret)) = opened.write else { panic!("it opens one") };
    let disabled = Client { disabled: true, ..row(1) };
    let mut records = Records::default();
    records.insert_client(disabled.clone());
    assert_eq!(records.commit(&Write::Open(validation.clone(), secret)), Commit::Conflict);

    let nonce = world::member(&opened.response, "nonce").unwrap();
    let request = world::challenge(&nonce, "ada@example.com", "");
    let rows = |client| Rows { validation: Some(validation.clone()), ..of(client) };
    assert!(ask(&request, rows(row(1))).message.is_some());
    let refused = ask(&request, rows(disabled));
    assert_eq!(refused.response.refusal, Some(Refusal::ClientDisabled));
    assert!(refused.write.is_none() && refused.message.is_none());
}

#[test]
fn only_who_knows_the_secret_learns_that_a_client_is_disabled() {
    let refusal = |request: &Request| ask(request, of(row(DISABLED.number))).response.refusal;
    let setup = |secret| world::setup_as(DISABLED.number, secret, "");
    assert_eq!(refusal(&setup(DISABLED.secret)), Some(Refusal::ClientDisabled));
    assert_eq!(refusal(&setup("secret-token:wrong")), Some(Refusal::ClientUnknown));
    assert_eq!(refusal(&world::push(&DISABLED, "")), Some(Refusal::ClientDisabled));
    let wrong = world::Party { secret: "secret-token:wrong", ..DISABLED };
    assert_eq!(refusal(&world::push(&wrong, "")), Some(Refusal::ClientSecretWrong));
}

/// The milestones of a whole flow, of which some steps are repeated.
#[test]
fn writes_say_how_far_they_bring_a_validation() {
    let service = world::service(world::small_limits());
    let mut records = world::records();
    let mut met = Vec::new();
    let mut go = |request: &Request, later: u64| {
        let now = START.plus(Span::seconds(later));
        let rows = world::rows(request, &records, now, &service);
        let outcome = world::decide(request, rows, now, 1, &service);
        if let Some(write) = &outcome.write {
            met.push(write.milestone());
            assert_eq!(records.commit(write), Commit::Done);
        }
        outcome
    };
    let nonce = world::member(&go(&world::setup(SECRET, ""), 0).response, "nonce").unwrap();
    go(&world::authorize(&nonce, 1, "", ""), 0);
    let message = go(&world::challenge(&nonce, "ada@example.com", ""), 0).message.unwrap();
    go(&world::solve(&nonce, "00000000", ""), 1);
    let pin = message.pin.digits();
    go(&world::solve(&nonce, pin, ""), 1);
    // Much later, so that it makes a new code.
    let solved = go(&world::solve(&nonce, pin, ""), 60);
    let location = solved.response.header("Location").unwrap();
    let (_, code) = location.split_once("code=").unwrap();
    let code = code.split('&').next().unwrap();
    for later in [61, 119] {
        go(&world::Redemption::honest(code, None).request(), later);
    }
    let [opened, proved, redeemed] = [0, 1, 2].map(|index| Some(Milestone::ALL[index]));
    assert_eq!(met, [opened, None, None, None, proved, None, redeemed, None]);
}
