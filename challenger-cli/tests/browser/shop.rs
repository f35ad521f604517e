//! The client: a web site on an origin of its own that people are sent back to.
//!
//! With the state [`ONWARD`] it sends them on to a third origin, as clients do that have a page
//! elsewhere.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use challenger_proto::Refused;
use challenger_proto::http::{Form, Request, Status};
use challenger_server::front::{Answer, Front, Limits, Peer, Respond};

/// The state of somebody who stays at the shop. It has everything that must be escaped.
pub const HERE: &str = "a b&c=d/ü";
/// The state of somebody who is sent on.
pub const ONWARD: &str = "onward";

/// The shop, and the place that it sends people on to.
pub struct Shop {
    /// Where people come back to.
    pub redirect_uri: String,
    /// Where people with that state are sent on to.
    pub onward_uri: String,
    arrivals: Arc<Mutex<Vec<Arrival>>>,
    failures: Arc<Mutex<Vec<Failure>>>,
    _fronts: [Front; 2],
}

/// Somebody who came back.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival {
    pub code: String,
    pub state: String,
}

/// Somebody who came back without a proof.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    pub error: String,
    pub state: String,
}

impl Shop {
    pub fn open() -> Self {
        let arrivals = Arc::<Mutex<Vec<Arrival>>>::default();
        let failures = Arc::<Mutex<Vec<Failure>>>::default();
        let start = |host: &str, onward_uri: Option<String>| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            let (arrivals, failures) = (Arc::clone(&arrivals), Arc::clone(&failures));
            let desk = Desk { onward_uri, arrivals, failures };
            let front = Front::start(listener, Arc::new(desk), Limits::default()).unwrap();
            (front, format!("http://{host}:{port}"))
        };
        let (elsewhere, origin) = start("127.0.0.1", None);
        let onward_uri = format!("{origin}/arrived");
        let (shop, origin) = start("localhost", Some(onward_uri.clone()));
        let redirect_uri = format!("{origin}/callback?shop=1");
        Self { redirect_uri, onward_uri, arrivals, failures, _fronts: [shop, elsewhere] }
    }

    /// Everybody who came back so far.
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.arrivals.lock().unwrap().clone()
    }

    /// Everybody who came back without a proof so far.
    pub fn failures(&self) -> Vec<Failure> {
        self.failures.lock().unwrap().clone()
    }
}

/// Answers requests on one of the origins.
struct Desk {
    /// Where to send people on to; `None` where their way ends.
    onward_uri: Option<String>,
    arrivals: Arc<Mutex<Vec<Arrival>>>,
    failures: Arc<Mutex<Vec<Failure>>>,
}

impl Respond for Desk {
    fn respond(&self, request: Request, _: &dyn Peer) -> Answer {
        let query = Form::parse(request.query().as_bytes()).unwrap();
        let state = query.get("state").unwrap_or_default();
        if let Some(error) = query.get("error") {
            let failure = Failure { error: error.to_string(), state: state.to_string() };
            self.failures.lock().unwrap().push(failure);
            return page("Something went wrong");
        }
        if request.target == "/" {
            return page("The shop's first page");
        }
        let Some(code) = query.get("code") else {
            // Browsers ask for an icon, too.
            return Answer { status: Status(204), headers: Vec::new(), body: [].into() };
        };
        if let Some(place) = self.onward_uri.as_ref().filter(|_| state == ONWARD) {
            let place = format!("{place}?{}", request.query());
            return Answer {
                status: Status(302),
                headers: vec![("Location", place.into())],
                body: [].into(),
            };
        }
        let arrival = Arrival { code: code.to_string(), state: state.to_string() };
        self.arrivals.lock().unwrap().push(arrival);
        page("Welcome back")
    }

    fn refuse(&self, _: Option<&Request>, _: Refused) -> Answer {
        Answer { status: Status(400), headers: Vec::new(), body: [].into() }
    }
}

/// A page of the shop with a sentence.
fn page(sentence: &str) -> Answer {
    Answer {
        status: Status(200),
        headers: vec![("Content-Type", "text/html; charset=utf-8".into())],
        body: format!("<!DOCTYPE html><title>Shop</title>{sentence}").into_bytes().into(),
    }
}
