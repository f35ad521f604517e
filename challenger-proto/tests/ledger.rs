//! What the ledger promises when clocks, helpers and strangers are against it, on a whole service
//! in memory.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use challenger_proto::http::Request;
use challenger_proto::store::{Balance, MessageBudget};
use challenger_proto::testing::{Challenger, Delivery, TestClient};
use challenger_proto::{FailureKind, Span, Timestamp};

const HOUR: Span = Span::minutes(60);
const ADDRESS: MessageBudget = MessageBudget { messages: 5, period: HOUR };

/// A service with budgets of an hour, and its client.
fn service() -> (Challenger, TestClient) {
    let mut it = Challenger::new("email");
    it.service.budgets.address = Some(ADDRESS);
    it.service.budgets.service = Some(MessageBudget { messages: 1000, period: HOUR });
    it.service.limits.retransmission_interval = Span::seconds(0);
    let client = it.register("https://shop.example/cb");
    (it, client)
}

/// Asks for a message, and returns the status of the answer.
fn ask(it: &mut Challenger, nonce: &str, email: &str) -> u16 {
    let body = format!("CONTACT_EMAIL={}", email.replace('@', "%40").replace('+', "%2B"));
    let response = it.ask(&Request::post(&format!("/challenge/{nonce}"), body));
    if response.status.0 == 429 {
        let header = response.header("Retry-After").map(|it| it.parse::<u64>().unwrap());
        assert!(header.is_none_or(|seconds| seconds > 0));
        assert_eq!(response.member("retry_after").and_then(|it| it.as_u64()), header);
    }
    response.status.0
}

/// Whether a new validation gets a message.
fn is_sent(it: &mut Challenger, client: &TestClient, email: &str) -> bool {
    let nonce = it.setup(client);
    let before = it.inbox().len();
    ask(it, &nonce, email);
    it.inbox().len() > before
}

/// Guesses wrong as long as guesses are judged, and returns how often.
fn guess(it: &mut Challenger, nonce: &str) -> usize {
    let request = Request::post(&format!("/solve/{nonce}"), "pin=00000000");
    let mut is_judged = || {
        let response = it.ask(&request);
        response.status.0 == 403 && response.member("exhausted").is_some_and(|it| it == false)
    };
    (0..50).take_while(|_| is_judged()).count()
}

fn spent(it: &Challenger) -> Vec<u32> {
    it.records.balances().map(|balance: &Balance| balance.spent).collect()
}

#[test]
fn servers_whose_clocks_differ_by_less_than_the_period_share_a_window() {
    for late in [0, 1, 59, 1800, 3599] {
        for first in [0, 1] {
            let (mut it, client) = service();
            let clocks = [it.now, it.now.plus(Span::seconds(late))];
            let sent = (0..40).filter(|turn| {
                it.now = clocks[(turn + first) % 2];
                is_sent(&mut it, &client, "ada@example.com")
            });
            assert_eq!(sent.count(), 5, "{late} {first}");
        }
    }
}

#[test]
fn no_wait_is_of_no_length_at_the_very_end_of_a_window() {
    let (mut it, client) = service();
    let begin = it.now;
    while is_sent(&mut it, &client, "ada@example.com") {}
    // `ask` looks at the wait.
    for (seconds, sent) in [(0, false), (1, false), (3598, false), (3599, false), (3600, true)] {
        it.now = begin.plus(Span::seconds(seconds));
        assert_eq!(is_sent(&mut it, &client, "ada@example.com"), sent, "{seconds}");
    }
}

#[test]
fn a_window_of_a_second_and_one_without_end_are_windows() {
    for (period, waits) in [(Span::seconds(1), true), (Span::FOREVER, false)] {
        let (mut it, client) = service();
        it.service.budgets.address = Some(MessageBudget { messages: 1, period });
        assert!(is_sent(&mut it, &client, "ada@example.com"));
        assert!(!is_sent(&mut it, &client, "ada@example.com"));
        it.pass(Span::days(365 * 100));
        assert_eq!(is_sent(&mut it, &client, "ada@example.com"), waits);
        it.now = Timestamp::from_seconds(0);
        assert!(it.records.balances().all(|balance| balance.spent <= 1000));
    }
}

#[test]
fn whatever_fails_the_ledger_holds_what_rows_have_paid_and_guesses_never_exceed_it() {
    let (mut it, client) = service();
    let mut judged = 0;
    for round in 0..30_u32 {
        let nonce = it.setup(&client);
        for turn in 0..12_u32 {
            // Every pattern of failures, sooner or later.
            let kind = FailureKind::ALL[(turn % 4) as usize];
            it.delivery = match (round * 7 + turn * 5) % 4 {
                0 => Delivery::Succeeds,
                1 | 2 => Delivery::Fails(kind.into()),
                _ => Delivery::Busy,
            };
            let spelling =
                ["ada@example.com", "Ada@example.com", "ada+1@example.com", "a.da@example.com"];
            ask(&mut it, &nonce, spelling[(turn % 4) as usize]);
            if (round + turn).is_multiple_of(3) {
                judged += guess(&mut it, &nonce);
            }
        }
        judged += guess(&mut it, &nonce);
    }
    let spent = spent(&it);
    assert_eq!(spent, [5, 5], "the address, and the service");
    assert!(it.inbox().len() <= 5 && judged <= 15, "{} {judged}", it.inbox().len());
}

#[test]
fn an_operator_who_lowers_a_budget_while_it_is_used_is_obeyed() {
    let (mut it, client) = service();
    for messages in [5, 3, 1, 4, 5, 6] {
        it.service.budgets.address = Some(MessageBudget { messages, ..ADDRESS });
        while is_sent(&mut it, &client, "ada@example.com") {}
        assert!(it.inbox().len() <= 6);
    }
    assert_eq!(it.inbox().len(), 6);
    // A shorter period, by which the window lasts too long, begins another one; a longer does not.
    it.service.budgets.address = Some(MessageBudget { messages: 6, period: Span::days(1) });
    assert!(!is_sent(&mut it, &client, "ada@example.com"));
    it.service.budgets.address = Some(MessageBudget { messages: 6, period: Span::minutes(40) });
    assert!(!is_sent(&mut it, &client, "ada@example.com"), "within two of them");
}
