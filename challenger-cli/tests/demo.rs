//! The demonstration, as a real process: for its shop, and for somebody's own application.

#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "demo/shop.rs"]
mod shop;
mod site;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use challenger_testkit::{Peer, Place, Reply, code_of, escape, pin_in, request};
use serde_json::{Value, json};
use site::{binary, free_pair, stderr, stdout};
use tempfile::TempDir;

const CALLBACK: &str = "http://127.0.0.1:3000/callback?from=challenger";

/// A demonstration that runs.
struct Demo {
    child: Child,
    output: BufReader<ChildStdout>,
    port: u16,
    /// Where it has its files while it runs.
    folder: TempDir,
}

impl Demo {
    /// Starts one that is found at free ports.
    fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_pair();
        let mut command = Command::new(binary("challenger"));
        command.args(["demo", "--port", &port.to_string()]).args(arguments);
        command.env("TMPDIR", folder.path()).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output, port, folder }
    }

    /// The next line that it prints.
    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.output.read_line(&mut line).unwrap() > 0, "it printed nothing more");
        line
    }

    /// All lines up to one that begins like this.
    fn lines_until(&mut self, beginning: &str) -> String {
        let mut lines = String::new();
        loop {
            let line = self.line();
            lines.push_str(&line);
            if line.starts_with(beginning) {
                return lines;
            }
        }
    }

    /// The messages in the inbox.
    fn inbox(&self) -> Value {
        get(&format!("http://127.0.0.1:{}/inbox.json", self.port + 1)).json()
    }

    /// Ends it as `kill` does, and checks that it leaves nothing behind.
    fn stop(mut self) {
        let process = self.child.id().to_string();
        assert!(Command::new("kill").arg(&process).status().unwrap().success());
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        let mut left = fs::read_dir(self.folder.path()).unwrap();
        assert!(left.next().is_none(), "files are left");
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It may have ended by itself; either way it must not outlive the test.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a request on a connection of its own.
fn ask(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    let (port, path) = url.strip_prefix("http://127.0.0.1:").unwrap().split_once('/').unwrap();
    let mut peer = Peer::new(Place::Tcp(port.parse().unwrap()).connect().unwrap());
    peer.send(request(method, path, headers, body.as_bytes()));
    peer.reply_to(method).unwrap()
}

fn get(url: &str) -> Reply {
    ask("GET", url, &[], "")
}

/// Runs one that ends by itself.
fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(binary("challenger"));
    command.arg("demo").args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// A form.
fn form(fields: &[(&str, &str)]) -> String {
    let pairs = fields.iter().map(|(name, value)| format!("{name}={}", escape(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// What stands after a word in what people read.
fn fact<'a>(told: &'a str, label: &str) -> &'a str {
    let found = told.lines().find_map(|line| line.strip_prefix(label)?.strip_prefix("  "));
    found.unwrap_or_else(|| panic!("{label}: {told}")).trim()
}

/// An application that knows what the demonstration printed, and a person.
struct Application(Value);

impl Application {
    fn fact(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap()
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.fact("base_url"))
    }

    /// Asks for a validation.
    fn setup(&self) -> String {
        let bearer = format!("Bearer {}", self.fact("client_secret"));
        let setup = ask("POST", self.fact("setup_endpoint"), &[("Authorization", &bearer)], "");
        setup.member("nonce").unwrap()
    }

    /// The person asks for a message to an address.
    fn challenge(&self, nonce: &str, language: &str, address: &[(&str, &str)]) {
        let challenge = self.url(&format!("challenge/{nonce}"));
        let reply = ask("POST", &challenge, &[("Accept-Language", language)], &form(address));
        assert_eq!(reply.status, 200, "{}", reply.body);
    }

    /// Fields of the authorization request, beside the client's ID.
    const REQUEST: [(&str, &str); 3] =
        [("response_type", "code"), ("redirect_uri", CALLBACK), ("state", "xyz")];

    /// The browser goes to the service with the authorization request; then as [`Self::finish`].
    fn prove(&self, nonce: &str, code: &str) -> Value {
        let request = format!("client_id={}&{}", self.fact("client_id"), form(&Self::REQUEST));
        assert_eq!(get(&self.url(&format!("authorize/{nonce}?{request}"))).status, 200);
        self.finish(nonce, code)
    }

    /// The person enters the code, and the application reads what is proved.
    fn finish(&self, nonce: &str, code: &str) -> Value {
        let solve = self.url(&format!("solve/{nonce}"));
        let solved = ask("POST", &solve, &[], &form(&[("pin", code)]));
        let back = solved.header("Location").unwrap();
        assert!(back.starts_with(&format!("{CALLBACK}&code=")), "{back}");
        assert!(back.contains("&state=xyz") && back.contains("&iss=http%3A"), "{back}");
        let fields = [
            ("grant_type", "authorization_code"),
            ("client_id", self.fact("client_id")),
            ("client_secret", self.fact("client_secret")),
            ("redirect_uri", CALLBACK),
            ("code", &code_of(back)),
        ];
        let token = ask("POST", self.fact("token_endpoint"), &[], &form(&fields));
        let bearer = format!("Bearer {}", token.member("access_token").unwrap());
        let info = ask("GET", self.fact("userinfo_endpoint"), &[("Authorization", &bearer)], "");
        info.json()
    }
}

#[test]
fn an_application_of_ones_own_proves_addresses() {
    let mut demo = Demo::start(&["--redirect-uri", CALLBACK, "--json"]);
    let application = Application(serde_json::from_str(&demo.line()).unwrap());
    assert_eq!(application.fact("base_url"), format!("http://127.0.0.1:{}/", demo.port));
    assert_eq!(application.fact("redirect_uri"), CALLBACK);
    assert_eq!(application.fact("address_type"), "email");
    assert_eq!(demo.inbox(), json!([]));

    // More than an address gets in a day elsewhere.
    for _ in 0..11 {
        application.challenge(&application.setup(), "en", &[("CONTACT_EMAIL", "eve@example.com")]);
    }
    let nonce = application.setup();
    application.challenge(&nonce, "de", &[("CONTACT_EMAIL", "ada@example.com")]);
    let inbox = demo.inbox();
    assert_eq!(inbox.as_array().unwrap().len(), 12);
    assert_eq!(inbox[1]["address"], json!({"CONTACT_EMAIL": "eve@example.com"}));
    let message = &inbox[0];
    assert_eq!(message["address"], json!({"CONTACT_EMAIL": "ada@example.com"}));
    assert_eq!(message["language"], "de");
    let text = message["text"].as_str().unwrap();
    let code = message["code"].as_str().unwrap();
    assert_eq!(pin_in(text), Some(code.replace('-', "")), "{text}");
    let subject = message["subject"].as_str().unwrap();
    assert!(subject.contains(message["reference"].as_str().unwrap()), "{subject}");
    assert!(message["time"]["t_s"].as_u64().unwrap() > 1_700_000_000);

    let info = application.prove(&nonce, code);
    assert_eq!(info["address"], json!({"CONTACT_EMAIL": "ada@example.com"}));
    demo.stop();
}

#[test]
fn a_library_finds_everything_in_the_metadata() {
    let mut demo = Demo::start(&["--redirect-uri", CALLBACK, "--json"]);
    let application = Application(serde_json::from_str(&demo.line()).unwrap());
    let metadata = get(application.fact("metadata")).json();
    for name in [
        "issuer",
        "authorization_endpoint",
        "pushed_authorization_request_endpoint",
        "token_endpoint",
        "userinfo_endpoint",
    ] {
        assert_eq!(metadata[name], application.fact(name), "{name}");
    }
    let client = [
        ("client_id", application.fact("client_id")),
        ("client_secret", application.fact("client_secret")),
    ];
    let fields = [&client[..], &Application::REQUEST].concat();
    let push = metadata["pushed_authorization_request_endpoint"].as_str().unwrap();
    let pushed = ask("POST", push, &[], &form(&fields));
    assert_eq!(pushed.status, 201, "{}", pushed.body);
    let pushed = pushed.member("request_uri").unwrap();
    let link = form(&[client[0], ("request_uri", &pushed)]);
    let begun = get(&format!("{}?{link}", application.fact("authorization_endpoint")));
    let nonce = begun.header("Location").unwrap().strip_prefix("authorize/").unwrap();
    application.challenge(nonce, "en", &[("CONTACT_EMAIL", "ada@example.com")]);
    let info = application.finish(nonce, demo.inbox()[0]["code"].as_str().unwrap());
    assert_eq!(info["address"], json!({"CONTACT_EMAIL": "ada@example.com"}));
    demo.stop();
}

/// What an application asks the browser to open that knows three URLs and nothing else.
fn link(application: &Application) -> String {
    let client = [("client_id", application.fact("client_id"))];
    let query = form(&[&client[..], &Application::REQUEST].concat());
    format!("{}?{query}", application.fact("authorization_endpoint"))
}

#[test]
fn three_urls_are_enough_for_an_open_application() {
    let mut demo = Demo::start(&["--redirect-uri", CALLBACK, "--json", "--open"]);
    let application = Application(serde_json::from_str(&demo.line()).unwrap());
    let begun = get(&link(&application));
    assert_eq!(begun.status, 302, "{}", begun.body);
    let nonce = begun.header("Location").unwrap().strip_prefix("authorize/").unwrap();
    application.challenge(nonce, "en", &[("CONTACT_EMAIL", "ada@example.com")]);
    let info = application.finish(nonce, demo.inbox()[0]["code"].as_str().unwrap());
    assert_eq!(info["address"], json!({"CONTACT_EMAIL": "ada@example.com"}));
    demo.stop();

    let mut demo = Demo::start(&["--redirect-uri", CALLBACK, "--json"]);
    let application = Application(serde_json::from_str(&demo.line()).unwrap());
    assert_eq!(get(&link(&application)).status, 400, "it is not open");
    demo.stop();
}

#[test]
fn the_inbox_belongs_to_the_demonstration_alone() {
    let mut demo = Demo::start(&["--redirect-uri", CALLBACK, "--json"]);
    let application = Application(serde_json::from_str(&demo.line()).unwrap());
    for path in ["inbox", "inbox.json"] {
        assert_eq!(get(&application.url(path)).status, 404, "{path} of the service");
    }
    let json = get(application.fact("inbox_json"));
    assert_eq!(json.header("Content-Type"), Some("application/json"));
    // A page of another site must not read codes.
    assert_eq!(json.header("Access-Control-Allow-Origin"), None);
    assert_eq!(json.header("Cache-Control"), Some("no-store"));
    let root = application.fact("inbox").trim_end_matches("inbox");
    assert_eq!(get(root).header("Location"), Some("/inbox"));
    assert_eq!(get(&format!("{root}callback")).status, 404);
    let head = ask("HEAD", application.fact("inbox"), &[], "");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(ask("POST", application.fact("inbox"), &[], "").status, 404);
    demo.stop();
}

#[test]
fn the_page_of_the_inbox_shows_messages_as_they_are() {
    let arguments = ["--redirect-uri", CALLBACK, "--json", "--address-type", "postal"];
    let mut demo = Demo::start(&arguments);
    let application = Application(serde_json::from_str(&demo.line()).unwrap());
    let page = get(application.fact("inbox"));
    assert!(page.body.contains("no messages yet"), "{}", page.body);

    let nonce = application.setup();
    let address = [
        ("CONTACT_NAME", "<script>alert(1)</script>"),
        ("ADDRESS_LINES", "\"Bahnhof\" & 'Strasse'\n8001 <b>Zürich"),
        ("ADDRESS_COUNTRY", "CH"),
    ];
    application.challenge(&nonce, "fr", &address);
    let page = get(application.fact("inbox"));
    assert_eq!(page.header("Content-Type"), Some("text/html; charset=utf-8"));
    let policy = page.header("Content-Security-Policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    let page = page.body;
    assert!(!page.contains("<script") && !page.contains("<b>"), "{page}");
    let receiver = "<p>To: &lt;script&gt;alert(1)&lt;/script&gt;\n\
                    &quot;Bahnhof&quot; &amp; &#39;Strasse&#39;\n8001 &lt;b&gt;Zürich\nCH</p>";
    assert!(page.contains(receiver), "{page}");
    let message = demo.inbox()[0].clone();
    let text = |name: &str| message[name].as_str().unwrap();
    for shown in
        [text("code"), text("reference"), "<pre class=\"text\" lang=\"fr\">", "href=\"/inbox\""]
    {
        assert!(page.contains(shown), "{shown}: {page}");
    }

    let info = application.prove(&nonce, text("code"));
    assert_eq!(info["address"]["CONTACT_NAME"], "<script>alert(1)</script>");
    demo.stop();
}

#[test]
fn people_read_everything_in_the_terminal() {
    let arguments = ["--redirect-uri", CALLBACK, "--address-type=phone"];
    let mut demo = Demo::start(&arguments);
    let told = demo.lines_until("Messages are not sent anywhere");
    let facts = [
        ("base_url", "Service"),
        ("client_id", "Client ID"),
        ("client_secret", "Client secret"),
        ("setup_endpoint", "Setup URL"),
        ("token_endpoint", "Token URL"),
        ("userinfo_endpoint", "User info URL"),
    ];
    let facts = facts.map(|(name, label)| (name.to_owned(), Value::from(fact(&told, label))));
    let application = Application(facts.into_iter().collect());
    let nonce = application.setup();
    application.challenge(&nonce, "en", &[("CONTACT_PHONE", "+41 79 123 45 67")]);
    let shown = demo.lines_until("└──");
    assert!(shown.contains("┌── Text message to +41791234567\n"), "{shown}");
    let info = application.prove(&nonce, &pin_in(&shown).unwrap());
    assert_eq!(info["address"], json!({"CONTACT_PHONE": "+41791234567"}));
    demo.stop();
}

#[test]
fn the_demonstration_tests_itself_with_each_type_of_address() {
    // Another demonstration may have this port; this one finds others.
    let _taken = TcpListener::bind(("127.0.0.1", 9967));
    for (kind, address) in [
        ("email", "ada@example.com"),
        ("phone", "+41791234567"),
        ("postal", "Ada Lovelace, Bahnhofstrasse 1, 8001 Zürich, CH"),
        ("postal-ch", "Ada Lovelace, Bahnhofstrasse 1, 8001 Zürich"),
    ] {
        let output = run(&["--selftest", "--address-type", kind]);
        assert_eq!(output.status.code(), Some(0), "{kind}: {}", stderr(&output));
        let told = stdout(&output);
        let steps = told.lines().filter(|line| line.starts_with("  ok  ")).count();
        assert_eq!(steps, 9, "{told}");
        assert!(!told.contains(":9967/"), "{told}");
        assert!(told.contains(&format!("  ok  The shop knows: {address} is")), "{told}");
        assert_eq!(stderr(&output), "", "{kind}");
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let port = free_pair();
    for (taken, what) in [(port, "the service"), (port + 1, "the inbox")] {
        let _listener = TcpListener::bind(("127.0.0.1", taken)).unwrap();
        let output = run(&["--port", &port.to_string()]);
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(1), ""));
        let complaint = stderr(&output);
        assert!(complaint.contains(&format!("127.0.0.1:{taken}")), "{complaint}");
        assert!(complaint.contains(what) && complaint.contains("--port"), "{complaint}");
    }
}

#[test]
fn wrong_arguments_are_explained() {
    for (arguments, complaint) in [
        (&["--address-type=fax"][..], "expected email, phone, postal or postal-ch"),
        (&["--address-type=Email"], "expected email"),
        (&["--redirect-uri=/callback"], "a redirect URI is absolute"),
        (&["--redirect-uri=https://a.example/#b"], "a redirect URI has no fragment"),
        (&["--redirect-uri=javascript:alert(1)"], "a redirect URI leads to a client"),
        (&["--port=0"], "expected a number from 1 to 65534"),
        (&["--port=65535"], "expected a number from 1 to 65534"),
        (&["--port=http"], "expected a number from 1 to 65534"),
        (&["--open"], "expected with --redirect-uri"),
        (&["--selftest", "--json"], "expected without --json"),
        (&["--selftest", "--redirect-uri=https://a.example/"], "expected without --json"),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(complaint), "{arguments:?}: {}", stderr(&output));
        assert_eq!(stdout(&output), "", "{arguments:?}");
    }
}
