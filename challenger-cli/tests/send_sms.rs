//! `challenger-send-sms.sh` against a stand-in for Telesign.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod provider;
mod script;
mod site;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use challenger_server::process::ProcessErrorKind;
use challenger_testkit::pin_in;
use provider::{Act, Asked, Provider};
use script::{Ran, Script};
use site::Site;

const PROGRAMS: [&str; 4] = ["cat", "curl", "head", "jq"];
const ADDRESS: &str = r#"{"CONTACT_PHONE":"+41791234567"}"#;
const MESSAGE: &str = "1234-5678 is your code.\n\n@id.example #12345678";
const ID: &str = "0A1B-2C3D";
const KEY: &str = "k\"e\\y $(id)/+=ü";
/// `ID:KEY` as HTTP has it.
const BASIC: &str = "Basic MEExQi0yQzNEOmsiZVx5ICQoaWQpLys9w7w=";

/// As Telesign answers to a message that it takes on.
fn accepted() -> Act {
    Act::Answer(200, coded("290"))
}

fn coded(code: &str) -> String {
    format!(
        r#"{{"reference_id":"0123456789ABCDEF0123456789ABCDEF","external_id":null,
            "status":{{"code":{code},"description":"Message in progress"}}}}"#
    )
}

/// The script, set up for a provider.
fn script(url: &str) -> Script {
    let mut script = Script::new("challenger-send-sms.sh", &PROGRAMS);
    script.set("TELESIGN_CUSTOMER_ID", ID);
    script.set("TELESIGN_API_KEY", KEY);
    script.set("TELESIGN_URL", url);
    // The machine may be busy.
    script.set("TELESIGN_TIMEOUT", "999");
    script
}

/// The request to the provider, which must be the only one.
fn only(provider: &Provider) -> Asked {
    let asked = provider.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    asked[0].clone()
}

/// Checks that a request is one for `POST /v1/messaging`, and returns number and message.
fn judge(asked: &Asked) -> (String, String) {
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("POST", "/v1/messaging"));
    assert_eq!(asked.header("Authorization"), BASIC);
    let [phone, message, kind] = asked.form().try_into().unwrap();
    assert_eq!(kind, ("message_type".to_owned(), "OTP".to_owned()));
    assert_eq!((phone.0.as_str(), message.0.as_str()), ("phone_number", "message"));
    (phone.1, message.1)
}

/// Whether a text contains nothing secret.
fn is_silent(text: &str) -> bool {
    [ID, KEY, "k\"e", BASIC, "79123", "1234-5678", "12345678"].iter().all(|it| !text.contains(it))
}

#[test]
fn a_message_is_sent_as_telesign_documents_it() {
    for end in ["", "/"] {
        let provider = Provider::start(|_| accepted());
        let script = script(&(provider.url() + end));
        assert_eq!(script.run(ADDRESS, MESSAGE), Ran::well());
        let (phone, message) = judge(&only(&provider));
        assert_eq!((phone.as_str(), message.as_str()), ("41791234567", MESSAGE));
    }
}

#[test]
fn messages_arrive_as_they_are() {
    let long = "ü".repeat(1600);
    for message in [
        "Zürich grüßt. ✓ 🙂 日本",
        "@/etc/passwd",
        "=a&message_type=MKT&b=%41+%",
        "-d @/etc/passwd --url http://example.com/",
        "$(id) `id` ${HOME} $HOME !!",
        r#""quoted" 'single' \ \\ \n \u0041 \"#,
        "\"\nurl = \"http://127.0.0.1:1/\"\n# x",
        "one\n\n two \r\n\tthree ",
        "#;<>|*?[]{}~^",
        &long,
    ] {
        let provider = Provider::start(|_| accepted());
        assert_eq!(script(&provider.url()).run(ADDRESS, message), Ran::well(), "{message}");
        assert_eq!(judge(&only(&provider)).1, message);
    }
}

