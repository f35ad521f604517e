//! Laws of what is read and written: forms, nonces, PINs, redirects, and when an answer is a page.

use challenger_proto::http::{Body, Form, Response};
use challenger_proto::machine::Validation;
use challenger_proto::oauth::RedirectUri;
use challenger_proto::secret::Nonce;
use challenger_proto::store::{Commit, Write};
use challenger_proto::{Entropy, Transmission};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use challenger_testkit::escape;
use challenger_testkit::world;

/// A validation of a redirect URI that was sent its PIN, with a state to return.
fn challenged(uri: &str, state: Option<&str>) -> (Validation, Transmission) {
    let service = world::service(world::small_limits());
    let mut records = world::records();
    let mut ask = |request: challenger_proto::http::Request, seed| {
        let rows = world::rows(&request, &records, world::START, &service);
        let outcome = world::decide(&request, rows, world::START, seed, &service);
        let write = outcome.write.map(|write| match write {
            Write::Open(mut row, secret) => {
                row.redirect_uri = RedirectUri::parse(uri).unwrap();
                Write::Open(row, secret)
            }
            write => write,
        });
        assert!(write.is_some_and(|write| records.commit(&write) == Commit::Done));
        (outcome.response, outcome.message)
    };
    let (response, _) = ask(world::setup(world::SECRET, ""), 1);
    let nonce = world::member(&response, "nonce").unwrap();
    let state = state.map_or(String::new(), |it| format!("&state={}", escape(it)));
    ask(world::authorize(&nonce, 1, &format!("{state}&scope=x"), ""), 2);
    let request = world::challenge(&nonce, "ada@example.com", "");
    let (_, message) = ask(request.clone(), 3);
    let rows = world::rows(&request, &records, world::START, &service);
    (rows.validation.unwrap(), message.unwrap())
}

/// The answer to a PIN.
fn solve(row: Validation, nonce: &Nonce, pin: &str) -> Response {
    let service = world::service(world::small_limits());
    let request = world::solve(&nonce.to_text(), pin, "");
    let rows = challenger_proto::store::Rows { validation: Some(row), ..Default::default() };
    world::decide(&request, rows, world::START, 0, &service).response
}

