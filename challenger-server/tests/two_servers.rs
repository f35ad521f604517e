//! Two servers with one database: each remembers rows, and notices what the other or an operator's
//! tool did to them.

#![cfg(all(feature = "postgres", feature = "sqlite"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod doubles;

use std::sync::{Arc, Mutex};

use challenger_proto::address::AddressType;
use challenger_proto::http::{Page, Request};
use challenger_proto::oauth::{ClientId, HashedSecret, RedirectUri};
use challenger_proto::{Entropy, Failure, Service, Span, Timestamp, Transmission};
use challenger_server::front::{Answer, Present, Respond};
use challenger_server::metrics::Metrics;
use challenger_server::places::{self, Places};
use challenger_server::ports::{Clock, EntropySource, Helper, Pages};
use challenger_server::recent::Recent;
use challenger_server::responder::Responder;
use challenger_server::store::{
    NewClient, OpenMode, PostgresDatabase, PostgresStore, Registry, Rotated, SqliteStore, Store,
};
use challenger_testkit::Cluster;
use doubles::{CountingEntropy, ManualClock};
use serde_json::Value;

const REDIRECT: &str = "https://client.example/cb";
const START: Timestamp = Timestamp::from_seconds(1_790_000_000);

/// Remembers the PIN of the latest message.
#[derive(Default)]
struct Postbag(Mutex<String>);

impl Helper for Postbag {
    fn send(&self, message: &Transmission) -> Result<(), Failure> {
        *self.0.lock().unwrap() = message.pin.digits().to_owned();
        Ok(())
    }
}

struct NoPages;

impl Pages for NoPages {
    fn render(&self, _: &Page) -> Option<String> {
        None
    }
}

/// Two servers, and an operator.
struct Site {
    servers: [Responder; 2],
    tool: Box<dyn Registry>,
    clock: Arc<ManualClock>,
    postbag: Arc<Postbag>,
    secret: &'static str,
}

impl Site {
    fn new(stores: [Arc<dyn Store>; 2], tool: Box<dyn Registry>) -> Self {
        let (clock, postbag) = (Arc::new(ManualClock::default()), Arc::new(Postbag::default()));
        clock.set(START);
        let entropy = Arc::new(CountingEntropy::default());
        let servers = stores.map(|store| Responder {
            service: Service::new(AddressType::new("email").unwrap()),
            store,
            helper: Arc::clone(&postbag) as Arc<dyn Helper>,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            entropy: Arc::clone(&entropy) as Arc<dyn EntropySource>,
            pages: Arc::new(NoPages),
            places: Places::new(places::Limits::default()),
            recent: Recent::default(),
            statistics: Arc::default(),
            metrics: Metrics::default(),
        });
        let site = Self { servers, tool, clock, postbag, secret: "first" };
        let secret = HashedSecret::new(site.secret, Entropy::new([3; 32]));
        assert_eq!(
            site.tool
                .add_client(&NewClient::new(Self::uri(), secret), START)
                .unwrap()
                .id()
                .number(),
            1
        );
        site
    }

    fn uri() -> RedirectUri {
        RedirectUri::parse(REDIRECT).unwrap()
    }

    /// Both servers have seen the row as it is after a message.
    fn challenge(&self) -> String {
        let bearer = format!("Bearer {}", self.secret);
        let setup = self.ask(0, Request::post("/setup/1", "").with("Authorization", &bearer));
        let nonce = member(&setup, "nonce");
        let address = format!("CONTACT_EMAIL=ada{}%40example.com", &nonce[..8]);
        let sent = self.ask(0, Request::post(&format!("/challenge/{nonce}"), address));
        assert_eq!(sent.status.0, 200);
        assert_eq!(self.authorize(1, &nonce, "").status.0, 200);
        nonce
    }

    fn ask(&self, server: usize, request: Request) -> Answer {
        self.servers[server].respond(request.with("Accept", "application/json"), &Present)
    }

    fn authorize(&self, server: usize, nonce: &str, more: &str) -> Answer {
        let target = format!("/authorize/{nonce}?response_type=code&client_id=1{more}");
        self.ask(server, Request::get(&target))
    }

    fn solve(&self, server: usize, nonce: &str, pin: &str) -> Answer {
        self.ask(server, Request::post(&format!("/solve/{nonce}"), format!("pin={pin}")))
    }

    /// The PIN of the latest message.
    fn pin(&self) -> String {
        self.postbag.0.lock().unwrap().clone()
    }

    /// Enters the right PIN, and returns the code.
    fn code(&self, server: usize, nonce: &str) -> String {
        let url = member(&self.solve(server, nonce, &self.pin()), "redirect_url");
        url.split_once("code=").unwrap().1.to_owned()
    }

    fn token(&self, server: usize, code: &str) -> Answer {
        let body = format!(
            "grant_type=authorization_code&client_id=1&client_secret={}&code={code}&\
            redirect_uri={REDIRECT}",
            self.secret
        );
        self.ask(server, Request::post("/token", body))
    }

    fn info(&self, server: usize, token: &str) -> Answer {
        let bearer = format!("Bearer {token}");
        self.ask(server, Request::get("/info").with("Authorization", &bearer))
    }
}

