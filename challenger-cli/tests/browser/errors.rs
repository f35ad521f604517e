//! The pages that nginx shows when it cannot pass a request on, as the program writes them.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;

use challenger_proto::Refused;
use challenger_proto::http::{Request, Status};
use challenger_server::front::{Answer, Front, Limits, Peer, Respond};

use crate::site::{Site, stderr};

/// The policy that the site for nginx has for them.
const POLICY: &str = "default-src 'none'; base-uri 'none'; style-src 'unsafe-inline'; \
                      img-src data:; frame-ancestors 'none'";

/// All of them, each at a path that is its status.
pub struct ErrorPages {
    origin: String,
    _front: Front,
}

impl ErrorPages {
    /// Has a service write them, below its folder.
    pub fn of(site: &Site) -> Self {
        let folder = site.directory.path().join("errors");
        let option = format!("--error-pages={}", folder.display());
        let written = site.run("challenger-httpd", &[&option]);
        assert!(written.status.success(), "{}", stderr(&written));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let front = Front::start(listener, Arc::new(Proxy(folder)), Limits::default()).unwrap();
        Self { origin: format!("http://127.0.0.1:{port}"), _front: front }
    }

    pub fn url(&self, status: u16) -> String {
        format!("{}/{status}", self.origin)
    }
}

/// Shows the files of a folder.
struct Proxy(PathBuf);

impl Respond for Proxy {
    fn respond(&self, request: Request, _: &dyn Peer) -> Answer {
        let status = request.path().trim_start_matches('/');
        let language = request.header("Accept-Language").unwrap().get(..2).unwrap().to_string();
        let page = fs::read(self.0.join(format!("{status}.{language}.html"))).unwrap();
        let headers = vec![
            ("Content-Type", "text/html; charset=utf-8".into()),
            ("Content-Language", language.into()),
            ("Content-Security-Policy", POLICY.into()),
        ];
        Answer { status: Status(status.parse().unwrap()), headers, body: page.into() }
    }

    fn refuse(&self, _: Option<&Request>, _: Refused) -> Answer {
        Answer { status: Status(400), headers: Vec::new(), body: [].into() }
    }
}
