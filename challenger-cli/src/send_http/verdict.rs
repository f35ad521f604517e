//! The meaning of an answer: which one says that the message was sent, and what the others mean.

use serde_json::Value;

/// A gateway's answer.
pub(super) struct Answer {
    /// The status of HTTP.
    pub(super) status: u16,
    /// The beginning of the body; all of it, unless it is too long.
    pub(super) body: String,
}

/// The meaning of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The gateway took the message.
    Sent,
    /// Nobody can be reached at this address.
    UnknownAddress,
    /// The same request may succeed later.
    TryLater,
    /// The operator has to change something, such as credentials.
    Misconfigured,
    /// Something else is wrong.
    Failed,
}

/// The operator's rules, in the order in which they are asked.
pub(super) struct Verdicts(pub(super) Vec<(Verdict, Rules)>);

impl Verdicts {
    /// Whether the body of an answer with this status matters for the verdict.
    pub(super) fn need_body(&self, status: u16) -> bool {
        let rules = self.0.iter().flat_map(|(_, rules)| &rules.0);
        rules.filter(|rule| rule.may_fit(status)).any(|rule| rule.looks_inside())
    }

    /// The meaning of an answer: that of the first rule that fits, or else of its status.
    pub(super) fn judge(&self, answer: &Answer) -> Verdict {
        let json = serde_json::from_str(&answer.body).unwrap_or_default();
        let mut rules = self.0.iter();
        let found = rules.find(|(_, rules)| rules.0.iter().any(|rule| rule.fits(answer, &json)));
        match (found, answer.status) {
            (Some((verdict, _)), _) => *verdict,
            (None, 429 | 500..=599) => Verdict::TryLater,
            (None, 401 | 403) => Verdict::Misconfigured,
            (None, _) => Verdict::Failed,
        }
    }
}

/// Rules, any of which may fit: separated by commas.
pub(super) struct Rules(Vec<Rule>);

/// Conditions that all have to hold: separated by blanks.
struct Rule(Vec<Condition>);

enum Condition {
    /// `404`: the status is one of these numbers; `2xx` is a whole class.
    Status(u16, u16),
    /// `/code=1|2`: the JSON value at a pointer (RFC 6901) is one of these; without values, it is
    /// there.
    Pointer(String, Vec<String>),
    /// `contains="…"`: one of these texts is in the body, in any case.
    Contains(Vec<String>),
}

impl Rules {
    /// Reads rules.
    ///
    /// # Errors
    /// The complaint quotes the condition that makes no sense.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let rules = split(text, |it| it == ',')?;
        let rule = |text: String| {
            let conditions = split(&text, char::is_whitespace)?;
            let conditions = conditions.iter().filter(|it| !it.is_empty());
            let conditions: Vec<Condition> =
                conditions.map(|it| condition(it)).collect::<Result<_, _>>()?;
            if conditions.is_empty() {
                Err("has an empty rule".to_owned())
            } else {
                Ok(Rule(conditions))
            }
        };
        rules.into_iter().map(rule).collect::<Result<_, _>>().map(Self)
    }
}

/// Splits a text, except within quotes.
fn split(text: &str, is_between: impl Fn(char) -> bool) -> Result<Vec<String>, String> {
    let mut parts = vec![String::new()];
    let mut is_quoted = false;
    for character in text.chars() {
        is_quoted ^= character == '"';
        if !is_quoted && is_between(character) {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(character);
        }
    }
    if is_quoted { Err("has a quote that is not closed".to_owned()) } else { Ok(parts) }
}

fn condition(text: &str) -> Result<Condition, String> {
    let values = |list: &str| -> Result<Vec<String>, String> {
        let bare = |value: String| match value.strip_prefix('"').and_then(|it| it.strip_suffix('"'))
        {
            Some(inside) => inside.to_owned(),
            None => value,
        };
        Ok(split(list, |it| it == '|')?.into_iter().map(bare).collect())
    };
    if let Some(list) = text.strip_prefix("contains=") {
        let texts = values(list)?;
        if texts.iter().any(String::is_empty) {
            return Err(format!("has {text}, which names an empty text"));
        }
        return Ok(Condition::Contains(texts.iter().map(|it| it.to_lowercase()).collect()));
    }
    if text.starts_with('/') {
        return Ok(match text.split_once('=') {
            Some((pointer, list)) => Condition::Pointer(pointer.to_owned(), values(list)?),
            None => Condition::Pointer(text.to_owned(), Vec::new()),
        });
    }
    let (class, is_class) = text.strip_suffix("xx").map_or((text, false), |class| (class, true));
    let number = class.parse().ok().filter(|_| class.bytes().all(|it| it.is_ascii_digit()));
    match (number, is_class) {
        (Some(class @ 1..=5), true) => Ok(Condition::Status(class * 100, class * 100 + 99)),
        (Some(status @ 100..=599), false) => Ok(Condition::Status(status, status)),
        _ => Err(format!(
            "has {text}: expected a status such as 404 or 2xx, a JSON pointer with values such as \
             /code=21211|21614, or contains=\"a text\""
        )),
    }
}

