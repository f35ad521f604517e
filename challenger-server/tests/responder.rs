//! The loop that carries out steps: its order, its patience, and its answers in trouble.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod doubles;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use challenger_proto::address::AddressType;
use challenger_proto::http::{Page, PageName, Request};
use challenger_proto::oauth::{Client, ClientId, HashedSecret, RedirectUri};
use challenger_proto::store::{Commit, Keys, Records, Rows, Write};
use challenger_proto::{Entropy, Failure, FailureKind, Service, Timestamp, Transmission};
use challenger_server::front::{Answer, Present, Respond};
use challenger_server::metrics::Metrics;
use challenger_server::places::{self, Places};
use challenger_server::ports::{Helper, Pages};
use challenger_server::recent::Recent;
use challenger_server::responder::Responder;
use challenger_server::store::{Statistic, Store, StoreError};
use challenger_testkit::at_once;
use challenger_testkit::audit::query_of;
use doubles::{CountingEntropy, ManualClock};
use serde_json::Value;

/// The events, in order.
type Diary = Arc<Mutex<Vec<&'static str>>>;

/// A store that can be in trouble.
#[derive(Default)]
struct Shelf {
    records: Mutex<Records>,
    diary: Diary,
    conflicts: AtomicUsize,
    unreadable: AtomicBool,
    unwritable: AtomicBool,
    panics: AtomicBool,
    /// A signal that commits wait for, if there is one.
    hangs: Mutex<Option<mpsc::Receiver<()>>>,
}

impl Store for Shelf {
    fn load(&self, keys: &Keys) -> Result<Rows, StoreError> {
        assert!(!self.panics.load(Ordering::SeqCst), "the shelf fell over");
        if self.unreadable.load(Ordering::SeqCst) {
            return Err(StoreError("no shelf".to_string()));
        }
        self.diary.lock().unwrap().push("load");
        Ok(self.records.lock().unwrap().load(keys))
    }

    fn add_to_statistics(&self, _: &[Statistic]) -> Result<(), StoreError> {
        Ok(())
    }

    fn commit(&self, write: &Write) -> Result<Commit, StoreError> {
        if self.unwritable.load(Ordering::SeqCst) {
            return Err(StoreError("no pencil".to_string()));
        }
        self.diary.lock().unwrap().push("commit");
        let hangs = self.hangs.lock().unwrap().take();
        hangs.into_iter().for_each(|word| word.recv().unwrap());
        let left = self.conflicts.load(Ordering::SeqCst);
        if left > 0 {
            self.conflicts.store(left - 1, Ordering::SeqCst);
            return Ok(Commit::Conflict);
        }
        Ok(self.records.lock().unwrap().commit(write))
    }
}

/// A helper that can fail.
#[derive(Default)]
struct Postman {
    diary: Diary,
    fails: AtomicBool,
    pins: Mutex<Vec<String>>,
    /// A signal that the next message waits for, if there is one.
    waits: Mutex<Option<mpsc::Receiver<()>>>,
}

impl Helper for Postman {
    fn send(&self, transmission: &Transmission) -> Result<(), Failure> {
        self.diary.lock().unwrap().push("send");
        self.pins.lock().unwrap().push(transmission.pin.digits().to_string());
        let waits = self.waits.lock().unwrap().take();
        waits.into_iter().for_each(|word| word.recv().unwrap());
        if self.fails.load(Ordering::SeqCst) {
            Err(Failure::new(FailureKind::TryLater, "fell asleep"))
        } else {
            Ok(())
        }
    }
}

/// Renders the address form only.
struct OnePage;

impl Pages for OnePage {
    fn render(&self, page: &Page) -> Option<String> {
        (page.name == PageName::EnterAddressForm).then(|| "a form".to_string())
    }
}

struct Scene {
    responder: Responder,
    shelf: Arc<Shelf>,
    postman: Arc<Postman>,
    diary: Diary,
}

fn scene_with(helpers: usize) -> Scene {
    scene_of(places::Limits { helpers, ..places::Limits::default() })
}

