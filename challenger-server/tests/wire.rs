//! The golden transcripts over real sockets: front, responder, templates and store together answer,
//! byte for byte, what the stories say.

#![cfg(all(feature = "postgres", feature = "sqlite"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod doubles;

use std::net::{TcpListener, TcpStream};
#[cfg(feature = "tiny-http")]
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use challenger_proto::address::AddressType;
use challenger_proto::http::Page;
use challenger_proto::oauth::{HashedSecret, RedirectUri};
use challenger_proto::{Entropy, Failure, Transmission};
#[cfg(feature = "tiny-http")]
use challenger_server::front::Tiny;
use challenger_server::front::{Front, Limits, Respond};
use challenger_server::metrics::Metrics;
use challenger_server::pages::Templates;
use challenger_server::places::{self, Places};
use challenger_server::ports::{Clock, Helper, Pages};
use challenger_server::recent::Recent;
use challenger_server::responder::Responder;
use challenger_server::server::RenderedPages;
use challenger_server::store::{
    Added, Changed, Changes, NewClient, OpenMode, PostgresDatabase, PostgresStore, Registry,
    SqliteStore, Store,
};
use challenger_testkit::transcript::{self, Cue, Played, Shown, Stage, Transcript};
use challenger_testkit::{Cluster, Peer};
#[cfg(feature = "tiny-http")]
use challenger_testkit::{Place, WAIT};
use doubles::{CountingEntropy, ManualClock};
use serde_json::Value;

/// How many stories are played at the same time.
const AT_ONCE: usize = 16;

/// Keeps the PINs, and fails when the story says so.
#[derive(Default)]
struct Postbag {
    pins: Mutex<Vec<String>>,
    failure: Mutex<Option<Failure>>,
}

impl Helper for Postbag {
    fn send(&self, transmission: &Transmission) -> Result<(), Failure> {
        self.pins.lock().unwrap().push(transmission.pin.digits().to_string());
        self.failure.lock().unwrap().take().map_or(Ok(()), Err)
    }
}

/// An engine that serves a responder for as long as it is there, and where to connect to it.
trait Engine: Sized {
    fn start(respond: Arc<dyn Respond>) -> Self;
    fn connect(&self) -> Peer;
}

impl Engine for Front {
    fn start(respond: Arc<dyn Respond>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self::start(listener, respond, Limits::default()).unwrap()
    }

    fn connect(&self) -> Peer {
        Peer::new(TcpStream::connect(self.place()).unwrap())
    }
}

/// tiny_http on a UNIX socket.
#[cfg(feature = "tiny-http")]
struct Behind {
    tiny: Tiny,
    _folder: tempfile::TempDir,
}

#[cfg(feature = "tiny-http")]
impl Engine for Behind {
    fn start(respond: Arc<dyn Respond>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("socket")).unwrap();
        Self { tiny: Tiny::start(listener.into(), &respond, 2).unwrap(), _folder: folder }
    }

    fn connect(&self) -> Peer {
        Peer::new(Place::Unix(self.tiny.place().into()).connect().unwrap())
    }
}

#[cfg(feature = "tiny-http")]
impl Drop for Behind {
    fn drop(&mut self) {
        assert!(thread::panicking() || self.tiny.drain(WAIT));
    }
}

/// A server behind a socket.
struct Wire<E> {
    engine: E,
    address_type: AddressType,
    clock: Arc<ManualClock>,
    postbag: Arc<Postbag>,
    pages: Arc<RenderedPages>,
}

impl<E: Engine> Wire<E> {
    fn start(story: &Transcript, templates: Arc<Templates>, store: Arc<dyn Store>) -> Self {
        let clock = Arc::new(ManualClock::default());
        let postbag = Arc::new(Postbag::default());
        let address_type = story.head.service.address_type.clone();
        let pages = Arc::new(RenderedPages { templates, address_type: address_type.clone() });
        let responder = Responder {
            service: story.head.service.clone(),
            store,
            helper: Arc::clone(&postbag) as Arc<dyn Helper>,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            entropy: Arc::new(CountingEntropy::default()),
            pages: Arc::clone(&pages) as Arc<dyn Pages>,
            places: Places::new(places::Limits { helpers: 1, ..places::Limits::default() }),
            recent: Recent::default(),
            statistics: Arc::default(),
            metrics: Metrics::default(),
        };
        Self { engine: E::start(Arc::new(responder)), address_type, clock, postbag, pages }
    }
}

