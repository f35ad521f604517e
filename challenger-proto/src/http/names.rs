//! The names of the variables that each page can have: the one list, against which templates are
//! checked.
//! The stories of the transcripts compare it with what pages get.
//!
//! A dot leads to the member of an object, or of each object of a list. `*` stands for the name of
//! a field, or of a refusal.

use alloc::vec::Vec;

use crate::http::page::PageName;

/// The variables of all pages.
const EVERYWHERE: &[&str] = &["has_privacy", "has_terms", "service"];

/// Those of a page that is about a validation.
const VALIDATION: &[&str] = &[
    "addresses_left",
    "auth_attempts_left",
    "budget_seen",
    "by_email",
    "by_other",
    "by_phone",
    "by_post",
    "can_ask_again",
    "can_retransmit",
    "can_retry",
    "cancel_url",
    "change_url",
    "changes.one",
    "changes.two",
    "client",
    "fields.masked",
    "fields.name",
    "fields.shown",
    "fields.value",
    "home_url",
    "next_tx_time",
    "nonce",
    "pin_transmissions_left",
    "reference",
    "tries.one",
    "tries.two",
    "used_up",
    "wait.brief",
    "wait.days",
    "wait.hours",
    "wait.minutes",
    "wait.seconds",
    "wait.text",
];

/// The parts of a date in UTC: on a page, from when a message can be sent; in a message, until when
/// its code is valid.
pub(crate) const UNTIL: &[&str] = &[
    "until.april",
    "until.august",
    "until.day",
    "until.december",
    "until.february",
    "until.first",
    "until.hour",
    "until.january",
    "until.july",
    "until.june",
    "until.march",
    "until.may",
    "until.minute",
    "until.november",
    "until.october",
    "until.september",
    "until.year",
];

/// Those of a page that refuses something.
const REFUSAL: &[&str] = &["detail", "ec", "failure.*", "hint", "refused.*", "stuck.url"];

/// Those of the form for the address.
const ADDRESS_FORM: &[&str] = &[
    "address_form",
    "address_hint",
    "changes_left",
    "countries.code",
    "countries.selected",
    "ec",
    "error.at.*.malformed",
    "error.at.*.missing",
    "error.field",
    "error.first.*",
    "error.missing",
    "error.other",
    "fix_address",
    "hint",
    "last_address.*",
    "restrictions.*.hint",
    "restrictions.*.hint_i18n.*",
    "restrictions.*.regex",
];

/// Those of the page that says that a message is one too many.
const OVER_BUDGET: &[&str] = &[
    "again.days",
    "again.hours",
    "again.minutes",
    "again.one_minute",
    "again.text",
    "back_url",
    "in_time",
    "other_address",
    "sent_to.masked",
    "sent_to.name",
    "sent_to.shown",
    "sent_to.value",
];

/// Those of the form for the PIN.
const TAN_FORM: &[&str] =
    &["address.*", "attempts_left", "retransmission_time.t_s", "transmitted", "type", "unsent"];

/// Those of the form for the PIN, after one that was not accepted.
const INVALID_PIN: &[&str] = &[
    "ec",
    "exhausted",
    "hint",
    "no_challenge",
    "not_counted",
    "pin_error",
    "type",
    "unreadable",
    "unsent",
    "wrong",
];

impl PageName {
    /// The names of all variables that the page can have.
    ///
    /// ```
    /// use challenger_proto::http::{PageName, is_variable};
    ///
    /// let names = PageName::EnterTanForm.variables();
    /// assert!(is_variable(&names, "wait.text") && is_variable(&names, "wait"));
    /// assert!(is_variable(&names, "address.CONTACT_EMAIL"));
    /// assert!(!is_variable(&names, "wait.weeks") && !is_variable(&names, "pin"));
    /// ```
    pub fn variables(self) -> Vec<&'static str> {
        let parts: &[&[&str]] = match self {
            Self::AlreadyDone => &[EVERYWHERE, &["client", "home_url"]],
            Self::EnterAddressForm => &[EVERYWHERE, VALIDATION, UNTIL, ADDRESS_FORM],
            Self::EnterTanForm => &[EVERYWHERE, VALIDATION, UNTIL, TAN_FORM],
            Self::InternalError | Self::InvalidRequest => &[EVERYWHERE, VALIDATION, UNTIL, REFUSAL],
            Self::InvalidPin => &[EVERYWHERE, VALIDATION, UNTIL, INVALID_PIN],
            Self::Landing => &[EVERYWHERE, &["privacy_url", "terms_url"]],
            Self::NotServed => &[EVERYWHERE, REFUSAL, &["status.*"]],
            Self::OverBudget => &[EVERYWHERE, VALIDATION, UNTIL, REFUSAL, OVER_BUDGET],
            Self::ValidationUnknown => &[EVERYWHERE, REFUSAL, &["client", "home_url"]],
        };
        parts.concat()
    }
}

/// Whether a variable is in a list of names, or an object or a list that has such variables.
pub fn is_variable(names: &[&str], path: &str) -> bool {
    names.iter().any(|name| {
        // The start compares thousands of paths with hundreds of names: most need no splitting.
        if !name.contains('*') {
            let rest = name.strip_prefix(path);
            return rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        }
        let mut parts = name.split('.');
        path.split('.').all(|word| parts.next().is_some_and(|part| part == "*" || part == word))
    })
}