#[test]
fn line_breaks_at_the_end_and_what_no_text_has_are_left_out() {
    for (message, sent) in [
        ("code\n\n", "code"),
        ("a\u{1b}[31m\u{7f}\u{1}b", "a[31mb"),
        ("a\u{2028}b\u{2029}c\u{85}d\u{b}e\u{c}f", "a b c d e f"),
        ("1\u{202e}2\u{2066}3\u{200f}4\u{61c}5\u{200b}6\u{feff}", "123456"),
    ] {
        let provider = Provider::start(|_| accepted());
        assert_eq!(script(&provider.url()).run(ADDRESS, message), Ran::well());
        assert_eq!(judge(&only(&provider)).1, sent);
    }
}

#[test]
fn other_numbers_and_messages_are_refused() {
    let provider = Provider::start(|_| accepted());
    let script = script(&provider.url());
    let number = "expected a CONTACT_PHONE of a + and up to 15 digits";
    for address in [
        r#"{"CONTACT_PHONE":"0791234567"}"#,
        r#"{"CONTACT_PHONE":"+4179 123"}"#,
        r#"{"CONTACT_PHONE":"+"}"#,
        r#"{"CONTACT_PHONE":""}"#,
        r#"{"CONTACT_PHONE":"+41791234567\n"}"#,
        r#"{"CONTACT_PHONE":"x\n+41791234567"}"#,
        r#"{"CONTACT_PHONE":"+4179&message=x"}"#,
        r#"{"CONTACT_PHONE":"+$(id)"}"#,
        r#"{"CONTACT_PHONE":"+٤١٧٩"}"#,
        r#"{"CONTACT_PHONE":"+1234567890123456"}"#,
    ] {
        assert_eq!(script.run(address, MESSAGE), script.complaint(67, number), "{address}");
    }
    let field = "expected an address with CONTACT_PHONE";
    for address in [
        r#"{"CONTACT_PHONE":41791234567}"#,
        r#"{"CONTACT_PHONE":["+41791234567"]}"#,
        r#"{"CONTACT_EMAIL":"ada@example.com"}"#,
        r#"{"CONTACT_PHONE":"+41791234567""#,
        "[]",
        "+41791234567",
        "",
    ] {
        assert_eq!(script.run(address, MESSAGE), script.complaint(64, field), "{address}");
    }
    let long = "the message has more than 1600 characters";
    assert_eq!(script.run(ADDRESS, &"ü".repeat(1601)), script.complaint(69, long));
    assert_eq!(script.run(ADDRESS, "\n"), script.complaint(69, "the message is empty"));
    assert_eq!(provider.asked().len(), 0);
}

#[test]
fn only_codes_that_mean_so_mean_that_it_is_accepted() {
    let refused = ["201", "207", "500", "0", "-290", "null", "\"290\"", "[290]"];
    for (status, code, expected) in ["200", "203", "250", "290", "291", "295"]
        .map(|code| (200, code, 0))
        .into_iter()
        .chain(refused.map(|code| (200, code, 69)))
        .chain([(201, "290", 69), (204, "290", 69), (302, "290", 69), (400, "290", 69)])
    {
        let provider = Provider::start(move |_| Act::Answer(status, coded(code)));
        let ran = script(&provider.url()).run(ADDRESS, MESSAGE);
        assert_eq!(ran.code, Some(expected), "{status} {code}: {ran:?}");
        // In particular, a redirect is not followed.
        assert_eq!(provider.asked().len(), 1);
    }
}

#[test]
fn refusals_are_told_without_secrets() {
    for (status, code, body, said) in [
        (
            401,
            78,
            r#"{"status":{"code":501,"description":"Not authorized"},
                "errors":[{"code":-30015,"description":"Invalid API Key."}]}"#,
            "HTTP 401, 501 Not authorized, -30015 Invalid API Key.",
        ),
        (
            400,
            69,
            r#"{"status":{"code":11009,"description":"Invalid value for parameter x."}}"#,
            "HTTP 400, 11009 Invalid value for parameter x.",
        ),
        (
            401,
            78,
            r#"{"errors":[{"code":-10033,
                "description":"41791234567 or +41 79 123 45 67 is not\nü 1234-5678"}]}"#,
            "HTTP 401, -10033 *** or *** is not?? ***",
        ),
        (429, 75, r#"{"status":{"code":3204}}"#, "HTTP 429, 3204 null"),
        (500, 75, "<html>oops</html>", "HTTP 500"),
        (503, 75, "", "HTTP 503"),
        (200, 69, r#"{"status":"fine"}"#, "HTTP 200"),
        (200, 69, "[]", "HTTP 200"),
        (200, 69, "", "HTTP 200"),
        (200, 69, "290", "HTTP 200"),
    ] {
        let provider = Provider::start(move |_| Act::Answer(status, body.into()));
        let script = script(&provider.url());
        let complaint = format!("Telesign does not accept the message: {said}");
        assert_eq!(script.run(ADDRESS, MESSAGE), script.complaint(code, &complaint));
        assert_eq!(provider.asked().len(), 1, "it is tried once");
    }
}

