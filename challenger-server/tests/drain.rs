//! A front that ends: requests that had arrived are answered, none begins, and no peer is waited
//! for in vain.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod site;

use std::io::Write;
use std::thread;
use std::time::Duration;

use challenger_testkit::WAIT;
use site::{GET, Site, connect, patient};

#[test]
fn a_drain_lets_requests_finish_and_nothing_begin() {
    let mut site = Site::start(patient());
    let place = site.front.place().to_owned();
    let mut idle = site.connect_and_send(GET);
    assert_eq!(idle.reply().unwrap().status, 200);
    let late =
        "POST /late HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
    let mut reading = site.connect_and_send(late);
    // Now the front knows that a request has begun.
    assert_eq!(reading.reply().unwrap().status, 100);
    let mut deciding = site.connect_and_send("GET /gate HTTP/1.1\r\nHost: a\r\n\r\n");
    site.wait_until(|site| site.decided() == 2);

    let respond = site.respond.clone();
    let draining = thread::spawn(move || {
        let all = site.front.drain(WAIT);
        (all, site.front.connections())
    });
    assert_eq!(idle.rest(), "");
    respond.open_gate();
    let answer = deciding.rest();
    assert!(answer.ends_with("\r\nConnection: close\r\n\r\nGET /gate 0"), "{answer:?}");
    reading.send(b"a=b");
    let answer = reading.rest();
    assert!(answer.ends_with("\r\nConnection: close\r\n\r\nPOST /late 3"), "{answer:?}");
    drop((reading, deciding));
    assert_eq!(draining.join().unwrap(), (true, 0));
    assert!(connect(&place).is_err());
}

#[test]
fn a_drain_answers_everything_that_had_come() {
    let mut site = Site::start(patient());
    let gate = "GET /gate HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut all = site.connect_and_send(&format!("{gate}{GET}{GET}"));
    // Of the last request, only a part has come.
    let mut part = site.connect_and_send(&format!("{gate}POST / HTTP/1.1\r\nContent-Length: 3"));
    site.wait_until(|site| site.decided() == 2);
    let (respond, place) = (site.respond.clone(), site.front.place().to_owned());
    let draining = thread::spawn(move || site.front.drain(WAIT));
    while connect(&place).is_ok() {
        thread::sleep(Duration::from_millis(5));
    }
    respond.open_gate();
    for body in ["GET /gate 0", "GET / 0"] {
        let answer = all.reply().unwrap();
        assert_eq!((answer.body.as_str(), answer.header("Connection")), (body, None));
    }
    let answer = all.rest();
    assert!(answer.ends_with("\r\nConnection: close\r\n\r\nGET / 0"), "{answer:?}");
    assert_eq!(part.reply().unwrap().header("Connection"), None);
    part.send(b"\r\nHost: a\r\n\r\na=b");
    // It was not there before.
    part.send(GET.as_bytes());
    let answer = part.rest();
    assert!(answer.ends_with("\r\nConnection: close\r\n\r\nPOST / 3"), "{answer:?}");
    drop((all, part));
    assert!(draining.join().unwrap());
}

#[test]
fn an_endless_row_of_requests_does_not_hold_up_a_drain() {
    let mut site = Site::start(patient());
    let mut peer = site.connect_and_send(GET);
    assert_eq!(peer.reply().unwrap().status, 200);
    let mut writer = peer.stream().try_clone().unwrap();
    let writing = thread::spawn(move || while writer.write_all(GET.as_bytes()).is_ok() {});
    let reading = thread::spawn(move || peer.rest());
    site.wait_until(|site| site.decided() > 100);
    assert!(site.front.drain(WAIT));
    writing.join().unwrap();
    reading.join().unwrap();
}

#[test]
fn a_drain_ends_in_time() {
    let mut site = Site::start(patient());
    let mut stuck = site.connect_and_send("G");
    let mut deciding = site.connect_and_send("GET /gate HTTP/1.1\r\nHost: a\r\n\r\n");
    site.wait_until(|site| site.decided() == 1);
    assert!(!site.front.drain(Duration::from_millis(500)));
    assert_eq!(stuck.rest(), "");
    site.respond.open_gate();
    assert_eq!(deciding.rest(), "");
    site.wait_until(|site| site.front.connections() == 0);
}
