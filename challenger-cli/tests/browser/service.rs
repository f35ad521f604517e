//! The service as one of its clients uses it, and the messages that people were sent.

use std::fs;
use std::path::PathBuf;

use challenger_testkit::{escape, pin_in};
use serde_json::{Map, Value, json};

use crate::shop::Shop;
use crate::site::{SECRET, Site, stderr};

/// Addresses for which the helper fails: one that it cannot reach, one that it may reach later, and
/// one for which its configuration is wrong.
pub const UNREACHABLE: &str = "unreachable@example.com";
pub const LATE: &str = "late@example.com";
pub const UNCONFIGURED: &str = "unconfigured@example.com";

/// A number and a name that the helper cannot reach.
pub const UNREACHABLE_PHONE: &str = "+41790000067";
pub const UNREACHABLE_NAME: &str = "No One";

/// An address for which the helper works as long as the service is there.
pub const ENDLESS: &str = "endless@example.com";

/// Keeps the message in the outbox, with its language, and fails for some addresses.
const HELPER: &str = r#"#!/bin/sh
set -eu
outbox=$(dirname "$0")/outbox
name=$(mktemp "$outbox/XXXXXX")
cat > "$name.message"
case $1 in
    *unreachable@* | *+41790000067* | *'No One'*) exit 67 ;;
    *late@*) exit 75 ;;
    *unconfigured@*) exit 78 ;;
    *endless@*) while [ -d "$outbox" ]; do sleep 0.05; done ;;
esac
printf '%s' "${CHALLENGER_LANGUAGE:-}" > "$name.language"
printf '%s' "$1" > "$name.address"
"#;

/// A running service for one type of address, with the shop as its client.
pub struct Service {
    pub site: Site,
    pub kind: &'static Kind,
    redirect_uri: String,
}

/// A type of address.
pub struct Kind {
    pub name: &'static str,
    /// The fields of an address that is accepted.
    pub good: &'static [(&'static str, &'static str)],
    /// The fields of an address that is not accepted, though a browser finds nothing wrong with it.
    pub bad: &'static [(&'static str, &'static str)],
}

const LONDON: &[(&str, &str)] = &[
    ("CONTACT_NAME", "Ada Lovelace"),
    ("ADDRESS_LINES", "12 St James’s Square\nLondon SW1Y 4JH"),
    ("ADDRESS_COUNTRY", "GB"),
];
const NO_STREET: &[(&str, &str)] =
    &[("CONTACT_NAME", "Ada Lovelace"), ("ADDRESS_LINES", "London"), ("ADDRESS_COUNTRY", "GB")];

/// All types of address that come with a configuration.
pub const KINDS: [Kind; 6] = [
    Kind {
        name: "email",
        good: &[("CONTACT_EMAIL", "ada@example.com")],
        bad: &[("CONTACT_EMAIL", "ada@example")],
    },
    Kind {
        name: "phone",
        good: &[("CONTACT_PHONE", "+41791234567")],
        bad: &[("CONTACT_PHONE", "079 123 45 67")],
    },
    Kind { name: "postal", good: LONDON, bad: NO_STREET },
    Kind {
        name: "postal-ch",
        good: &[
            ("CONTACT_NAME", "Heidi Zürcher"),
            ("ADDRESS_LINES", "Bahnhofstrasse 1\n8001 Zürich"),
        ],
        bad: &[("CONTACT_NAME", "Heidi Zürcher"), ("ADDRESS_LINES", "Zürich\nBahnhofstrasse 1")],
    },
    Kind {
        name: "file",
        good: &[("filename", "message.txt")],
        bad: &[("filename", "/etc/passwd")],
    },
    Kind { name: "address", good: LONDON, bad: NO_STREET },
];

/// The type that most tests can do with.
pub const EMAIL: &Kind = &KINDS[0];

/// A message that went out.
pub struct Message {
    pub address: String,
    /// As the helper got it.
    pub language: String,
    pub text: String,
}

impl Service {
    /// Starts a service for a type of address; `options` are further lines of its configuration.
    pub fn start(kind: &'static Kind, shop: &Shop, options: &str) -> Self {
        let mut service = Self::without_clients(kind, options);
        service.register(&shop.redirect_uri, &[]);
        service
    }

