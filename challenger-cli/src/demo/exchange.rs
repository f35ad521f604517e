//! What the shop asks the service and what it answers, which is kept for the page that explains it.

use serde_json::Value;

use super::browser::Reply;

/// A request that the service granted.
pub(super) struct Exchange {
    /// Method and path.
    pub(super) request: &'static str,
    /// What was sent: fields of a form, or a header.
    pub(super) fields: Vec<(String, String)>,
    pub(super) status: u16,
    pub(super) answer: Value,
}

impl Exchange {
    /// What was asked, and the JSON of the reply.
    ///
    /// # Errors
    /// The service's reason, if it did not grant the request.
    pub(super) fn read(
        request: &'static str,
        fields: &[(&str, &str)],
        reply: &Reply,
    ) -> Result<Self, String> {
        let status = reply.status;
        let answer: Value = serde_json::from_str(&reply.body)
            .map_err(|_| format!("the service answered {status} without JSON"))?;
        if !matches!(status, 200 | 201) {
            let hint = answer.get("hint").and_then(Value::as_str).unwrap_or("no reason given");
            return Err(format!("the service answered {status}: {hint}"));
        }
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Ok(Self { request, fields: fields.iter().map(own).collect(), status, answer })
    }

    /// A text in the answer.
    pub(super) fn text(&self, name: &str) -> Result<&str, String> {
        let text = self.answer.get(name).and_then(Value::as_str);
        text.ok_or_else(|| format!("the service's answer has no {name}"))
    }
}
