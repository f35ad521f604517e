//! docs/openapi.yaml describes the service that runs: its routes, its answers, and its limits.

#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod examples;
#[path = "../site/mod.rs"]
mod site;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use challenger_testkit::{code_of, escape, request};
use serde_json::Value;
use site::{REDIRECT_URI, SECRET, Site, admin, stderr, stdout};

/// The file that knows all routes.
const ROUTES: &str = include_str!("../../../challenger-proto/src/endpoint/route.rs");

const OPTIONS: &str = "TERMS_ETAG = v1\nTERMS_DIR = $SITE/legal\n\
                       PRIVACY_ETAG = v1\nPRIVACY_DIR = $SITE/legal\n";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// A program of the environment that `make schemathesis` makes.
fn python(program: &str) -> Command {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let path = target.join("schemathesis/bin").join(program);
    assert!(path.exists(), "{} is missing: run make schemathesis", path.display());
    Command::new(path)
}

/// The document, whose validity is checked as it is read.
fn document() -> Value {
    let mut reader = python("python");
    reader.arg(root().join("testdata/openapi/read.py")).arg(root().join("docs/openapi.yaml"));
    let output = reader.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A running site with legal documents, and a client that is open.
fn site(options: &str) -> Site {
    let mut site = Site::bare(&format!("{OPTIONS}{options}"));
    let legal = site.directory.path().join("legal/en");
    fs::create_dir_all(&legal).unwrap();
    for (ending, text) in [("txt", "Be kind.\n"), ("html", "<!DOCTYPE html><p>Be kind.\n")] {
        fs::write(legal.join(format!("v1.{ending}")), text).unwrap();
    }
    site.initialize();
    let opened = admin(&site, &["--messages-per-day=100000", "--open", REDIRECT_URI]);
    assert!(opened.status.success(), "{}", stderr(&opened));
    site.start();
    site
}

/// What a part of the document is, or refers to.
fn resolved<'d>(document: &'d Value, part: &'d Value) -> &'d Value {
    let reference = part["$ref"].as_str().and_then(|it| it.strip_prefix('#'));
    reference.map_or(part, |pointer| document.pointer(pointer).unwrap())
}

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// The operations: path, method, and what they are.
fn operations(document: &Value) -> Vec<(&String, &String, &Value)> {
    let methods = |(path, item)| {
        let is_method = |it: &(&String, &Value)| it.0 != "parameters";
        object(item).filter(is_method).map(move |(method, it)| (path, method, it))
    };
    object(&document["paths"]).flat_map(methods).collect()
}

#[test]
fn the_document_has_the_routes_and_methods_that_the_service_has() {
    let document = document();
    let mut described: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (path, method, _) in operations(&document) {
        described.entry(path).or_default().insert(method.to_uppercase());
    }
    let names = ROUTES.split("fn name(").nth(1).unwrap().split("\n    }\n").next().unwrap();
    let names: Vec<String> = names
        .lines()
        .filter_map(|line| line.split_once("=> \"")?.1.strip_suffix("\","))
        .map(|name| name.replace("$CLIENT_ID", "{client_id}").replace("$NONCE", "{nonce}"))
        .collect();
    let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(described.keys().copied().collect::<BTreeSet<_>>(), names);

    let site = site("");
    for (path, methods) in described {
        let path = path.replace("{client_id}", "1").replace("{nonce}", "N");
        let mut peer = site.connect();
        peer.send(request("PUT", &path[1..], &[], b""));
        let reply = peer.reply().unwrap();
        let allowed = reply.header("Allow").unwrap();
        let mut allowed: BTreeSet<String> = allowed.split(", ").map(str::to_owned).collect();
        // Those that the document mentions once for all.
        assert!(allowed.remove("OPTIONS"), "{path}");
        assert_eq!(allowed.remove("HEAD"), allowed.contains("GET"), "{path}");
        assert_eq!(methods, allowed, "{path}");
    }
}

/// The `request_uri` of a request that the client pushed.
fn push(site: &Site) -> String {
    let form = format!("response_type=code&client_id=1&client_secret={}", escape(SECRET));
    site.post("par", &[], form).member("request_uri").unwrap()
}

/// A pushed request whose person has entered the code: nonce and authorization code.
fn proved(site: &Site, email: &str) -> (String, String) {
    let request_uri = push(site);
    let (_, nonce) = request_uri.rsplit_once(':').unwrap();
    assert_eq!(site.challenge(nonce, email).status, 200);
    let url = site.solve(nonce, &site.pin(email)).member("redirect_url").unwrap();
    (nonce.to_owned(), code_of(&url))
}

/// Writes what exists to where schemathesis looks for it.
fn prepare(site: &Site) {
    let folder = site.directory.path();
    for file in ["hooks.py", "schemathesis.toml"] {
        fs::copy(root().join("testdata/openapi").join(file), folder.join(file)).unwrap();
    }
    let mut pins = serde_json::Map::new();
    let mut lists: BTreeMap<&str, String> = BTreeMap::new();
    let mut list = |name, entry: &str| writeln!(lists.entry(name).or_default(), "{entry:?}");
    for number in 0..20 {
        let email = format!("asked{number}@example.com");
        let nonce = site.setup();
        assert_eq!(site.challenge(&nonce, &email).status, 200);
        pins.insert(nonce.clone(), site.pin(&email).into());
        let (proved_nonce, code) = proved(site, &format!("proved{number}@example.com"));
        let (_, other_code) = proved(site, &format!("read{number}@example.com"));
        let token = site.token(&other_code).member("access_token").unwrap();
        for (name, entry) in [
            ("codes", &code),
            ("nonces", &nonce),
            ("nonces", &proved_nonce),
            ("nonces", &site.setup()),
            ("open", &site.setup()),
            ("request_uris", &push(site)),
            ("tokens", &token),
        ] {
            list(name, entry).unwrap();
        }
    }
    for (name, lines) in lists {
        fs::write(folder.join(name), lines).unwrap();
    }
    fs::write(folder.join("pins.json"), Value::Object(pins).to_string()).unwrap();
}

#[test]
fn schemathesis_finds_nothing() {
    let site = site("");
    prepare(&site);
    let (_, code) = site.solved("ada@example.com");
    let token = site.token(&code).member("access_token").unwrap();
    let mut tester = python("st");
    tester.current_dir(site.directory.path());
    tester.env("ACCESS_TOKEN", token).env("CLIENT_SECRET", SECRET);
    tester.env("REDIRECT_URI", REDIRECT_URI);
    tester.arg("run").arg(root().join("docs/openapi.yaml")).args(["--url", &site.url("")]);
    let output = tester.output().unwrap();
    assert!(output.status.success(), "{}\n{}", stdout(&output), stderr(&output));
}