#[test]
fn the_exit_status_says_whether_another_number_or_another_time_helps() {
    let error = r#"{"status":{"code":500},"errors":[{"code":-10001,"description":"WHAT"}]}"#;
    let invalid = |what: &str| error.replace("WHAT", &format!("Invalid Request: {what} Parameter"));
    let statuses = [
        (67, &[211, 220, 222, 229, 230, 237, 238, 507, 510, 513][..]),
        (75, &[210, 221, 503, 505, 511, 512, 514]),
        (78, &[501, 502, 508]),
        (69, &[207, 231, 233, 504, 506, 515, 599]),
    ];
    let numbers = statuses.into_iter().flat_map(|(code, all)| all.iter().map(move |it| (code, it)));
    let late = numbers.map(|(code, number)| (code, 200, coded(&number.to_string())));
    let at_once = [
        (67, 400, coded("11000")),
        (67, 400, coded("11001")),
        (67, 400, invalid("PhoneNumber")),
        (69, 400, invalid("Message")),
        (69, 400, coded("11009")),
        (69, 404, String::new()),
        (75, 429, coded("3204")),
        (75, 429, String::new()),
        (75, 503, coded("3500")),
        (78, 401, coded("501")),
        (78, 403, String::new()),
    ];
    for (code, status, body) in late.chain(at_once) {
        let said = format!("{status}: {body}");
        let provider = Provider::start(move |_| Act::Answer(status, body.clone()));
        assert_eq!(script(&provider.url()).run(ADDRESS, MESSAGE).code, Some(code), "{said}");
    }
}

#[test]
fn a_script_whose_time_is_up_leaves_nothing() {
    let provider = Provider::start(|_| Act::Hang);
    let script = script(&provider.url());
    let mut seconds = 1;
    while provider.asked().is_empty() {
        let error = script.serve(ADDRESS, MESSAGE, Duration::from_secs(seconds));
        assert!(matches!(error.kind, ProcessErrorKind::TimedOut(_)), "{error}: {}", error.output);
        assert_eq!(script.left(), Vec::<String>::new());
        seconds *= 2;
    }
}

#[test]
fn a_provider_that_misbehaves_costs_a_failure_in_time() {
    let say = |rest: &str| Act::Say(format!("HTTP/1.1 200 OK\r\n{rest}"));
    let misdeeds = [
        (75, Act::Hang, "Telesign does not answer: Operation timed out"),
        (75, Act::HangAfter(coded("290")), "Telesign does not answer: Operation timed out"),
        (75, Act::Close, "Telesign does not answer: Empty reply from server"),
        (69, Act::Flood, "Telesign"),
        (69, Act::Say("SSH-2.0-OpenSSH_9.2\r\n".into()), "Telesign does not answer: "),
        (75, say("Content-Length: 99\r\n\r\n{}"), "Telesign does not"),
        (69, say("Content-Length: 999999\r\n\r\n"), "Telesign does"),
        (69, say("\r\n\0\0\n0 200 \n"), "Telesign does not accept"),
    ];
    let check = |code: i32, act: Act, complaint: &str| {
        let told = format!("{act:?}");
        let provider = Provider::start(move |_| act.clone());
        let mut script = script(&provider.url());
        if complaint.ends_with("timed out") {
            script.set("TELESIGN_TIMEOUT", "20");
        }
        let ran = script.run(ADDRESS, MESSAGE);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(code), ""), "{told}");
        assert!(ran.stderr.contains(complaint), "{told}: {}", ran.stderr);
        assert!(ran.stderr.lines().count() == 1 && is_silent(&ran.stderr), "{}", ran.stderr);
        assert_eq!(provider.asked().len(), 1, "it is tried once");
    };
    thread::scope(|scope| {
        for (code, act, complaint) in misdeeds {
            scope.spawn(move || check(code, act, complaint));
        }
    });
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ran = script(&format!("http://{nobody}")).run(ADDRESS, MESSAGE);
    assert_eq!(ran.code, Some(75));
    assert!(ran.stderr.contains("Telesign does not answer: Failed to connect"), "{}", ran.stderr);
}