impl<E: Engine> Stage for Wire<E> {
    fn play(&mut self, cue: &Cue) -> Played {
        self.clock.set(cue.now);
        self.postbag.pins.lock().unwrap().clear();
        *self.postbag.failure.lock().unwrap() = cue.helper_fails.clone();
        let mut peer = self.engine.connect();
        assert!(peer.send(cue.to_bytes()));
        let reply = peer.try_reply_to(&cue.verb).unwrap();
        Played {
            facts: None,
            pins: self.postbag.pins.lock().unwrap().clone(),
            grant: None,
            status: reply.status,
            headers: reply.headers,
            body: Shown::Bytes(reply.body.into_bytes()),
            refusal: None,
        }
    }

    fn render(&mut self, page: &str, language: &str, data: &Value) -> Vec<u8> {
        let name = transcript::page_name(page, &self.address_type).unwrap();
        let page = Page { name, language: language.to_string(), data: data.clone().into() };
        self.pages.render(&page).unwrap().into_bytes()
    }
}

fn register(story: &Transcript, registry: &dyn Registry) {
    for client in &story.head.clients {
        let hashed = HashedSecret::new(&client.secret, Entropy::new([7; 32]));
        let redirect_uri = RedirectUri::parse(&client.redirect_uri).unwrap();
        let new = NewClient {
            messages_per_day: client.messages_per_day,
            name: client.name.clone(),
            open: client.open,
            ..NewClient::new(redirect_uri, hashed)
        };
        let added = registry.add_client(&new, story.head.start).unwrap();
        assert!(matches!(added, Added::New(new) if new.number() == client.id), "{}", story.name);
        let disabled = Changes { disabled: Some(client.disabled), ..Changes::default() };
        assert_eq!(registry.change_client(added.id(), &disabled), Ok(Changed::Done));
    }
}

/// Replays all portable stories, some at the same time, because most of it is waiting.
fn replay<E: Engine>(store: impl Fn(&Transcript) -> Arc<dyn Store> + Sync) {
    let templates = Arc::new(Templates::embedded().unwrap());
    let stories: Vec<Transcript> =
        transcript::all().into_iter().filter(Transcript::is_portable).collect();
    assert!(stories.len() >= 80);
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(story) = stories.get(next.fetch_add(1, Ordering::SeqCst)) {
                    story.replay(&mut Wire::<E>::start(
                        story,
                        Arc::clone(&templates),
                        store(story),
                    ));
                }
            });
        }
    });
}

#[test]
fn every_portable_story_comes_true_on_sqlite() {
    replay_on_sqlite::<Front>();
}

#[cfg(feature = "tiny-http")]
#[test]
fn every_portable_story_comes_true_through_tiny_http() {
    replay_on_sqlite::<Behind>();
}

fn replay_on_sqlite<E: Engine>() {
    let directory = tempfile::tempdir().unwrap();
    replay::<E>(|story| {
        let file = directory.path().join(format!("{}.sqlite", story.name));
        let store = SqliteStore::open(&file, OpenMode::Maintain).unwrap();
        store.migrate().unwrap();
        register(story, &store);
        Arc::new(store)
    });
}

#[test]
fn every_portable_story_comes_true_on_postgresql() {
    let cluster = Cluster::shared();
    replay::<Front>(|story| {
        let uri = cluster.uri(&cluster.create_database());
        let open = |mode| {
            let database = PostgresDatabase::parse(&uri, |_| None).unwrap();
            PostgresStore::open(database, mode).unwrap()
        };
        let registry = open(OpenMode::Maintain);
        registry.migrate().unwrap();
        register(story, &registry);
        Arc::new(open(OpenMode::Serve))
    });
}
