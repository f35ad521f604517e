//! A whole site in a directory of its own: configuration, database, helper, and the real programs.

#![allow(dead_code, reason = "each test uses its part of it")]

mod running;

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::iter;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use challenger_testkit::{Peer, Place, Reply, code_of, escape, pin_in, request};
use serde_json::Value;
use tempfile::TempDir;
use ureq::Agent;

use self::running::Running;

pub(crate) const SECRET: &str = "secret-token:6V2QK8ZJ0XN4T9BWYD3M7RHC5F";
pub(crate) const REDIRECT_URI: &str = "https://client.example/callback?shop=1";

/// How authorization responses end: with the issuer, which is the site's `BASE_URL`.
pub(crate) const ISS: &str = "&iss=https%3A%2F%2Fchallenger.example";

/// Texts shorter than this are not secrets, but made up by a test.
const SECRET_LEN_MIN: usize = 6;

/// A site, with its server if it runs.
pub(crate) struct Site {
    pub(crate) directory: TempDir,
    pub(crate) port: u16,
    /// Where it listens.
    pub(crate) place: Place,
    server: Option<Running>,
    /// Everything that the server ever printed.
    log: Arc<Mutex<String>>,
    /// Texts that must not be in the log: nonces, PINs, codes, tokens, secrets and addresses.
    secrets: Mutex<BTreeSet<String>>,
}

impl Site {
    /// A site with a database and one client, whose server does not run yet. `options` are lines of
    /// the section [challenger].
    pub(crate) fn new(options: &str) -> Self {
        let site = Self::bare(options);
        site.initialize();
        site
    }

    /// Like [`Self::new`], in a PostgreSQL database.
    pub(crate) fn on_postgres(options: &str, uri: &str) -> Self {
        let site = Self::bare(options);
        site.use_postgres(uri);
        site.initialize();
        site
    }

    /// A new site, at a UNIX socket.
    pub(crate) fn at_socket(options: &str) -> Self {
        let mut site = Self::new(&format!("SERVE = unix\nUNIXPATH = $SITE/socket\n{options}"));
        site.place = Place::Unix(site.directory.path().join("socket"));
        site
    }

    /// A site with a configuration only. In the options, `$SITE` is its directory, and `$PORT` its
    /// port.
    pub(crate) fn bare(options: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        let root = directory.path();
        fs::create_dir(root.join("outbox")).unwrap();
        fs::create_dir(root.join("config.d")).unwrap();
        write_script(&root.join("deliver.sh"), DELIVER);
        let config = format!(
            "[challenger]\nSERVE = tcp\nPORT = {port}\nBIND_TO = 127.0.0.1\n\
             BASE_URL = https://challenger.example/\nADDRESS_TYPE = email\n\
             AUTH_COMMAND = {root}/deliver.sh\nDB = sqlite\n{options}\n\
             [challengerdb-sqlite]\nFILENAME = {root}/data/challenger.sqlite\n",
            root = root.display(),
        );
        let config = config.replace("$SITE", root.to_str().unwrap());
        let config = config.replace("$PORT", &port.to_string());
        fs::write(root.join("challenger.conf"), config).unwrap();
        let (log, secrets) = (Arc::default(), Mutex::default());
        let place = Place::Tcp(port);
        let site = Self { directory, port, place, server: None, log, secrets };
        site.remember(SECRET);
        site
    }

    /// Has it keep everything in a PostgreSQL database.
    pub(crate) fn use_postgres(&self, uri: &str) {
        self.replace_sqlite(&format!("[challengerdb-postgres]\nCONFIG = {uri}"));
    }

    /// Ends its configuration with these lines, and leaves it the default kind of database.
    pub(crate) fn replace_sqlite(&self, lines: &str) {
        let text = fs::read_to_string(self.config()).unwrap().replace("DB = sqlite\n", "");
        fs::write(self.config(), format!("{text}{lines}\n")).unwrap();
    }

    /// Creates the tables and the client.
    pub(crate) fn initialize(&self) {
        let dbinit = self.run("challenger-dbinit", &[]);
        assert!(dbinit.status.success(), "{}", stderr(&dbinit));
        let admin = self.run("challenger-admin", &["--add", SECRET, REDIRECT_URI]);
        assert_eq!(stdout(&admin), "Client added. Client ID is: 1\n", "{}", stderr(&admin));
    }

    /// From now on, the server's log must not hold this. Too short a text could be anything.
    pub(crate) fn remember(&self, secret: &str) {
        if secret.len() >= SECRET_LEN_MIN {
            self.secrets.lock().unwrap().insert(secret.to_string());
        }
    }

