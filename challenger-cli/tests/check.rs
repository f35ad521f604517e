//! The findings of `challenger-httpd --check`, which changes nothing.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod site;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use site::{REDIRECT_URI, Site, binary, free_port, stderr, stdout, write_script};

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
    let monitored = format!("[challenger-metrics]\nSERVE = tcp\nPORT = {}", free_port());
    for mut site in [Site::new(&monitored), Site::at_socket("")] {
        site.start();
        let output = check(&site);
        assert_eq!((stdout(&output).as_str(), stderr(&output).as_str()), (GOOD, ""));
        site.solved("ada@example.com");
        site.stop();
    }
}

#[test]
fn a_port_that_somebody_else_has_is_told_from_that_of_the_service() {
    let site = Site::new("");
    let port = TcpListener::bind(("127.0.0.1", site.port)).unwrap();
    let other = "[challenger] PORT: another program listens on";
    let silent = "is in use, which is right if this service runs; who has it does not answer";
    for (answer, expected, status) in [
        ("HTTP/1.1 200 OK\r\n\r\n{\"name\":\"exchange\"}", other, 6),
        ("HTTP/1.1 404 Not Found\r\n\r\n", other, 6),
        ("220 mail\r\n", silent, 0),
        ("", silent, 0),
    ] {
        let output = thread::scope(|scope| {
            scope.spawn(|| {
                let (mut stream, _) = port.accept().unwrap();
                let _ = stream.read(&mut [0; 1024]);
                let _ = stream.write_all(answer.as_bytes());
            });
            check(&site)
        });
        let said = stderr(&output);
        let is_said = said.lines().filter(|line| line.contains(expected)).count() == 1;
        assert_eq!((is_said, output.status.code()), (true, Some(status)), "{answer}: {said}");
    }
    // It takes the connection, and says nothing.
    let said = stderr(&check(&site));
    assert!(said.starts_with("warning: ") && said.contains(silent), "{said}");
}

#[test]
fn an_open_client_without_a_limit_is_noticed() {
    let site = Site::new("CLIENT_VALIDATIONS_MAX = 0");
    assert_eq!(stderr(&check(&site)), "");
    let limits = ["--messages-per-day", "100", "--open", REDIRECT_URI];
    let opened = site.run("challenger-admin", &limits);
    assert!(opened.status.success(), "{}", stderr(&opened));
    let before = contents(site.directory.path());
    let output = check(&site);
    let said = stderr(&output);
    let expected = "warning: [challenger] CLIENT_VALIDATIONS_MAX = 0, and client 1 is open: ";
    assert!(said.starts_with(expected) && said.lines().count() == 1, "{said}");
    assert_eq!((stdout(&output).as_str(), output.status.code()), (GOOD, Some(0)));
    assert!(before == contents(site.directory.path()));
}

