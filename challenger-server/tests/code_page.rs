//! The page for the code, as people get it: few words, and only what can be done now.
#![expect(clippy::expect_used, reason = "the functions below are part of the tests")]

#[allow(dead_code, reason = "these pages have no hostile data")]
mod markup;

use challenger_proto::Span;
use challenger_proto::address::AddressType;
use challenger_proto::http::{Body, Request, Response};
use challenger_proto::testing::Challenger;
use markup::{LANGUAGES, embedded, pieces};

/// Types of addresses, and a form with an address of each.
const TYPES: [(&str, &str); 3] = [
    ("email", "CONTACT_EMAIL=ada%40example.com"),
    ("phone", "CONTACT_PHONE=%2B41791234567"),
    (
        "postal",
        "CONTACT_NAME=Ada+Lovelace&ADDRESS_LINES=12+Main+St%0A8001+Z%C3%BCrich&ADDRESS_COUNTRY=CH",
    ),
];

/// Somebody on the way.
struct Visit {
    challenger: Challenger,
    nonce: String,
    language: &'static str,
}

impl Visit {
    fn new(address_type: &str, language: &'static str) -> Self {
        Self::with_changes(address_type, language, 3)
    }

    fn with_changes(address_type: &str, language: &'static str, changes: u8) -> Self {
        let mut challenger = Challenger::new(address_type);
        challenger.service.limits.address_changes = changes;
        challenger.service.pages = embedded().page_set(&challenger.service.address_type);
        challenger.service.name = "Example ID".to_owned();
        let client = challenger.register("https://shop.example/cb");
        let nonce = challenger.setup(&client);
        Self { challenger, nonce, language }
    }

    fn look(&mut self) -> String {
        let request = Request::get(&format!("/authorize/{}", self.nonce));
        self.ask(&request)
    }

    fn send(&mut self, step: &str, form: &str) -> String {
        let request = Request::post(&format!("/{step}/{}", self.nonce), form);
        self.ask(&request)
    }

    fn ask(&mut self, request: &Request) -> String {
        let request = request.clone().with("Accept", "text/html");
        let response = self.challenger.ask(&request.with("Accept-Language", self.language));
        render(&response, &self.challenger.service.address_type)
    }
}

fn render(response: &Response, address_type: &AddressType) -> String {
    let Body::Page(page) = &response.body else { panic!("{response:?}") };
    embedded().render(page, address_type).expect("the page exists")
}

/// The text that a reader sees in the main part before touching anything: without what is folded,
/// hidden or there for browsers without script.
fn visible(html: &str) -> String {
    let (_, main) = html.split_once("<main>").expect("a main part");
    let (main, _) = main.split_once("</main>").expect("it ends");
    let mut text = String::new();
    // The elements that are open and whether each is seen.
    let mut open: Vec<(&str, bool)> = Vec::new();
    for (tag, words) in pieces(main) {
        let name = tag.split([' ', '\n']).next().unwrap_or_default();
        let has = |attribute: &str| tag.split_whitespace().any(|it| it == attribute);
        if name.starts_with('/') {
            assert_eq!(open.pop().map(|(it, _)| it), name.get(1..), "{html}");
        } else if !["br", "input"].contains(&name) {
            let is_seen = match name {
                "details" => has("open"),
                "noscript" | "script" | "style" => false,
                _ => !has("hidden"),
            };
            open.push((name, is_seen));
        }
        // The name of what is folded is seen.
        let folded_here = matches!(open.as_slice(), [.., ("details", false), ("summary", true)]);
        let around = open.len().saturating_sub(if folded_here { 2 } else { 0 });
        if open.iter().take(around).all(|(_, is_seen)| *is_seen) {
            text.push_str(words);
            text.push(' ');
        }
    }
    text
}

/// How many words it has beside the address.
fn count(html: &str) -> usize {
    let (before, rest) = html.split_once("<strong class=\"address\">").expect("an address");
    let (_, after) = rest.split_once("</strong>").expect("it ends");
    let text = visible(&format!("{before}{after}"));
    text.split_whitespace().filter(|it| it.contains(char::is_alphanumeric)).count()
}

/// Asserts that the page for each type of address has so many words at most.
#[track_caller]
fn assert_few_words(language: &'static str, most: usize) {
    for (address_type, form) in TYPES {
        let html = Visit::new(address_type, language).send("challenge", form);
        // A letter takes days, and people have to know what to do until then.
        let most = if address_type == "postal" { most + 16 } else { most };
        let count = count(&html);
        assert!(count <= most, "{address_type} {language}: {count}: {}", visible(&html));
        assert!(count >= 20, "something is not counted: {}", visible(&html));
    }
}

#[test]
fn the_code_page_has_forty_words() {
    assert_few_words("en", 40);
}

/// Some languages need more and longer ones.
#[test]
fn the_code_page_has_fifty_words_in_any_language() {
    LANGUAGES.iter().for_each(|language| assert_few_words(language, 50));
}

