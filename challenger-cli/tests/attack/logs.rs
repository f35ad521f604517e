//! A log that nobody reads: many requests, whose lines fill what they are written to.

use std::fs;
use std::thread;

use challenger_testkit::{Peer, wait_for};

use crate::harness::{everywhere_with_unread_log, logged, prove};
use crate::site::Site;

/// More than a pipe has room for, and the server's own memory.
const REQUESTS: usize = 12_000;

/// Asks so many times, as fast as answers come.
fn ask(site: &Site, path: &str, times: usize) {
    let requests = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").repeat(times);
    let mut peer = site.connect();
    let mut writer = Peer::new(peer.stream().try_clone().unwrap());
    thread::scope(|scope| {
        scope.spawn(move || assert!(writer.send(requests)));
        (0..times).for_each(|_| assert_eq!(peer.reply().unwrap().status, 200));
    });
}

#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    for format in ["text", "json"] {
        everywhere_with_unread_log(&format!("LOG_FORMAT = {format}"), |site, unread| {
            ask(site, "/config", REQUESTS);
            prove(site);
            drop(unread);
            let report = logged(site, "log lines");
            let lost = report.rsplit(|c: char| !c.is_ascii_digit()).find(|it| !it.is_empty());
            let lost: usize = lost.unwrap().parse().unwrap();
            // From then on, all is as usual: there are lines for each step of a proof.
            let before = site.log().lines().count();
            prove(site);
            ask(site, "/robots.txt", 1);
            logged(site, "/robots.txt");
            let log = site.log();
            let proof = log.lines().count() - before - 1;
            let expected = 1 + REQUESTS + proof;
            assert_eq!(before - 1 + lost, expected, "of {before} lines {lost} were lost");
            assert_eq!(log.matches("log lines").count(), 1, "{report}");
            assert_eq!(log.matches("/config").count(), before - 2, "the first ones are there");
        });
    }
}

#[test]
fn a_server_whose_log_nobody_reads_can_be_stopped() {
    let mut site = Site::new("");
    let unread = site.start_unread(site.server());
    site.wait_for_server();
    ask(&site, "/config", REQUESTS);
    let stat = format!("/proc/{}/stat", site.process());
    site.signal("TERM");
    wait_for("the end", || fs::read_to_string(&stat).unwrap().contains(") Z ").then_some(()));
    drop(unread);
    assert_eq!(site.wait(), Some(0), "{}", site.log());
}
