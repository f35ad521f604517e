//! The rules for what only asks: where browsers arrive, what clients learn, and what pages link to.

use std::collections::BTreeMap;

use challenger_proto::address::Address;
use challenger_proto::http::{Body, Form, Page, Response};
use challenger_proto::oauth::ClientId;
use challenger_proto::secret::{Nonce, NonceDigest};
use challenger_proto::{Span, Timestamp};
use serde_json::Value;

use super::answer::{led_to, member, query_of, redirect_of, text_of, ways_back};
use super::case::REQUEST_URI_LIFETIME;
use super::request::{Registered, Way};
use super::{Ask, Auditor, Glimpse, offers};

/// What a validation was when its row was read.
#[derive(Clone, Debug)]
pub struct Stand {
    pub stage: &'static str,
    /// How many changes, messages and guesses were left.
    pub(super) budget: [u32; 3],
    state: Option<String>,
}

/// The subjects that clients were given, and what each stands for.
#[derive(Clone, Debug, Default)]
pub(super) struct Subjects(BTreeMap<(ClientId, String), String>);

impl Subjects {
    /// I22 for one more of them.
    fn learn(&mut self, client: ClientId, address: &Address, subject: &str) {
        let person = (client, address.to_json().to_string());
        let known = self.0.entry(person).or_insert_with(|| subject.to_string());
        assert_eq!(known, subject, "I22: another subject for the same client and address");
        let bearers = self.0.values().filter(|it| *it == subject).count();
        assert_eq!(bearers, 1, "I22: a subject stands for two addresses, or at two clients");
    }
}

impl Auditor {
    pub(super) fn stand(&self, id: &NonceDigest) -> Option<Stand> {
        let case = self.cases.get(id)?;
        Some(Stand {
            stage: case.stage(),
            budget: case.budget(&self.limits),
            state: case.request.state.clone(),
        })
    }

    /// The client that a form authenticates.
    pub(super) fn authenticated(&self, form: &Form) -> Option<(ClientId, &Registered)> {
        let (client, registered) = self.registered(form.get("client_id")?)?;
        let right = form.get("client_secret") == Some(registered.secret.as_str());
        right.then_some((client, registered))
    }

    pub(super) fn registered(&self, client: &str) -> Option<(ClientId, &Registered)> {
        let client = ClientId::parse(client)?;
        Some((client, self.clients.get(&client)?))
    }

    /// The client whose people begin without a request that it pushed (I19).
    pub(super) fn open_client(&self, form: &Form) -> (ClientId, &Registered) {
        let client = form.get("client_id").and_then(|it| self.registered(it));
        let (id, registered) = client.expect("I19: a browser begins for a stranger");
        assert!(registered.is_open, "I19: a browser begins for a client that is not open");
        assert!(self.ledger.limits(id), "I19: a browser begins for a client without a budget");
        let uri = form.get("redirect_uri");
        assert!(uri.is_none_or(|it| it == registered.redirect_uri), "I19: a foreign URI");
        (id, registered)
    }

    /// Whether a `request_uri` led to a validation when the rows were read.
    pub fn leads(&self, ask: &Ask, seen: &Glimpse, now: Timestamp) -> bool {
        let Ask::Begin(Some(id), form) = ask else { return false };
        let case = self.cases.get(id).filter(|case| case.is_linked(form.get("client_id"), now));
        case.is_some() && seen.stand.as_ref().is_some_and(|it| it.stage == "open")
    }

    /// An answer without a write was decided on.
    pub(super) fn answered(&self, ask: &Ask, seen: &Glimpse, response: &Response, now: Timestamp) {
        match ask {
            Ask::Begin(_, form) => self.began(ask, form, seen, response, now),
            Ask::Introspect(form) if response.status.0 == 200 => {
                self.introspected(form, seen, response, now);
            }
            Ask::Status { nonce, secret } if response.status.0 == 200 => {
                self.told(nonce, secret.as_deref(), seen, response, now);
            }
            _ => {}
        }
        self.seen(ask, response, seen.stand.as_ref());
    }

    /// A browser arrived, and no validation was opened for it.
    fn began(&self, ask: &Ask, form: &Form, seen: &Glimpse, response: &Response, now: Timestamp) {
        if let Some(nonce) = led_to(response) {
            let id = Nonce::parse(nonce).map(|it| it.digest());
            assert!(id.is_some() && id == ask.nonce(), "I18: a request_uri leads elsewhere");
            assert!(self.leads(ask, seen, now), "I18: a request_uri leads on that must not");
        }
        if let Some(url) = redirect_of(response) {
            assert!(ask.opens(), "I18: a request_uri leads to the client");
            let (_, registered) = self.open_client(form);
            self.leads_back(&url, registered, form.get("state"));
        }
        let Body::Page(Page { data, .. }) = &response.body else { return };
        if let Some(home) = data.get("home_url").and_then(Value::as_str) {
            let client = form.get("client_id").and_then(|it| self.registered(it));
            let (_, registered) = client.expect("I5: a link to a stranger");
            assert!(registered.redirect_uri.starts_with(home), "I5: a link elsewhere");
        }
    }

    /// I5 and I23 for a page about a validation that stands there.
    pub(super) fn seen(&self, ask: &Ask, response: &Response, stand: Option<&Stand>) {
        self.linked(ask, response, stand.and_then(|it| it.state.as_deref()));
        if let Some(stand) = stand {
            offers::check(ask, response, stand);
        }
    }

