//! The shop's sessions: what it remembers of a browser that is at the service meanwhile.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use challenger_proto::http::Request;
use data_encoding::BASE64URL_NOPAD;

use super::exchange::Exchange;

/// Cookies are for all ports of a host, so the name is one that nobody else has.
const COOKIE: &str = "challenger_demo_session";

/// How many browsers may be at the service; the oldest session is forgotten for another one.
const SESSIONS_MAX: usize = 1000;

/// What belongs to one request to the service, and to one browser.
pub(super) struct Session {
    /// It comes back with the answer (RFC 6749 §10.12).
    pub(super) state: String,
    /// The shop alone knows it, so nobody else can use the code (RFC 7636).
    pub(super) verifier: String,
    /// What the shop has asked so far, for the page that explains it.
    pub(super) exchanges: Vec<Exchange>,
}

impl Session {
    pub(super) fn new() -> Self {
        Self { state: random(), verifier: random(), exchanges: Vec::new() }
    }
}

/// The sessions by the values of their cookies, the oldest first.
#[derive(Default)]
pub(super) struct Sessions(Mutex<VecDeque<(String, Session)>>);

impl Sessions {
    /// Keeps a session, and returns the cookie for its browser. A shop that is reached by `https:`
    /// adds `Secure`.
    pub(super) fn keep(&self, session: Session) -> String {
        let id = random();
        let cookie = format!("{COOKIE}={id}; Path=/; HttpOnly; SameSite=Lax");
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sessions.len() >= SESSIONS_MAX {
            sessions.pop_front();
        }
        sessions.push_back((id, session));
        cookie
    }

    /// Takes the session of this browser, if this is its state: each session is used once. A link
    /// with another state, which anybody can make the browser open, does not end it.
    pub(super) fn take(&self, request: &Request, state: &str) -> Option<Session> {
        let cookies = request.header("Cookie")?.split("; ");
        let id = cookies.filter_map(|it| it.split_once('=')).find(|(name, _)| *name == COOKIE)?.1;
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |(it, session): &(String, Session)| it == id && session.state == state;
        let index = sessions.iter().position(is_it)?;
        sessions.remove(index).map(|(_, session)| session)
    }
}

/// A text that nobody guesses.
fn random() -> String {
    BASE64URL_NOPAD.encode(&rand::random::<[u8; 32]>())
}

#[cfg(test)]
mod tests {
    use challenger_proto::http::Method;

    use super::*;

    fn request(cookie: &str) -> Request {
        let headers = vec![("cookie".to_owned(), cookie.to_owned())];
        Request { method: Method::Get, target: "/".to_owned(), headers, body: Vec::new() }
    }

    /// Keeps a session; returns what its browser sends, and its state.
    fn keep(sessions: &Sessions) -> (Request, String) {
        let session = Session::new();
        let state = session.state.clone();
        let cookie = sessions.keep(session);
        (request(&format!("a=b; {}", cookie.split(';').next().unwrap())), state)
    }

    #[test]
    fn a_session_is_for_one_browser_and_one_use() {
        let sessions = Sessions::default();
        let [(ada, state), (eve, other)] = [keep(&sessions), keep(&sessions)];
        assert!(sessions.take(&eve, &state).is_none());
        assert!(sessions.take(&ada, &other).is_none());
        assert!(sessions.take(&request(COOKIE), &state).is_none());
        assert!(sessions.take(&request(&format!("{COOKIE}=")), &state).is_none());
        assert_eq!(sessions.take(&ada, &state).unwrap().state, state);
        assert!(sessions.take(&ada, &state).is_none());
        assert!(sessions.take(&eve, &other).is_some());
    }

    #[test]
    fn the_oldest_session_makes_room() {
        let sessions = Sessions::default();
        let (first, second) = (keep(&sessions), keep(&sessions));
        (1..SESSIONS_MAX).for_each(|_| drop(keep(&sessions)));
        assert!(sessions.take(&first.0, &first.1).is_none());
        assert!(sessions.take(&second.0, &second.1).is_some());
    }
}
