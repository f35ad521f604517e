//! Laws of decisions: total, paid for, never more generous than before, and nothing after the end.

use challenger_proto::address::Address;
use challenger_proto::http::{Request, Response};
use challenger_proto::machine::{Progress, RowVersion, Validation};
use challenger_proto::oauth::{ClientId, Grant, GrantSerial};
use challenger_proto::secret::{ClientSecretDigest, TokenDigest};
use challenger_proto::store::{Commit, Keys, Records, Rows, Write};
use challenger_proto::{Entropy, Loading, Refusal, Service, Step, Timestamp};
use proptest::prelude::*;

use crate::random;
use challenger_testkit::audit::{Ask, redirect_of};
use challenger_testkit::world;
use challenger_testkit::world::Outcome;

/// What any answer to anybody keeps to.
fn check_answer(response: &Response) {
    let status = response.status;
    assert_ne!(status.reason(), "Unknown", "{}", status.0);
    assert_ne!(response.refusal, Some(Refusal::Internal));
    let is_documented = match response.refusal {
        // An open client is told of a mistake by a redirect.
        Some(_) if status.0 == 302 => redirect_of(response).is_some(),
        Some(refusal) => refusal.status() == status.0,
        // A service without terms or a privacy policy says so.
        None => status.0 < 400 || status.0 == 501,
    };
    assert!(is_documented, "{status:?} {:?}", response.refusal);
    assert!(response.headers.iter().all(|(_, value)| !value.contains(char::is_control)));
}

/// Compares a row with the one it replaces. `sends` says whether a message renews the guesses.
fn check_transition(old: &Validation, new: &Validation, sends: bool) {
    assert_eq!((new.id, new.client, new.version), (old.id, old.client, old.version));
    assert_eq!((new.expires, &new.redirect_uri), (old.expires, &old.redirect_uri));
    assert_eq!((new.created, &new.client_name), (old.created, &old.client_name));
    assert_eq!((&new.prefill, new.read_only), (&old.prefill, old.read_only));
    assert!(new.addresses_left <= old.addresses_left);
    assert_eq!(new.refunds_left, old.refunds_left, "only a failure spends refunds");
    assert!(!old.is_solved() || new.address() == old.address(), "a proved address stays");
    assert!(!old.is_solved() || new.authorization == old.authorization);
    assert_eq!(new.request_uri_until, old.request_uri_until);
    assert!(old.request_uri_until.is_none() || new.authorization == old.authorization, "I17");
    let (Progress::Challenged(was), Progress::Challenged(is)) = (&old.progress, &new.progress)
    else {
        return;
    };
    if was.salt == is.salt {
        assert_eq!(was.address, is.address, "another address has another PIN");
        assert_eq!(was.transmissions_left - is.transmissions_left, u8::from(sends));
        assert!(sends || is.attempts_left <= was.attempts_left);
    } else {
        assert!(new.addresses_left < old.addresses_left);
        assert_eq!(new.earlier.len(), old.earlier.len() + 1, "a new address remembers the old one");
    }
}

fn decide(request: &Request, rows: Rows, now: Timestamp, service: &Service) -> Outcome {
    world::decide(request, rows, now, 77, service)
}

/// The step after a message that was paid for on these rows could not be sent.
fn undelivered<'s>(
    request: &Request,
    rows: Rows,
    now: Timestamp,
    service: &'s Service,
) -> Loading<'s> {
    world::undelivered(world::sending(request, rows, now, 77, service).unwrap())
}

