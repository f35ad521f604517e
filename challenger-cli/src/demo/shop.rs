//! The demonstration's shop: a small web site that wants to know an address for certain.
//!
//! It does what a client of GNU Taler's protocol does, in the order an integrator would write it:
//! `/setup`, send the browser to `/authorize`, take the code from the redirect, `/token`, `/info`.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use challenger_proto::address::AddressType;
use challenger_proto::http::{Form, Method, Request};
use challenger_server::front::Answer;
use challenger_server::pages::escape_html;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::browser::{Browser, Reply};
use super::inbox::written;
use super::site::{page, redirect};

/// The maximum number of visits under way; older ones are forgotten.
const STATES_MAX: usize = 1000;

/// The shop, as it was registered with the service.
pub(super) struct Shop {
    pub(super) service_url: String,
    pub(super) client_id: i64,
    pub(super) secret: String,
    pub(super) redirect_uri: String,
    /// The `state` of every visit under way, which protects the callback from forged visits
    /// (RFC 6749 §10.12).
    pub(super) states: Mutex<BTreeSet<String>>,
    pub(super) browser: Browser,
}

impl Shop {
    pub(super) fn respond(&self, request: &Request) -> Answer {
        match (request.method, request.path()) {
            (Method::Get | Method::Head, "/") => page(
                200,
                "Demo shop",
                "<p>This shop wants to be sure that its bills reach you.</p>\
                 <form method=\"post\" action=\"start\"><button>Prove my address</button></form>\
                 <p>Messages are not sent anywhere. They are in the \
                 <a href=\"/inbox\" target=\"_blank\">inbox</a>.</p>",
            ),
            (Method::Post, "/start") => self.start().unwrap_or_else(|problem| sorry(&problem)),
            (Method::Get, "/callback") => {
                self.finish(request.query()).unwrap_or_else(|problem| sorry(&problem))
            }
            _ => page(404, "Nothing here", "<p><a href=\"/\">To the shop</a></p>"),
        }
    }

    /// Asks the service for a nonce and sends the person there.
    fn start(&self) -> Result<Answer, String> {
        let setup = format!("{}setup/{}", self.service_url, self.client_id);
        let reply = self.browser.post_as(&setup, &self.secret)?;
        let nonce = text(&json(&reply)?, "nonce")?;
        let state = format!("{:032x}", rand::random::<u128>());
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        if states.len() >= STATES_MAX {
            states.pop_first();
        }
        states.insert(state.clone());
        let query = [
            ("response_type", "code"),
            ("client_id", &self.client_id.to_string()),
            ("redirect_uri", &self.redirect_uri),
            ("state", &state),
        ];
        let escape = |value| utf8_percent_encode(value, NON_ALPHANUMERIC);
        let query = query.map(|(name, value)| format!("{name}={}", escape(value)));
        let location = format!("{}authorize/{nonce}?{}", self.service_url, query.join("&"));
        Ok(redirect(location))
    }

    /// Ends a visit: exchanges the code for a token, and the token for the address.
    fn finish(&self, query: &str) -> Result<Answer, String> {
        let query = Form::parse(query.as_bytes()).map_err(|_| "a broken callback".to_string())?;
        let state = query.get("state").unwrap_or_default();
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        if !states.remove(state) {
            return Err("this visit is over, or did not begin here".to_string());
        }
        drop(states);
        let code = query.get("code").ok_or("the service sent no code")?;
        let token = self.browser.post(
            &format!("{}token", self.service_url),
            &[
                ("grant_type", "authorization_code"),
                ("client_id", &self.client_id.to_string()),
                ("client_secret", &self.secret),
                ("redirect_uri", &self.redirect_uri),
                ("code", code),
            ],
        )?;
        let token = text(&json(&token)?, "access_token")?;
        let info = self.browser.get_as(&format!("{}info", self.service_url), &token)?;
        let info = json(&info)?;
        let address = info.get("address").ok_or("the service returned no address")?;
        let address_type = AddressType::new(&text(&info, "address_type")?);
        let address_type = address_type.ok_or("the service returned no type of address")?;
        let address = written(&address_type, |field| address.get(field)?.as_str());
        Ok(page(
            200,
            "Thank you",
            &format!(
                "<p>You can receive messages at this address:</p>\
                 <p class=\"address\"><strong id=\"address\">{}</strong></p>\
                 <p>The shop read this at <code>/info</code>:</p><pre>{}</pre>\
                 <p><a href=\"/\">Once more</a></p>",
                escape_html(&address),
                escape_html(&serde_json::to_string_pretty(&info).unwrap_or_default()),
            ),
        ))
    }
}

fn json(reply: &Reply) -> Result<Value, String> {
    let value: Value = serde_json::from_str(&reply.body)
        .map_err(|_| format!("the service answered {} without JSON", reply.status))?;
    if reply.status == 200 {
        return Ok(value);
    }
    let hint = value.get("hint").and_then(Value::as_str).unwrap_or("no reason given");
    Err(format!("the service answered {}: {hint}", reply.status))
}

fn text(value: &Value, name: &str) -> Result<String, String> {
    let text = value.get(name).and_then(Value::as_str);
    text.map(str::to_string).ok_or_else(|| format!("the service's answer has no {name}"))
}

fn sorry(problem: &str) -> Answer {
    let text = format!("<p>{}</p><p><a href=\"/\">To the shop</a></p>", escape_html(problem));
    page(502, "That did not work", &text)
}