    /// Remembers the secrets in an answer.
    pub(crate) fn learn(&self, reply: &Reply) {
        let json = serde_json::from_str(&reply.body).unwrap_or(Value::Null);
        for key in ["nonce", "access_token"] {
            self.remember(json[key].as_str().unwrap_or_default());
        }
        let request_uri = json["request_uri"].as_str().unwrap_or_default();
        self.remember(request_uri.rsplit(':').next().unwrap_or_default());
        let location = reply.header("Location").unwrap_or_default();
        self.remember(location.strip_prefix("authorize/").unwrap_or_default());
        for url in json["redirect_url"].as_str().into_iter().chain(reply.header("Location")) {
            let (_, query) = url.split_once('?').unwrap_or_default();
            for pair in query.split('&') {
                self.remember(pair.strip_prefix("code=").unwrap_or_default());
            }
        }
    }

    fn remember_pin(&self, pin: &str) {
        if let Some((first, second)) = pin.split_at_checked(4) {
            self.remember(pin);
            self.remember(&format!("{first}-{second}"));
        }
    }

    /// Remembers all that the helper was ever handed.
    fn remember_messages(&self) {
        for entry in fs::read_dir(self.directory.path().join("outbox")).unwrap() {
            let text = fs::read_to_string(entry.unwrap().path()).unwrap();
            self.remember_pin(&pin_in(&text).unwrap_or_default());
            if let Ok(Value::Object(fields)) = serde_json::from_str(&text) {
                for value in fields.values() {
                    self.remember(value.as_str().unwrap_or_default());
                }
            }
        }
    }

    /// Replaces the helper.
    pub(crate) fn set_helper(&self, script: &str) {
        write_script(&self.directory.path().join("deliver.sh"), script);
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.directory.path().join("challenger.conf")
    }

    /// Runs a tool to its end, with `-c` and the site's configuration.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> Output {
        self.command(program).args(arguments).stdin(Stdio::null()).output().unwrap()
    }

    /// A program with `-c` and the site's configuration.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(binary(program));
        command.arg("-c").arg(self.config());
        command.env("CHALLENGER_BASE_CONFIG", self.directory.path().join("config.d"));
        command
    }

    /// Everything that the server has printed so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    /// A connection of one's own.
    pub(crate) fn connect(&self) -> Peer {
        Peer::new(self.place.connect().unwrap())
    }

    pub(crate) fn get(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.ask("GET", path, headers, b"")
    }

    pub(crate) fn post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Reply {
        self.ask("POST", path, headers, body.as_ref())
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let reply = if let Place::Unix(_) = self.place {
            let mut peer = self.connect();
            peer.send(request(method, path, headers, body));
            peer.reply().unwrap()
        } else {
            let mut request = ureq::http::Request::builder().method(method).uri(self.url(path));
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            read(agent().run(request.body(body).unwrap()).unwrap())
        };
        self.learn(&reply);
        reply
    }

    /// `/setup` as the client.
    pub(crate) fn setup(&self) -> String {
        let bearer = format!("Bearer {SECRET}");
        let reply = self.post("setup/1", &[("Authorization", &bearer)], "");
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.json()["nonce"].as_str().unwrap().to_string()
    }

    /// `/challenge` with an address.
    pub(crate) fn challenge(&self, nonce: &str, email: &str) -> Reply {
        self.remember(email);
        let body = format!("CONTACT_EMAIL={}", email.replace('@', "%40"));
        self.post(&format!("challenge/{nonce}"), &[], body)
    }

    /// `/solve` as a program.
    pub(crate) fn solve(&self, nonce: &str, pin: &str) -> Reply {
        self.remember_pin(pin);
        let json = [("Accept", "application/json")];
        self.post(&format!("solve/{nonce}"), &json, format!("pin={pin}"))
    }

    /// `/token` as the client.
    pub(crate) fn token(&self, code: &str) -> Reply {
        self.remember(code);
        let body = format!(
            "grant_type=authorization_code&client_id=1&code={code}&client_secret={}\
             &redirect_uri={}",
            escape(SECRET),
            escape(REDIRECT_URI),
        );
        self.post("token", &[], body)
    }

    /// `/info` as the client.
    pub(crate) fn info(&self, token: &str) -> Reply {
        self.remember(token);
        self.get("info", &[("Authorization", &format!("Bearer {token}"))])
    }

    /// A validation up to the code: nonce and authorization code.
    pub(crate) fn solved(&self, email: &str) -> (String, String) {
        let nonce = self.setup();
        assert_eq!(self.challenge(&nonce, email).status, 200);
        let reply = self.solve(&nonce, &self.pin(email));
        assert_eq!(reply.status, 200, "{}", reply.body);
        (nonce, code_of(reply.json()["redirect_url"].as_str().unwrap()))
    }

    /// Proves an address, from `/setup` to `/info`, and returns the nonce.
    pub(crate) fn prove(&self, email: &str) -> String {
        let (nonce, code) = self.solved(email);
        let reply = self.token(&code);
        assert_eq!(reply.status, 200, "{}", reply.body);
        let info = self.info(&reply.member("access_token").unwrap()).json();
        assert_eq!(info["address"]["CONTACT_EMAIL"], email, "{info}");
        nonce
    }

    /// The latest message to an address.
    pub(crate) fn message(&self, email: &str) -> Option<String> {
        let address = format!("{{\"CONTACT_EMAIL\":\"{email}\"}}");
        let outbox = self.directory.path().join("outbox");
        let mut messages: Vec<PathBuf> = fs::read_dir(outbox)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|it| it == "address"))
            .filter(|path| fs::read_to_string(path).unwrap() == address)
            .collect();
        messages.sort_by_key(|path| fs::metadata(path).unwrap().modified().unwrap());
        fs::read_to_string(messages.pop()?.with_extension("message")).ok()
    }

    /// All messages to anybody.
    pub(crate) fn messages(&self) -> Vec<String> {
        let outbox = fs::read_dir(self.directory.path().join("outbox")).unwrap();
        outbox
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|it| it == "message"))
            .map(|path| fs::read_to_string(path).unwrap())
            .collect()
    }

    /// The PIN in the latest message to an address.
    pub(crate) fn pin(&self, email: &str) -> String {
        let message = self.message(email).unwrap();
        pin_in(&message).unwrap_or_else(|| panic!("no PIN in: {message}"))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(running) = &mut self.server {
            // It may have ended by itself; either way it must not outlive the test.
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
        if let Some(running) = self.server.take() {
            let _ = running.listener.join();
        }
        if !thread::panicking() {
            self.remember_messages();
            let log = self.log();
            for secret in self.secrets.lock().unwrap().iter() {
                assert!(!log.contains(secret), "{secret} in the log of the server: {log}");
            }
        }
    }
}

