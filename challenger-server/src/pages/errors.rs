//! What a proxy answers when it cannot pass a request on: pages for people, JSON for programs.

use std::collections::BTreeMap;

use challenger_proto::Refusal;
use challenger_proto::http::Variables;
use serde_json::json;

use super::Templates;

/// The template of all these pages, which the service uses as well.
const TEMPLATE: &str = "not-served";

/// Whatever the proxy answers by itself, and the code and the words for programs.
const STATUSES: [(u16, Option<Refusal>, &str); 6] = [
    (404, Some(Refusal::EndpointUnknown), "There is nothing at this path."),
    (413, Some(Refusal::BodyTooLarge), "The request body is too large."),
    (429, None, "There are too many requests from this network; try again in a minute."),
    (502, None, "The service does not answer the proxy; try again in a minute."),
    (503, None, "The proxy cannot reach the service; try again in a minute."),
    (504, None, "The service did not answer the proxy in time; try again in a minute."),
];

impl Templates {
    /// Names and contents of files: `STATUS.LANGUAGE.html`, and `STATUS.json`. The service has this
    /// name, which may be empty.
    ///
    /// ```
    /// use challenger_server::pages::Templates;
    ///
    /// let files = Templates::embedded()?.error_pages("");
    /// assert!(files["502.de.html"].contains("nicht erreichbar"));
    /// assert_eq!(files["413.json"], r#"{"code":32,"hint":"The request body is too large."}"#);
    /// # Ok::<(), challenger_server::pages::TemplateError>(())
    /// ```
    pub fn error_pages(&self, service: &str) -> BTreeMap<String, String> {
        let mut files = BTreeMap::new();
        for (status, refusal, hint) in STATUSES {
            let body = match refusal {
                Some(refusal) => json!({ "code": refusal.code(), "hint": hint }),
                None => json!({ "hint": hint }),
            };
            files.insert(format!("{status}.json"), body.to_string());
            let mut data = Variables::default();
            data.set("service", service);
            data.set("status", json!({ (status.to_string()): true }));
            for (language, page) in self.by_name.get(TEMPLATE).into_iter().flatten() {
                files.insert(format!("{status}.{language}.html"), page.template.render(&data));
            }
        }
        files
    }
}
