//! The findings of `challenger-httpd --check`, which changes nothing.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod site;

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use site::{Site, stderr, stdout};

const GOOD: &str = "challenger-httpd: the configuration is good\n";
const NOT_GOOD: &str = "challenger-httpd: the configuration is not good";
const NO_DATABASE: &str = "challenger-httpd: the database cannot be used";

fn check(site: &Site) -> Output {
    site.run("challenger-httpd", &["--check"])
}

/// A site whose configuration has `$HERE` replaced, and lines replaced by others.
fn site(options: &str, changes: &[(&str, &str)]) -> Site {
    let site = Site::new("");
    let here = site.directory.path().display().to_string();
    let mut text = fs::read_to_string(site.config()).unwrap();
    for (old, new) in changes {
        assert!(text.contains(old), "{old} in {text}");
        text = text.replace(old, new);
    }
    text = text.replace("\n[challengerdb-sqlite]", &format!("{options}\n[challengerdb-sqlite]"));
    fs::write(site.config(), text.replace("$HERE", &here)).unwrap();
    site
}

/// Every file below a folder, with its contents.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

#[test]
fn a_good_configuration_is_good_and_nothing_is_touched() {
    for (serve, options) in [
        ("SERVE = tcp", ""),
        ("SERVE = systemd", ""),
        ("SERVE = unix", "UNIXPATH = $HERE/run/socket"),
        ("SERVE = tcp", "AUTH_COMMAND = sh"),
    ] {
        let site = site(options, &[("SERVE = tcp", serve)]);
        // Somebody else listening there is not looked for, either.
        let _taken = TcpListener::bind(("127.0.0.1", site.port)).unwrap();
        let before = contents(site.directory.path());
        let output = check(&site);
        assert_eq!((stdout(&output).as_str(), stderr(&output).as_str()), (GOOD, ""), "{serve}");
        assert_eq!(output.status.code(), Some(0), "{serve}");
        assert!(before == contents(site.directory.path()), "{serve}");
        assert!(!site.directory.path().join("run").exists());
    }
}

#[test]
fn a_socket_whose_place_others_could_take_is_noticed() {
    let site = site("UNIXPATH = $HERE/open/run/deeper/socket", &[("SERVE = tcp", "SERVE = unix")]);
    let open = site.directory.path().join("open");
    fs::create_dir_all(open.join("run")).unwrap();
    assert_eq!(check(&site).status.code(), Some(0));
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    let expected = format!("the folder {} has mode 777, so that everybody can", open.display());
    for (arguments, status) in [(&["--check"][..], 6), (&[], 1)] {
        let output = site.run("challenger-httpd", arguments);
        assert_eq!(output.status.code(), Some(status), "{}", stderr(&output));
        assert!(stderr(&output).contains(&expected), "{}", stderr(&output));
    }
    assert!(!open.join("run/deeper").exists());
}

#[test]
fn it_can_be_asked_while_the_service_runs() {
    let mut site = Site::new("");
    site.start();
    let output = check(&site);
    assert_eq!((stdout(&output).as_str(), stderr(&output).as_str()), (GOOD, ""));
    site.solved("ada@example.com");
    site.stop();
}