proptest! {
    #[test]
    fn every_request_is_decided_on_any_rows(
        request in random::request(),
        rows in random::loaded(),
        later in random::loaded(),
        now in random::time(),
        service in random::service(),
    ) {
        let outcome = decide(&request, rows.clone(), now, &service);
        check_answer(&outcome.response);
        let ask = Ask::read(&request);
        prop_assert!(outcome.write.is_none() || !ask.is_question(), "I21");
        if let Some(write) = &outcome.write {
            match (write, &rows.validation) {
                (Write::Open(..) | Write::Discard(_), _) => {}
                (_, Some(old)) => {
                    check_transition(old, write.row().unwrap(), outcome.message.is_some());
                }
                (_, None) => prop_assert!(false, "a row from nowhere is written"),
            }
        }
        if outcome.message.is_none() {
            return Ok(());
        }
        let it = undelivered(&request, rows, now, &service);
        let outcome = Outcome::of(it.loaded(later, now, Entropy::new([78; 32])));
        prop_assert_eq!(outcome.response.refusal, Some(Refusal::HelperFailed));
        prop_assert!(outcome.write.is_none(), "another row is refunded");
    }

    #[test]
    fn a_failed_message_is_given_back_once(
        row in random::validation(),
        now in random::time(),
        limits in random::limits(),
    ) {
        let service = world::service(limits);
        let nonce = random::nonce_of(&row).to_text();
        let request = world::challenge(&nonce, "ada@example.com", "");
        let load = |row: &Validation| Rows { validation: Some(row.clone()), ..Rows::default() };
        let outcome = decide(&request, load(&row), now, &service);
        let (Some(Write::Update(sent, _)), Some(_)) = (outcome.write, outcome.message) else {
            return Ok(());
        };
        let again = |other: &Validation| {
            let it = undelivered(&request, load(&row), now, &service);
            Outcome::of(it.loaded(load(other), now, Entropy::new([0; 32])))
        };
        let once = again(&sent);
        let Some(Write::Update(refunded, _)) = once.write else { panic!("it is remembered") };
        prop_assert!(refunded.last_failure.is_some_and(|it| it.at == now));
        if sent.refunds_left == 0 {
            prop_assert_eq!(refunded.progress, sent.progress);
            return Ok(());
        }
        prop_assert_eq!(refunded.refunds_left, sent.refunds_left - 1);
        let (Progress::Challenged(was), Progress::Challenged(is)) =
            (&sent.progress, &refunded.progress)
        else {
            panic!("a refund leaves the challenge");
        };
        prop_assert_eq!(is.transmissions_left, was.transmissions_left + 1);
        // A message that is not paid for brings no guesses.
        let before = match &row.progress {
            Progress::Challenged(before) if before.salt == was.salt => before.attempts_left,
            _ => 0,
        };
        prop_assert_eq!((is.attempts_left, is.sent_at), (before, None));
        let charged = |outcome: Outcome| {
            let Some(Write::Update(row, entries)) = outcome.write else { panic!("remembered") };
            (row.refunds_left, row.progress, entries)
        };
        let unchanged = |row: &Validation| (row.refunds_left, row.progress.clone(), Vec::new());
        prop_assert_eq!(charged(again(&refunded)), unchanged(&refunded), "I1: one refund");
        let mut guessed = sent.clone();
        if let Progress::Challenged(it) = &mut guessed.progress {
            it.attempts_left -= 1;
        }
        prop_assert_eq!(charged(again(&guessed)), unchanged(&guessed), "I2: it stays charged");
    }

    #[test]
    fn an_expired_validation_is_only_refused(
        request in random::request(),
        rows in random::loaded(),
        now in random::time(),
        service in random::service(),
    ) {
        let Some(validation) = &rows.validation else { return Ok(()) };
        prop_assume!(validation.expires <= now);
        let asks = match Step::begin(&request, &service, now) {
            Step::Load(it) => it.keys().validation.is_some(),
            _ => false,
        };
        let outcome = decide(&request, rows, now, &service);
        let is_other = matches!(outcome.write, None | Some(Write::Open(..) | Write::Discard(_)));
        prop_assert!(is_other, "I8");
        // Only its client may ask how it ended.
        let asks = asks && !matches!(Ask::read(&request), Ask::Status { .. });
        prop_assert!(!asks || outcome.response.status.0 >= 400, "I8");
    }

    #[test]
    fn a_stale_write_changes_nothing(row in random::validation(), off in -3_i64..=3) {
        prop_assume!(row.version.0.checked_add(off).is_some());
        let mut records = world::records();
        let load = Keys { client: Some(row.client), ..Keys::default() };
        let secret = records.load(&load).client.unwrap().secret.digest;
        let replaced = ClientSecretDigest::from_bytes([0; 32]);
        prop_assert_eq!(records.commit(&Write::Open(row.clone(), replaced)), Commit::Conflict);
        prop_assert_eq!(records.commit(&Write::Open(row.clone(), secret)), Commit::Done);
        prop_assert_eq!(records.commit(&Write::Open(row.clone(), secret)), Commit::Conflict);
        let token = TokenDigest::from_bytes([5; 32]);
        let grant = Grant {
            token,
            client: row.client,
            address: Address::new([("A".into(), "a".into())]).unwrap(),
            valid_until: row.expires,
            expires: row.expires,
        };
        let load = Keys { validation: Some(row.id), grant: Some(token), ..Keys::default() };
        let before = records.load(&load);
        let mut moved = row.clone();
        moved.addresses_left += 1;
        moved.version = RowVersion(row.version.0 + off);
        let writes = [
            Write::Update(moved.clone(), Vec::new()),
            Write::Redeem(moved.clone(), grant),
            Write::Revoke(moved, token),
        ];
        let commit = |records: &mut Records, write| {
            let (commit, after) = (records.commit(write), records.load(&load));
            let unchanged = after == before;
            (commit, unchanged, after)
        };
        for write in &writes {
            let (commit, unchanged, after) = commit(&mut records.clone(), write);
            if off == 0 {
                let version = after.validation.map(|row| row.version);
                prop_assert_eq!((commit, version), (Commit::Done, Some(row.version.next())), "I10");
                prop_assert_eq!(after.grant.is_some(), matches!(write, Write::Redeem(..)));
            } else {
                prop_assert_eq!((commit, unchanged), (Commit::Conflict, true), "I10");
            }
        }
    }
}

