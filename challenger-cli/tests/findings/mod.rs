//! What `challenger-httpd --check` finds at a site with a shipped helper.

#![allow(dead_code, reason = "each test uses its part of it")]

use std::process::Output;

use crate::site::{Site, binary, stderr, stdout};

pub(crate) const GOOD: &str = "challenger-httpd: the configuration is good\n";
pub(crate) const SENDER: &str = "noreply@shop.example";

/// Each message fails: the operator has to do something.
pub(crate) const WRONG: (i32, &str) = (6, "challenger-httpd: the configuration is not good");
/// Somebody else may be at fault, and only for now.
pub(crate) const ABSENT: (i32, &str) = (1, "challenger-httpd: the helper cannot send messages now");

/// Checks a site with a shipped helper that has these settings.
pub(crate) fn check(program: &str, options: &str, settings: &[(&str, String)]) -> Output {
    let lines: String =
        settings.iter().map(|(name, value)| format!("{name} = {value}\n")).collect();
    let section = format!("[challenger-helper]\nEMAIL_FROM = {SENDER}\n{lines}");
    let site = Site::new(&format!("{options}\nAUTH_COMMAND = {}\n{section}", binary(program)));
    let output = site.run("challenger-httpd", &["--check"]);
    assert!(!stderr(&output).contains("swordfish"), "{}", stderr(&output));
    output
}

/// Checks that exactly this is found, and how the check ends.
#[track_caller]
pub(crate) fn finds(output: &Output, expected: &str, end: (i32, &str)) {
    let said = format!("{expected}\n{}\n", end.1);
    assert_eq!((stderr(output), stdout(output)), (said, String::new()));
    assert_eq!(output.status.code(), Some(end.0));
}

#[track_caller]
pub(crate) fn finds_nothing(output: &Output) {
    assert_eq!((stderr(output).as_str(), stdout(output).as_str()), ("", GOOD));
}