#[test]
fn the_words_that_are_seen_are_those_that_are_counted() {
    let html = "<main>a<p>one <b>two</b></p><details><summary>three</summary><p>z</p></details>\
                <noscript>x</noscript><details open><summary>four</summary><p>five</p></details>\
                <p hidden>y</p><script>z()</script><input id=\"i\"><p>six</p></main>";
    let words: Vec<String> = visible(html).split_whitespace().map(str::to_owned).collect();
    assert_eq!(words, ["one", "two", "three", "four", "five", "six"]);
}

#[test]
fn another_message_is_offered_when_it_can_be_sent() {
    let hidden = "<form id=\"then\" method=\"post\" action=\"../challenge/";
    for language in LANGUAGES {
        let mut visit = Visit::new("email", language);
        visit.challenger.service.limits.retransmission_interval = Span::minutes(10);
        let (address_type, form) = TYPES[0];
        assert_eq!(address_type, "email");
        let html = visit.send("challenge", form);
        let (_, after) = html.split_once(hidden).expect("a form for later");
        let (tag, _) = after.split_once('>').expect("it ends");
        assert!(tag.ends_with(" hidden"), "{html}");
        // Without script, the page says when.
        let now = visit.challenger.now.plus(Span::minutes(10)).to_text();
        let (hour, minute) =
            now.split(' ').nth(1).and_then(|it| it.split_once(':')).expect("a time");
        let (_, after) = html.split_once("<noscript>").expect("words without script");
        let (words, _) = after.split_once("</noscript>").expect("they end");
        assert!(words.contains(hour) && words.contains(minute), "{now}: {words}");
        assert!(!html.contains("<details open>"), "{html}");

        visit.challenger.pass(Span::minutes(10));
        let html = visit.send("solve", "pin=00000000");
        let (_, after) = html.split_once(hidden).expect("a form for now");
        let (tag, _) = after.split_once('>').expect("it ends");
        assert!(!tag.contains("hidden"), "{html}");
        assert!(!html.contains("<noscript>") && !html.contains("id=\"wait\""), "{html}");
        assert_eq!(html.matches("<details open>").count(), 1, "{html}");
    }
}

#[test]
fn tries_are_counted_when_few_are_left() {
    let mut visit = Visit::new("email", "en");
    visit.challenger.service.limits.pin_attempts = 4.try_into().expect("not zero");
    let (_, form) = TYPES[0];
    let sentences = ["You have two tries left.", "You have one try left."];
    let said = |html: &str| sentences.map(|it| html.contains(it));
    let first = visit.send("challenge", form);
    assert_eq!(said(&first), [false, false], "{first}");
    for expected in [[false, false], [true, false], [false, true], [false, false]] {
        let html = visit.send("solve", "pin=00000000");
        assert_eq!(said(&html), expected, "{html}");
    }
}

#[test]
fn changes_are_counted_when_few_are_left_and_offered_while_there_is_one() {
    let mut visit = Visit::with_changes("email", "en", 4);
    let sentences = ["You can change it two more times.", "You can change it one more time."];
    for (name, expected, has_link) in [
        ("a", [false, false], true),
        ("b", [true, false], true),
        ("c", [false, true], true),
        ("d", [false, false], false),
    ] {
        let html = visit.send("challenge", &format!("CONTACT_EMAIL={name}%40example.com"));
        assert_eq!(sentences.map(|it| html.contains(it)), expected, "{html}");
        assert_eq!(html.contains("href=\"../authorize/"), has_link, "{html}");
        assert!(!visible(&html).contains("change it"), "it is folded: {html}");
    }
}

#[test]
fn the_number_of_an_error_is_in_the_footer_of_refusals_only() {
    let mut visit = Visit::with_changes("email", "en", 1);
    let (_, form) = TYPES[0];
    let reference = |html: &str| {
        let (_, footer) = html.split_once("<footer>").expect("a footer");
        footer.split_once("mention error ").map(|(_, number)| number.chars().take(4).collect())
    };
    let none: Option<String> = None;
    assert_eq!(reference(&visit.look()), none);
    assert_eq!(reference(&visit.send("challenge", "CONTACT_EMAIL=")), none);
    assert_eq!(reference(&visit.send("challenge", form)), none);
    assert_eq!(reference(&visit.send("solve", "pin=00000000")), none);
    let refused = visit.send("challenge", "CONTACT_EMAIL=bob%40example.com");
    assert_eq!(reference(&refused).as_deref(), Some("9757"), "{refused}");
    let (main, _) = refused.split_once("<footer>").expect("a footer");
    assert!(!main.contains("9757"), "{main}");
}

#[test]
fn a_link_shows_no_address_and_leads_to_the_code() {
    for language in LANGUAGES {
        let mut visit = Visit::new("email", language);
        let (_, form) = TYPES[0];
        assert!(visible(&visit.send("challenge", form)).contains("ada@example.com"));
        let html = visit.look();
        assert!(!visible(&html).contains("ada@"), "{}", visible(&html));
        assert!(visible(&html).contains("a•••@example.com"), "{}", visible(&html));
        assert!(html.contains("action=\"../solve/"), "{html}");
    }
}
