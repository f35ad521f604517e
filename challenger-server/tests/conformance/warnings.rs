//! Operators hear of budgets that are used up, once for each window.

use std::cell::RefCell;
use std::sync::Once;

use challenger_proto::Timestamp;
use challenger_proto::address::Destination;
use challenger_proto::store::{Account, Commit};
use log::kv;

use super::database::{TestDatabase, served};
use super::ledger::{address, message, post, proof, refund};
use super::{NOW, open, register};

thread_local! {
    /// What was logged by this thread, which is that of one test.
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

struct Ear;

impl log::Log for Ear {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        struct Pairs(String);
        impl<'kvs> kv::VisitSource<'kvs> for Pairs {
            fn visit_pair(
                &mut self,
                key: kv::Key<'kvs>,
                value: kv::Value<'kvs>,
            ) -> Result<(), kv::Error> {
                self.0 += &format!(" {key}={value}");
                Ok(())
            }
        }
        let mut line = Pairs(format!("{} {}", record.level(), record.args()));
        record.key_values().visit(&mut line).unwrap();
        LINES.with_borrow_mut(|lines| lines.push(line.0));
    }

    fn flush(&self) {}
}

/// What this thread logs from now on.
fn listen() {
    static EAR: Once = Once::new();
    EAR.call_once(|| {
        log::set_logger(&Ear).unwrap();
        log::set_max_level(log::LevelFilter::Warn);
    });
    LINES.take();
}

/// A line for a budget that is used up, one for four fifths of a shared one, none for what is
/// refused or refunded, and nothing from which an address could be found.
pub(crate) fn operators_hear_of_budgets_that_are_used_up<D: TestDatabase>() {
    let (_it, store) = served::<D>();
    let client = register(&store, "https://client.example/cb", "x");
    let row = open(&store, &client, [1; 32]);
    let reference = row.id.reference();
    listen();
    let (ada, destination) = (address("ada@example.com"), Destination::prefix("+41").unwrap());
    let accounts = [ada, Account::Client(client.id), Account::Destination(destination)];
    for account in &accounts {
        for count in 0..7 {
            let expected = if count < 5 { Commit::Done } else { Commit::Conflict };
            assert_eq!(post(&store, &row, &[message(account, 5, 0)]), expected);
        }
        assert_eq!(post(&store, &row, &[refund(account, 0)]), Commit::Done);
        assert_eq!(post(&store, &row, &[proof(account, 0)]), Commit::Done);
    }
    let shared = |budget: &str| {
        let values = format!("budget={budget} messages=5 ends={}", at(100));
        [
            format!("WARN budget nearly exhausted {values}"),
            format!("WARN budget exhausted {values}"),
        ]
    };
    let of_address = format!(
        "WARN budget exhausted budget=address messages=5 ends={} client={} reference={reference}",
        at(100),
        client.id
    );
    let mut expected = vec![of_address];
    expected.extend([shared("client:1"), shared("prefix:+41")].concat());
    assert_eq!(LINES.take(), expected);

    // In portions.
    for _ in 0..1600 {
        assert_eq!(post(&store, &row, &[message(&Account::Service, 1600, 200)]), Commit::Done);
    }
    let values = format!("budget=service messages=1600 ends={}", at(300));
    let expected = ["nearly exhausted", "exhausted"].map(|it| format!("WARN budget {it} {values}"));
    assert_eq!(LINES.take(), expected);
}

fn at(seconds: u64) -> String {
    Timestamp::from_seconds(NOW.seconds() + seconds).to_rfc3339()
}