#[test]
fn without_tls_that_can_be_trusted_nothing_is_said() {
    let provider = Provider::start(|_| accepted());
    let ran = script(&provider.url().replace("http:", "https:")).run(ADDRESS, MESSAGE);
    assert_eq!((ran.code, provider.asked().len()), (Some(75), 0), "{ran:?}");

    let folder = tempfile::tempdir().unwrap();
    let openssl = |line: &str| {
        let mut command = Command::new("openssl");
        command.args(line.split(' ')).current_dir(folder.path()).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        command
    };
    let request = "req -x509 -newkey rsa:2048 -nodes -keyout key -out certificate -subj /CN=x \
                   -addext subjectAltName=IP:127.0.0.1";
    assert!(openssl(request).status().unwrap().success());
    let mut server = openssl("s_server -accept 127.0.0.1:0 -key key -cert certificate -www");
    let mut server = server.spawn().unwrap();
    let mut said = BufReader::new(server.stdout.take().unwrap()).lines();
    let place = said.find_map(|line| line.unwrap().strip_prefix("ACCEPT ").map(String::from));
    let ran = script(&format!("https://{}", place.unwrap())).run(ADDRESS, MESSAGE);
    server.kill().unwrap();
    server.wait().unwrap();
    assert_eq!(ran.code, Some(69));
    assert!(ran.stderr.contains("certificate"), "{}", ran.stderr);
}

#[test]
fn settings_are_asked_for_by_name() {
    let provider = Provider::start(|_| accepted());
    for name in ["TELESIGN_CUSTOMER_ID", "TELESIGN_API_KEY"] {
        let mut script = script(&provider.url());
        let complaint = format!("[challenger-helper] {name} is missing");
        script.set(name, "");
        assert_eq!(script.run(ADDRESS, MESSAGE), script.complaint(78, &complaint));
        script.unset(name);
        assert_eq!(script.run(ADDRESS, MESSAGE), script.complaint(78, &complaint));
    }
    let url = "[challenger-helper] TELESIGN_URL: expected https://HOST";
    let seconds = "[challenger-helper] TELESIGN_TIMEOUT: expected seconds, from 1 to 999";
    for (name, value, complaint) in [
        ("TELESIGN_URL", "http://example.com", url),
        ("TELESIGN_URL", "http://127.0.0.1.example.com:80", url),
        ("TELESIGN_URL", "http://127.0.0.1:80@example.com", url),
        ("TELESIGN_URL", "https://", url),
        ("TELESIGN_URL", "https://a b", url),
        ("TELESIGN_URL", "ftp://example.com", url),
        ("TELESIGN_URL", "file:///etc/passwd", url),
        ("TELESIGN_TIMEOUT", "0", seconds),
        ("TELESIGN_TIMEOUT", "1.5", seconds),
        ("TELESIGN_TIMEOUT", "1000", seconds),
        ("TELESIGN_TIMEOUT", "30 s", seconds),
    ] {
        let mut script = script(&provider.url());
        script.set(name, value);
        assert_eq!(script.run(ADDRESS, MESSAGE), script.complaint(78, complaint), "{value}");
    }
    assert_eq!(provider.asked().len(), 0);
}