/// A mistake of the table.
#[derive(Default)]
struct Mistake<'a> {
    /// Lines that `[challenger]` ends with.
    added: Vec<&'a str>,
    /// Lines that are replaced, and by what.
    replaced: Vec<(&'a str, String)>,
    said: Vec<&'a str>,
    /// The exit status, and what is said last.
    end: (i32, &'a str),
}

impl<'a> Mistake<'a> {
    fn read(block: &'a str) -> Self {
        let mut mistake = Self::default();
        for line in block.lines() {
            match line.split_at(2) {
                ("- ", line) => mistake.replaced.push((line, String::new())),
                ("+ ", line) => match mistake.replaced.last_mut() {
                    None => mistake.added.push(line),
                    Some((_, new)) => *new += &format!("{line}\n"),
                },
                ("> ", line) => mistake.said.push(line),
                ("= ", line) => {
                    let (status, said) = line.split_once(' ').unwrap();
                    mistake.end = (status.parse().unwrap(), said);
                }
                _ => panic!("{line}"),
            }
        }
        mistake
    }
}

/// The files that the table speaks of.
fn write_files(here: &Path) {
    let legal = "Terms\n\nof [[OPERATOR]] in\n[[POSTAL\nADDRESS]]\n";
    let form = "\n\n<form method=\"post\" action=\"../challenge/{{nonce}}\">\
        <input name=\"budget_seen\"><input name=\"email\"></form>";
    for (name, text) in [
        ("bare.en.must", "nothing"),
        ("else/enter-tan-form.must", "{{#ec}}\n{{else}}{{/ec}}"),
        ("form/enter-email-form.must", form),
        ("legal/de/tos.html", "<p>[[BETREIBER]]"),
        ("legal/en/pp.md", "[[DATE]]"),
        ("legal/en/tos.txt", legal),
        ("legal/en/v1.doc", "terms"),
        ("legal/en/v1.txt", "terms"),
        ("name/enter-chat-form.must", "nothing"),
        ("name/enter-tan.must", "nothing"),
        ("other.sqlite", ""),
        ("raw/already-done.en.must", "{{{client}}}"),
        ("slip/already-done.must", "<p>\n{{clint}}"),
    ] {
        let path = here.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    for (folder, script) in [
        ("broken", "#!/no/such/interpreter\n"),
        ("mute", "#!/bin/sh\nexit 78\n"),
        ("old", "#!/bin/sh\necho 'parse error' >&2\nexit 5\n"),
        ("slow", "#!/bin/sh\nexec sleep 60\n"),
    ] {
        fs::create_dir(here.join(folder)).unwrap();
        write_script(&here.join(folder).join("challenger-send-sms.sh"), script);
    }
}

#[test]
fn each_mistake_is_said_as_the_table_says() {
    let table = include_str!("../../testdata/mistakes.txt");
    let blocks = table.split("\n\n").filter(|block| !block.starts_with('#'));
    let blocks: Vec<&str> = blocks.map(str::trim_end).collect();
    assert!(blocks.len() > 80, "{}", blocks.len());
    let site = Site::new("");
    write_files(site.directory.path());
    let good_text = fs::read_to_string(site.config()).unwrap();
    let conf = site.config().display().to_string();
    let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/helpers");
    let (here, port) = (site.directory.path().display().to_string(), site.port.to_string());
    for block in blocks {
        let Mistake { added, replaced, said, end } = Mistake::read(block);
        let names = [
            ("$HERE", here.as_str()),
            ("$CONF", &conf),
            ("$PORT", &port),
            ("$EMAIL", binary("challenger-send-email")),
            ("$HTTP", binary("challenger-send-http")),
            ("$SCRIPTS", scripts),
        ];
        let fill = |text: &str| {
            names.iter().fold(text.to_owned(), |text, (name, it)| text.replace(name, it))
        };
        let mut text = good_text.clone();
        for (old, new) in replaced {
            let old = fill(&format!("{old}\n"));
            assert!(text.contains(&old), "{block}");
            text = text.replacen(&old, &fill(&new), 1);
        }
        let last = "\n[challengerdb-sqlite]";
        text = text.replace(last, &format!("{}{last}", fill(&added.join("\n"))));
        fs::write(site.config(), text).unwrap();
        let output = check(&site);
        let mut expected: Vec<String> = said.iter().map(|line| fill(line)).collect();
        let (status, last) = end;
        let last = format!("challenger-httpd: {last}");
        let good = if status == 0 { format!("{last}\n") } else { String::new() };
        expected.extend((status != 0).then_some(last));
        assert_eq!(stderr(&output).lines().collect::<Vec<_>>(), expected, "{block}");
        assert_eq!((stdout(&output), output.status.code()), (good, Some(status)), "{block}");
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
            write_script(&site.directory.path().join(program), "#!/bin/sh\n");
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
        write_script(&site.directory.path().join(program), "#!/bin/sh\n");
        let said = stderr(&check(&site));
        let expected = "warning: [challenger] AUTH_HELPER is resident, but challenger-send-post.sh \
                        takes one message only";
        assert_eq!(said.contains(expected), warns, "{said}");
        assert_eq!(said.lines().count(), usize::from(warns), "{said}");
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