    /// I5 for the links of a page about a validation, whose request has this state.
    fn linked(&self, ask: &Ask, response: &Response, state: Option<&str>) {
        let case = ask.nonce().and_then(|id| self.cases.get(&id));
        let client = case.and_then(|it| self.clients.get(&it.opened.client));
        for url in ways_back(response) {
            let registered = client.expect("I5: a way back from nobody's validation");
            if !registered.redirect_uri.starts_with(url) {
                self.leads_back(url, registered, state);
            }
        }
    }

    /// I5 for a redirect or a link that reports an error.
    fn leads_back(&self, url: &str, registered: &Registered, state: Option<&str>) {
        assert!(url.starts_with(&registered.redirect_uri), "I5: an error goes elsewhere");
        let query = query_of(url);
        assert!(query.get("error").is_some(), "I5: a way back without an error");
        assert!(query.get("code").is_none(), "I4: a code without a solve");
        assert_eq!(query.get("state"), state, "I5: another state");
        assert_eq!(query.get("iss"), self.issuer.as_deref(), "I5: another issuer");
    }

    /// I20 for an answer about a token.
    fn introspected(&self, form: &Form, seen: &Glimpse, response: &Response, now: Timestamp) {
        let (client, _) = self.authenticated(form).expect("I20: a stranger asks about a token");
        let Body::Json(body) = &response.body else { panic!("/introspect speaks JSON") };
        let case = form.get("token").and_then(|token| self.case_of_token(token));
        let grant = case.filter(|_| seen.has_token).and_then(|case| case.granted.as_ref());
        let grant = grant.map(|(it, _)| it);
        let grant = grant.filter(|it| it.client == client && now < it.expires);
        let is_active = body.get("active").and_then(Value::as_bool);
        assert_eq!(is_active, Some(grant.is_some()), "I20: whether a token is good");
        let Some(grant) = grant else {
            let members = body.as_object().map(serde_json::Map::len);
            return assert_eq!(members, Some(1), "I20: more is said about a token");
        };
        let issuer = member(response, "iss");
        assert_eq!(member(response, "client_id"), Some(client.to_string()), "I20: the client");
        assert_eq!(body.get("exp"), Some(&grant.expires.seconds().into()), "I20: the end");
        assert_eq!(issuer.as_deref(), self.issuer.as_deref(), "I20: the issuer");
    }

    /// I21 for an answer about a validation.
    fn told(
        &self,
        id: &NonceDigest,
        secret: Option<&str>,
        seen: &Glimpse,
        response: &Response,
        now: Timestamp,
    ) {
        let (case, stand) = self.cases.get(id).zip(seen.stand.as_ref()).expect("I21: a stranger's");
        let registered = self.clients.get(&case.opened.client).expect("a registered client");
        assert_eq!(secret, Some(registered.secret.as_str()), "I21: a wrong secret");
        let is_over = now >= case.opened.expires || stand.budget == [0; 3];
        let stage = match stand.stage {
            "open" | "message_sent" if is_over => "over",
            "proved" if now >= case.opened.expires => "over",
            stage => stage,
        };
        assert_eq!(member(response, "state").as_deref(), Some(stage), "I21: another state");
        let Body::Json(body) = &response.body else { panic!("/status speaks JSON") };
        let names = ["changes_left", "pin_transmissions_left", "auth_attempts_left"];
        for (name, left) in names.into_iter().zip(stand.budget) {
            assert_eq!(body.get(name), Some(&left.into()), "I21: {name}");
        }
        assert_eq!(body.get("expires"), Some(&case.opened.expires.to_json()), "I21: the end");
        let text = text_of(response);
        let mut values = case.addresses().filter_map(Address::only_value);
        assert!(values.all(|value| !text.contains(value)), "I21: a status shows an address");
    }

    /// I22 for an answer that says whose token it is.
    pub(super) fn identified(&mut self, ask: &Ask, response: &Response) {
        let token = match ask {
            Ask::Info(token) => Some(token.as_str()),
            Ask::Introspect(form) => form.get("token"),
            _ => None,
        };
        let (Some(token), Some(subject)) = (token, member(response, "sub")) else { return };
        let case = self.case_of_token(token).expect("I3: a token that was never issued");
        let (grant, _) = case.granted.clone().expect("I3: a token without a grant");
        self.subjects.learn(grant.client, &grant.address, &subject);
    }
}

/// The nonce of the validation that an answer opened, and how. The validation lasts so long.
pub(super) fn opening(ask: &Ask, response: &Response, lasts: Span) -> (Way, String) {
    let (way, nonce) = match ask {
        Ask::Setup { .. } => (Way::Setup, member(response, "nonce")),
        Ask::Par(_) => {
            let uri = member(response, "request_uri").expect("I18: no request_uri");
            let Body::Json(body) = &response.body else { panic!("/par speaks JSON") };
            let seconds = REQUEST_URI_LIFETIME.min(lasts).as_seconds();
            assert_eq!(body.get("expires_in"), Some(&seconds.into()), "I18: another time");
            (Way::Pushed, super::ask::nonce_in(&uri).map(ToString::to_string))
        }
        Ask::Begin(..) => (Way::Direct, led_to(response).map(ToString::to_string)),
        _ => panic!("I9: {ask:?} opens a validation"),
    };
    (way, nonce.expect("a nonce"))
}