impl Rule {
    fn may_fit(&self, status: u16) -> bool {
        self.0.iter().all(|condition| match condition {
            Condition::Status(first, last) => (first..=last).contains(&&status),
            Condition::Pointer(..) | Condition::Contains(_) => true,
        })
    }

    fn looks_inside(&self) -> bool {
        self.0.iter().any(|condition| !matches!(condition, Condition::Status(..)))
    }

    fn fits(&self, answer: &Answer, json: &Value) -> bool {
        self.may_fit(answer.status)
            && self.0.iter().all(|condition| match condition {
                Condition::Status(..) => true,
                Condition::Pointer(pointer, values) => {
                    let found = json.pointer(pointer).filter(|found| !found.is_null());
                    found.is_some_and(|found| values.is_empty() || values.contains(&plain(found)))
                }
                Condition::Contains(texts) => {
                    let body = answer.body.to_lowercase();
                    texts.iter().any(|text| body.contains(text))
                }
            })
    }
}

/// A value as it is written in a rule: texts without quotes.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(rules: &str, status: u16, body: &str) -> bool {
        let rules = Rules::parse(rules).unwrap_or_else(|complaint| panic!("{complaint}"));
        let verdicts = Verdicts(vec![(Verdict::Sent, rules)]);
        verdicts.judge(&Answer { status, body: body.to_owned() }) == Verdict::Sent
    }

    #[test]
    fn rules_fit_what_they_say() {
        const BODY: &str = r#"{"a": [{"b/c": 7, "d": "7"}], "e": true, "f": null, "g": "x, y|z"}"#;
        for (rules, status, expected) in [
            ("200", 200, true),
            ("200", 201, false),
            ("2xx", 299, true),
            ("2xx", 300, false),
            ("404, 2xx", 204, true),
            ("400 /a/0/d=7", 400, true),
            ("400 /a/0/d=7", 401, false),
            ("/a/0/b~1c=6|7|8", 200, true),
            ("/a/0/b~1c=6|8", 200, false),
            ("/a/1/b~1c=7", 200, false),
            ("/e=true /a/0/d=7", 200, true),
            ("/e=true   /a/0/d=8", 200, false),
            ("/e", 200, true),
            ("/f", 200, false),
            ("/none", 200, false),
            ("/g=\"x, y|z\"", 200, true),
            ("contains=\"B/C\"", 200, true),
            ("200 contains=\"no, no\"|\"x, y\"", 200, true),
            ("contains=nothing", 200, false),
        ] {
            assert_eq!(fits(rules, status, BODY), expected, "{rules} {status}");
        }
        assert!(!fits("/a", 200, "not JSON"));
        assert!(fits("contains=json", 200, "not JSON"));
    }

    #[test]
    fn rules_that_make_no_sense_are_refused() {
        for rules in
            ["", "200,", "99", "600", "6xx", "xx", "+20", "ok", "\"200", "contains=\"\"", "=1"]
        {
            assert!(Rules::parse(rules).is_err(), "{rules}");
        }
    }

    #[test]
    fn without_a_rule_the_status_decides() {
        let verdicts = Verdicts(Vec::new());
        for (status, expected) in [
            (429, Verdict::TryLater),
            (500, Verdict::TryLater),
            (503, Verdict::TryLater),
            (401, Verdict::Misconfigured),
            (403, Verdict::Misconfigured),
            (200, Verdict::Failed),
            (302, Verdict::Failed),
            (404, Verdict::Failed),
        ] {
            assert_eq!(verdicts.judge(&Answer { status, body: String::new() }), expected);
        }
    }

    #[test]
    fn the_body_is_needed_only_where_it_decides() {
        let parse = |text| Rules::parse(text).unwrap_or_else(|complaint| panic!("{complaint}"));
        let rules =
            [(Verdict::UnknownAddress, parse("400 /code=1")), (Verdict::Sent, parse("2xx"))];
        let verdicts = Verdicts(rules.into());
        assert!(verdicts.need_body(400) && !verdicts.need_body(200));
    }
}
