//! `challenger-httpd --check` and the other shipped helpers: a gateway is looked for, and scripts
//! say what is missing; nothing is sent.

#![cfg(feature = "http")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod findings;
mod provider;
mod script;
mod site;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use findings::{ABSENT, check, finds, finds_nothing};
use provider::certificates::{Certificates, certificates};
use provider::{Act, Provider};
use script::{Ran, Script};
use site::stderr;

#[test]
fn a_gateway_is_looked_for_and_gets_no_request() {
    let check = |url: &str, more: &[(&'static str, String)]| {
        let url = ("HTTP_URL", format!("{url}/send?to={{{{CONTACT_EMAIL}}}}"));
        check("challenger-send-http", "", &[&[url], more].concat())
    };
    let plain = Provider::start(|_| Act::Hang);
    let protected = Provider::start_tls(|_| Act::Hang);
    let folder = tempfile::tempdir().unwrap();
    let Certificates { ca, other, .. } = certificates();
    for (name, text) in [("ca.pem", ca), ("other.pem", other)] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let authority = |name: &str| ("HTTP_CA_FILE", folder.path().join(name).display().to_string());
    finds_nothing(&check(&plain.url(), &[]));
    finds_nothing(&check(&protected.url(), &[authority("ca.pem")]));
    // One that speaks no TLS, and says so.
    let clear = TcpListener::bind("127.0.0.1:0").unwrap();
    let clear_url = format!("https://localhost:{}", clear.local_addr().unwrap().port());
    thread::spawn(move || {
        let (mut stream, _) = clear.accept().unwrap();
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let _ = stream.read_to_end(&mut Vec::new());
    });
    for (url, authority, with) in [
        (protected.url(), authority("other.pem"), "the gateway's certificate is refused: "),
        (clear_url, authority("ca.pem"), "TLS with the gateway failed: "),
    ] {
        let output = check(&url, &[authority]);
        let said = stderr(&output);
        assert!(said.starts_with(&format!("[challenger-helper] HTTP_URL: {with}")), "{said}");
        assert_eq!(output.status.code(), Some(6), "{said}");
    }
    // It takes the connection, and nothing more.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}", silent.local_addr().unwrap().port());
    let output = check(&url, &[("HTTP_TIMEOUT", "1".to_owned())]);
    let expected =
        "[challenger-helper] HTTP_URL: the gateway did not answer in time; HTTP_TIMEOUT is 1 s";
    finds(&output, expected, ABSENT);
    assert!(plain.asked().is_empty() && protected.asked().is_empty());
}

#[test]
fn the_scripts_say_what_is_missing_without_asking_anybody() {
    const PHONE: &str = r#"{"CONTACT_PHONE":"+41791234567"}"#;
    const LETTER: &str = r#"{"CONTACT_NAME":"Ada","ADDRESS_LINES":"Bahnhofstrasse 1"}"#;
    for (name, programs, settings, address) in [
        (
            "challenger-send-sms.sh",
            &["cat", "head", "jq", "curl"][..],
            &["TELESIGN_CUSTOMER_ID", "TELESIGN_API_KEY"][..],
            PHONE,
        ),
        (
            "challenger-send-post.sh",
            &["cat", "date", "head", "jq", "curl", "weasyprint"],
            &["PINGEN_CLIENT_ID", "PINGEN_CLIENT_SECRET", "PINGEN_ORGANISATION"],
            LETTER,
        ),
        ("challenger-send-file.sh", &["cat", "jq"], &["CHALLENGER_FILE_DIR"], PHONE),
    ] {
        let mut script = Script::new(name, programs);
        let folder = script.folder.path().display().to_string();
        for setting in settings {
            let missing = script.run_with(&[], &["--check"], "");
            assert_eq!(
                missing,
                script.complaint(78, &format!("[challenger-helper] {setting} is missing"))
            );
            script.set(
                setting,
                if *setting == "CHALLENGER_FILE_DIR" { folder.as_str() } else { "x" },
            );
        }
        assert_eq!(script.run_with(&[], &["--check"], ""), Ran::well(), "{name}");
        assert_eq!(script.run_with(&[], &["--check", address], ""), Ran::well(), "{name}");
        let other = script.run_with(&[], &["--check", r#"{"handle":"ada"}"#], "");
        assert_eq!(other.code, Some(64), "{name}: {other:?}");
        let many = script.run_with(&[], &["--check", address, address], "");
        assert_eq!(many.code, Some(64), "{name}: {many:?}");
        let said = script.command_lines();
        assert!(!said.contains("curl") && !said.contains("weasyprint"), "{name}: {said}");
        // The first one that is missing is named.
        for program in ["weasyprint", "curl", "jq"].iter().filter(|it| programs.contains(it)) {
            script.uninstall(program);
            let missing = script.run_with(&[], &["--check"], "");
            let complaint = format!("{program} is not installed: apt install {program}");
            assert_eq!(missing, script.complaint(69, &complaint), "{name}");
        }
    }
}
