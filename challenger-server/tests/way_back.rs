//! The way back for people who want to stop: on every page once, in the reader's language, and the
//! best next step only where there is no other.
#![expect(clippy::expect_used, reason = "the functions below are part of the tests")]

mod markup;

use challenger_proto::address::AddressType;
use challenger_proto::http::{Page, PageName};
use markup::{EVIL, LANGUAGES, check_page, embedded, tags};
use serde_json::{Value, json};

const TYPES: [&str; 6] = ["address", "email", "file", "phone", "postal", "postal-ch"];
const BACK: &str = "https://shop.example/cb?x=1&error=access_denied&state=a%20b";
const HOME: &str = "https://shop.example/";

/// Each page about a validation, in its states: the variables that they differ by.
fn states() -> Vec<(PageName, Value)> {
    let change = "../authorize/N";
    let mut states = vec![
        (PageName::EnterAddressForm, json!({"address_form": true, "change_url": change})),
        (
            PageName::EnterAddressForm,
            json!({"address_form": true, "fix_address": true, "can_retry": true}),
        ),
        (PageName::EnterTanForm, json!({"transmitted": true, "can_ask_again": true})),
        (PageName::EnterTanForm, json!({"unsent": true, "change_url": change})),
        (PageName::InvalidPin, json!({"can_retry": true, "change_url": change})),
        (PageName::InvalidPin, json!({"no_challenge": true, "change_url": change})),
        (PageName::InvalidPin, json!({"unsent": true, "can_ask_again": true})),
        (PageName::InvalidPin, json!({})),
        (PageName::InvalidRequest, json!({"refused": {"ParameterMissing": true}})),
        (
            PageName::InvalidRequest,
            json!({"refused": {"ParameterMissing": true}, "home_url": HOME}),
        ),
        (PageName::InternalError, json!({"refused": {"HelpersBusy": true}})),
        (PageName::InternalError, json!({"refused": {"Contention": true}})),
        (PageName::OverBudget, json!({"can_retry": true})),
        (PageName::OverBudget, json!({"change_url": change})),
        (PageName::OverBudget, json!({"in_time": true, "again": {"hours": 2}})),
    ];
    for refused in ["TooManyAttempts", "AddressReadOnly"] {
        for can_retry in [true, false] {
            let more = json!({"refused": { (refused): true }, "can_retry": can_retry});
            states.push((PageName::InvalidRequest, more));
        }
    }
    let refused = json!({"ClientDisabled": true});
    for disabled in [
        json!({"change_url": change, "refused": refused}),
        json!({"home_url": HOME, "refused": refused}),
    ] {
        states.push((PageName::InvalidRequest, disabled));
    }
    for failure in ["address", "later", "unknown"] {
        let more = json!({"refused": {"HelperFailed": true}, "failure": { (failure): true }});
        states.push((PageName::InternalError, more));
    }
    states
}

/// A page in a language; `more` is what it has beside the variables of a validation.
fn render(name: PageName, address_type: &str, language: &str, more: &Value) -> String {
    let mut data = json!({
        "budget_seen": "2.3.0", "client": "shop.example", "nonce": "N", "reference": "ABCDEF",
        "back_url": "https://shop.example/cb?error=temporarily_unavailable",
        "fields": [{"name": "CONTACT_EMAIL", "value": "a@b.example", "shown": "a@b"}],
    });
    let object = data.as_object_mut().expect("an object");
    object.extend(more.as_object().expect("an object").clone());
    let page = Page { name, language: language.to_owned(), data: data.into() };
    let kind = AddressType::new(address_type).expect("a good name");
    embedded().render(&page, &kind).expect("the page exists")
}

/// Where the links of a page lead that leave the service.
fn ways_out(html: &str) -> Vec<String> {
    let links = tags(html).into_iter().filter(|tag| tag.name == "a");
    let links = links.map(|tag| tag.get("href").expect("a link leads somewhere").to_owned());
    links.filter(|href| !href.starts_with("../")).collect()
}

/// The words of the link to this place, which is a button or not.
#[track_caller]
fn words<'a>(html: &'a str, href: &str, is_button: bool) -> &'a str {
    let begin = if is_button { "<p><a class=\"button\" " } else { "<p class=\"cancel\"><a " };
    let (_, after) = html.split_once(&format!("{begin}href=\"{href}\">")).expect(begin);
    after.split_once("</a>").expect("the link ends").0
}

