//! The page about a message that is one too many, and what other pages say when no message has been
//! paid for: in every state there is a way on, and no sentence is wrong.
#![expect(clippy::expect_used, reason = "the functions below are part of the tests")]

mod markup;

use challenger_proto::address::AddressType;
use challenger_proto::http::{Page, PageName};
use markup::{EVIL, LANGUAGES, check_page, embedded};
use serde_json::{Value, json};

const SOLVE: &str = "action=\"../solve/N\"";
const SEND: &str = "action=\"../challenge/N\"";
/// The form for another message, as long as the time for it has not come.
const LATER: &str = "<form id=\"then\" method=\"post\" action=\"../challenge/N\" hidden>";
const CHANGE: &str = "href=\"../authorize/N\"";
const BACK: &str = "href=\"https://shop.example/?error=temporarily_unavailable\"";

/// The page in all languages, with more variables.
fn pages(name: PageName, more: &Value) -> Vec<String> {
    let email = AddressType::new("email").expect("a good name");
    let field = |it: &str| json!([{"name": "CONTACT_EMAIL", "value": it, "shown": it}]);
    let mut data = json!({
        "addresses_left": 2, "auth_attempts_left": 3, "budget_seen": "2.3.0", "by_email": true,
        "back_url": "https://shop.example/?error=temporarily_unavailable",
        "client": "shop.example", "ec": 9757, "fields": field("wanted@a.example"), "nonce": "N",
        "other_address": true, "reference": "ABCDEF", "sent_to": field("sent-to@a.example"),
    });
    let object = data.as_object_mut().expect("an object");
    object.extend(more.as_object().expect("an object").clone());
    let render = |language: &str| {
        let page = Page { name, language: language.to_owned(), data: data.clone().into() };
        embedded().render(&page, &email).expect("the page exists")
    };
    LANGUAGES.map(render).into()
}

fn english(name: PageName, more: &Value) -> String {
    let mut pages = pages(name, more).into_iter().zip(LANGUAGES);
    pages.find(|(_, language)| *language == "en").expect("English").0
}

/// The variables for a message that can be sent after so long.
fn later(wait: Value) -> Value {
    let countdown = with(wait.clone(), &json!({"seconds": 4711}));
    json!({
        "again": wait, "wait": countdown,
        "until": {"day": 2, "may": true, "year": 2026, "hour": "17", "minute": "05"},
    })
}

/// These variables, and more.
fn with(mut variables: Value, more: &Value) -> Value {
    let object = variables.as_object_mut().expect("an object");
    object.extend(more.as_object().expect("an object").clone());
    variables
}

/// The buttons and links that look like the best next step, of those that are not folded or hidden.
fn best_steps(html: &str) -> usize {
    let mut seen = html.to_owned();
    for (begin, end) in [("<details>", "</details>"), (LATER, "</form>")] {
        while let Some((before, rest)) = seen.clone().split_once(begin) {
            let (_, after) = rest.split_once(end).expect(end);
            seen = format!("{before}{after}");
        }
    }
    let buttons = seen.matches("<button type=\"submit\">").count();
    buttons + seen.matches("<a class=\"button\"").count()
}

#[test]
fn a_message_that_is_too_many_leaves_one_best_step_in_every_state() {
    for bits in 0..16 {
        let [can_retry, can_change, is_known, in_time] = [1, 2, 4, 8].map(|bit| bits & bit != 0);
        if in_time && !is_known {
            continue;
        }
        let mut more = json!({"can_retry": can_retry, "in_time": in_time});
        if can_change {
            more["change_url"] = json!("../authorize/N");
        }
        if is_known {
            more = with(more, &later(json!({"hours": 77, "text": "77 h"})));
        }
        for html in pages(PageName::OverBudget, &more) {
            let what = format!("{more}: {html}");
            // All that is left to do may be to wait.
            let waits = in_time && !can_retry && !can_change;
            assert_eq!(best_steps(&html), usize::from(!waits), "{what}");
            assert_eq!(html.contains(SOLVE), can_retry, "{what}");
            assert_eq!(html.contains(CHANGE), can_change, "{what}");
            assert_eq!(html.contains("77"), is_known, "{what}");
            assert_eq!(html.contains(SEND), in_time, "{what}");
            assert_eq!(html.contains(LATER), in_time, "not yet: {what}");
            let until = html.split_once("<noscript>").map(|(_, it)| it.split('<').next());
            let says_when = |it: &str| ["17", "05", "2026"].iter().all(|part| it.contains(part));
            assert_eq!(until.flatten().is_some_and(says_when), in_time, "when: {what}");
            let leads_back = !can_retry && !can_change && !in_time;
            assert_eq!(html.contains(BACK), leads_back, "{what}");
            assert!(html.contains("<span>wanted@a.example</span>"), "{what}");
            assert_eq!(html.contains("<span>sent-to@a.example</span>"), can_retry, "{what}");
            assert!(html.contains("<strong>shop.example</strong>"), "whom to ask: {what}");
        }
    }
}

#[test]
fn the_form_that_tries_again_sends_the_address_that_was_entered() {
    let again = with(later(json!({"brief": 60})), &json!({"in_time": true}));
    for html in pages(PageName::OverBudget, &again) {
        let field = "name=\"CONTACT_EMAIL\" value=\"wanted@a.example\"";
        assert_eq!(html.matches(field).count(), 1, "{html}");
        assert!(html.contains("name=\"budget_seen\" value=\"2.3.0\""), "{html}");
    }
}

