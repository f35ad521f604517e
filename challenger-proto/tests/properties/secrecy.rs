//! I11: whatever is printed for debugging shows no secret.

use challenger_proto::http::Method;
use challenger_proto::{CodeChallenge, Commit, Entropy, Nonce, Refusal, route};
use proptest::prelude::*;

use crate::audit::{Ask, Cause, redirect_of};
use crate::world::{self, Redemption};

/// Follows a validation to its end and checks whatever can be printed on the way.
fn follow(seed: [u8; 32], accept: &str) -> (crate::audit::Auditor, String) {
    let limits = world::small_limits();
    let service = world::service(limits.clone());
    let (mut records, mut auditor) = (world::records(), world::auditor(&limits));
    let mut draws = 0;
    let mut ask = |auditor: &mut crate::audit::Auditor, request| {
        let plan = route(&request);
        draws += 1;
        let mut bytes = seed;
        bytes[31] = draws;
        let load = plan.load(world::START, &service);
        let loaded = records.load(&load);
        let printed = format!("{request:?} {plan:?} {loaded:?} {load:?}");
        let outcome = plan.decide(loaded, world::START, Entropy::new(bytes), &service);
        let printed = format!("{printed} {outcome:?} {:?} {:?}", outcome.response, outcome.send);
        let ask = Ask::read(&request);
        auditor.decided(Cause::Request(&ask), &outcome, world::START);
        if let Some(write) = &outcome.write {
            assert_eq!(records.commit(write), Commit::Done);
            auditor.committed(Cause::Request(&ask), &outcome, world::START);
        }
        // Only now the auditor knows the new secrets, too.
        auditor.assert_hidden(&printed);
        auditor.assert_hidden(&records);
        if let Some(send) = &outcome.send {
            auditor.assert_hidden(&send.clone().undelivered("status 1"));
            auditor.sent(send);
        }
        auditor.responded(&ask, &outcome.response, world::START);
        outcome.response
    };
    let response = ask(&mut auditor, world::setup(world::SECRET, ""));
    let nonce = world::member(&response, "nonce").unwrap();
    let verifier = "a-plain-verifier-of-forty-three-characters.";
    let more = format!("&state=s&code_challenge={verifier}");
    ask(&mut auditor, world::authorize(&nonce, 1, &more, accept));
    ask(&mut auditor, world::challenge(&nonce, "ada@example.com", accept));
    let pin = auditor.case(&nonce).unwrap().round.as_ref().unwrap().pin.clone();
    ask(&mut auditor, world::solve(&nonce, "00000000", accept));
    let response = ask(&mut auditor, world::solve(&nonce, &pin, accept));
    let url = redirect_of(&response).unwrap();
    let code = crate::audit::query_of(&url).get("code").unwrap().to_string();
    let token = ask(&mut auditor, Redemption::honest(&code, Some(verifier)).request());
    let token = world::member(&token, "access_token").unwrap();
    assert_eq!(ask(&mut auditor, world::info(&token)).status.0, 200);
    ask(&mut auditor, Redemption::honest(&code, Some(verifier)).request());
    (auditor, nonce)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.min(32), ..ProptestConfig::default()
    })]

    #[test]
    fn no_debug_shows_a_secret(seed in any::<[u8; 32]>(), wants_html in any::<bool>()) {
        let accept = if wants_html { "text/html" } else { "application/json" };
        let (auditor, nonce) = follow(seed, accept);
        let text = format!("{:?}", Nonce::parse(&nonce).unwrap());
        prop_assert_eq!(text, "Nonce(***)");
        // A nonce that strayed.
        for target in [
            format!("/solve/{nonce}/"),
            format!("/solve//{nonce}"),
            format!("/{nonce}"),
            format!("/authorize/?nonce={nonce}"),
            format!("/authorize/x{nonce}?response_type={nonce}&client_id={nonce}"),
            format!("/setup/{nonce}"),
        ] {
            for method in [Method::Get, Method::Post] {
                let request = world::request(method, target.clone(), &[], "");
                let plan = route(&request);
                let service = world::service(world::small_limits());
                let entropy = Entropy::new([0; 32]);
                let outcome =
                    plan.decide(Default::default(), world::START, entropy, &service);
                auditor.assert_hidden(&(request, plan, outcome));
            }
        }
    }
}

#[test]
fn a_refusal_shows_no_detail() {
    let refused = Refusal::EndpointUnknown.about("/solve/a-nonce/");
    assert!(!format!("{refused:?}").contains("a-nonce"));
}

#[test]
fn a_plain_challenge_is_its_own_verifier_and_hides() {
    let verifier = "a-plain-verifier-of-forty-three-characters.";
    let challenge = CodeChallenge::from_parts("plain", verifier).unwrap();
    assert!(!format!("{challenge:?}").contains("verifier"));
}