fn scene_of(places: places::Limits) -> Scene {
    let diary = Diary::default();
    let shelf = Arc::new(Shelf { diary: Arc::clone(&diary), ..Shelf::default() });
    shelf.records.lock().unwrap().insert_client(Client::new(
        ClientId::new(1).unwrap(),
        RedirectUri::parse("https://client.example/cb").unwrap(),
        HashedSecret::new("s", Entropy::new([0; 32])),
    ));
    let postman = Arc::new(Postman { diary: Arc::clone(&diary), ..Postman::default() });
    let mut service = Service::new(AddressType::new("email").unwrap());
    for name in PageName::ALL {
        service.pages.insert(name, "en");
    }
    let clock = ManualClock::default();
    clock.set(Timestamp::from_seconds(1_790_000_000));
    let responder = Responder {
        service,
        store: Arc::clone(&shelf) as Arc<dyn Store>,
        helper: Arc::clone(&postman) as Arc<dyn Helper>,
        clock: Arc::new(clock),
        entropy: Arc::new(CountingEntropy::default()),
        pages: Arc::new(OnePage),
        places: Places::new(places),
        recent: Recent::default(),
        statistics: Arc::default(),
        metrics: Metrics::default(),
    };
    Scene { responder, shelf, postman, diary }
}

fn scene() -> Scene {
    scene_with(4)
}

impl Scene {
    fn ask(&self, request: Request) -> Answer {
        self.responder.respond(request, &Present)
    }

    fn setup(&self) -> String {
        let answer = self.ask(Request::post("/setup/1", "").with("Authorization", "Bearer s"));
        json(&answer)["nonce"].as_str().unwrap().to_string()
    }

    fn challenge(&self, nonce: &str) -> Answer {
        self.ask(Request::post(&format!("/challenge/{nonce}"), "CONTACT_EMAIL=a%40b"))
    }

    fn forget(&self) {
        self.diary.lock().unwrap().clear();
    }

    fn diary(&self) -> Vec<&'static str> {
        self.diary.lock().unwrap().clone()
    }
}

