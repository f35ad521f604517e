//! The operator's programs: their output, and their exit codes.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod site;

use std::io::Write as _;
use std::process::{Command, Stdio};

use site::{REDIRECT_URI, SECRET, Site, binary, stderr, stdout};

const PROGRAMS: [&str; 5] = [
    "challenger",
    "challenger-admin",
    "challenger-config",
    "challenger-dbinit",
    "challenger-httpd",
];

#[test]
fn help_and_version_are_asked_for_and_given() {
    for program in PROGRAMS {
        for flag in ["--help", "-h"] {
            let output = Command::new(binary(program)).arg(flag).output().unwrap();
            assert_eq!(output.status.code(), Some(0), "{program} {flag}");
            assert!(stdout(&output).contains(&format!("Usage: {program}")), "{}", stdout(&output));
            assert_eq!(stderr(&output), "");
        }
        for flag in ["--version", "-v"] {
            let output = Command::new(binary(program)).arg(flag).output().unwrap();
            assert_eq!(output.status.code(), Some(0), "{program} {flag}");
            assert_eq!(stdout(&output), format!("{program} {}\n", env!("CARGO_PKG_VERSION")));
        }
        let output = Command::new(binary(program)).arg("--no-such").output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{program}");
        assert!(stderr(&output).contains("--no-such"), "{}", stderr(&output));
        assert!(stderr(&output).contains(&format!("Try '{program} --help'.")));
    }
}

#[test]
fn clients_get_numbers() {
    let site = Site::new("");
    let add = |arguments: &[&str]| site.run("challenger-admin", arguments);
    let secret = format!("--add={SECRET}");
    let second = add(&[&secret, "--quiet", "https://b.example/cb"]);
    assert_eq!((stdout(&second).as_str(), stderr(&second).as_str()), ("2\n", ""));
    let third = add(&["-q", "-a", SECRET, "https://c.example/cb"]);
    assert_eq!(stdout(&third), "3\n");
    let again = add(&[&secret, REDIRECT_URI]);
    assert_eq!((again.status.code(), stdout(&again).as_str()), (Some(1), ""));
    assert!(stderr(&again).contains("client 1 is registered"), "{}", stderr(&again));
    for (arguments, complaint) in [
        (&[secret.as_str(), "not a uri"][..], "redirect URI"),
        (&[&secret, "https://d.example/#fragment"], "fragment"),
        (&["--add=", "https://d.example/"], "client secret"),
        (&["--add=käse", "https://d.example/"], "client secret"),
        (&["https://d.example/"], "--add"),
        (&[&secret], "REDIRECT_URI"),
    ] {
        let output = add(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(complaint), "{arguments:?}: {}", stderr(&output));
        assert_eq!(stdout(&output), "", "{arguments:?}");
        assert!(!stderr(&output).contains(SECRET));
    }
    let weak = add(&["--add=abc", "http://e.example/"]);
    assert_eq!((weak.status.code(), stdout(&weak).as_str()), (Some(2), ""));
    assert!(stderr(&weak).contains("the secret is weak: it has 3 characters"), "{}", stderr(&weak));
    let weak = add(&["--weak", "--add=abc", "http://e.example/"]);
    assert_eq!(stdout(&weak), "Client added. Client ID is: 4\n");
    assert!(stderr(&weak).contains("RFC 8959") && stderr(&weak).contains("TLS"));
    assert!(stderr(&weak).contains("WARNING the secret is weak"), "{}", stderr(&weak));
}

#[test]
fn the_database_is_made_kept_cleaned_and_reset() {
    let mut site = Site::new("VALIDATION_DURATION = 1 s");
    assert_eq!(site.run("challenger-dbinit", &[]).status.code(), Some(0));
    site.start();
    site.setup();
    site.stop();
    std::thread::sleep(std::time::Duration::from_millis(2100));
    for flag in ["--garbagecollect", "--gc", "-g"] {
        let output = site.run("challenger-dbinit", &[flag]);
        let expected = if flag == "--garbagecollect" { 1 } else { 0 };
        assert_eq!(
            stdout(&output),
            format!(
                "Deleted {expected} expired validations, 0 expired access tokens and 0 balances.\n"
            )
        );
    }
    let output = site.run("challenger-dbinit", &["-r"]);
    assert_eq!(output.status.code(), Some(2), "there is nobody to ask");
    assert!(stderr(&output).contains("challenger.sqlite: expected --yes"), "{}", stderr(&output));
    let again = site.run("challenger-dbinit", &[]);
    assert!(stdout(&again).contains(" have version "), "{}", stdout(&again));
    let output = site.run("challenger-dbinit", &["-ry"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).starts_with("Deleted all data in "), "{}", stdout(&output));
    let secret = format!("--add={SECRET}");
    let output = site.run("challenger-admin", &[&secret, "-q", REDIRECT_URI]);
    assert_eq!(stdout(&output), "1\n", "the client is gone, and numbers begin anew");
}