/// Keeps each message, as an outbox.
pub(crate) const DELIVER: &str = r#"#!/bin/sh
set -eu
outbox=$(dirname "$0")/outbox
name=$(mktemp "$outbox/XXXXXX")
cat > "$name.message"
printf '%s' "$1" > "$name.address"
"#;

/// Writes a program.
pub(crate) fn write_script(path: &Path, text: &str) {
    // Under another name first: a script that is being written cannot be run.
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(new, path).unwrap();
}

/// The path of one of our programs.
pub(crate) fn binary(program: &str) -> &'static str {
    match program {
        "challenger" => env!("CARGO_BIN_EXE_challenger"),
        "challenger-admin" => env!("CARGO_BIN_EXE_challenger-admin"),
        "challenger-config" => env!("CARGO_BIN_EXE_challenger-config"),
        "challenger-dbinit" => env!("CARGO_BIN_EXE_challenger-dbinit"),
        "challenger-httpd" => env!("CARGO_BIN_EXE_challenger-httpd"),
        "challenger-send-email" => env!("CARGO_BIN_EXE_challenger-send-email"),
        "challenger-send-http" => env!("CARGO_BIN_EXE_challenger-send-http"),
        other => panic!("{other} is none of our programs"),
    }
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn agent() -> Agent {
    Agent::config_builder()
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(120)))
        .build()
        .into()
}

fn read(mut response: ureq::http::Response<ureq::Body>) -> Reply {
    let headers = response.headers().iter();
    let headers = headers
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_string()))
        .collect();
    let mut body = String::new();
    response.body_mut().as_reader().read_to_string(&mut body).unwrap();
    Reply { status: response.status().as_u16(), headers, body }
}

/// A port that was free a moment ago. It is below those that connections are given, or a crowd of
/// another test could have it before the server does.
pub(crate) fn free_port() -> u16 {
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    iter::repeat_with(|| rand::random_range(10_000..32_000)).find(free).unwrap()
}

/// Such a port, after which comes another.
pub(crate) fn free_pair() -> u16 {
    let next_is_free = |port: &u16| TcpListener::bind(("127.0.0.1", port + 1)).is_ok();
    iter::repeat_with(free_port).find(next_is_free).unwrap()
}

/// Runs `challenger-admin` on a site.
pub(crate) fn admin(site: &Site, arguments: &[&str]) -> Output {
    site.run("challenger-admin", arguments)
}

/// Standard output of a success that says nothing else.
pub(crate) fn told(site: &Site, arguments: &[&str]) -> String {
    let output = admin(site, arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
    assert_eq!(stderr(&output), "", "{arguments:?}");
    stdout(&output)
}

/// The same, as JSON.
pub(crate) fn json_of(site: &Site, arguments: &[&str]) -> Value {
    serde_json::from_str(&told(site, arguments)).unwrap()
}