#[test]
fn arguments_and_programs_are_asked_for() {
    let script = script("http://127.0.0.1:1");
    for arguments in [&[][..], &[ADDRESS, ADDRESS]] {
        let complaint = script.complaint(64, "expected one argument, the address");
        assert_eq!(script.run_with(&[], arguments, MESSAGE), complaint);
    }
    let ran = script.run_with(&[], &["-x"], MESSAGE);
    assert!(ran.code == Some(64) && ran.stderr.contains("Usage: "), "{ran:?}");
    for (program, package) in [("curl", "curl"), ("jq", "jq")] {
        script.uninstall(program);
        let complaint = format!("{program} is not installed: apt install {package}");
        assert_eq!(script.run(ADDRESS, MESSAGE), script.complaint(69, &complaint));
    }
}

#[test]
fn nobody_else_sees_anything() {
    let provider = Provider::start(|_| accepted());
    let script = script(&provider.url());
    // The user's own settings of curl would reveal everything.
    let settings = script.folder.path().join("home/.curlrc");
    fs::write(settings, "verbose\nshow-error\noutput = \"/dev/stderr\"\n").unwrap();
    let ran = script.run_with(&["-x"], &[ADDRESS], MESSAGE);
    assert_eq!(ran.code, Some(0));
    assert!(ran.stderr.contains("set +x") && is_silent(&ran.stderr), "{}", ran.stderr);
    judge(&only(&provider));
    let lines = script.command_lines();
    for program in PROGRAMS {
        assert!(lines.lines().any(|line| line == program), "{program} was used: {lines}");
    }
    assert!(is_silent(&lines), "{lines}");
}

#[test]
fn a_number_is_proved_through_it() {
    let provider = Provider::start(|asked| {
        if asked.form()[0].1 == "41790000000" {
            Act::Answer(400, r#"{"status":{"code":11000,"description":"+41790000000"}}"#.into())
        } else {
            accepted()
        }
    });
    let snippet = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/address-types/phone.conf");
    let mut site = Site::new(&format!("@inline@ {snippet}"));
    site.set_helper(&format!(
        "#!/bin/sh\nexport TELESIGN_CUSTOMER_ID='{ID}' TELESIGN_API_KEY='{KEY}'\n\
         export TELESIGN_URL={}\nexec {} \"$1\"\n",
        provider.url(),
        script::path("challenger-send-sms.sh").display(),
    ));
    site.remember(KEY);
    site.remember("79000000");
    site.start();
    let nonce = site.setup();
    let challenge = |number: &str| {
        site.post(&format!("challenge/{nonce}"), &[], format!("CONTACT_PHONE=%2B{number}"))
    };
    let refused = challenge("41790000000");
    let detail = "the address does not exist or cannot be reached: status 67";
    assert_eq!((refused.status, &refused.json()["detail"]), (502, &detail.into()));
    let sent = challenge("41791234567");
    assert_eq!((sent.status, &sent.json()["transmitted"]), (200, &true.into()));
    let (phone, message) = judge(&provider.asked()[1]);
    assert_eq!(phone, "41791234567");
    let pin = pin_in(&message).unwrap();
    assert!(message.ends_with(&format!("@challenger.example #{pin}")), "{message}");
    assert_eq!(site.solve(&nonce, &pin).status, 200);
    site.stop();
    let log = site.log();
    assert!(log.contains(" failure=address ") && log.contains("HTTP 400, 11000 ***"), "{log}");
    assert!(is_silent(&log), "{log}");
}

#[test]
fn many_at_once_do_not_mind_each_other() {
    let provider = Provider::start(|_| accepted());
    let script = script(&provider.url());
    thread::scope(|scope| {
        for number in 0..8 {
            let script = &script;
            scope.spawn(move || {
                let address = format!("{{\"CONTACT_PHONE\":\"+4179000000{number}\"}}");
                assert_eq!(script.run(&address, &format!("for {number}")), Ran::well());
            });
        }
    });
    let mut sent: Vec<_> = provider.asked().iter().map(judge).collect();
    sent.sort();
    let expected: Vec<_> =
        (0..8).map(|number| (format!("4179000000{number}"), format!("for {number}"))).collect();
    assert_eq!(sent, expected);
}
