//! What people and clients learn from an answer.

use challenger_proto::http::{Body, Response};
use challenger_proto::{Refusal, Span};

use super::{Journey, Proposal};
use crate::audit::{Ask, led_to, query_of, redirect_of};
use crate::simulation::screen::Screen;
use crate::simulation::server::{Arrival, Server, What};
use crate::world;

impl Journey {
    /// An answer arrives, or it is lost.
    pub(crate) fn receive(&mut self, arrival: &Arrival, server: &mut Server<'_>) {
        self.in_flight -= 1;
        let Some(response) = &arrival.response else { return };
        let is_mine = match &arrival.ask {
            Ask::Setup { .. } => self.nonce.is_none(),
            Ask::Par(_) => self.nonce.is_none() && self.link.is_none(),
            Ask::Begin(_, form) => {
                self.nonce.is_none() && form.get("request_uri") == self.link.as_deref()
            }
            Ask::Token(form) => form.get("code") == self.code.as_deref(),
            Ask::Info(token) => Some(token) == self.token.as_ref(),
            ask => ask.nonce() == self.id(),
        };
        if !is_mine {
            return;
        }
        match arrival.errand.what {
            What::Setup => self.nonce = world::member(response, "nonce"),
            What::Token => self.receive_token(response),
            What::Info => self.receive_info(response, server),
            What::Visit | What::Address | What::Code => {
                self.receive_page(&arrival.ask, response, server);
            }
            What::Push => self.link = world::member(response, "request_uri"),
            What::Arrive => self.receive_link(response, server),
            What::Bent(_)
            | What::Introspect
            | What::Other(_)
            | What::Preview
            | What::Revoke
            | What::Status => {}
        }
    }

    /// The link leads to the validation, or it is too old, and the client makes another.
    fn receive_link(&mut self, response: &Response, server: &mut Server<'_>) {
        if response.refusal == Some(Refusal::RequestUriUnknown) {
            server.tally.did("a person comes too late");
            self.start_over();
        }
        self.nonce = led_to(response).map(ToString::to_string);
    }

    /// No message may be sent there for now. People go back to the link, wait as long as the answer
    /// says, or take another of their addresses.
    fn meet_a_budget(&mut self, ask: &Ask, response: &Response, server: &mut Server<'_>) {
        let Ask::Challenge(_, form) = ask else { panic!("I15: no message was asked for") };
        let to = form.get("CONTACT_EMAIL").unwrap_or_default().to_string();
        let seconds = response.header("Retry-After").map(|it| it.parse().unwrap());
        assert!(seconds.is_some() || !self.owns(&to), "I15: an address is full for ever");
        self.screen = Screen::Nothing;
        self.delays += 1;
        self.requests = 0;
        if self.has_pages
            && self.who.is_multiple_of(2)
            && world::member(response, "other_address").as_deref() == Some("true")
            && to == self.address(self.spares)
            && self.proposal != Proposal::Fixed
            && self.spares < 3
        {
            server.tally.did("a person does without an address whose budget is spent");
            self.spares += 1;
            return;
        }
        server.tally.did("a person waits for a budget");
        self.hold = seconds.map(|it| server.now.plus(Span::seconds(it)));
    }

    fn receive_page(&mut self, ask: &Ask, response: &Response, server: &mut Server<'_>) {
        if response.refusal == Some(Refusal::ValidationUnknown) {
            return self.start_over();
        }
        if response.refusal == Some(Refusal::OverBudget) {
            return self.meet_a_budget(ask, response, server);
        }
        let entered = match ask {
            Ask::Solve(_, form) => form.get("pin"),
            _ => None,
        };
        if let Ask::Challenge(_, form) = ask
            && response.refusal == Some(Refusal::TooManyAttempts)
            && form.get("CONTACT_EMAIL") == Some(self.address(self.spares).as_str())
        {
            // The budget of this address was used up before another took its place.
            self.spares += 1;
        }
        if let Some(url) = redirect_of(response) {
            assert!(url.starts_with(self.client.redirect), "I5: a redirect elsewhere");
            let code = query_of(&url).get("code").map(ToString::to_string);
            self.is_stale &= entered.is_none();
            self.code = code;
            return;
        }
        self.screen = Screen::of(response, server.now);
        if matches!(self.screen, Screen::Done) && self.token.is_none() && self.in_flight == 0 {
            // The client lost the token that the code bought.
            self.code = None;
        }
        let mut wrong = world::member(response, "exhausted").as_deref() == Some("false")
            && world::member(response, "no_challenge").as_deref() == Some("false");
        if let Screen::View(view) = &self.screen {
            self.tabs.push((view.clone(), server.crashes));
            wrong = view.was_wrong;
        }
        if wrong {
            self.wrong.extend(entered.map(ToString::to_string));
        }
    }

    fn receive_token(&mut self, response: &Response) {
        match response.refusal {
            None => self.token = world::member(response, "access_token"),
            // Also one that went stale otherwise: the PIN was entered again in another tab.
            Some(Refusal::CodeExpired | Refusal::CodeMismatch) => {
                self.is_stale = true;
                self.renewals += 1;
            }
            Some(Refusal::CodeSpent) if self.token.is_none() && self.in_flight == 0 => {
                self.screen = Screen::Done;
                self.code = None;
            }
            Some(Refusal::ValidationUnknownToCode) if self.token.is_none() => self.start_over(),
            Some(_) => {}
        }
    }

    fn receive_info(&mut self, response: &Response, server: &mut Server<'_>) {
        match response.refusal {
            None => {
                let address = address_of(response);
                assert!(self.owns(&address), "I4: somebody else's address");
                if !self.is_done {
                    server.tally.did("a person holds a grant");
                }
                self.is_done = true;
            }
            Some(Refusal::GrantUnknown) => self.start_over(),
            Some(_) => {}
        }
    }
}

/// The address at `/info`.
fn address_of(response: &Response) -> String {
    let Body::Json(body) = &response.body else { return String::new() };
    let address = body.get("address").and_then(|it| it.get("CONTACT_EMAIL"));
    address.and_then(|it| it.as_str()).unwrap_or_default().to_string()
}
