//! The ready configurations for gateways, each against a stand-in that asks and answers as the
//! provider documents.

#![cfg(all(feature = "http", feature = "sqlite"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod gateway;
mod provider;
mod site;

use std::collections::BTreeSet;
use std::fs;

use challenger_testkit::pin_in;
use data_encoding::BASE64;
use gateway::{ADDRESS, MESSAGE, PROGRAM, Setting, ready_file, run};
use provider::{Act, Asked, Provider};
use serde_json::{Value, json};
use site::Site;

/// The number that does not exist, those that must wait, and the one that works.
const UNKNOWN: &str = "41790000001";
const BUSY: &str = "41790000002";
const GOOD: &str = "41798765432";

/// A number with its plus, and a text.
type Sent = (String, String);

/// A provider, as far as its API matters here.
struct Api {
    file: &'static str,
    /// What the file says to fill in.
    settings: &'static [Setting<'static>],
    /// The same, with credentials that are wrong.
    wrong: &'static [Setting<'static>],
    /// Whether the request has the right credentials, and number and text if it is well-formed.
    read: fn(&Asked) -> (bool, Option<Sent>),
    good: (u16, &'static str),
    unknown: (u16, &'static str),
    busy: (u16, &'static str),
    denied: (u16, &'static str),
}

const BASIC: &[Setting<'static>] =
    &[("HTTP_BASIC_USER", "ada"), ("HTTP_BASIC_PASSWORD", "swordfish-7"), ("HTTP_SENDER", "Shop")];
const WRONG_BASIC: &[Setting<'static>] = &[("HTTP_BASIC_PASSWORD", "swordfish-8")];
const KEY: &[Setting<'static>] = &[("HTTP_SECRET", "swordfish-7"), ("HTTP_SENDER", "Shop")];
const WRONG_KEY: &[Setting<'static>] = &[("HTTP_SECRET", "swordfish-8")];
const BEARER: &[Setting<'static>] = &[("HTTP_BEARER_TOKEN", "swordfish-7")];
const WRONG_BEARER: &[Setting<'static>] = &[("HTTP_BEARER_TOKEN", "swordfish-8")];

const APIS: [Api; 7] = [
    Api {
        file: "46elks.conf",
        settings: BASIC,
        wrong: WRONG_BASIC,
        read: |asked| {
            let pairs = form(asked, "/a1/sms", ["from", "message", "to"]);
            (
                is_basic(asked, "ada"),
                pairs.map(|[from, message, to]| (of(&from, "Shop", to), message)),
            )
        },
        good: (200, r#"{"id": "s1", "status": "created", "to": "+41798765432"}"#),
        unknown: (400, "Invalid to number"),
        busy: (503, "Service unavailable"),
        denied: (401, "API access requires Basic HTTP authentication"),
    },
    Api {
        file: "bird.conf",
        settings: KEY,
        wrong: WRONG_KEY,
        read: |asked| {
            let sent = body(asked, "/workspaces/WORKSPACE/channels/CHANNEL/messages");
            let sent = sent.map(|json| {
                let contact = &json["receiver"]["contacts"][0];
                assert_eq!(contact["identifierKey"], "phonenumber");
                assert_eq!(json["body"]["type"], "text");
                (text(&contact["identifierValue"]), text(&json["body"]["text"]["text"]))
            });
            (asked.header("Authorization") == "AccessKey swordfish-7", sent)
        },
        good: (202, r#"{"id": "m1", "status": "accepted"}"#),
        unknown: (
            422,
            r#"{"code": "InvalidPayload", "details": {"contacts[0].identifierValue": "no"}}"#,
        ),
        busy: (429, r#"{"code": "TooManyRequests"}"#),
        denied: (401, r#"{"code": "Unauthorized"}"#),
    },
    Api {
        file: "messagebird.conf",
        settings: KEY,
        wrong: WRONG_KEY,
        read: |asked| {
            let sent = body(asked, "/messages").map(|json| {
                assert_eq!(
                    (&json["originator"], &json["datacoding"]),
                    (&json!("Shop"), &json!("auto"))
                );
                (format!("+{}", text(&json["recipients"][0])), text(&json["body"]))
            });
            (asked.header("Authorization") == "AccessKey swordfish-7", sent)
        },
        good: (201, r#"{"id": "m1", "recipients": {"totalSentCount": 1}}"#),
        unknown: (422, r#"{"errors": [{"code": 9, "parameter": "recipients"}]}"#),
        busy: (429, r#"{"errors": [{"code": 98, "description": "too many requests"}]}"#),
        denied: (401, r#"{"errors": [{"code": 2, "description": "incorrect access_key"}]}"#),
    },
    Api {
        file: "ntfy.conf",
        settings: BEARER,
        wrong: WRONG_BEARER,
        read: |asked| {
            let sent = body(asked, "/").map(|json| {
                assert!(json["title"].is_string());
                let topic = text(&json["topic"]).replace("challenger-", "+");
                (topic, text(&json["message"]))
            });
            (asked.header("Authorization") == "Bearer swordfish-7", sent)
        },
        good: (200, r#"{"id": "x", "event": "message", "topic": "challenger-41798765432"}"#),
        unknown: (
            400,
            r#"{"code": 40009, "http": 400, "error": "invalid request: topic invalid"}"#,
        ),
        busy: (429, r#"{"code": 42908, "http": 429, "error": "limit reached"}"#),
        denied: (403, r#"{"code": 40301, "http": 403, "error": "forbidden"}"#),
    },
    Api {
        file: "twilio.conf",
        settings: &[
            ("HTTP_ACCOUNT", "AC1"),
            ("HTTP_BASIC_PASSWORD", "swordfish-7"),
            ("HTTP_SENDER", "Shop"),
        ],
        wrong: WRONG_BASIC,
        read: |asked| {
            let path = "/2010-04-01/Accounts/AC1/Messages.json";
            let pairs = form(asked, path, ["Body", "From", "To"]);
            (is_basic(asked, "AC1"), pairs.map(|[body, from, to]| (of(&from, "Shop", to), body)))
        },
        good: (
            201,
            r#"{"sid": "SM1", "status": "queued", "error_code": null, "to": "+41798765432"}"#,
        ),
        unknown: (
            400,
            r#"{"code": 21211, "message": "The 'To' number +41790000001 is not valid."}"#,
        ),
        busy: (429, r#"{"code": 20429, "message": "Too Many Requests", "status": 429}"#),
        denied: (401, r#"{"code": 20003, "message": "Authenticate", "status": 401}"#),
    },
    Api {
        file: "vonage.conf",
        settings: BASIC,
        wrong: WRONG_BASIC,
        read: |asked| {
            let pairs = form(asked, "/sms/json", ["from", "text", "to", "type"]);
            let sent = pairs.map(|[from, text, to, kind]| {
                assert_eq!(kind, "unicode");
                (of(&from, "Shop", format!("+{to}")), text)
            });
            (is_basic(asked, "ada"), sent)
        },
        good: (
            200,
            r#"{"message-count": "1", "messages": [{"to": "41798765432", "status": "0"}]}"#,
        ),
        unknown: (
            200,
            r#"{"message-count": "1", "messages": [{"status": "6", "error-text": "Unroutable"}]}"#,
        ),
        busy: (
            200,
            r#"{"message-count": "1", "messages": [{"status": "1", "error-text": "Throttled"}]}"#,
        ),
        denied: (200, r#"{"messages": [{"status": "4", "error-text": "Bad Credentials"}]}"#),
    },
    Api {
        file: "webhook.conf",
        settings: BEARER,
        wrong: WRONG_BEARER,
        read: |asked| {
            let sent = body(asked, "/challenger").map(|json| {
                assert!(json["language"].is_string() && json["subject"].is_string());
                let address: Value = serde_json::from_str(&text(&json["address"])).unwrap();
                (text(&address["CONTACT_PHONE"]), text(&json["message"]))
            });
            (asked.header("Authorization") == "Bearer swordfish-7", sent)
        },
        good: (204, ""),
        unknown: (422, "nobody at +41790000001"),
        busy: (503, ""),
        denied: (401, ""),
    },
];

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn of(sender: &str, expected: &str, number: String) -> String {
    assert_eq!(sender, expected);
    number
}

fn is_basic(asked: &Asked, user: &str) -> bool {
    let pair = BASE64.encode(format!("{user}:swordfish-7").as_bytes());
    asked.header("Authorization") == format!("Basic {pair}")
}

/// The JSON of a request, if it goes to this path.
fn body(asked: &Asked, path: &str) -> Option<Value> {
    let fits = asked.method == "POST" && asked.target == path;
    let is_json = asked.header("Content-Type") == "application/json";
    (fits && is_json).then(|| serde_json::from_slice(&asked.body).unwrap())
}

/// The fields of a form, if it goes to this path and has these in this order.
fn form<const N: usize>(asked: &Asked, path: &str, names: [&str; N]) -> Option<[String; N]> {
    let fits = asked.method == "POST" && asked.target == path;
    let pairs: Vec<(String, String)> = fits.then(|| asked.form())?;
    assert!(pairs.iter().map(|(name, _)| name.as_str()).eq(names), "{pairs:?}");
    pairs.into_iter().map(|(_, value)| value).collect::<Vec<_>>().try_into().ok()
}

impl Api {
    fn start(&'static self) -> Provider {
        Provider::start(|asked| {
            let (is_allowed, sent) = (self.read)(asked);
            let (status, body) =
                match sent.as_ref().map(|(number, _)| number.trim_start_matches('+')) {
                    None => (404, "{}"),
                    Some(_) if !is_allowed => self.denied,
                    Some(UNKNOWN) => self.unknown,
                    Some(BUSY) => self.busy,
                    Some(_) => self.good,
                };
            Act::Answer(status, body.to_owned())
        })
    }

    /// The options of the file, for the stand-in instead of the provider.
    fn options(&self, provider: &Provider) -> Vec<(String, String)> {
        let text = fs::read_to_string(ready_file(self.file)).unwrap();
        let (_, section) = text.split_once("\n[challenger-helper]\n").unwrap();
        let lines = section.lines().filter(|line| !line.starts_with('#'));
        let pairs = lines.filter_map(|line| line.split_once(" = "));
        let aim = |(name, value): (&str, &str)| match name {
            "HTTP_URL" => {
                let (_, rest) = value.strip_prefix("https://").unwrap().split_once('/').unwrap();
                (name.to_owned(), format!("{}/{rest}", provider.url()))
            }
            _ => (name.to_owned(), value.to_owned()),
        };
        pairs.map(aim).collect()
    }
}

#[test]
fn each_ready_file_is_tried() {
    let files = fs::read_dir(ready_file("")).unwrap();
    let files: BTreeSet<String> =
        files.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(files, APIS.iter().map(|api| api.file.to_owned()).collect());
}

#[test]
fn each_provider_is_asked_and_understood() {
    for api in &APIS {
        let provider = api.start();
        let options = api.options(&provider);
        let options: Vec<Setting<'_>> =
            options.iter().map(|(name, value)| (&**name, &**value)).collect();
        let good = [options.as_slice(), api.settings].concat();
        let send = |number: &str, settings: &[Setting<'_>]| {
            run(&[&json!({ "CONTACT_PHONE": format!("+{number}") }).to_string()], settings, MESSAGE)
        };
        run(&[ADDRESS], &good, MESSAGE).sent();
        let (_, sent) = (api.read)(&provider.asked()[0]);
        assert_eq!(sent, Some((format!("+{GOOD}"), MESSAGE.trim_end().to_owned())), "{}", api.file);
        for (number, settings, code) in [
            (UNKNOWN, good.clone(), 67),
            (BUSY, good.clone(), 75),
            (GOOD, [options.as_slice(), api.settings, api.wrong].concat(), 78),
        ] {
            let outcome = send(number, &settings);
            outcome.failed(code, "the gateway answered ");
            assert!(!outcome.said.contains(number), "{outcome:?}");
        }
    }
}

/// The comment in each file names what is still to be filled in.
#[test]
fn each_file_says_what_to_fill_in() {
    for api in &APIS {
        let text = fs::read_to_string(ready_file(api.file)).unwrap();
        let mut named = BTreeSet::new();
        for line in text.lines().filter_map(|line| line.strip_prefix("#   ")) {
            named.extend(line.split_whitespace().next());
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("challenger.conf");
        let values: String = named.iter().map(|name| format!("{name} = x\n")).collect();
        // The gateway itself is left alone.
        let url = text.lines().find_map(|line| line.strip_prefix("HTTP_URL = https://")).unwrap();
        let path = url.split_once('/').unwrap().1;
        let values = format!("{values}HTTP_URL = https://localhost:1/{path}\n");
        let include = format!("@inline@ {}\n[challenger-helper]\n", ready_file(api.file).display());
        let check = |values: &str| {
            fs::write(&file, format!("{include}{values}")).unwrap();
            run(&["--check", "-c", file.to_str().unwrap()], &[], "")
        };
        let outcome = check(&values);
        outcome.failed(75, "HTTP_URL: no connection to the gateway");
        assert!(outcome.stdout.starts_with("POST https://"), "{outcome:?}");
        assert!(named.iter().any(|name| *name != "HTTP_SENDER"), "{named:?}");
        let used: BTreeSet<&str> = api.settings.iter().map(|(name, _)| *name).collect();
        assert!(named.is_subset(&used), "{}: {named:?} {used:?}", api.file);
    }
}

#[test]
fn a_number_is_proved_through_a_ready_file() {
    let api = APIS.iter().find(|api| api.file == "twilio.conf").unwrap();
    let provider = api.start();
    let url = api.options(&provider).into_iter().find(|(name, _)| name == "HTTP_URL").unwrap().1;
    let types = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/address-types");
    let mut helper = format!("[challenger-helper]\nHTTP_URL = {url}\n");
    for (name, value) in api.settings {
        helper.push_str(&format!("{name} = {value}\n"));
    }
    // The tests' programs are not in the PATH.
    let mut site = Site::new(&format!(
        "@inline@ {types}/phone.conf\n@inline@ {}\n\
         [challenger]\nAUTH_COMMAND = {PROGRAM}\n{helper}",
        ready_file(api.file).display()
    ));
    for private in ["swordfish-7", "98765432", "90000001"] {
        site.remember(private);
    }
    let check = site.run("challenger-httpd", &["--check"]);
    assert!(check.status.success(), "{}", site::stderr(&check));
    site.start();
    let nonce = site.setup();
    let challenge = |number: &str| {
        site.post(&format!("challenge/{nonce}"), &[], format!("CONTACT_PHONE=%2B{number}"))
    };
    assert_eq!(challenge(UNKNOWN).status, 502);
    let sent = challenge(GOOD);
    assert_eq!((sent.status, &sent.json()["transmitted"]), (200, &true.into()));
    let (_, sent) = (api.read)(&provider.asked()[1]);
    let (number, message) = sent.unwrap();
    assert_eq!(number, format!("+{GOOD}"));
    let pin = pin_in(&message).unwrap();
    assert_eq!(site.solve(&nonce, &pin).status, 200);
    site.stop();
    let log = site.log();
    assert!(log.contains("the gateway answered 400"), "{log}");
}