#[test]
fn warnings_are_marked_and_forgiven() {
    for (options, change, expected) in [
        ("PIN_ATEMPTS = 3", ("", ""), "[challenger] has no option PIN_ATEMPTS; ignored"),
        ("", ("BASE_URL = https://challenger.example/\n", ""), "[challenger] BASE_URL is not set"),
        (
            "ADDRESS_FIELDS = handle",
            ("ADDRESS_TYPE = email", "ADDRESS_TYPE = own"),
            "no template enter-own-form.must",
        ),
        ("TERMS_ETAG = v1\nTERMS_DIR = $HERE/outbox", ("", ""), "no such document below"),
        ("TERMS_ETAG = v1\nTERMS_DIR = $HERE/none", ("", ""), "none: No such file"),
        ("TERMS_ETAG = v1\nTERMS_DIR = $HERE/legal", ("", ""), "v1.doc: not served"),
        (
            "TERMS_ETAG = v1\nTERMS_DIR = $HERE/legal\nPRIVACY_ETAG = v1\n\
             PRIVACY_DIR = $HERE/legal",
            ("", ""),
            "v1.doc: not served",
        ),
        ("CODE_DURATION = 5", ("", ""), "CODE_DURATION is less than a second"),
        ("TEMPLATE_DIR = $HERE/raw", ("", ""), ":1: {{{client}}} prints its value without"),
        ("TEMPLATE_DIR = $HERE/slip", ("", ""), ":2: {{clint}}: already-done has no such variable"),
        (
            "TEMPLATE_DIR = $HERE/form",
            ("", ""),
            "form/enter-email-form.must:3: this form has no field with name=\"CONTACT_EMAIL\"",
        ),
        ("MESSAGE_TEMPLATE_FILE = $HERE/bare.en.must", ("", ""), "the message has no {{pin}}"),
        ("TEMPLATE_DIR = $HERE/name", ("", ""), "name/enter-tan.must: no page or message has this"),
        (
            "@inline-secret@ challenger-helper $HERE/no.conf",
            ("", ""),
            "challenger.conf:9: [challenger-helper] is hidden: cannot read",
        ),
    ] {
        let site = site(options, &[change]);
        let here = site.directory.path();
        fs::create_dir_all(here.join("legal/en")).unwrap();
        fs::write(here.join("legal/en/v1.txt"), "terms").unwrap();
        fs::write(here.join("legal/en/v1.doc"), "terms").unwrap();
        for name in ["raw", "slip", "form", "name"] {
            fs::create_dir(here.join(name)).unwrap();
        }
        fs::write(here.join("slip/already-done.must"), "<p>\n{{clint}}").unwrap();
        let form = "\n\n<form method=\"post\" action=\"../challenge/{{nonce}}\">\
            <input name=\"budget_seen\"><input name=\"email\"></form>";
        fs::write(here.join("form/enter-email-form.must"), form).unwrap();
        fs::write(here.join("bare.en.must"), "nothing").unwrap();
        fs::write(here.join("name/enter-tan.must"), "nothing").unwrap();
        fs::write(here.join("name/enter-chat-form.must"), "nothing").unwrap();
        fs::write(here.join("raw/already-done.en.must"), "{{{client}}}").unwrap();
        let output = check(&site);
        let said = stderr(&output);
        assert_eq!(said.lines().count(), 1, "{options}: {said}");
        assert!(said.starts_with("warning: ") && said.contains(expected), "{options}: {said}");
        assert_eq!((stdout(&output).as_str(), output.status.code()), (GOOD, Some(0)), "{options}");
    }
}

#[test]
fn helpers_end_by_themselves_before_they_are_ended() {
    // The defaults that the helpers state themselves.
    let usual = |path: &str, before: &str| {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
        let rest = text.split_once(before).unwrap().1;
        rest[..rest.find(|it: char| !it.is_ascii_digit()).unwrap()].parse::<u64>().unwrap()
    };
    let post = usual("helpers/challenger-send-post.sh", "PINGEN_TIMEOUT:-");
    let sms = usual("helpers/challenger-send-sms.sh", "TELESIGN_TIMEOUT:-");
    let email = usual("src/send_email/settings.rs", "TIMEOUT_SECONDS: u64 = ");
    let http = usual("src/send_http/settings.rs", "TIMEOUT_SECONDS: u64 = ");
    for (program, setting, limit, settings) in [
        ("challenger-send-post.sh", "PINGEN_TIMEOUT", post, ""),
        ("challenger-send-sms.sh", "TELESIGN_TIMEOUT", sms, "TELESIGN_TIMEOUT ="),
        ("challenger-send-email", "SMTP_TIMEOUT", email, ""),
        ("challenger-send-email.sh", "SMTP_TIMEOUT", email, ""),
        ("challenger-send-http", "HTTP_TIMEOUT", http, ""),
        ("challenger-send-email", "SMTP_TIMEOUT", 50, "SMTP_TIMEOUT = 50"),
        ("deliver.sh", "PINGEN_TIMEOUT", 7, "pingen_timeout = 7"),
    ] {
        for (timeout, is_longer) in [(limit, true), (limit + 1, false)] {
            let site = site(
                &format!("AUTH_TIMEOUT = {timeout} s\n[challenger-helper]\n{settings}"),
                &[("deliver.sh", program)],
            );
            let script = site.directory.path().join(program);
            fs::write(&script, "").unwrap();
            fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
            let output = check(&site);
            let said = stderr(&output);
            let expected = format!("{setting} is {limit} s, but after AUTH_TIMEOUT");
            assert_eq!(said.contains(&expected), is_longer, "{program}: {said}");
            assert_eq!(said.lines().count(), usize::from(is_longer), "{said}");
            assert_eq!((stdout(&output).as_str(), output.status.code()), (GOOD, Some(0)));
        }
    }
    // Other programs have limits of their own, or none.
    let site = site("AUTH_TIMEOUT = 1 s", &[]);
    assert_eq!(stderr(&check(&site)), "");
}