    /// Starts a service without a client.
    pub fn without_clients(kind: &'static Kind, options: &str) -> Self {
        let types = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/address-types");
        let mut site = Site::bare(&format!("@inline@ {types}/{}.conf\n{options}", kind.name));
        site.set_helper(HELPER);
        let dbinit = site.run("challenger-dbinit", &[]);
        assert!(dbinit.status.success(), "{}", stderr(&dbinit));
        site.start();
        Self { site, kind, redirect_uri: String::new() }
    }

    /// Registers the client; `options` are further ones of `challenger-admin`.
    pub fn register(&mut self, redirect_uri: &str, options: &[&str]) {
        let arguments = [&["--add", SECRET], options, &[redirect_uri]].concat();
        let admin = self.site.run("challenger-admin", &arguments);
        assert!(admin.status.success(), "{}", stderr(&admin));
        self.redirect_uri = redirect_uri.to_string();
    }

    /// Starts again with further lines of its configuration.
    pub fn start_again(&mut self, options: &str) {
        self.site.stop();
        let file = self.site.config();
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, format!("{text}[challenger]\n{options}\n")).unwrap();
        self.site.start();
    }

    /// Where the shop sends a person: a new validation, for which the shop may propose an address.
    pub fn link(&self, proposal: Value, state: &str) -> String {
        let bearer = format!("Bearer {SECRET}");
        let body = if proposal.is_null() { String::new() } else { proposal.to_string() };
        let reply = self.site.post("setup/1", &[("Authorization", &bearer)], body);
        assert_eq!(reply.status, 200, "{}", reply.body);
        let nonce = reply.json()["nonce"].as_str().unwrap().to_string();
        let query = [("response_type", "code"), ("client_id", "1"), ("state", state)];
        self.site.url(&format!("authorize/{nonce}?{}", form(&query)))
    }

    /// How a person's validation stands, in the service's own words: how many changes, messages and
    /// tries are left.
    pub fn status(&self, link: &str) -> Value {
        let (_, path) = link.split_once("authorize/").unwrap();
        self.site.get(&format!("authorize/{path}"), &[]).json()
    }

    /// The address that the shop reads with its code.
    pub fn redeem(&self, code: &str) -> Value {
        let token = self.site.post(
            "token",
            &[],
            form(&[
                ("grant_type", "authorization_code"),
                ("client_id", "1"),
                ("client_secret", SECRET),
                ("redirect_uri", &self.redirect_uri),
                ("code", code),
            ]),
        );
        assert_eq!(token.status, 200, "{}", token.body);
        let info = self.site.info(token.json()["access_token"].as_str().unwrap());
        assert_eq!(info.status, 200, "{}", info.body);
        info.json()["address"].take()
    }

    /// All messages that went out, the oldest first.
    pub fn outbox(&self) -> Vec<Message> {
        let outbox = self.site.directory.path().join("outbox");
        let mut sent: Vec<_> = fs::read_dir(outbox)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|it| it == "address"))
            .collect();
        sent.sort_by_key(|path| fs::metadata(path).unwrap().modified().unwrap());
        let read = |path| fs::read_to_string(path).unwrap();
        let message = |path: &PathBuf| Message {
            address: read(path.clone()),
            language: read(path.with_extension("language")),
            text: read(path.with_extension("message")),
        };
        sent.iter().map(message).collect()
    }

    /// The code in the latest message, without its dash.
    pub fn latest_code(&self) -> String {
        let latest = self.outbox().pop().expect("a message");
        pin_in(&latest.text).unwrap_or_else(|| panic!("no code in: {}", latest.text))
    }

    /// Makes the database unreadable, as a broken disk would.
    pub fn break_database(&self) {
        let file = self.site.directory.path().join("data/challenger.sqlite");
        let length = fs::metadata(&file).unwrap().len();
        let noise = "noise ".bytes().cycle().take(length.try_into().unwrap());
        fs::write(file, noise.collect::<Vec<u8>>()).unwrap();
    }
}

/// Writes a form as browsers send it.
pub fn form(fields: &[(&str, &str)]) -> String {
    let pairs = fields.iter().map(|(name, value)| format!("{name}={}", escape(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// An address as a shop proposes it.
pub fn to_json(fields: &[(&str, &str)]) -> Value {
    let members = fields.iter().map(|(name, value)| (name.to_string(), json!(value)));
    Value::Object(members.collect::<Map<_, _>>())
}
