//! The pulse of a front, and the watchdog that feels it: a service that is busy is alive, and one
//! that hangs is not.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod site;

use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use challenger_proto::Refused;
use challenger_proto::http::{Request, Status};
use challenger_server::front::{self, Answer, Front, Limits, Respond, Traffic};
use challenger_server::notify::Watchdog;
use challenger_testkit::{WAIT, notified, wait_for};
use site::{GET, SOON, Site, patient};

/// Answers while it is not held up.
#[derive(Default)]
struct Moody {
    is_stuck: Mutex<bool>,
    goes_on: Condvar,
    has_noticed: AtomicBool,
}

impl Moody {
    fn set_stuck(&self, stuck: bool) {
        *self.is_stuck.lock().unwrap() = stuck;
        self.goes_on.notify_all();
    }
}

impl Respond for Moody {
    fn respond(&self, _: Request, _: &dyn front::Peer) -> Answer {
        let stuck = self.is_stuck.lock().unwrap();
        self.has_noticed.store(*stuck, Ordering::Relaxed);
        drop(self.goes_on.wait_while(stuck, |stuck| *stuck).unwrap());
        Answer { status: Status(200), headers: Vec::new(), body: [].into() }
    }

    fn refuse(&self, _: Option<&Request>, _: Refused) -> Answer {
        panic!("nothing is refused");
    }
}

fn moody() -> (Arc<Moody>, Front) {
    let respond = Arc::new(Moody::default());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let front = Front::start(listener, respond.clone(), Limits::default()).unwrap();
    (respond, front)
}

#[test]
fn a_busy_front_answers_itself() {
    let limits = Limits { connections: 2, ..patient() };
    let site = Site::start(limits);
    let pulse = site.front.pulse();
    assert!(pulse.answers(WAIT));
    // Our own connection has a place until it has ended, in which others would make it leave.
    site.wait_until(|_| pulse.traffic().open == 0);
    let gate = GET.replace("GET /", "GET /gate");
    let mut peers = [site.connect_and_send(&gate), site.connect_and_send(&gate)];
    site.wait_until(|site| site.decided() == 3);
    // A stranger is turned away, and we are not.
    assert!(site.connect_and_send(GET).reply().is_none());
    assert!(pulse.answers(WAIT));
    let full = Traffic { open: 2, evicted: 0, turned_away: 1 };
    site.wait_until(|_| pulse.traffic() == full);
    site.respond.open_gate();
    for peer in &mut peers {
        assert_eq!(peer.reply().unwrap().body, "GET /gate 0");
    }
    // Now the first of them makes room.
    site.serves();
    site.wait_until(|_| pulse.traffic().evicted == 1);
    assert!(pulse.answers(WAIT));
}

#[test]
fn a_front_that_hangs_does_not_answer_itself() {
    let (moody, front) = moody();
    assert!(front.pulse().answers(WAIT));
    moody.set_stuck(true);
    assert!(!front.pulse().answers(SOON));
    moody.set_stuck(false);
    assert!(front.pulse().answers(WAIT));
}

#[test]
fn a_drain_ends_by_itself() {
    let (moody, mut front) = moody();
    moody.set_stuck(true);
    let pulse = front.pulse();
    assert!(!pulse.answers(SOON));
    assert!(!front.drain(SOON), "a request hangs");
    assert!(pulse.answers(WAIT), "whoever drains has a limit of its own");
    moody.set_stuck(false);
}

#[test]
fn the_watchdog_is_fed_by_answers_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(WAIT)).unwrap();
    let (moody, front) = moody();
    let pulse = front.pulse();
    let patience = Duration::from_millis(100);
    let watchdog = Watchdog { socket: path.to_str().unwrap().to_owned(), patience };
    watchdog.feed(move |within| pulse.answers(within)).unwrap();
    for _ in 0..3 {
        assert_eq!(notified(&manager), "WATCHDOG=1");
    }

    moody.set_stuck(true);
    wait_for("a request that hangs", || moody.has_noticed.load(Ordering::Relaxed).then_some(()));
    // What was sent before is there by now.
    manager.set_nonblocking(true).unwrap();
    while manager.recv(&mut [0; 100]).is_ok() {}
    manager.set_nonblocking(false).unwrap();
    manager.set_read_timeout(Some(patience * 10)).unwrap();
    assert_eq!(manager.recv(&mut [0; 100]).unwrap_err().kind(), ErrorKind::WouldBlock);

    manager.set_read_timeout(Some(WAIT)).unwrap();
    moody.set_stuck(false);
    assert_eq!(notified(&manager), "WATCHDOG=1");
}