#[test]
fn whoever_sits_at_a_terminal_is_asked_before_all_is_deleted() {
    let site = Site::bare("");
    let created = stdout(&site.run("challenger-dbinit", &[]));
    assert!(created.starts_with("Created the tables, version "), "{created}");
    let secret = format!("--add={SECRET}");
    let add = |number: &str| {
        let output = site.run("challenger-admin", &[&secret, "-q", REDIRECT_URI]);
        assert_eq!(stdout(&output), format!("{number}\n"), "{}", stderr(&output));
        site.run("challenger-admin", &["--delete", REDIRECT_URI]);
    };
    add("1");
    let dbinit = binary("challenger-dbinit");
    let command = format!("{dbinit} -c {} --reset", site.config().display());
    for (answer, status, next) in [("y", 1, "2"), ("", 1, "3"), ("yes", 0, "1")] {
        // script(1) has a terminal for what it runs.
        let mut script = Command::new("script");
        script.args(["-q", "-e", "-c", &command, "/dev/null"]);
        script.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut script = script.spawn().unwrap();
        writeln!(script.stdin.take().unwrap(), "{answer}").unwrap();
        let output = script.wait_with_output().unwrap();
        let said = stdout(&output);
        assert!(said.contains("Type yes to delete them"), "{said}");
        assert_eq!(output.status.code(), Some(status), "{said}");
        add(next);
    }
}

#[test]
fn without_a_database_each_program_says_what_to_do() {
    let site = Site::bare("");
    for (program, arguments) in
        [("challenger-httpd", &[][..]), ("challenger-admin", &["--add", SECRET, REDIRECT_URI])]
    {
        let output = site.run(program, arguments);
        assert_eq!(output.status.code(), Some(1), "{program}");
        assert!(stderr(&output).contains("challenger-dbinit"), "{}", stderr(&output));
        assert!(stderr(&output).contains("challenger.sqlite"), "{}", stderr(&output));
    }
}

#[test]
fn everything_wrong_with_a_configuration_is_said_at_once() {
    let site = Site::bare("PIN_ATTEMPTS = none\nCODE_DURATION = forever\nADDRESS_RESTRICTIONS = {");
    let text = std::fs::read_to_string(site.config()).unwrap();
    let text = text.replace("ADDRESS_TYPE = email\n", "").replace("PORT = ", "PORT = x");
    std::fs::write(site.config(), text).unwrap();
    let output = site.run("challenger-httpd", &[]);
    assert_eq!(output.status.code(), Some(6));
    let complaints = stderr(&output);
    for expected in ["[challenger] ADDRESS_TYPE is missing", "[challenger] PORT"] {
        assert!(complaints.contains(expected), "{expected} in {complaints}");
    }
    let text = std::fs::read_to_string(site.config()).unwrap();
    std::fs::write(site.config(), text.replace("DB =", "ADDRESS_TYPE = email\nDB =")).unwrap();
    let complaints = stderr(&site.run("challenger-httpd", &[]));
    let file = site.config().display().to_string();
    for option in ["PORT", "PIN_ATTEMPTS", "CODE_DURATION", "ADDRESS_RESTRICTIONS"] {
        let line = complaints.lines().find(|line| line.contains(&format!("[challenger] {option}")));
        assert!(line.is_some_and(|line| line.contains(&file)), "{option} in {complaints}");
    }
}

#[test]
fn a_missing_file_or_database_kind_is_named() {
    let output = Command::new(binary("challenger-httpd"))
        .args(["-c", "/no/such/file.conf"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(6));
    assert!(stderr(&output).contains("/no/such/file.conf"), "{}", stderr(&output));
    let site = Site::bare("");
    let text =
        std::fs::read_to_string(site.config()).unwrap().replace("DB = sqlite", "DB = oracle");
    std::fs::write(site.config(), text).unwrap();
    let output = site.run("challenger-dbinit", &[]);
    assert_eq!(output.status.code(), Some(6));
    let complaint = "[challenger] DB = \"oracle\": expected postgres or sqlite";
    assert!(stderr(&output).contains(complaint), "{}", stderr(&output));
}