#[test]
fn a_budget_of_all_is_not_said_to_be_that_of_the_address() {
    let all = json!({"other_address": false, "in_time": true});
    let all = with(later(json!({"minutes": 5})), &all);
    for html in pages(PageName::OverBudget, &all) {
        assert!(!html.contains("<span>wanted@a.example</span>"), "{html}");
        assert!(html.contains(SEND) && !html.contains("../authorize/"), "{html}");
    }
    let html = english(PageName::OverBudget, &all);
    assert!(html.contains("We cannot send any more messages right now."), "{html}");
    assert!(html.contains(">in 5 minutes</span>."), "{html}");
}

#[test]
fn an_address_that_never_gets_a_message_is_not_asked_to_wait() {
    let html = english(PageName::OverBudget, &json!({}));
    assert!(html.contains("We cannot send a message to this address:"), "{html}");
    assert!(!html.contains("right now") && !html.contains("limit"), "{html}");
}

#[test]
fn whoever_has_to_wait_for_too_long_is_told_to_start_again() {
    for (in_time, can_change) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut more = with(later(json!({"days": 2})), &json!({"in_time": in_time}));
        if can_change {
            more["change_url"] = json!("../authorize/N");
        }
        let html = english(PageName::OverBudget, &more);
        assert_eq!(html.contains("this link will have expired"), !in_time, "{html}");
    }
}

#[test]
fn every_length_of_time_has_its_words() {
    for (wait, expected) in [
        (json!({"brief": 60}), "in 60 seconds"),
        (json!({"minutes": 2}), "in 2 minutes"),
        (json!({"hours": 3}), "in 3 hours"),
        (json!({"days": 2}), "in 2 days"),
    ] {
        for in_time in [true, false] {
            let more = with(later(wait.clone()), &json!({"in_time": in_time}));
            let html = english(PageName::OverBudget, &more);
            let (_, sentence) = html.split_once("You can try again <span ").expect("a wait");
            let (_, words) = sentence.split_once('>').expect("it ends");
            assert!(words.starts_with(&format!("{expected}</span>.")), "{html}");
            assert_eq!(html.matches("You can try again").count(), 1, "{html}");
            assert!(html.contains("data-seconds=\"4711\""), "{html}");
        }
    }
}

#[test]
fn a_code_that_was_not_sent_is_not_said_to_be_used_up() {
    let unsent = json!({
        "can_ask_again": true, "exhausted": true, "pin_error": true, "unsent": true, "ec": 9758,
        "change_url": "../authorize/N",
    });
    for html in pages(PageName::InvalidPin, &unsent) {
        assert!(html.contains(SEND) && html.contains(CHANGE) && !html.contains(SOLVE), "{html}");
        assert_eq!(html.matches(SEND).count(), 1, "{html}");
        assert_eq!(best_steps(&html), 1, "{html}");
        check(&html);
    }
    let html = english(PageName::InvalidPin, &unsent);
    assert!(html.contains("<h1>The code has not been sent yet</h1>"), "{html}");
    assert!(!html.to_lowercase().contains("too many wrong codes"), "{html}");
}

#[test]
fn a_limit_leaves_the_message_that_can_still_be_sent() {
    for refusal in ["AddressReadOnly", "TooManyAttempts"] {
        for can_ask_again in [true, false] {
            let more = json!({"can_ask_again": can_ask_again, "refused": { (refusal): true }});
            for html in pages(PageName::InvalidRequest, &more) {
                assert_eq!(html.contains(SEND), can_ask_again, "{html}");
                assert_eq!(best_steps(&html), usize::from(can_ask_again), "{html}");
                check(&html);
            }
        }
    }
}

/// There is nothing to do on a page of a disabled client: what a code leads to is refused, too.
#[test]
fn a_disabled_client_leaves_nothing_to_do() {
    let more = json!({
        "can_ask_again": true, "can_retry": true, "change_url": "../authorize/N",
        "refused": {"ClientDisabled": true},
    });
    for html in pages(PageName::InvalidRequest, &more) {
        assert!(!html.contains("<form") && !html.contains(CHANGE), "{html}");
        assert_eq!(html.matches("<strong>shop.example</strong>").count(), 2, "{html}");
        check(&html);
    }
    let unknown = json!({"client": null, "refused": {"ClientDisabled": true}});
    let html = english(PageName::InvalidRequest, &unknown);
    assert!(
        html.contains("addresses for the site that sent you here right now. No message"),
        "{html}"
    );
}

#[test]
fn nothing_breaks_out_of_the_page() {
    let field = json!([{"name": EVIL, "value": EVIL, "masked": EVIL, "shown": EVIL}]);
    for (can_retry, url) in [(true, json!(EVIL)), (false, json!(EVIL)), (false, Value::Null)] {
        for in_time in [true, false] {
            let more = json!({
                "again": {"days": EVIL}, "wait": {"days": EVIL, "seconds": EVIL},
                "until": {"day": EVIL, "may": true, "year": EVIL, "hour": EVIL, "minute": EVIL},
                "service": EVIL, "back_url": EVIL, "budget_seen": EVIL, "client": EVIL,
                "can_retry": can_retry, "change_url": url, "fields": field, "in_time": in_time,
                "nonce": EVIL, "reference": EVIL, "sent_to": field,
            });
            for (html, language) in pages(PageName::OverBudget, &more).iter().zip(LANGUAGES) {
                check_page(html, language);
            }
        }
    }
}

/// Plain and complete, as far as can be seen without hostile data.
fn check(html: &str) {
    let opened = html.matches("<form").count();
    assert_eq!(opened, html.matches("</form>").count(), "{html}");
    assert!(html.ends_with("</html>\n") && !html.contains("\n\n"), "{html}");
}
