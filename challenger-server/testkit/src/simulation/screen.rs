//! A person's view of an answer, with the forms that can be sent from it.

use challenger_proto::Timestamp;
use challenger_proto::http::{Body, PageName, Response, Variables};
use serde_json::Value;

/// The page in front of a person.
#[derive(Clone, Debug)]
pub(crate) enum Screen {
    /// A page that says that the code was used.
    Done,
    /// Nothing, or nothing that helps.
    Nothing,
    View(View),
}

/// A page about the validation, or a program's reading of its status.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// The address under test, or proposed.
    pub(crate) address: Option<String>,
    /// Whether another address can be given here.
    pub(crate) has_address_form: bool,
    /// Whether the address can be confirmed only.
    pub(crate) is_fixed: bool,
    /// Whether a code can be entered.
    pub(crate) can_guess: bool,
    /// Whether another message can be requested, and after how many seconds.
    pub(crate) can_ask_again: bool,
    pub(crate) wait: u64,
    /// How many messages there still are.
    pub(crate) messages: u64,
    /// The link to the form for the address.
    pub(crate) change: Option<String>,
    /// The budget that was left when the forms were shown, as they say.
    pub(crate) seen: Option<String>,
    pub(crate) solved: bool,
    /// Whether the code just entered was wrong.
    pub(crate) was_wrong: bool,
}

impl Screen {
    pub(crate) fn of(response: &Response, now: Timestamp) -> Self {
        match &response.body {
            Body::Page(page) if page.name == PageName::AlreadyDone => Self::Done,
            Body::Page(page) if page.data.get("budget_seen").is_some() => {
                Self::View(View::of_page(page.name, &page.data))
            }
            Body::Json(status) if status.get("fix_address").is_some() => {
                Self::View(View::of_status(status, now))
            }
            _ => Self::Nothing,
        }
    }
}

impl View {
    /// The forms and links that the shipped template of a page shows.
    fn of_page(name: PageName, data: &Variables) -> Self {
        let is = |name: &str| data.get(name).is_some_and(|it| *it == true);
        let text = |name: &str| data.get(name).and_then(Value::as_str).map(ToString::to_string);
        let refused = |name: &str| data.get("refused").is_some_and(|it| it.get(name).is_some());
        let field = data.get("fields").and_then(|fields| fields.get(0));
        let address = field.and_then(|it| it.get("value")).and_then(Value::as_str);
        let (code, again, change) = match name {
            PageName::EnterAddressForm => (true, false, false),
            PageName::EnterTanForm => (true, true, true),
            PageName::InvalidPin => (true, !is("no_challenge"), true),
            PageName::InternalError => (false, refused("HelperFailed"), refused("HelperFailed")),
            PageName::InvalidRequest if refused("TooManyAttempts") => (true, false, false),
            PageName::InvalidRequest => (refused("AddressReadOnly"), false, true),
            PageName::AlreadyDone | PageName::ValidationUnknown => (false, false, false),
            other => panic!("{other:?} is not known here"),
        };
        let change = text("change_url").filter(|_| change);
        Self {
            address: address.map(ToString::to_string),
            has_address_form: name == PageName::EnterAddressForm,
            is_fixed: is("fix_address"),
            can_guess: code && is("can_retry"),
            can_ask_again: again && is("can_ask_again"),
            wait: data.get("wait").and_then(|it| it.get("seconds")?.as_u64()).unwrap_or(0),
            messages: number(data.get("pin_transmissions_left")),
            change: change.map(|url| url.trim_start_matches("..").to_string()),
            seen: text("budget_seen"),
            solved: false,
            was_wrong: is("wrong"),
        }
    }

    fn of_status(status: &Value, now: Timestamp) -> Self {
        let address = status.get("last_address").and_then(|it| it.get("CONTACT_EMAIL"));
        let due = status.get("retransmission_time").and_then(|it| it.get("t_s")?.as_u64());
        let is = |name: &str| status.get(name).is_some_and(|it| *it == true);
        let messages = number(status.get("pin_transmissions_left"));
        Self {
            address: address.and_then(Value::as_str).map(ToString::to_string),
            has_address_form: true,
            is_fixed: is("fix_address"),
            can_guess: number(status.get("auth_attempts_left")) > 0,
            can_ask_again: messages > 0,
            wait: due.unwrap_or(0).saturating_sub(now.seconds()),
            messages,
            change: None,
            seen: None,
            solved: is("solved"),
            was_wrong: false,
        }
    }
}

fn number(value: Option<&Value>) -> u64 {
    value.and_then(Value::as_u64).unwrap_or(0)
}