fn json(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

fn refusal(answer: &Answer) -> (u16, u64) {
    (answer.status.0, json(answer)["code"].as_u64().unwrap())
}

#[test]
fn a_message_is_written_before_it_is_sent() {
    let scene = scene();
    let nonce = scene.setup();
    scene.forget();
    assert_eq!(scene.challenge(&nonce).status.0, 200);
    assert_eq!(scene.diary(), ["load", "commit", "send"]);
}

#[test]
fn a_conflict_is_looked_at_again_and_sends_once() {
    let scene = scene();
    let nonce = scene.setup();
    scene.forget();
    scene.shelf.conflicts.store(2, Ordering::SeqCst);
    assert_eq!(scene.challenge(&nonce).status.0, 200);
    assert_eq!(scene.diary(), ["load", "commit", "load", "commit", "load", "commit", "send"]);
}

#[test]
fn a_row_that_is_remembered_need_not_be_loaded_before_it_is_written() {
    let scene = scene();
    let nonce = scene.setup();
    let authorize = |state| {
        let target = format!("/authorize/{nonce}?response_type=code&client_id=1&state={state}");
        scene.forget();
        assert_eq!(scene.ask(Request::get(&target)).status.0, 200);
        scene.diary()
    };
    assert_eq!(authorize("one"), ["commit"]);
    assert_eq!(authorize("one"), ["load"], "nothing to write, so nothing would prove the row");
    scene.shelf.conflicts.store(1, Ordering::SeqCst);
    assert_eq!(authorize("two"), ["commit", "load", "commit"]);
    assert_eq!(scene.challenge(&nonce).status.0, 200);
    scene.forget();
    let pin = scene.postman.pins.lock().unwrap()[0].clone();
    let solve = || scene.ask(Request::post(&format!("/solve/{nonce}"), format!("pin={pin}")));
    let code = solve().headers.iter().find(|(name, _)| *name == "Location").unwrap().1.to_string();
    let code = query_of(&code).get("code").unwrap().to_string();
    assert_eq!(scene.diary(), ["commit"]);
    let token = format!(
        "grant_type=authorization_code&client_id=1&client_secret=s&code={code}&\
        redirect_uri=https://client.example/cb"
    );
    scene.forget();
    assert_eq!(scene.ask(Request::post("/token", token)).status.0, 200);
    assert_eq!(scene.diary(), ["load", "commit"], "its client is loaded");
}

#[test]
fn a_commit_in_trouble_is_not_remembered() {
    let scene = scene();
    let nonce = scene.setup();
    let target = format!("/authorize/{nonce}?response_type=code&client_id=1&state=new");
    scene.shelf.unwritable.store(true, Ordering::SeqCst);
    assert_eq!(refusal(&scene.ask(Request::get(&target))), (500, 52));
    scene.shelf.unwritable.store(false, Ordering::SeqCst);
    scene.forget();
    assert_eq!(scene.ask(Request::get(&target)).status.0, 200);
    assert_eq!(scene.diary(), ["load", "commit"]);
}

#[test]
fn endless_conflicts_end_with_a_clear_no() {
    let scene = scene();
    let nonce = scene.setup();
    scene.forget();
    scene.shelf.conflicts.store(usize::MAX, Ordering::SeqCst);
    let answer = scene.challenge(&nonce);
    assert_eq!(refusal(&answer), (500, 55));
    assert!(answer.headers.contains(&("Retry-After", "1".into())));
    assert!(!scene.diary().contains(&"send"));
}

#[test]
fn a_failed_message_is_given_back() {
    let scene = scene();
    let nonce = scene.setup();
    scene.forget();
    scene.postman.fails.store(true, Ordering::SeqCst);
    let answer = scene.challenge(&nonce);
    assert_eq!(refusal(&answer), (502, 9752));
    assert_eq!(json(&answer)["detail"], "the delivery may succeed later: fell asleep");
    assert_eq!(scene.diary(), ["load", "commit", "send", "load", "commit"]);
    scene.postman.fails.store(false, Ordering::SeqCst);
    assert_eq!(json(&scene.challenge(&nonce))["transmitted"], true, "due at once");
    let pins = scene.postman.pins.lock().unwrap().clone();
    assert_eq!(pins[0], pins[1], "the same address, the same PIN");
}

#[test]
fn without_a_free_helper_nothing_is_charged() {
    let patience = Duration::ZERO;
    let scene = scene_of(places::Limits { helpers: 0, waiting: 9, patience });
    let nonce = scene.setup();
    scene.forget();
    for _ in 0..20 {
        let answer = scene.challenge(&nonce);
        assert_eq!(refusal(&answer), (503, 9752));
        assert!((3..=9).contains(&retry_after(&answer)));
    }
    assert_eq!(scene.diary(), ["load"; 40], "looked at again, and not charged");
    let times: BTreeSet<u64> = (0..20).map(|_| retry_after(&scene.challenge(&nonce))).collect();
    assert!(times.len() > 1, "a crowd would come back in step");
}

/// When a peer is to try again.
fn retry_after(answer: &Answer) -> u64 {
    let found = answer.headers.iter().find(|(name, _)| *name == "Retry-After");
    found.unwrap().1.parse().unwrap()
}

#[test]
fn whoever_waits_for_a_helper_holds_nothing_and_decides_again() {
    let scene = scene_with(1);
    let (first, second) = (scene.setup(), scene.setup());
    let (word, waits) = mpsc::channel();
    *scene.postman.waits.lock().unwrap() = Some(waits);
    scene.forget();
    thread::scope(|scope| {
        // A failure in here drops it, so that no thread waits for it for ever.
        let word = word;
        let slow = scope.spawn(|| scene.challenge(&first));
        wait_until(|| scene.diary().contains(&"send"));
        // Two want the same message: the later one has the turn.
        let earlier = scope.spawn(|| scene.challenge(&second));
        wait_until(|| scene.responder.places.usage().waiting == 1);
        assert_eq!(scene.diary(), ["load", "commit", "send", "load"], "no commit");
        let later = scope.spawn(|| scene.challenge(&second));
        assert_eq!(refusal(&earlier.join().unwrap()), (503, 9752));
        assert!(!later.is_finished());
        word.send(()).unwrap();
        assert_eq!(slow.join().unwrap().status.0, 200);
        assert_eq!(json(&later.join().unwrap())["transmitted"], true);
        assert!(scene.diary().ends_with(&["load", "commit", "send"]), "it decides again");
    });
    assert_eq!(scene.postman.pins.lock().unwrap().len(), 2, "each message once");
}

#[test]
fn nobody_waits_for_a_helper_without_end() {
    let patience = Duration::from_millis(50);
    let scene = scene_of(places::Limits { helpers: 1, waiting: 9, patience });
    let (first, second) = (scene.setup(), scene.setup());
    let (word, hangs) = mpsc::channel();
    *scene.shelf.hangs.lock().unwrap() = Some(hangs);
    scene.forget();
    thread::scope(|scope| {
        let word = word;
        let slow = scope.spawn(|| scene.challenge(&first));
        wait_until(|| scene.diary().contains(&"commit"));
        assert_eq!(refusal(&scene.challenge(&second)), (503, 9752), "before that commit");
        word.send(()).unwrap();
        assert_eq!(slow.join().unwrap().status.0, 200);
    });
    assert_eq!(scene.challenge(&second).status.0, 200, "nothing was charged, nothing is taken");
}

#[test]
fn a_helper_that_failed_has_given_its_place_back_when_that_is_written_down() {
    let scene = scene_with(1);
    let nonces = [scene.setup(), scene.setup()];
    scene.postman.fails.store(true, Ordering::SeqCst);
    for nonce in nonces.iter().cycle().take(6) {
        assert_eq!(refusal(&scene.challenge(nonce)), (502, 9752));
    }
}

/// Nothing here takes long, so this is a busy loop.
fn wait_until(condition: impl Fn() -> bool) {
    while !condition() {
        thread::yield_now();
    }
}

#[test]
fn trouble_with_the_store_is_told_in_the_shape_of_the_path() {
    let scene = scene();
    let nonce = scene.setup();
    scene.shelf.unwritable.store(true, Ordering::SeqCst);
    assert_eq!(refusal(&scene.challenge(&nonce)), (500, 52));
    assert!(!scene.diary().contains(&"send"), "not without a write");
    scene.shelf.unreadable.store(true, Ordering::SeqCst);
    assert_eq!(refusal(&scene.challenge(&nonce)), (500, 53));
    let body = "grant_type=authorization_code&client_id=1&client_secret=s&code=x&redirect_uri=y";
    let token = scene.ask(Request::post("/token", body));
    assert_eq!(refusal(&token), (500, 53));
    assert_eq!(json(&token)["error"], "server_error");
    for path in ["/config", "/terms", "/privacy", "/"] {
        let answer = scene.ask(Request::get(path));
        assert!(matches!(answer.status.0, 200 | 501), "{path} needs no store");
    }
    scene.shelf.unreadable.store(false, Ordering::SeqCst);
    scene.shelf.unwritable.store(false, Ordering::SeqCst);
    assert_eq!(scene.challenge(&nonce).status.0, 200, "nothing was lost");
}

#[test]
fn a_panic_costs_one_answer() {
    let scene = scene();
    let nonce = scene.setup();
    scene.shelf.panics.store(true, Ordering::SeqCst);
    assert_eq!(refusal(&scene.challenge(&nonce)), (500, 60));
    scene.shelf.panics.store(false, Ordering::SeqCst);
    assert_eq!(scene.challenge(&nonce).status.0, 200);
}

#[test]
fn pages_are_rendered_and_a_broken_template_is_told_as_json() {
    let scene = scene();
    let nonce = scene.setup();
    let target = format!("/authorize/{nonce}?response_type=code&client_id=1");
    let answer = scene.ask(Request::get(&target).with("Accept", "text/html"));
    assert_eq!((answer.status.0, &*answer.body), (200, &b"a form"[..]));
    let form = Request::post(&format!("/challenge/{nonce}"), "CONTACT_EMAIL=a%40b");
    let answer = scene.ask(form.with("Accept", "text/html"));
    assert_eq!(refusal(&answer), (500, 75));
    assert_eq!(json(&answer)["detail"], "enter-tan-form");
}

#[test]
fn many_requests_on_one_row_all_get_their_answer() {
    let scene = scene_with(64);
    let nonce = scene.setup();
    assert_eq!(scene.challenge(&nonce).status.0, 200);
    let right = scene.postman.pins.lock().unwrap()[0].parse::<u64>().unwrap();
    let wrong = format!("pin={:08}", (right + 1) % 100_000_000);
    let solve = Request::post(&format!("/solve/{nonce}"), wrong).with("Accept", "application/json");
    let answers = at_once(64, || scene.ask(solve.clone()));
    assert!(answers.iter().all(|answer| refusal(answer) == (403, 9758)));
    let judged = answers.iter().filter(|answer| json(answer)["exhausted"] == false).count();
    assert_eq!(judged, 3);
}