proptest! {
    #[test]
    fn a_solved_validation_takes_no_address(
        row in random::validation(),
        now in random::time(),
        service in random::service(),
    ) {
        prop_assume!(row.is_solved());
        let nonce = random::nonce_of(&row).to_text();
        for address in ["ada@example.com", "new@example.com", ""] {
            let rows = Rows { validation: Some(row.clone()), ..Rows::default() };
            let request = world::challenge(&nonce, address, "");
            let outcome = decide(&request, rows, now, &service);
            prop_assert!(outcome.write.is_none() && outcome.message.is_none());
        }
    }
}

#[test]
fn grants_are_numbered_from_one() {
    let mut records = world::records();
    let load = Keys { client: ClientId::new(1), ..Keys::default() };
    let client = records.load(&load).client.unwrap();
    let service = world::service(world::small_limits());
    for number in 1..4 {
        let setup = world::setup(world::SECRET, "");
        let rows = world::rows(&setup, &records, world::START, &service);
        let outcome = world::decide(&setup, rows, world::START, number, &service);
        let Some(Write::Open(mut row, secret)) = outcome.write else { panic!("nothing is opened") };
        assert_eq!(records.commit(&Write::Open(row.clone(), secret)), Commit::Done);
        let token = TokenDigest::from_bytes([number; 32]);
        let address = Address::new([("A".into(), "a".into())]).unwrap();
        let (client, expires) = (client.id, row.expires);
        let grant = Grant { token, client, address, valid_until: expires, expires };
        row.addresses_left = 0;
        assert_eq!(records.commit(&Write::Redeem(row, grant.clone())), Commit::Done);
        let load = Keys { grant: Some(token), ..Keys::default() };
        let serial = GrantSerial(i64::from(number));
        assert_eq!(records.load(&load).grant, Some((serial, grant)));
    }
}

#[test]
fn a_validation_of_no_client_is_not_opened() {
    let service = world::service(world::small_limits());
    let setup = world::setup(world::SECRET, "");
    let rows = world::rows(&setup, &world::records(), world::START, &service);
    let outcome = decide(&setup, rows, world::START, &service);
    assert_eq!(Records::default().commit(&outcome.write.unwrap()), Commit::Conflict);
    assert!(ClientId::new(0).is_none());
}