proptest! {
    #[test]
    fn forms_make_the_round_trip(
        pairs in btree_map("[^\u{0}]{0,12}", "[^\u{0}\r]{0,20}", 0..6),
    ) {
        let encoded: Vec<String> = pairs
            .iter()
            .map(|(name, value)| format!("{}={}", escape(name), escape(value)))
            .collect();
        let form = Form::parse(encoded.join("&").as_bytes()).unwrap();
        prop_assert_eq!(form.pairs().count(), pairs.len());
        for (name, value) in &pairs {
            let expected = if value.is_empty() { None } else { Some(value.as_str()) };
            prop_assert_eq!(form.get(name), expected);
        }
        if let Some(first) = encoded.first() {
            let twice = format!("{}&{first}", encoded.join("&"));
            prop_assert!(Form::parse(twice.as_bytes()).is_err(), "a name stands twice");
        }
    }

    #[test]
    fn any_bytes_are_a_form_or_not(bytes in vec(any::<u8>(), 0..60)) {
        if let Ok(form) = Form::parse(&bytes) {
            let mut names: Vec<&str> = form.pairs().map(|(name, _)| name).collect();
            names.sort_unstable();
            names.dedup();
            prop_assert_eq!(names.len(), form.pairs().count());
            prop_assert!(form.pairs().all(|(_, value)| !value.contains(['\0', '\r'])));
        }
    }

    #[test]
    fn nonces_make_the_round_trip(bytes in any::<[u8; 32]>(), noise in vec(any::<bool>(), 52)) {
        let nonce = Nonce::draw(Entropy::new(bytes));
        let text = nonce.to_text();
        prop_assert_eq!(Nonce::parse(&text).unwrap().to_text(), text.as_str());
        prop_assert_eq!(text.len(), 52);
        prop_assert!(!text.contains(['I', 'L', 'O', 'U']));
        // However people copy it, it is the same.
        let copied: String = text
            .chars()
            .zip(noise)
            .map(|(it, bend)| match (it, bend) {
                ('0', true) => 'o',
                ('1', true) => 'l',
                ('V', true) => 'u',
                (it, true) => it.to_ascii_lowercase(),
                (it, false) => it,
            })
            .collect();
        prop_assert_eq!(Nonce::parse(&copied).unwrap().digest(), nonce.digest());
    }

    #[test]
    fn any_text_is_a_nonce_or_not(text in ".{0,60}") {
        if let Some(nonce) = Nonce::parse(&text) {
            prop_assert_eq!(Nonce::parse(&nonce.to_text()).unwrap().digest(), nonce.digest());
        }
    }

    #[test]
    fn a_right_pin_is_right_however_it_is_spelled(
        marks in vec(option::of("[ \u{2013}\u{ad}\n\u{3000}-]"), 9),
        is_wide in vec(any::<bool>(), 8),
        wrong in option::weighted(0.5, (0_usize..8, 1_u32..10)),
    ) {
        let (row, send) = challenged(world::REDIRECT, None);
        let mut typed = marks.last().cloned().flatten().unwrap_or_default();
        for (place, digit) in send.pin.digits().chars().enumerate() {
            let off = wrong.filter(|(at, _)| *at == place).map_or(0, |(_, off)| off);
            let value = (digit.to_digit(10).unwrap() + off) % 10;
            let zero = u32::from(if is_wide[place] { '０' } else { '0' });
            typed.push(char::from_u32(zero + value).unwrap());
            typed.push_str(marks[place].as_deref().unwrap_or_default());
        }
        let status = solve(row, &send.nonce, &typed).status.0;
        prop_assert_eq!(status, if wrong.is_some() { 403 } else { 302 });
    }

    #[test]
    fn redirects_begin_with_the_registered_uri_and_return_the_state(
        uri in "(https?://[a-z]{1,9}(:[0-9]{1,4})?(/[a-z%~]{0,9})?|app\\.[a-z]{1,5}:/cb)\
                (\\?([a-b]=[a-z0-9]{0,5}&?)?)?",
        state in option::of("[^\u{0}\r]{0,40}"),
    ) {
        prop_assume!(RedirectUri::parse(&uri).is_ok() && !uri.contains('%'));
        let (row, send) = challenged(&uri, state.as_deref());
        let response = solve(row, &send.nonce, send.pin.digits());
        let location = response.header("Location").unwrap();
        prop_assert!(location.starts_with(&uri), "I5: {} from {}", location, uri);
        prop_assert!(location.bytes().all(|byte| byte.is_ascii_graphic()), "{}", location);
        let query = challenger_testkit::audit::query_of(location);
        // An empty state is the same as none (RFC 6749 section 3.1).
        prop_assert_eq!(query.get("state"), state.as_deref().filter(|it| !it.is_empty()));
        prop_assert_eq!(query.get("code").map(str::len), Some(105));
    }

    #[test]
    fn only_who_names_html_gets_pages(
        accept in "((text/html|TEXT/html|application/json|text/\\*|\\*/\\*|x)\
                   ( ?; ?q=[01](\\.[0-9]{0,4})?)?, ?){0,4}",
        language in ".{0,20}",
    ) {
        let (row, send) = challenged(world::REDIRECT, None);
        let mut request = world::authorize(&send.nonce.to_text(), 1, "&scope=x", &accept);
        request.headers.push(("Accept-Language".into(), language));
        let loaded = challenger_proto::store::Rows { validation: Some(row), ..Default::default() };
        let service = world::service(world::small_limits());
        let outcome = world::decide(&request, loaded, world::START, 0, &service);
        prop_assert_eq!(outcome.response.status.0, 200);
        let is_page = matches!(outcome.response.body, Body::Page(_));
        let names_html = accept.to_ascii_lowercase().contains("text/html");
        prop_assert!(names_html || !is_page);
        if names_html && !accept.contains("json") && !accept.contains("q=0") {
            prop_assert!(is_page, "{}", accept);
        }
    }
}
