//! The demonstration's shop, and people who come back to it: with their own answer and others.

use challenger_testkit::{Reply, escape};
use serde_json::Value;

use super::{Demo, ask, fact, form, get};

/// A browser that the shop sent to the service.
struct Visitor {
    /// The header that it sends to the shop.
    cookie: String,
    /// Where it is: the page that asks for the address.
    page: String,
}

impl Visitor {
    /// Presses the shop's button, and follows to the service.
    fn begin(demo: &Demo) -> Self {
        let [service, shop] =
            [demo.port, demo.port + 1].map(|port| format!("http://127.0.0.1:{port}/"));
        let sent = ask("POST", &format!("{shop}start"), &[], "");
        assert_eq!(sent.status, 303, "{}", sent.body);
        let set = sent.header("Set-Cookie").unwrap();
        let (cookie, attributes) = set.split_once("; ").unwrap();
        assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Lax");
        let link = sent.header("Location").unwrap();
        assert!(
            link.starts_with(&format!("{service}authorize?client_id=1&request_uri=")),
            "{link}"
        );
        let page = get(link).header("Location").unwrap().to_owned();
        Self { cookie: cookie.to_owned(), page: format!("{service}{page}") }
    }

    /// The link by which a person stops.
    fn cancel(&self) -> String {
        let page = ask("GET", &self.page, &[("Accept", "text/html")], "").body;
        let (_, link) = page.split_once("class=\"cancel\"><a href=\"").unwrap();
        link.split('"').next().unwrap().replace("&amp;", "&")
    }

    /// Enters address and code; returns where the service sends the browser.
    fn prove(&self, demo: &Demo) -> String {
        let at = |endpoint: &str| self.page.replace("/authorize/", endpoint);
        let address = form(&[("CONTACT_EMAIL", "ada@example.com")]);
        assert_eq!(ask("POST", &at("/challenge/"), &[], &address).status, 200);
        let code = demo.inbox()[0]["code"].as_str().unwrap().to_owned();
        let solved = ask("POST", &at("/solve/"), &[], &form(&[("pin", &code)]));
        solved.header("Location").unwrap().to_owned()
    }

    /// Comes back to the shop.
    fn open(&self, callback: &str) -> Reply {
        ask("GET", callback, &[("Cookie", &format!("a=b; {}", self.cookie))], "")
    }
}

/// The value of a parameter as it stands in a URL.
fn parameter<'a>(url: &'a str, name: &str) -> &'a str {
    let (_, query) = url.split_once('?').unwrap();
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(it, _)| *it == name).unwrap().1
}

/// Why the shop takes nothing from a callback.
const NOT_HERE: &str = "This link has been used already";

#[test]
fn the_shop_takes_an_answer_once_and_from_its_own_browser() {
    let mut demo = Demo::start(&["--json"]);
    demo.line();
    let [ada, eve] = [Visitor::begin(&demo), Visitor::begin(&demo)];
    assert_ne!(ada.cookie, eve.cookie);
    let [back, other] = [ada.prove(&demo), eve.prove(&demo)];
    let [state, foreign] = [&back, &other].map(|url| parameter(url, "state"));
    assert_ne!(state, foreign);
    let iss = format!("iss={}", parameter(&back, "iss"));
    let evil = format!("iss={}", escape("https://evil.example"));
    let refused = |reply: Reply| {
        assert!(reply.status == 400 && reply.body.contains(NOT_HERE), "{}", reply.body);
    };

    refused(get(&back));
    refused(ask("GET", &back, &[("Cookie", "challenger_demo_session=")], ""));
    refused(ada.open(&other));
    refused(eve.open(&back));
    refused(ada.open(&back.replace(state, foreign)));
    refused(ada.open(&back.replace(&format!("state={state}"), "state=")));
    refused(ada.open(&back.replace(&iss, &evil)));
    refused(ada.open(&back.replace(&format!("&{iss}"), "")));
    assert_eq!(ask("HEAD", &back, &[("Cookie", &ada.cookie)], "").status, 404);

    // None of these ended the visit, or used the code up.
    let thanks = ada.open(&back);
    assert_eq!(thanks.status, 200, "{}", thanks.body);
    assert!(thanks.body.contains("<strong id=\"address\">ada@example.com<"), "{}", thanks.body);
    assert!(thanks.body.len() < 30_000, "{} bytes", thanks.body.len());
    refused(ada.open(&back));
    assert_eq!(eve.open(&other).status, 200);

    // The code of somebody else is worth nothing without the verifier that belongs to it.
    let [ada, eve] = [Visitor::begin(&demo), Visitor::begin(&demo)];
    let [back, other] = [ada.prove(&demo), eve.prove(&demo)];
    let injected = back.replace(parameter(&back, "code"), parameter(&other, "code"));
    let reply = ada.open(&injected);
    assert_eq!(reply.status, 502, "{}", reply.body);
    assert!(reply.body.contains("the service answered 40"), "{}", reply.body);
    demo.stop();
}

