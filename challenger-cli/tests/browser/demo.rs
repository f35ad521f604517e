//! The demonstration's shop, with a browser that keeps its cookies.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::complaints::Complaints;
use crate::driver::{Browser, Setup};
use crate::person::{enter_address, enter_code};
use crate::service::{EMAIL, KINDS, Kind};
use crate::site::{binary, free_pair};
use crate::view::{DESK, PHONE, Taste, photograph, please, resize};
use crate::{accessible, layout, network, view};

/// A demonstration, which ends when this is dropped.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        // It may have ended by itself; either way it must not outlive the test.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a demonstration with these options, and returns what it prints.
fn start(options: &[&str]) -> (Demo, Value) {
    let mut command = Command::new(binary("challenger"));
    command.args(["demo", "--json", "--port", &free_pair().to_string()]).args(options);
    let mut demo = Demo(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(demo.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (demo, serde_json::from_str(&line).unwrap())
}

/// Presses the shop's button.
fn begin(browser: &Browser) {
    browser.follow(|| browser.find("form button").click());
    assert!(browser.url().contains("/authorize/"), "{}", browser.url());
}

/// The code in the latest message.
fn latest_code(inbox: &str) -> String {
    let mut inbox = ureq::get(inbox).call().unwrap();
    let inbox: Value = serde_json::from_str(&inbox.body_mut().read_to_string().unwrap()).unwrap();
    inbox[0]["code"].as_str().unwrap().to_owned()
}

#[test]
fn a_person_proves_an_address_to_the_shop() {
    let (_demo, facts) = start(&[]);
    let fact = |name: &str| facts[name].as_str().unwrap();
    let browser = Browser::start();
    // The name of the host that people type, which has cookies of its own.
    browser.open(&fact("shop").replace("127.0.0.1", "localhost"));
    begin(&browser);
    browser.follow(|| browser.find(".cancel a").click());
    assert!(browser.text().contains("You chose to stop"), "{}", browser.text());

    begin(&browser);
    enter_address(&browser, EMAIL.good);
    enter_code(&browser, &latest_code(fact("inbox_json")));
    assert!(browser.url().starts_with(fact("shop")), "{}", browser.url());
    let address = browser.find("#address").property("textContent");
    assert_eq!(address, "ada@example.com", "{}", browser.text());
    assert_eq!(browser.script("return document.cookie", &[]), "", "scripts cannot read it");
    browser.reload();
    assert!(browser.text().contains("This link has been used already"), "{}", browser.text());
    let problems = network::console(&browser);
    assert!(problems.iter().all(|problem| problem.contains("status of 400")), "{problems:?}");
}

/// How the pages are looked at.
const LOOKS: [(u32, Taste); 5] = [
    (PHONE, Taste::Light),
    (PHONE, Taste::Dark),
    (PHONE, Taste::ForcedColors),
    (DESK, Taste::Light),
    (DESK, Taste::Dark),
];

/// Shows every page of the demonstration, and says its name.
fn tour(browser: &Browser, kind: &Kind, mut show: impl FnMut(&str)) {
    let (_demo, facts) = start(&["--address-type", kind.name]);
    let fact = |name: &str| facts[name].as_str().unwrap();
    browser.open(fact("inbox"));
    show("inbox-empty");
    browser.open(fact("shop"));
    show("welcome");
    for (error, name) in [
        ("access_denied", "stopped"),
        ("temporarily_unavailable", "unavailable"),
        ("server_error", "failed"),
    ] {
        browser.open(fact("shop"));
        begin(browser);
        let back = browser.find(".cancel a").attribute("href").unwrap();
        browser.open(&back.replace("access_denied", error));
        show(name);
    }
    begin(browser);
    enter_address(browser, kind.good);
    enter_code(browser, &latest_code(fact("inbox_json")));
    show("confirmed");
    browser.reload();
    show("unknown");
    browser.open(fact("inbox"));
    show("inbox");
    browser.open(&format!("{}nowhere", fact("shop")));
    show("nothing");
}

/// The sentences of the shop's own, without the margin and messages.
const SENTENCES: &str = "const own = [...document.querySelectorAll(
        'title, header small, main h1, main p:not(.head p), main button, main .button, footer')];
    return own.map((it) => it.innerText || it.textContent);";

