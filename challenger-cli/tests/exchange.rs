//! A GNU Taler exchange as a client: its plugin's requests, byte for byte but for what varies, and
//! the answers as the plugin judges them.

#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod site;

use std::collections::BTreeMap;

use challenger_testkit::{Reply, escape, unescape, wrong};
use miniz_oxide::deflate::compress_to_vec_zlib;
use serde_json::Value;
use site::{Site, stderr, stdout};

const ADA: &str = "ada@example.com";

/// Where the exchange's users return to: `kyc-proof` and the name of the provider.
const URI: &str = "https://exchange.example.com/kyc-proof/email";

/// The digest of an account, with which the exchange finds it again.
const STATE: &str = "91JPRV3F5GG4EKJ27A5D48GJ6N13A1H6F4KTEYJ5EHBP6W8K6WV0";

/// An exchange that is configured as docs/migrate.md says.
struct Exchange<'a> {
    site: &'a Site,
    id: String,
    secret: String,
    /// `KYC_OAUTH2_AUTHORIZE_URL`, below the server's address and without `#setup`.
    authorize: &'static str,
}

impl<'a> Exchange<'a> {
    /// Its test setup registers it, and expects only the number on standard output.
    fn register(site: &'a Site) -> Self {
        let secret = "secret-token:K7ZQ4M0XW9T2RB8VD5NJ3YHC6P".to_owned();
        site.remember(&secret);
        let added = site.run("challenger-admin", &["--add", &secret, "--quiet", URI]);
        assert!(added.status.success(), "{}", stderr(&added));
        let id = stdout(&added).trim().to_owned();
        assert!(id.bytes().all(|it| it.is_ascii_digit()), "{id}");
        Self { site, id, secret, authorize: "authorize" }
    }

    /// Asks for a nonce, beside the last slash of the URL of `/authorize`.
    fn setup(&self, initial_address: Option<&str>) -> String {
        let parent = self.authorize.rsplit_once('/').map_or("", |(parent, _)| parent);
        let path = format!("{parent}setup/{}", self.id);
        let bearer = format!("Bearer {}", self.secret);
        let authorization = ("Authorization", bearer.as_str());
        let reply = match initial_address {
            None => {
                let kind = ("Content-Type", "application/x-www-form-urlencoded");
                self.site.post(&path, &[authorization, kind], "")
            }
            Some(address) => {
                let kind = ("Content-Type", "application/json");
                let coding = ("Content-Encoding", "deflate");
                let body = compress_to_vec_zlib(address.as_bytes(), 9);
                self.site.post(&path, &[authorization, kind, coding], body)
            }
        };
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.json()["nonce"].as_str().unwrap().to_owned()
    }

    /// The URL that it sends the browser to, below the server's address.
    fn authorize(&self, nonce: &str) -> String {
        format!(
            "{}/{nonce}?response_type=code&client_id={}&redirect_uri={}&state={STATE}",
            self.authorize,
            self.id,
            escape(URI),
        )
    }

    /// What it finds in the query with which a browser returns: the code, or the error. Other
    /// parameters are nothing to it.
    fn returned(location: &str) -> Result<String, String> {
        let query = location.strip_prefix(URI).unwrap().strip_prefix('?').unwrap();
        let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap());
        let query: BTreeMap<&str, String> =
            pairs.map(|(name, value)| (name, unescape(value))).collect();
        assert_eq!(query["state"], STATE, "{location}");
        match query.get("code") {
            Some(code) => Ok(code.clone()),
            None => Err(query["error"].clone()),
        }
    }

    fn token(&self, code: &str, secret: &str) -> Reply {
        self.site.remember(code);
        let fields = [
            ("client_id", self.id.as_str()),
            ("redirect_uri", URI),
            ("state", STATE),
            ("client_secret", secret),
            ("code", code),
            ("grant_type", "authorization_code"),
        ];
        let pairs = fields.map(|(name, value)| format!("{name}={}", escape(value)));
        let kind = ("Content-Type", "application/x-www-form-urlencoded");
        self.site.post("token", &[kind], pairs.join("&"))
    }

    /// The token in an answer that it accepts.
    fn accepted(reply: &Reply) -> String {
        let json = reply.json();
        assert_eq!(reply.status, 200, "{json}");
        assert!(json["token_type"].as_str().unwrap().eq_ignore_ascii_case("bearer"), "{json}");
        assert!(json["expires_in"].is_u64(), "{json}");
        assert!(json.get("refresh_token").is_none_or(Value::is_string), "{json}");
        let token = json["access_token"].as_str().unwrap().to_owned();
        assert!(!token.contains(['\n', '\r', ' ', ';']), "{token}");
        token
    }

    /// Whether it finds an error well-formed; otherwise it reports that the service is broken.
    fn is_error(reply: &Reply) -> bool {
        let json = reply.json();
        reply.status != 200 && json["error"].is_string() && json["error_description"].is_string()
    }

    /// The attributes that its converter makes of the answer of `/info`.
    fn converted(reply: &Reply) -> (String, Value, Value) {
        let json = reply.json();
        assert_eq!(reply.status, 200, "{json}");
        assert_eq!(json["address_type"], "email", "the only type that it knows");
        assert!(json["address"].is_object(), "{json}");
        assert!(json["id"].is_u64(), "{json}");
        (json["id"].to_string(), json["address"].clone(), json["address_expiration"].clone())
    }
}

