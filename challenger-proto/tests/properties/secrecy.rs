//! I11: whatever is printed for debugging shows no secret.

use challenger_proto::http::{Method, Request};
use challenger_proto::oauth::CodeChallenge;
use challenger_proto::secret::Nonce;
use challenger_proto::store::{Commit, Rows};
use challenger_proto::{Entropy, Refusal, Step};
use proptest::prelude::*;

use challenger_testkit::audit::{Ask, Cause, redirect_of};
use challenger_testkit::world::{self, Redemption};

/// Follows a validation to its end and checks whatever can be printed on the way.
fn follow(seed: [u8; 32], accept: &str) -> (challenger_testkit::audit::Auditor, String) {
    let service = world::service(world::small_limits());
    let (mut records, mut auditor) = (world::records(), world::auditor(&service));
    let mut draws = 0;
    let mut ask = |auditor: &mut challenger_testkit::audit::Auditor, request| {
        let ask = Ask::read(&request);
        let cause = Cause::Request(&ask);
        let mut printed = format!("{request:?}");
        let mut step = Step::begin(&request, &service, world::START);
        loop {
            printed.push_str(&format!("{step:?}"));
            step = match step {
                Step::Load(it) => {
                    draws += 1;
                    let mut bytes = seed;
                    bytes[31] = draws;
                    let rows = records.load(it.keys());
                    printed.push_str(&format!("{:?} {rows:?}", it.keys()));
                    let step = it.loaded(rows, world::START, Entropy::new(bytes));
                    auditor.decided(cause, &auditor.glimpse(cause), &step, world::START);
                    step
                }
                Step::Commit(it) => {
                    let write = it.write().clone();
                    printed.push_str(&format!("{write:?}"));
                    assert_eq!(records.commit(&write), Commit::Done);
                    let step = it.done();
                    auditor.committed(cause, &write, &step, world::START);
                    step
                }
                Step::Send(it) => {
                    printed.push_str(&format!("{:?}", it.message()));
                    auditor.sent(it.message());
                    it.sent()
                }
                Step::Respond(response) => {
                    // Only now the auditor knows the new secrets, too.
                    auditor.assert_hidden(&printed);
                    auditor.assert_hidden(&records);
                    auditor.responded(&ask, &response, world::START);
                    return response;
                }
            };
        }
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
    let code = challenger_testkit::audit::query_of(&url).get("code").unwrap().to_string();
    let token = ask(&mut auditor, Redemption::honest(&code, Some(verifier)).request());
    let token = world::member(&token, "access_token").unwrap();
    assert_eq!(ask(&mut auditor, world::info(&token)).status.0, 200);
    let client = &world::CLIENTS[0];
    for path in ["/introspect", "/revoke"] {
        assert_eq!(ask(&mut auditor, world::about_token(path, client, &token)).status.0, 200);
    }
    ask(&mut auditor, Redemption::honest(&code, Some(verifier)).request());
    assert_eq!(ask(&mut auditor, world::status(&nonce, world::SECRET)).status.0, 200);
    ask(&mut auditor, world::look(&nonce, accept));
    let pushed = ask(&mut auditor, world::push(client, &more));
    let uri = world::member(&pushed, "request_uri").unwrap();
    assert_eq!(ask(&mut auditor, world::begin_pushed(1, &uri, accept)).status.0, 302);
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
            format!("/status/{nonce}/"),
            format!("/authorize?client_id=1&request_uri={nonce}"),
            format!("/authorize?client_id=1&request_uri=urn:ietf:params:oauth:request_uri:{nonce}"),
        ] {
            for method in [Method::Get, Method::Post] {
                let request = Request::new(method, &target, "");
                let service = world::service(world::small_limits());
                auditor.assert_hidden(&Step::begin(&request, &service, world::START));
                let rows = Rows::default();
                let outcome = world::decide(&request, rows, world::START, 0, &service);
                auditor.assert_hidden(&(request, outcome));
            }
        }
    }
}

#[test]
fn no_debug_shows_a_state_or_a_proposed_address() {
    let service = world::service(world::small_limits());
    let hidden = ["a-session-of-hers", "ada@example.com", world::SECRET];
    let parameters = format!(
        "response_type=code&client_id=1&client_secret={}&state={}&login_hint={}",
        world::SECRET,
        hidden[0],
        hidden[1]
    );
    for request in
        [Request::get(&format!("/authorize?{parameters}")), Request::post("/par", parameters)]
    {
        let step = Step::begin(&request, &service, world::START);
        let text = format!("{request:?} {step:?}");
        assert!(matches!(step, Step::Load(_)), "{text}");
        assert_eq!(hidden.iter().find(|it| text.contains(**it)), None, "{text}");
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
