//! A front that ends: what had come is answered, nothing begins, and nobody is waited for in vain.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    dead_code,
    reason = "a test fails by panicking, and shares its modules with others"
)]

mod site;

use std::thread;
use std::time::Duration;

use site::{GET, Site, WAIT, connect, patient};

#[test]
fn a_drain_lets_requests_finish_and_nothing_begin() {
    let mut site = Site::start(patient());
    let place = site.front.place().to_owned();
    let mut idle = site.connect_and_send(GET);
    assert_eq!(idle.read_answer().status(), 200);
    let late =
        "POST /late HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
    let mut reading = site.connect_and_send(late);
    // Now the front knows that a request has begun.
    assert_eq!(reading.read_head().status(), 100);
    let mut deciding = site.connect_and_send("GET /gate HTTP/1.1\r\nHost: a\r\n\r\n");
    site.wait_until(|site| site.decided() == 2);

    let respond = site.respond.clone();
    let draining = thread::spawn(move || {
        let all = site.front.drain(WAIT);
        (all, site.front.connections())
    });
    assert_eq!(idle.read_to_end(), "");
    respond.open_gate();
    let answer = deciding.read_to_end();
    assert!(answer.ends_with("\r\nConnection: close\r\n\r\nGET /gate 0"), "{answer:?}");
    reading.send(b"a=b");
    let answer = reading.read_to_end();
    assert!(answer.ends_with("\r\nConnection: close\r\n\r\nPOST /late 3"), "{answer:?}");
    drop((reading, deciding));
    assert_eq!(draining.join().unwrap(), (true, 0));
    assert!(connect(&place).is_err());
}

#[test]
fn a_drain_ends_in_time() {
    let mut site = Site::start(patient());
    let mut stuck = site.connect_and_send("G");
    let mut deciding = site.connect_and_send("GET /gate HTTP/1.1\r\nHost: a\r\n\r\n");
    site.wait_until(|site| site.decided() == 1);
    assert!(!site.front.drain(Duration::from_millis(500)));
    assert_eq!(stuck.read_to_end(), "");
    site.respond.open_gate();
    assert_eq!(deciding.read_to_end(), "");
    site.wait_until(|site| site.front.connections() == 0);
}
