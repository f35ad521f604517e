//! Laws of decisions: total, paid for, never more generous than before, and nothing after the end.

use challenger_proto::http::{Method, Response};
use challenger_proto::{
    Address, Challenged, ClientId, ClientSecretDigest, Commit, Entropy, Grant, GrantSerial, Load,
    Loaded, Outcome, Progress, Records, Refusal, RowVersion, TokenDigest, Validation, Write, route,
};
use proptest::prelude::*;

use crate::audit::row_of;
use crate::{random, world};

/// What any answer to anybody keeps to.
fn check_answer(response: &Response) {
    let status = response.status;
    assert_ne!(status.reason(), "Unknown", "{}", status.0);
    assert_ne!(response.refusal, Some(Refusal::Internal));
    let is_documented = match response.refusal {
        Some(refusal) => refusal.status() == status.0,
        // A service without terms or a privacy policy says so.
        None => status.0 < 400 || status.0 == 501,
    };
    assert!(is_documented, "{status:?} {:?}", response.refusal);
    assert!(response.headers.iter().all(|(_, value)| !value.contains(char::is_control)));
}

/// Compares a row with the one it replaces. `sends` tells whether a message pays for new guesses.
fn check_transition(old: &Validation, new: &Validation, sends: bool) {
    assert_eq!((new.id, new.client, new.version), (old.id, old.client, old.version));
    assert_eq!((new.expires, &new.redirect_uri), (old.expires, &old.redirect_uri));
    assert_eq!((&new.prefill, new.read_only), (&old.prefill, old.read_only));
    assert!(new.addresses_left <= old.addresses_left);
    assert_eq!(new.refunds_left, old.refunds_left, "only a failure spends refunds");
    assert!(!old.is_solved() || new.address() == old.address(), "a proved address stays");
    assert!(!old.is_solved() || new.authorization == old.authorization);
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

fn decide(
    request: &challenger_proto::http::Request,
    loaded: Loaded,
    now: challenger_proto::Timestamp,
    service: &challenger_proto::Service,
) -> Outcome {
    route(request).decide(loaded, now, Entropy::new([77; 32]), service)
}

proptest! {
    #[test]
    fn every_request_is_decided_on_any_rows(
        request in random::request(),
        loaded in random::loaded(),
        later in random::loaded(),
        now in random::time(),
        service in random::service(),
    ) {
        let outcome = decide(&request, loaded.clone(), now, &service);
        check_answer(&outcome.response);
        prop_assert!(outcome.send.is_none() || outcome.write.is_some(), "I7");
        if let Some(write) = &outcome.write {
            match (write, &loaded.validation) {
                (Write::Open(..), _) => {}
                (_, Some(old)) => check_transition(old, row_of(write), outcome.send.is_some()),
                (_, None) => prop_assert!(false, "a row from nowhere is written"),
            }
        }
        let Some(send) = outcome.send else { return Ok(()) };
        let plan = send.undelivered("status 1");
        let outcome = plan.decide(later, now, Entropy::new([78; 32]), &service);
        prop_assert_eq!(outcome.response.refusal, Some(Refusal::HelperFailed));
        prop_assert!(outcome.send.is_none() && outcome.write.is_none(), "another row is refunded");
    }

    #[test]
    fn a_failed_message_is_given_back_once(
        row in random::validation(),
        now in random::time(),
        limits in random::limits(),
    ) {
        let service = world::service(limits);
        let nonce = [0, 1, 2].map(random::nonce).into_iter().find(|it| it.digest() == row.id);
        let request = world::challenge(&nonce.unwrap().to_text(), "ada@example.com", "");
        let loaded = Loaded { validation: Some(row), ..Loaded::default() };
        let outcome = decide(&request, loaded, now, &service);
        let (Some(Write::Update(sent)), Some(send)) = (outcome.write, outcome.send) else {
            return Ok(());
        };
        let plan = send.undelivered("");
        let load = |row: &Validation| Loaded { validation: Some(row.clone()), ..Loaded::default() };
        let again = plan.decide(load(&sent), now, Entropy::new([0; 32]), &service);
        prop_assert_eq!(again.write.is_some(), sent.refunds_left > 0);
        let Some(Write::Update(refunded)) = again.write else { return Ok(()) };
        prop_assert_eq!(refunded.refunds_left, sent.refunds_left - 1);
        let (Progress::Challenged(was), Progress::Challenged(is)) =
            (&sent.progress, &refunded.progress)
        else {
            panic!("a refund leaves the challenge");
        };
        prop_assert_eq!(is.transmissions_left, was.transmissions_left + 1);
        prop_assert_eq!((is.attempts_left, is.sent_at), (was.attempts_left, None));
        let twice = plan.decide(load(&refunded), now, Entropy::new([0; 32]), &service);
        prop_assert!(twice.write.is_none(), "I1: one failure, one refund");
    }

    #[test]
    fn an_expired_validation_is_only_refused(
        request in random::request(),
        loaded in random::loaded(),
        now in random::time(),
        service in random::service(),
    ) {
        let Some(validation) = &loaded.validation else { return Ok(()) };
        prop_assume!(validation.expires <= now);
        let plan = route(&request);
        let load = plan.load(now, &service);
        let asks = load.validation.is_some() && request.method != Method::Options;
        let outcome = decide(&request, loaded, now, &service);
        prop_assert!(matches!(outcome.write, None | Some(Write::Open(..))), "I8");
        prop_assert!(!asks || outcome.response.status.0 >= 400, "I8");
    }

    #[test]
    fn a_stale_write_changes_nothing(row in random::validation(), off in -3_i64..=3) {
        prop_assume!(row.version.0.checked_add(off).is_some());
        let mut records = world::records();
        let load = Load { client: Some(row.client), ..Load::default() };
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
        let load = Load { validation: Some(row.id), grant: Some(token), ..Load::default() };
        let before = records.load(&load);
        let mut moved = row.clone();
        moved.addresses_left += 1;
        moved.version = RowVersion(row.version.0 + off);
        let writes = [
            Write::Update(moved.clone()),
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
    /// The endpoints look first, so only a direct call shows that the machine would, too.
    #[test]
    fn a_solved_validation_takes_no_address(
        row in random::validation(),
        now in random::time(),
        limits in random::limits(),
    ) {
        prop_assume!(row.is_solved());
        for name in ["ada@example.com", "new@example.com"] {
            let address = Address::new([("CONTACT_EMAIL".into(), name.into())]).unwrap();
            let entropy = Entropy::new([1; 32]);
            let nonce = random::nonce(0);
            let challenged = row.clone().challenge(&nonce, address, now, &limits, entropy);
            prop_assert_eq!(challenged, Challenged::Completed(row.clone()));
        }
    }
}

fn load_of(request: &challenger_proto::http::Request) -> Load {
    route(request).load(world::START, &world::service(world::small_limits()))
}

#[test]
fn grants_are_numbered_from_one() {
    let mut records = world::records();
    let loaded = records.load(&load_of(&world::setup(world::SECRET, "")));
    let (client, limits) = (loaded.client.unwrap(), world::small_limits());
    for number in 1..4 {
        let (nonce, now) = (random::nonce(number), world::START);
        let mut row = Validation::open(&client, &nonce, None, false, now, &limits);
        assert_eq!(records.commit(&Write::Open(row.clone(), client.secret.digest)), Commit::Done);
        let token = TokenDigest::from_bytes([number; 32]);
        let address = Address::new([("A".into(), "a".into())]).unwrap();
        let (client, expires) = (client.id, row.expires);
        let grant = Grant { token, client, address, valid_until: expires, expires };
        row.addresses_left = 0;
        assert_eq!(records.commit(&Write::Redeem(row, grant.clone())), Commit::Done);
        let load = Load { grant: Some(token), ..Load::default() };
        let serial = GrantSerial(i64::from(number));
        assert_eq!(records.load(&load).grant, Some((serial, grant)));
    }
}

#[test]
fn a_validation_of_no_client_is_not_opened() {
    let limits = world::small_limits();
    let setup = world::setup(world::SECRET, "");
    let loaded = world::records().load(&load_of(&setup));
    let outcome = decide(&setup, loaded, world::START, &world::service(limits));
    assert_eq!(Records::default().commit(&outcome.write.unwrap()), Commit::Conflict);
    assert!(ClientId::new(0).is_none());
}