fn member(answer: &Answer, name: &str) -> String {
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    body[name].as_str().unwrap_or_else(|| panic!("no {name} in {body}")).to_owned()
}

/// The status of a refusal, and its number.
fn refusal(answer: &Answer) -> (u16, u64) {
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    (answer.status.0, body["code"].as_u64().unwrap())
}

/// Plays a scene on both databases.
fn on_both(scene: impl Fn(&mut Site)) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("two.sqlite");
    let open = |mode| SqliteStore::open(&file, mode).unwrap();
    open(OpenMode::Maintain).migrate().unwrap();
    let servers = [(); 2].map(|()| Arc::new(open(OpenMode::Serve)) as Arc<dyn Store>);
    scene(&mut Site::new(servers, Box::new(open(OpenMode::Use))));

    let cluster = Cluster::shared();
    let uri = cluster.uri(&cluster.create_database());
    let database = || PostgresDatabase::parse(&uri, |_| None).unwrap();
    let open = |mode| PostgresStore::open(database(), mode).unwrap();
    open(OpenMode::Maintain).migrate().unwrap();
    let servers = [(); 2].map(|()| Arc::new(open(OpenMode::Serve)) as Arc<dyn Store>);
    scene(&mut Site::new(servers, Box::new(open(OpenMode::Use))));
}

#[test]
fn a_row_that_another_server_changed_is_noticed() {
    on_both(|site| {
        let nonce = site.challenge();
        for server in [1, 0, 1] {
            assert_eq!(refusal(&site.solve(server, &nonce, "00000000")), (403, 9758), "judged");
        }
        let right = site.solve(0, &nonce, &site.pin());
        let body: Value = serde_json::from_slice(&right.body).unwrap();
        assert_eq!(body["exhausted"], true, "three guesses in all, wherever: {body}");

        let nonce = site.challenge();
        let code = site.code(0, &nonce);
        assert_eq!(site.code(1, &nonce), code, "a double click, at two servers");
        assert_eq!(site.authorize(1, &nonce, "&state=late").status.0, 200);
        assert_eq!(site.code(0, &nonce), code, "a solved one is not changed");
    });
}

#[test]
fn a_code_is_redeemed_once_and_a_revoked_token_is_void_at_once() {
    on_both(|site| {
        let nonce = site.challenge();
        let code = site.code(1, &nonce);
        assert_eq!(site.code(0, &nonce), code);
        let token = member(&site.token(0, &code), "access_token");
        assert_eq!(site.token(1, &code).status.0, 401, "the other one remembers it as solved");
        assert_eq!(site.info(1, &token).status.0, 200);
        site.clock.set(START.plus(Span::seconds(11)));
        assert_eq!(site.token(1, &code).status.0, 401);
        assert_eq!(site.info(0, &token).status.0, 404, "the late replay revoked it");
        assert_eq!(site.token(0, &code).status.0, 401);
    });
}

#[test]
fn a_row_that_a_tool_deleted_is_noticed() {
    on_both(|site| {
        let nonce = site.challenge();
        assert_eq!(site.tool.end_unsolved(site.tool.clients().unwrap()[0].id, START), Ok(1));
        let pin = site.pin();
        for server in [0, 1, 0, 1] {
            assert_eq!(site.solve(server, &nonce, &pin).status.0, 404);
            assert_eq!(site.authorize(server, &nonce, "").status.0, 404);
            assert_eq!(site.authorize(server, &nonce, "&state=new").status.0, 404);
        }

        // The clock of the tool may be ahead.
        let nonce = site.challenge();
        let code = site.code(0, &nonce);
        assert_eq!(site.code(1, &nonce), code);
        let collected = site.tool.collect_garbage(START.plus(Span::days(30))).unwrap();
        assert_eq!(collected.validations, 1);
        for server in [0, 1, 0, 1] {
            assert_eq!(site.token(server, &code).status.0, 401);
            assert_eq!(site.solve(server, &nonce, "00000000").status.0, 404);
        }
    });
}

#[test]
fn a_client_that_is_changed_or_deleted_is_noticed_at_once() {
    on_both(|site| {
        let nonce = site.challenge();
        let code = site.code(0, &nonce);
        assert_eq!(site.code(1, &nonce), code);
        let secret = HashedSecret::new("second", Entropy::new([4; 32]));
        let id = ClientId::new(1).unwrap();
        assert_eq!(site.tool.rotate_secret(id, secret, None, START), Ok(Rotated::Done));
        for server in [0, 1] {
            assert!(matches!(site.token(server, &code).status.0, 401 | 403), "the old secret");
        }
        site.secret = "second";
        let token = member(&site.token(1, &code), "access_token");

        let nonce = site.challenge();
        let code = site.code(0, &nonce);
        assert_eq!(site.tool.delete_client(id), Ok(true));
        for server in [0, 1] {
            assert_eq!(site.token(server, &code).status.0, 404, "no such client");
            assert_eq!(site.solve(server, &nonce, &site.pin()).status.0, 404);
            assert_eq!(site.info(server, &token).status.0, 404);
        }
    });
}
