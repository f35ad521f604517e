//! Panics of the service are events of its log, which say where they were and quote nobody.

use std::fs;
use std::panic::panic_any;
use std::thread;

use challenger_cli::logger::{Flushed, Logger, log_panics};
use log::LevelFilter;

#[test]
fn panics_are_logged_without_what_people_entered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    Logger::start_queued(LevelFilter::Error, Some(&path)).unwrap();
    let end = Flushed;
    log_panics();
    let address = "ada@example.com".to_owned();
    let ends = [
        thread::spawn(|| panic!("the shelf fell over")).join(),
        thread::spawn(move || panic!("{address} fell over")).join(),
        thread::spawn(|| panic_any(7)).join(),
    ];
    // Not before, or this would be in the log.
    drop(std::panic::take_hook());
    assert!(ends.iter().all(Result::is_err));
    drop(end);
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    let place = "ERROR panic place=challenger-cli/tests/panics.rs:";
    assert!(lines.iter().all(|line| line.contains(place)), "{text}");
    assert!(lines[0].ends_with(" error=\"the shelf fell over\""), "{text}");
    assert!(!text.contains("ada"), "{text}");
}
