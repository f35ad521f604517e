//! The pages about a message that could not be sent: each kind of failure in its own words, with
//! the way on that helps.
#![expect(clippy::expect_used, reason = "the functions below are part of the tests")]

mod markup;

use challenger_proto::FailureKind;
use challenger_proto::address::AddressType;
use challenger_proto::http::{Page, PageName};
use markup::{EVIL, LANGUAGES, check_page, embedded};
use serde_json::{Value, json};

const CHANGE: &str = "href=\"../authorize/N\"";
const AGAIN: &str = "action=\"../challenge/N\"";

/// The page in all languages, for a failure and with more variables.
fn pages(failure: FailureKind, more: &Value) -> Vec<(&'static str, String)> {
    let email = AddressType::new("email").expect("a good name");
    let mut data = json!({
        "by_email": true, "can_ask_again": true, "client": "shop.example",
        "change_url": "../authorize/N", "addresses_left": 2,
        "detail": "words of the helper", "ec": 9752, "failure": { (failure.name()): true },
        "fields": [
            {"name": "CONTACT_EMAIL", "value": "raw", "shown": "ada@example.com", "masked": "a@e"},
        ],
        "nonce": "N", "reference": "ABCDEF", "refused": {"HelperFailed": true},
    });
    let object = data.as_object_mut().expect("an object");
    object.extend(more.as_object().expect("an object").clone());
    let render = |language: &'static str| {
        let page = Page {
            name: PageName::InternalError,
            language: language.to_owned(),
            data: data.clone().into(),
        };
        let html = embedded().render(&page, &email).expect("the page exists");
        assert!(!html.contains("words of the helper"), "{html}");
        (language, html)
    };
    LANGUAGES.map(render).into()
}

fn english(failure: FailureKind, more: &Value) -> String {
    let mut pages = pages(failure, more).into_iter();
    pages.find(|(language, _)| *language == "en").expect("English").1
}

#[test]
fn a_refused_address_is_shown_in_full_with_the_way_to_change_it_first() {
    for (_, html) in pages(FailureKind::AddressRefused, &json!({})) {
        assert!(html.contains("<span>ada@example.com</span>"), "{html}");
        assert!(!html.contains("<span>a@e</span>"), "masked: {html}");
        let [change, again] = [CHANGE, AGAIN].map(|it| html.find(it).expect(it));
        assert!(change < again, "{html}");
        assert!(html.contains("ABCDEF"), "the reference: {html}");
    }
    let html = english(FailureKind::AddressRefused, &json!({}));
    assert!(html.contains("We cannot reach this address</h1>"), "{html}");
    assert!(!html.contains("our fault"), "{html}");
}

#[test]
fn a_refused_address_that_cannot_be_changed_leads_back_to_the_client() {
    let fixed = json!({"change_url": null});
    for (_, html) in pages(FailureKind::AddressRefused, &fixed) {
        assert!(!html.contains("../authorize/"), "{html}");
        assert!(html.contains("<strong>shop.example</strong>"), "{html}");
    }
    let html = english(FailureKind::AddressRefused, &fixed);
    let help = "Please go back to <strong>shop.example</strong> and ask for help there.";
    assert!(html.contains(help), "{html}");
    let nothing_left = json!({"change_url": null, "can_ask_again": false});
    let html = english(FailureKind::AddressRefused, &nothing_left);
    assert!(!html.contains(AGAIN) && html.contains(help), "{html}");
    // The validation may be gone.
    let gone = json!({
        "nonce": null, "client": null, "fields": null, "change_url": null, "can_ask_again": false,
        "by_email": false, "reference": null,
    });
    let html = english(FailureKind::AddressRefused, &gone);
    assert!(html.contains("Please go back to the site that sent you here and ask"), "{html}");
}

#[test]
fn what_passes_is_not_a_fault_and_what_does_not_is_ours() {
    for kind in FailureKind::ALL.iter().filter(|kind| **kind != FailureKind::AddressRefused) {
        for (_, html) in pages(*kind, &json!({})) {
            assert!(html.contains("<span>ada@example.com</span>"), "{html}");
            let [again, change] = [AGAIN, CHANGE].map(|it| html.find(it).expect(it));
            assert!(again < change && html.contains("ABCDEF"), "{html}");
        }
        let html = english(*kind, &json!({}));
        let is_ours = *kind != FailureKind::TryLater;
        assert_eq!(html.contains("our fault, not yours. Nothing is lost."), is_ours, "{html}");
        assert_eq!(html.contains("This is usually over quickly"), !is_ours, "{html}");
    }
}

#[test]
fn nothing_breaks_out_of_these_pages() {
    let evil = json!({
        "client": EVIL, "change_url": EVIL, "nonce": EVIL, "reference": EVIL, "budget_seen": EVIL,
        "fields": [{"name": EVIL, "value": EVIL, "masked": EVIL, "shown": EVIL}],
        "wait": {"seconds": 60, "text": EVIL},
    });
    for kind in FailureKind::ALL {
        for (language, html) in pages(*kind, &evil) {
            assert!(!html.contains(EVIL), "{html}");
            check_page(&html, language);
        }
    }
}
