//! The site for nginx, in a real one: what it answers by itself while the service is away.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod site;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use challenger_testkit::{Peer, Place, Reply, request, wait_for};
use site::{Site, free_port, stderr};

const SOURCE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../debian/etc/nginx/sites-available/challenger");

/// An nginx in a folder of its own, which stops at the end.
struct Nginx {
    process: Child,
    port: u16,
}

impl Nginx {
    /// Serves the site without TLS, with its files below this folder.
    fn start(folder: &Path) -> Self {
        let (port, root) = (free_port(), folder.display());
        let site: String = fs::read_to_string(SOURCE)
            .unwrap()
            .replace("listen 443 ssl http2;", &format!("listen 127.0.0.1:{port};"))
            .replace("listen 80;", &format!("listen unix:{root}/plain;"))
            .replace("/run/challenger/httpd.sock", &format!("{root}/socket"))
            .replace("/usr/share/challenger/errors", &format!("{root}/installed"))
            .replace("/var/www/challenger", &format!("{root}/own"))
            .replace("/var/log/nginx/", &format!("{root}/"))
            .lines()
            .filter(|line| !line.contains("listen [::]") && !line.contains("ssl_"))
            .map(|line| format!("{line}\n"))
            .collect();
        let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let places = kinds.map(|kind| format!("{kind}_temp_path {root}/{kind};\n")).concat();
        let all = format!(
            "daemon off; master_process off; pid {root}/pid; events {{}}\nhttp {{\n\
             include /etc/nginx/mime.types;\n{places}{site}}}\n"
        );
        let file = folder.join("nginx.conf");
        fs::write(&file, all).unwrap();
        let errors = folder.join("errors.log");
        let mut nginx = Command::new("/usr/sbin/nginx");
        nginx.arg("-c").arg(&file).arg("-e").arg(&errors).stdin(Stdio::null());
        let tested = nginx.arg("-t").output().unwrap();
        assert!(tested.status.success(), "{}", stderr(&tested));
        let mut nginx = Command::new("/usr/sbin/nginx");
        let nginx = nginx.arg("-c").arg(&file).arg("-e").arg(&errors).stdin(Stdio::null());
        Self { process: nginx.spawn().unwrap(), port }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a browser or a program is answered.
fn ask(nginx: &Nginx, method: &str, path: &str, accept: &[(&str, &str)], body: &[u8]) -> Reply {
    let mut peer = Peer::new(Place::Tcp(nginx.port).connect().unwrap());
    assert!(peer.send(request(method, path, accept, body)));
    peer.reply_to(method).unwrap()
}

const GERMAN: &[(&str, &str)] = &[("Accept", "text/html,*/*;q=0.8"), ("Accept-Language", "de-CH")];
const SWEDISH: &[(&str, &str)] = &[("Accept", "text/html"), ("Accept-Language", "sv,de;q=0.5")];

#[test]
fn what_nginx_says_looks_like_the_service() {
    let mut site = Site::at_socket("");
    let folder = site.directory.path().to_path_buf();
    let write = |name: &str| {
        let option = format!("--error-pages={}", folder.join(name).display());
        let written = site.run("challenger-httpd", &[&option]);
        assert!(written.status.success(), "{}", stderr(&written));
    };
    write("installed");
    let nginx = Nginx::start(&folder);
    wait_for("nginx", || Place::Tcp(nginx.port).connect().ok());

    // The service is away.
    let page = ask(&nginx, "POST", "solve/NONCE", GERMAN, b"pin=1234-5678");
    assert_eq!((page.status, page.header("Content-Type")), (502, Some("text/html; charset=utf-8")));
    for part in ["<html lang=\"de\"", "<p class=\"service\">challenger.example</p>"] {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
    let policy = page.header("Content-Security-Policy").unwrap();
    assert!(policy.contains("style-src 'unsafe-inline'") && policy.contains("default-src 'none'"));
    assert_eq!(page.header("Cache-Control"), Some("no-store"));
    assert!(ask(&nginx, "GET", "", SWEDISH, b"").body.contains("<html lang=\"en\""));
    let told = ask(&nginx, "GET", "config", &[("Accept", "*/*")], b"");
    assert_eq!((told.status, told.header("Content-Type")), (502, Some("application/json")));
    assert!(told.json()["hint"].is_string(), "{}", told.body);

    // nginx refuses something before it asks the service.
    let large = vec![b'a'; 70_000];
    let page = ask(&nginx, "POST", "challenge/NONCE", GERMAN, &large);
    assert_eq!((page.status, page.body.contains("<html lang=\"de\"")), (413, true));
    let told = ask(&nginx, "POST", "token", &[], &large);
    assert_eq!(told.refusal(), (413, 32));
    let page = ask(&nginx, "GET", "challenger-error/502", GERMAN, b"");
    assert_eq!((page.status, page.body.contains("<html lang=\"de\"")), (404, true));

    // The operator's own words.
    fs::create_dir(folder.join("words")).unwrap();
    fs::write(folder.join("words/de.lang"), "[not_served]\naway_title = Pause\n").unwrap();
    let config = fs::read_to_string(site.config()).unwrap();
    let option = format!("[challenger]\nTEMPLATE_DIR = {}/words\n", folder.display());
    fs::write(site.config(), format!("{config}{option}")).unwrap();
    write("own");
    assert!(ask(&nginx, "GET", "", GERMAN, b"").body.contains("<h1>Pause</h1>"));

    // What the service says is passed on as it is.
    site.start();
    let page = ask(&nginx, "GET", "authorize/NONCE", GERMAN, b"");
    assert_eq!((page.status, page.header("Content-Language")), (404, Some("de")));
    assert!(page.body.contains("9755"), "{}", page.body);
    assert_eq!(ask(&nginx, "GET", "authorize/NONCE", &[], b"").refusal(), (404, 9755));

    let log = fs::read_to_string(folder.join("challenger.log")).unwrap();
    for line in ["] POST /solve 502 ", "] POST /challenge 413 ", "] GET /authorize 404 "] {
        assert!(log.contains(line), "{line}: {log}");
    }
    assert!(!log.contains("NONCE"), "{log}");
}