#[test]
fn a_helper_that_takes_one_message_only_is_advised_against_as_one_that_stays() {
    for (program, warns) in [("challenger-send-post.sh", true), ("send-post", false)] {
        let site = site("AUTH_HELPER = resident", &[("deliver.sh", program)]);
        let script = site.directory.path().join(program);
        fs::write(&script, "").unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let said = stderr(&check(&site));
        let expected = "warning: [challenger] AUTH_HELPER is resident, but challenger-send-post.sh \
                        takes one message only";
        assert_eq!(said.contains(expected), warns, "{said}");
        assert_eq!(said.lines().count(), usize::from(warns), "{said}");
    }
}

#[test]
fn each_mistake_is_one_line() {
    for (options, change, expected, code) in [
        ("", ("ADDRESS_TYPE = email\n", ""), "[challenger] ADDRESS_TYPE is missing", 6),
        ("", ("ADDRESS_TYPE = email", "ADDRESS_TYPE = e mail"), "a name of letters", 6),
        ("", ("ADDRESS_TYPE = email", "ADDRESS_TYPE = file"), "names of its fields in", 6),
        ("", ("BASE_URL = https", "BASE_URL = ftp"), "[challenger] BASE_URL", 6),
        ("", ("deliver.sh", "missing.sh"), "missing.sh that this user may run", 6),
        ("", ("deliver.sh", "challenger.conf"), "challenger.conf that this user may run", 6),
        ("", ("deliver.sh", "outbox"), "outbox that this user may run", 6),
        ("AUTH_COMMAND = no-such-program", ("", ""), "no program no-such-program", 6),
        (
            "AUTH_COMMAND = sh\n[challenger-helper]\npath = $HERE/none",
            ("", ""),
            "no program sh that",
            6,
        ),
        ("AUTH_HELPER = daemon", ("", ""), "expected program or resident", 6),
        ("ADDRESS_RESTRICTIONS = {", ("", ""), "[challenger] ADDRESS_RESTRICTIONS", 6),
        ("MESSAGE_TEMPLATE_FILE = $HERE/none", ("", ""), "none: No such file", 6),
        ("TEMPLATE_DIR = $HERE/none", ("", ""), "TEMPLATE_DIR", 6),
        (
            "TEMPLATE_DIR = $HERE/else",
            ("", ""),
            "else/enter-tan-form.must:2: {{else}} is not Mustache: expected {{/ec}}{{^ec}}",
            6,
        ),
        ("TERMS_ETAG = v1", ("", ""), "[challenger] TERMS_DIR is missing", 6),
        (
            "[challenger-helper]\n2FA = x",
            ("", ""),
            "conf:10: [challenger-helper] \"2FA\" cannot",
            6,
        ),
        ("[challenger-helper]\nA-B = x", ("", ""), "letters, digits and _, and no digit in", 6),
        ("UNIXPATH_MODE = 888", ("SERVE = tcp", "SERVE = unix"), "UNIXPATH_MODE", 6),
        ("", ("DB = sqlite", "DB = oracle\n#DB = sqlite"), "expected postgres or sqlite", 6),
        ("", ("challenger.sqlite", "none.sqlite"), "none.sqlite: does not exist", 1),
        ("", ("data/challenger.sqlite", "deliver.sh"), "deliver.sh: file is not a database", 1),
        ("", ("data/challenger.sqlite", "other.sqlite"), "has no schema yet", 1),
    ] {
        let site = site(options, &[change]);
        let here = site.directory.path();
        fs::write(here.join("other.sqlite"), "").unwrap();
        fs::create_dir(here.join("else")).unwrap();
        fs::write(here.join("else/enter-tan-form.must"), "{{#ec}}\n{{else}}{{/ec}}").unwrap();
        let output = check(&site);
        let said = stderr(&output);
        let lines: Vec<&str> = said.lines().collect();
        let last = if code == 6 { NOT_GOOD } else { NO_DATABASE };
        assert_eq!(lines.len(), 2, "{options} {change:?}: {said}");
        assert!(lines[0].contains(expected) && lines[1] == last, "{options} {change:?}: {said}");
        assert_eq!((stdout(&output).as_str(), output.status.code()), ("", Some(code)), "{said}");
    }
}