#[test]
fn whoever_stops_can_begin_again() {
    let mut demo = Demo::start(&["--json"]);
    let facts: Value = serde_json::from_str(&demo.line()).unwrap();
    let start = format!("action=\"{}start\"", facts["shop"].as_str().unwrap());
    let ada = Visitor::begin(&demo);
    let back = ada.cancel();
    assert!(get(&back).body.contains(NOT_HERE));
    let stopped = ada.open(&back);
    assert_eq!(stopped.status, 200, "{}", stopped.body);
    assert!(stopped.body.contains("You chose to stop"), "{}", stopped.body);
    assert!(stopped.body.contains(&start), "{}", stopped.body);
    assert!(ada.open(&back).body.contains(NOT_HERE));

    for (error, status, shown) in [
        ("temporarily_unavailable", 503, "Please try again in a few minutes."),
        ("<script>", 502, "the service answered &lt;script&gt;"),
    ] {
        let ada = Visitor::begin(&demo);
        let reply = ada.open(&ada.cancel().replace("access_denied", &escape(error)));
        assert_eq!(reply.status, status, "{error}: {}", reply.body);
        assert!(reply.body.contains(shown) && reply.body.contains(&start), "{}", reply.body);
    }
    demo.stop();
}

#[test]
fn the_service_names_the_shop() {
    let mut demo = Demo::start(&["--json"]);
    demo.line();
    let ada = Visitor::begin(&demo);
    let page = ask("GET", &ada.page, &[("Accept", "text/html")], "").body;
    assert!(page.contains("<strong>Atelier Tilia</strong>"), "{page}");
    ada.prove(&demo);
    let message = demo.inbox()[0].clone();
    assert!(message["text"].as_str().unwrap().contains("Atelier Tilia"), "{message}");
    demo.stop();
}

#[test]
fn the_shop_asks_for_what_is_proved_in_the_language_of_the_reader() {
    for (kind, english, german) in [
        ("email", "Confirm my e-mail address", "E-Mail-Adresse bestätigen"),
        ("phone", "Confirm my phone number", "Telefonnummer bestätigen"),
        ("postal", "Confirm my postal address", "Postadresse bestätigen"),
        ("postal-ch", "Confirm my postal address", "Postadresse bestätigen"),
    ] {
        let mut demo = Demo::start(&["--json", "--address-type", kind]);
        demo.line();
        let site = format!("http://127.0.0.1:{}/", demo.port + 1);
        for (wanted, language, button) in
            [("de-AT, en;q=0.5", "de", german), ("ja", "en", english), ("", "en", english)]
        {
            let page = ask("GET", &site, &[("Accept-Language", wanted)], "");
            assert_eq!(page.header("Content-Language"), Some(language));
            assert!(page.body.contains(&format!("<html lang=\"{language}\">")), "{}", page.body);
            assert!(page.body.contains(&format!("<button>{button}<")), "{}", page.body);
        }
        let inbox = ask("GET", &format!("{site}inbox"), &[("Accept-Language", "fr")], "");
        assert!(inbox.body.contains("<h1>Boîte de réception</h1>"), "{}", inbox.body);
        demo.stop();
    }
}

#[test]
fn the_shop_has_an_inbox_beside_it() {
    let mut demo = Demo::start(&["--json"]);
    let facts: Value = serde_json::from_str(&demo.line()).unwrap();
    let site = format!("http://127.0.0.1:{}/", demo.port + 1);
    assert_eq!(facts["shop"], site);
    assert_eq!(facts["inbox"], format!("{site}inbox"));
    assert_eq!(facts["client_secret"], Value::Null);
    let shop = get(&site);
    assert!(shop.body.contains("href=\"/inbox\""), "{}", shop.body);
    assert_eq!(get(&format!("{site}inbox")).status, 200);
    demo.stop();

    let mut demo = Demo::start(&[]);
    let told = demo.lines_until("Messages are not sent anywhere");
    let site = format!("http://127.0.0.1:{}/", demo.port + 1);
    assert_eq!(fact(&told, "Demo shop"), site);
    assert_eq!(fact(&told, "Inbox"), format!("{site}inbox"));
    demo.stop();
}