fn site() -> Site {
    let mut site = Site::new("");
    site.start();
    site
}

/// A person goes from the page with the address to the redirect.
fn go_through(site: &Site, exchange: &Exchange<'_>, nonce: &str) -> String {
    let html = ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");
    let page = site.get(&exchange.authorize(nonce), &[html]);
    assert_eq!(page.status, 200, "{}", page.body);
    let body = format!("CONTACT_EMAIL={}", escape(ADA));
    let page = site.post(&format!("challenge/{nonce}"), &[html], body);
    assert_eq!(page.status, 200, "{}", page.body);
    let pin = site.pin(ADA);
    let solve = format!("solve/{nonce}");
    assert_eq!(site.post(&solve, &[html], format!("pin={}", wrong(&pin))).status, 403);
    let found = site.post(&solve, &[html], format!("pin={pin}"));
    assert_eq!(found.status, 302);
    found.header("Location").unwrap().to_owned()
}

#[test]
fn an_exchange_gets_the_address_that_it_asked_for() {
    let site = site();
    let config = site.get("config", &[]).json();
    assert_eq!((&config["name"], &config["version"]), (&"challenger".into(), &"6:0:0".into()));
    let exchange = Exchange::register(&site);
    for initial in [None, Some("{\"CONTACT_EMAIL\":\"ada@example.com\",\"read_only\":true}")] {
        let nonce = exchange.setup(initial);
        let location = go_through(&site, &exchange, &nonce);
        // What is newer than the plugin is beside what it looks for.
        assert!(location.ends_with("&iss=https%3A%2F%2Fchallenger.example"), "{location}");
        let code = Exchange::returned(&location).unwrap();
        let token = Exchange::accepted(&exchange.token(&code, &exchange.secret));
        let (id, address, expires) = Exchange::converted(&site.info(&token));
        assert!(id.parse::<u64>().unwrap() > 0, "{id}");
        assert_eq!(address["CONTACT_EMAIL"], ADA);
        assert!(expires["t_s"].is_u64(), "{expires}");
    }
}

#[test]
fn an_exchange_understands_what_goes_wrong() {
    let site = site();
    let exchange = Exchange::register(&site);
    let nonce = exchange.setup(None);
    let location = go_through(&site, &exchange, &nonce);
    let code = Exchange::returned(&location).unwrap();
    for reply in [
        exchange.token(&code, "secret-token:another"),
        exchange.token(&code.replace('-', "-0"), &exchange.secret),
        exchange.token("", &exchange.secret),
        site.info(&"0".repeat(52)),
        site.info("x"),
        site.get("info", &[]),
    ] {
        assert!(Exchange::is_error(&reply), "{}: {}", reply.status, reply.body);
    }
    Exchange::accepted(&exchange.token(&code, &exchange.secret));
    assert!(Exchange::is_error(&exchange.token(&code, &exchange.secret)));
    // Somebody who follows a page's way back has no code, and the plugin finds the error.
    let nonce = exchange.setup(None);
    let page = site.get(&exchange.authorize(&nonce), &[("Accept", "text/html")]);
    let (_, rest) = page.body.split_once(&format!("href=\"{URI}")).unwrap();
    let link = rest.split('"').next().unwrap();
    let link = link.replace("&amp;", "&").replace("&#x3D;", "=").replace("&#61;", "=");
    assert_eq!(Exchange::returned(&format!("{URI}{link}")), Err("access_denied".to_owned()));
}
