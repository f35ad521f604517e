//! The rule for the offers of pages (I23).

use challenger_proto::Refusal;
use challenger_proto::http::{Body, Page, PageName, Response};
use serde_json::Value;

use super::{Ask, Stand};

/// I23 for an answer, if it is a page about a validation that stands there.
pub(super) fn check(ask: &Ask, response: &Response, stand: &Stand) {
    let Body::Page(Page { name, data, .. }) = &response.body else { return };
    let Some(seen) = data.get("budget_seen").and_then(Value::as_str) else { return };
    let is = |name: &str| data.get(name).and_then(Value::as_bool) == Some(true);
    let [changes, messages, guesses] = stand.budget;
    assert_eq!(seen, format!("{changes}.{messages}.{guesses}"), "I23: another budget");
    let challenged = stand.stage == "message_sent";
    assert_eq!(is("can_retry"), challenged && guesses > 0, "I23: whether a code can be entered");
    assert!(!is("can_ask_again") || challenged && messages > 0, "I23: a message too many");
    let can_change = stand.stage == "open" || challenged && changes > 0;
    let has_link = data.get("change_url").is_some();
    // It leads nowhere if the budget of all is spent, or the address is fixed.
    let may_lack_link = *name == PageName::OverBudget;
    assert!(has_link == can_change || may_lack_link && !has_link, "I23: a link to change nothing");
    if matches!(ask, Ask::Authorize(..)) {
        linked(*name, response.refusal, stand);
    }
}

/// A link leads to the form that the person needs, or to the page that says why no form is left.
fn linked(page: PageName, refusal: Option<Refusal>, stand: &Stand) {
    let [changes, messages, guesses] = stand.budget;
    let expected = match (stand.stage, refusal) {
        // What came with the link is wrong.
        (_, Some(it)) if !matches!(it, Refusal::PinInvalid | Refusal::TooManyAttempts) => return,
        ("open", _) => PageName::EnterAddressForm,
        ("message_sent", _) if changes > 0 => PageName::EnterAddressForm,
        ("message_sent", None) => PageName::EnterTanForm,
        ("message_sent", Some(Refusal::PinInvalid)) => PageName::InvalidPin,
        ("message_sent", Some(_)) => PageName::InvalidRequest,
        (stage, _) => panic!("I23: a page about a validation that is {stage}"),
    };
    assert_eq!(page, expected, "I23: where a link leads");
    match refusal {
        Some(Refusal::TooManyAttempts) => assert_eq!(stand.budget, [0; 3], "I23: it is not over"),
        Some(_) => assert!(guesses == 0 && messages > 0, "I23: no code form"),
        None => assert_ne!(stand.budget, [0; 3], "I23: a form that is of no use"),
    }
}