fn sentences(browser: &Browser) -> BTreeSet<String> {
    let sentences = browser.script(SENTENCES, &[]);
    let sentences = sentences.as_array().unwrap().iter().map(|it| it.as_str().unwrap().trim());
    sentences.filter(|it| it.contains(' ') && !it.contains('@')).map(str::to_owned).collect()
}

#[test]
fn everybody_can_use_every_page_of_the_demonstration() {
    for kind in KINDS.iter().filter(|kind| ["email", "phone", "postal"].contains(&kind.name)) {
        let browser = Browser::start();
        let mut complaints = Complaints::default();
        tour(&browser, kind, |page| {
            let fetched = network::fetched(&browser);
            // Those before are of the way there. A page after a redirect has the URL of before.
            if page != "confirmed" {
                let last = fetched.iter().rposition(|it| it.url == browser.url()).unwrap();
                complaints.add(page, network::complaints(&browser, &fetched[last..]));
            }
            for (width, taste) in LOOKS {
                resize(&browser, width, 1);
                please(&browser, taste);
                let name = format!("demo-{page}-{}.en.{width}.{}", kind.name, taste.name());
                complaints.add(&name, view::complaints(&browser, taste));
                complaints.add(&name, layout::found(&browser, width));
                if matches!(taste, Taste::Light | Taste::Dark) {
                    complaints.add(&name, accessible::complaints(&browser));
                }
                photograph(&browser, &name);
            }
        });
        complaints.add("the console", network::console(&browser));
        complaints.assert_none();
    }
}

#[test]
fn the_shop_speaks_the_language_of_the_browser() {
    let mut english = BTreeSet::new();
    for (wanted, language) in [
        ("ja,en", "en"),
        ("de-CH", "de"),
        ("es", "es"),
        ("fr-CA,en", "fr"),
        ("it,de", "it"),
        ("nl", "nl"),
        ("pl", "pl"),
        ("pt-BR", "pt"),
    ] {
        let browser = Browser::start_as(Setup { languages: wanted, ..Setup::default() });
        let mut own = BTreeSet::new();
        tour(&browser, EMAIL, |page| {
            assert_eq!(browser.find("html").attribute("lang").as_deref(), Some(language), "{page}");
            own.extend(sentences(&browser));
            resize(&browser, PHONE, 1);
            assert_eq!(layout::found(&browser, PHONE), [""; 0], "{page} in {language}");
            photograph(&browser, &format!("demo-{page}.{language}.{PHONE}.light"));
        });
        assert!(own.len() > 15, "{own:?}");
        if language == "en" {
            english = own;
        } else {
            assert_eq!(own.intersection(&english).collect::<Vec<_>>(), [""; 0], "in {language}");
        }
    }
}

#[test]
fn the_margin_shows_each_request_without_secrets() {
    let (_demo, facts) = start(&[]);
    let fact = |name: &str| facts[name].as_str().unwrap();
    let browser = Browser::start();
    browser.open(fact("shop"));
    assert_eq!(browser.find_all("aside li").len(), 5);
    assert_eq!(browser.find_all("aside pre").len(), 0, "nothing has happened");
    begin(&browser);
    enter_address(&browser, EMAIL.good);
    enter_code(&browser, &latest_code(fact("inbox_json")));
    let code = browser.url();
    let (_, code) = code.split_once("code=").unwrap();
    let code = code.split('&').next().unwrap();
    let margin = browser.find("aside").property("textContent");
    let margin = margin.as_str().unwrap();
    for shown in [
        "POST /par → 201\nclient_id=1\nclient_secret=(secret)\n",
        "\"request_uri\": \"urn:ietf:params:oauth:request_uri:",
        "GET /authorize\nclient_id=1\nrequest_uri=urn:",
        &format!("GET /callback\ncode={}…", &code[..6]),
        "POST /token → 200\n",
        "GET /info → 200\nAuthorization: Bearer ",
        "\"CONTACT_EMAIL\": \"ada@example.com\"",
        "docs/api.md",
    ] {
        assert!(margin.contains(shown), "{shown}: {margin}");
    }
    assert!(!margin.contains(code), "{margin}");
    // No text is as long as a secret, but for what the person is called at /info.
    let (requests, _) = margin.split_once("\"address\"").unwrap();
    let is_long = |word: &&str| word.len() > 30 && word.chars().all(char::is_alphanumeric);
    let words = requests.split(|it: char| !it.is_alphanumeric());
    assert_eq!(words.filter(is_long).collect::<Vec<_>>(), [""; 0], "{margin}");
}