#[test]
fn no_setting_of_the_helper_can_break_its_environment() {
    let site = site("[challenger-helper]\nSMTP_PASSWORD = hunter2\0", &[("", "")]);
    let output = check(&site);
    let said = stderr(&output);
    assert!(said.contains("challenger.conf:10: the line has a NUL byte"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
    assert_eq!(output.status.code(), Some(6));
}

#[test]
fn a_setting_of_the_helper_that_no_program_can_be_given_is_refused() {
    // By the system, too.
    let longest = "x".repeat(128 * 1024 - "SECRET=\0".len());
    for (value, is_good) in [(longest.clone(), true), (format!("{longest}x"), false)] {
        let started = Command::new("/bin/true").env("SECRET", &value).status();
        assert_eq!(started.is_ok(), is_good);
        let site = site(&format!("[challenger-helper]\nsecret = {value}"), &[("", "")]);
        let output = check(&site);
        let expected = "challenger.conf:10: [challenger-helper] \"secret\" is too long for an \
                        environment variable: expected at most 131064 bytes\n";
        let said = stderr(&output);
        assert_eq!(said.contains(expected), !is_good, "{} bytes", said.len());
        assert!(!said.contains("xxxxx"));
        assert_eq!(output.status.code(), Some(if is_good { 0 } else { 6 }));
    }
}

#[test]
fn all_mistakes_are_said_at_once() {
    let site = site(
        "PIN_ATTEMPTS = none\nADDRESS_RESTRICTIONS = {\nTEMPLATE_DIR = $HERE/bad\nBIND_TO = -\n\
         MESSAGE_TEMPLATE_FILE = $HERE/bad/message.en.must\nTERMS_ETAG = a/b\nPIN_ATEMPTS = 3",
        &[
            ("ADDRESS_TYPE = email\n", ""),
            ("PORT = ", "PORT = x"),
            ("BASE_URL = https", "BASE_URL = ftp"),
            ("deliver.sh", "missing.sh"),
            ("challenger.sqlite", "none.sqlite"),
        ],
    );
    let bad = site.directory.path().join("bad");
    fs::create_dir(&bad).unwrap();
    for name in ["enter-email-form.en.must", "invalid-pin.en.must", "message.en.must"] {
        fs::write(bad.join(name), "{{#never}}").unwrap();
    }
    let output = check(&site);
    let said = stderr(&output);
    for expected in [
        "warning: ",
        "[challenger] PIN_ATTEMPTS",
        "[challenger] ADDRESS_RESTRICTIONS",
        "enter-email-form.en.must:1: {{#never}}",
        "invalid-pin.en.must:1: {{#never}}",
        "MESSAGE_TEMPLATE_FILE",
        "[challenger] TERMS_ETAG",
        "[challenger] TERMS_DIR is missing",
        "[challenger] ADDRESS_TYPE is missing",
        "[challenger] PORT",
        "[challenger] BIND_TO",
        "[challenger] BASE_URL",
        "missing.sh that this user may run",
        "none.sqlite: does not exist",
        NOT_GOOD,
    ] {
        let lines = said.lines().filter(|line| line.contains(expected)).count();
        assert_eq!(lines, 1, "{expected} in {said}");
    }
    assert_eq!(said.lines().count(), 15, "{said}");
    assert_eq!((stdout(&output).as_str(), output.status.code()), ("", Some(6)));
}

#[test]
fn a_database_out_of_reach_is_no_mistake_of_the_configuration() {
    let site = site(
        "",
        &[
            ("DB = sqlite", "DB = postgres\n#DB = sqlite"),
            (
                "[challengerdb-sqlite]",
                "[challengerdb-postgres]\nCONFIG = postgres:///challenger?host=$HERE\n\
         [challengerdb-sqlite]",
            ),
        ],
    );
    let output = check(&site);
    let said = stderr(&output);
    assert!(said.contains("PostgreSQL database challenger at "), "{said}");
    assert!(said.ends_with(&format!("{NO_DATABASE}\n")) && said.lines().count() == 2, "{said}");
    assert_eq!((stdout(&output).as_str(), output.status.code()), ("", Some(1)));
}