/// Whether nothing but the way back is left on a page with these variables.
fn is_end(more: &Value) -> bool {
    let refused = |name: &str| more.get("refused").is_some_and(|it| it.get(name).is_some());
    let limit = refused("TooManyAttempts") || refused("AddressReadOnly");
    let has_code = more.get("can_retry") == Some(&json!(true));
    let is_fixed = more.get("failure").is_some_and(|it| it.get("address").is_some());
    refused("ClientDisabled") || refused("ParameterMissing") || limit && !has_code || is_fixed
}

#[test]
fn every_page_about_a_validation_has_one_way_back() {
    let escaped = BACK.replace('&', "&amp;");
    for address_type in TYPES {
        for (name, mut more) in states() {
            for language in LANGUAGES {
                more["cancel_url"] = json!(BACK);
                let html = render(name, address_type, language, &more);
                assert_eq!(ways_out(&html), [escaped.as_str()], "{more}: {html}");
                // It comes last.
                let text = words(&html, &escaped, is_end(&more));
                assert!(text.ends_with(" shop.example"), "{text}");
                let (_, after) = html.split_once(&escaped).expect("found before");
                let (rest, _) = after.split_once("</main>").expect("main ends");
                assert!(!rest.contains("<button") && !rest.contains("<a "), "{html}");
                more["cancel_url"] = Value::Null;
                let html = render(name, address_type, language, &more);
                let home = more.get("home_url").and_then(Value::as_str);
                assert_eq!(ways_out(&html), home.as_slice(), "{more}: {html}");
                assert!(!html.contains("class=\"cancel\""), "{html}");
            }
        }
    }
}

#[test]
fn a_page_that_leads_back_with_an_error_of_its_own_has_no_second_way() {
    let stuck = "https://shop.example/cb?error=invalid_request";
    let more = json!({"cancel_url": BACK, "home_url": HOME, "stuck": {"url": stuck}});
    for language in LANGUAGES {
        let html = render(PageName::InvalidRequest, "email", language, &more);
        assert_eq!(ways_out(&html), [stuck], "{html}");
        // Nothing else is left to do.
        for more in [json!({"cancel_url": BACK}), json!({"cancel_url": BACK, "again": {"days": 2}})]
        {
            let html = render(PageName::OverBudget, "email", language, &more);
            let back = "https://shop.example/cb?error=temporarily_unavailable";
            assert_eq!(ways_out(&html), [back], "{html}");
        }
    }
}

#[test]
fn a_page_without_a_validation_leads_to_the_site_that_is_known() {
    let refused = |name: &str| json!({"refused": { (name): true }, "home_url": HOME});
    for (name, more) in [
        (PageName::AlreadyDone, json!({"home_url": HOME})),
        (PageName::ValidationUnknown, refused("ValidationUnknown")),
        (PageName::InvalidRequest, refused("ParameterMissing")),
    ] {
        for language in LANGUAGES {
            let html = render(name, "email", language, &more);
            assert_eq!(ways_out(&html), [HOME], "{html}");
            let text = words(&html, HOME, true);
            assert!(text.ends_with(" shop.example"), "{text}");
            let mut unknown = more.clone();
            unknown["home_url"] = Value::Null;
            let html = render(name, "email", language, &unknown);
            assert_eq!(ways_out(&html), [""; 0], "{html}");
        }
    }
    let english = |name| render(name, "email", "en", &json!({"home_url": HOME}));
    for name in [PageName::AlreadyDone, PageName::ValidationUnknown] {
        assert_eq!(words(&english(name), HOME, true), "Back to shop.example");
    }
}

#[test]
fn an_app_is_left_by_its_scheme() {
    let app = "com.example.app:/cb?error=access_denied";
    let more = json!({"cancel_url": app, "client": "com.example.app"});
    for language in LANGUAGES {
        let html = render(PageName::EnterTanForm, "email", language, &more);
        assert_eq!(ways_out(&html), [app], "{html}");
        let words = words(&html, app, false);
        assert!(words.ends_with(" com.example.app"), "{words}");
        if language == "en" {
            assert_eq!(words, "Cancel and go back to com.example.app");
        }
    }
}

#[test]
fn nothing_breaks_out_of_a_link() {
    for (name, more) in states() {
        for variable in ["cancel_url", "home_url"] {
            let mut more = more.clone();
            more["nonce"] = json!(EVIL);
            more["client"] = json!(EVIL);
            for change in ["change_url", "back_url", variable] {
                more[change] = json!(EVIL);
            }
            for language in LANGUAGES {
                let html = render(name, "email", language, &more);
                assert!(!html.contains(EVIL), "{html}");
                check_page(&html, language);
            }
        }
    }
}
