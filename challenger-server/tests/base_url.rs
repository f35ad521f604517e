//! The address of the service: which host messages name, and which issuer it is to applications;
//! and its name for people.

#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, reason = "tests")]

use challenger_server::config::{Config, Environment};
use challenger_server::settings::{Settings, SettingsError};

fn read(base_url: &str) -> Result<Settings, SettingsError> {
    let text = format!(
        "[challengerdb-sqlite]\nFILENAME = /none\n[challenger]\nSERVE = tcp\nPORT = 1\n\
         AUTH_COMMAND = sh\nDB = sqlite\nADDRESS_TYPE = email\n{base_url}\n"
    );
    Settings::read(&Config::from_text(&text, &Environment::default()).unwrap(), None)
}

#[test]
fn the_issuer_is_the_base_url_without_a_slash_at_its_end() {
    for (url, host, issuer) in [
        ("https://id.example/", "id.example", "https://id.example"),
        ("https://id.example", "id.example", "https://id.example"),
        ("https://id.example:8443/", "id.example", "https://id.example:8443"),
        ("https://www.example/prove/it/", "www.example", "https://www.example/prove/it"),
        ("http://127.0.0.1:9967//", "127.0.0.1", "http://127.0.0.1:9967"),
    ] {
        let settings = read(&format!("BASE_URL = {url}")).unwrap();
        assert_eq!(
            (settings.host.as_str(), settings.service.issuer.as_deref()),
            (host, Some(issuer))
        );
        assert_eq!(settings.warnings, [""; 0]);
    }
}

#[test]
fn what_cannot_be_an_issuer_is_refused() {
    let expected = "expected a URL such as https://challenger.example.com/, perhaps with a path, \
                    but without a user, a query or a fragment";
    for url in [
        "https://id.example/?",
        "https://id.example/?x=1",
        "\"https://id.example/#top\"",
        "https://ada@id.example/",
        "com.example.app:/id",
        "id.example",
        "https://",
    ] {
        let errors = read(&format!("BASE_URL = {url}")).map(drop).unwrap_err().errors;
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors.concat().contains("[challenger] BASE_URL"), "{errors:?}");
        assert!(errors.concat().ends_with(expected), "{errors:?}");
    }
}

#[test]
fn without_it_applications_and_people_miss_something() {
    let settings = read("").unwrap();
    assert_eq!((settings.host.as_str(), settings.service.issuer), ("", None));
    let expected = "[challenger] BASE_URL is not set, so messages cannot say on which site to \
                    enter the code, applications find no metadata, and answers to them name no \
                    issuer";
    assert_eq!(settings.warnings, [expected]);
}

#[test]
fn the_name_of_the_service_is_what_is_set_or_its_host() {
    let long = "é".repeat(60);
    for (options, expected) in [
        ("BASE_URL = https://id.example:8443/prove/", "id.example"),
        ("BASE_URL = https://id.example/\nSERVICE_NAME =", "id.example"),
        ("BASE_URL = https://id.example/\nSERVICE_NAME = \"\"", "id.example"),
        ("BASE_URL = https://id.example/\nSERVICE_NAME = Example ID", "Example ID"),
        ("SERVICE_NAME = Example ID", "Example ID"),
        ("", ""),
        (&format!("SERVICE_NAME = {long}"), &long),
    ] {
        assert_eq!(read(options).unwrap().service.name, expected, "{options}");
    }
}

#[test]
fn a_name_that_cannot_be_shown_is_refused() {
    for name in ["\u{7}bell", "right\u{202e}left", "no\u{200b}width", &"x".repeat(61)] {
        let errors = read(&format!("SERVICE_NAME = {name}")).map(drop).unwrap_err().errors;
        assert_eq!(errors.len(), 1, "{name:?}: {errors:?}");
        assert!(errors.concat().contains("[challenger] SERVICE_NAME"), "{errors:?}");
        let expected = "expected a name of at most 60 characters, all visible";
        assert!(errors.concat().ends_with(expected), "{errors:?}");
    }
}
