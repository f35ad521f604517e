//! The forms of a page: where they lead, and what they ask for.

use challenger_proto::Service;
use challenger_proto::http::PageName;

/// The form of an action within the service. Pages are all at the same depth.
const CHALLENGE: &str = "../challenge/{{nonce}}";
const SOLVE: &str = "../solve/{{nonce}}";
/// Other actions that lead somewhere.
const OTHERS: [&str; 3] = ["../authorize/{{nonce}}", "../privacy", "../terms"];

/// A form of a page.
pub(super) struct Form {
    /// File and line.
    pub place: String,
    pub action: String,
    pub is_post: bool,
    /// The names of its fields.
    pub fields: Vec<String>,
}

/// Where a form leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// To an absolute address, which may be the service's.
    Absolute,
    /// To nothing that exists.
    Nowhere,
    /// It depends on variables.
    Open,
    /// To an endpoint.
    There,
}

impl Form {
    /// The action without a query, and with the nonce written in the usual way.
    fn action(&self) -> String {
        let action = self.action.replace("{{{nonce}}}", "{{nonce}}");
        action.trim().split(['?', '#']).next().unwrap_or_default().to_owned()
    }

    fn target(&self) -> Target {
        let action = self.action();
        match action.as_str() {
            CHALLENGE | SOLVE => Target::There,
            it if OTHERS.contains(&it) => Target::There,
            it if it.replace("{{nonce}}", "").contains("{{") => Target::Open,
            it if it.starts_with('/') || it.contains("://") => Target::Absolute,
            _ => Target::Nowhere,
        }
    }

    /// Whether it leads to an endpoint, as far as can be known.
    fn may_lead_to(&self, endpoint: &str) -> bool {
        let end = endpoint.trim_start_matches("..");
        self.target() == Target::Open || self.action().ends_with(end)
    }

    /// What is odd about it, wherever it is.
    pub(super) fn warning(&self) -> Option<String> {
        let Self { place, action, .. } = self;
        let expected = format!("expected {CHALLENGE} or {SOLVE}");
        match self.target() {
            Target::Absolute => Some(format!(
                "{place}: the action {action} of a form is absolute, and leads elsewhere if a \
                 proxy serves this service below a path: {expected}"
            )),
            Target::Nowhere if action.is_empty() => {
                Some(format!("{place}: a form has no action: {expected}"))
            }
            Target::Nowhere => {
                Some(format!("{place}: the action {action} of a form leads nowhere: {expected}"))
            }
            Target::There if [CHALLENGE, SOLVE].contains(&&*self.action()) => self.incomplete(),
            Target::Open | Target::There => None,
        }
    }

    /// What each form lacks that sends something.
    fn incomplete(&self) -> Option<String> {
        let Self { place, .. } = self;
        if !self.is_post {
            return Some(format!("{place}: this form has to be sent with method=\"post\""));
        }
        (!self.lacks(&["budget_seen"]).is_empty()).then(|| {
            format!(
                "{place}: this form has no hidden field budget_seen, so a second click is charged \
                 as another message: expected <input type=\"hidden\" name=\"budget_seen\" \
                 value=\"{{{{budget_seen}}}}\">"
            )
        })
    }

    /// The fields that it lacks. A name with a variable in it may be any of them.
    fn lacks<'a>(&self, wanted: &[&'a str]) -> Vec<&'a str> {
        if self.fields.iter().any(|field| field.contains("{{")) {
            return Vec::new();
        }
        let has = |name: &&str| self.fields.iter().any(|field| field == *name);
        wanted.iter().copied().filter(|name| !has(name)).collect()
    }
}

/// Why people cannot continue from a page in this file, or cannot enter all that they may: it has
/// no form that leads on, or none with every field.
pub(super) fn dead_end(
    page: PageName,
    file: &str,
    forms: &[Form],
    service: &Service,
) -> Option<String> {
    let (endpoint, wanted) = match page {
        PageName::EnterAddressForm => (CHALLENGE, service.fields()),
        PageName::EnterTanForm | PageName::InvalidPin => (SOLVE, vec!["pin"]),
        _ => return None,
    };
    let leading = forms.iter().filter(|form| form.may_lead_to(endpoint));
    let best = leading.map(|form| (form.lacks(&wanted), form)).min_by_key(|(it, _)| it.len());
    match best {
        None => Some(format!("{file}: the page has no form whose action is {endpoint}")),
        Some((lacking, _)) if lacking.is_empty() => None,
        Some((lacking, form)) => {
            let lacking: Vec<String> =
                lacking.iter().map(|name| format!("name=\"{name}\"")).collect();
            Some(format!(
                "{}: this form has no field with {}, so nobody can enter that",
                form.place,
                lacking.join(", ")
            ))
        }
    }
}
