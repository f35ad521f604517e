//! The golden transcripts over real sockets: front, responder, templates and store together answer,
//! byte for byte, what the stories say.

#![cfg(all(feature = "postgres", feature = "sqlite"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "../../challenger-proto/tests/transcript/mod.rs"]
mod transcript;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
#[cfg(feature = "tiny-http")]
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use challenger_proto::{
    AddressType, Entropy, HashedSecret, Page, RedirectUri, Timestamp, Transmission,
};
#[cfg(feature = "tiny-http")]
use challenger_server::front::Tiny;
use challenger_server::front::{Front, Limits, Respond};
use challenger_server::pages::Templates;
use challenger_server::places::{self, Places};
use challenger_server::responder::{Clock, EntropySource, Helper, HelperError, Pages, Responder};
use challenger_server::server::RenderedPages;
use challenger_server::store::{
    Added, OpenMode, PostgresDatabase, PostgresStore, Registry, SqliteStore, Store,
};
use challenger_testkit::Cluster;
use serde_json::Value;
use transcript::{Cue, Played, Shown, Stage, Transcript};

/// Far more than any answer takes here.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many stories are told at the same time.
const AT_ONCE: usize = 16;

#[derive(Default)]
struct Hands {
    seconds: AtomicU64,
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(self.seconds.load(Ordering::SeqCst))
    }
}

#[derive(Default)]
struct Counter(AtomicU8);

impl EntropySource for Counter {
    fn draw(&self) -> Entropy {
        Entropy::new([self.0.fetch_add(1, Ordering::SeqCst); 32])
    }
}

/// Keeps the PINs, and fails when the story says so.
#[derive(Default)]
struct Postbag {
    pins: Mutex<Vec<String>>,
    failure: Mutex<Option<String>>,
}

impl Helper for Postbag {
    fn send(&self, transmission: &Transmission) -> Result<(), HelperError> {
        self.pins.lock().unwrap().push(transmission.secret.digits().to_string());
        self.failure.lock().unwrap().take().map_or(Ok(()), |how| Err(HelperError(how)))
    }
}

/// An engine that serves a responder for as long as it is there, and where to connect to it.
trait Engine: Sized {
    type Stream: Read + Write;

    fn start(respond: Arc<dyn Respond>) -> Self;
    fn connect(&self) -> Self::Stream;
}

impl Engine for Front {
    type Stream = TcpStream;

    fn start(respond: Arc<dyn Respond>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self::start(listener, respond, Limits::default()).unwrap()
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.place()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
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
    type Stream = UnixStream;

    fn start(respond: Arc<dyn Respond>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("socket")).unwrap();
        Self { tiny: Tiny::start(listener.into(), &respond, 2).unwrap(), _folder: folder }
    }

    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.tiny.place()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }
}

#[cfg(feature = "tiny-http")]
impl Drop for Behind {
    fn drop(&mut self) {
        assert!(thread::panicking() || self.tiny.drain(PATIENCE));
    }
}

/// A server behind a socket.
struct Wire<E> {
    engine: E,
    address_type: AddressType,
    clock: Arc<Hands>,
    postbag: Arc<Postbag>,
    pages: Arc<RenderedPages>,
}

impl<E: Engine> Wire<E> {
    fn start(story: &Transcript, templates: Arc<Templates>, store: Arc<dyn Store>) -> Self {
        let clock = Arc::new(Hands::default());
        let postbag = Arc::new(Postbag::default());
        let address_type = story.head.service.address_type.clone();
        let pages = Arc::new(RenderedPages { templates, address_type: address_type.clone() });
        let responder = Responder {
            service: story.head.service.clone(),
            store,
            helper: Arc::clone(&postbag) as Arc<dyn Helper>,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            entropy: Arc::new(Counter::default()),
            pages: Arc::clone(&pages) as Arc<dyn Pages>,
            places: Places::new(places::Limits { helpers: 1, ..places::Limits::default() }),
        };
        Self { engine: E::start(Arc::new(responder)), address_type, clock, postbag, pages }
    }
}

impl<E: Engine> Stage for Wire<E> {
    fn play(&mut self, cue: &Cue) -> Played {
        self.clock.seconds.store(cue.now.seconds(), Ordering::SeqCst);
        self.postbag.pins.lock().unwrap().clear();
        *self.postbag.failure.lock().unwrap() = cue.helper_fails.clone();
        let mut stream = self.engine.connect();
        stream.write_all(&cue.to_bytes()).unwrap();
        let (status, headers, body) = read_response(&mut stream, cue.verb == "HEAD");
        Played {
            facts: None,
            pins: self.postbag.pins.lock().unwrap().clone(),
            grant: None,
            status,
            headers,
            body: Shown::Bytes(body),
            refusal: None,
        }
    }

    fn render(&mut self, page: &str, language: &str, data: &Value) -> Vec<u8> {
        let name = transcript::page_name(page, &self.address_type).unwrap();
        let page = Page { name, language: language.to_string(), data: data.clone().into() };
        self.pages.render(&page).unwrap().into_bytes()
    }
}

fn read_response(stream: &mut impl Read, is_head: bool) -> (u16, Vec<(String, String)>, Vec<u8>) {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    let end = loop {
        let found = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(end) = found {
            break end;
        }
        let count = stream.read(&mut chunk).unwrap();
        assert!(count > 0, "closed after {:?}", String::from_utf8_lossy(&bytes));
        bytes.extend(&chunk[..count]);
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut body = bytes.split_off(end + 4);
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "Content-Length");
    let length = length.map_or(0, |(_, value)| value.parse::<usize>().unwrap());
    while !is_head && body.len() < length {
        let count = stream.read(&mut chunk).unwrap();
        assert!(count > 0, "closed within the body");
        body.extend(&chunk[..count]);
    }
    (status, headers, body)
}

fn register(story: &Transcript, registry: &dyn Registry) {
    for (id, secret, uri) in &story.head.clients {
        let hashed = HashedSecret::new(secret, Entropy::new([7; 32]));
        let added = registry.add_client(&RedirectUri::parse(uri).unwrap(), hashed).unwrap();
        assert!(matches!(added, Added::New(new) if new.number() == *id), "{}", story.name);
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
