//! What an operator changes of a client that is in use: its name, its place, and whether it may do
//! anything at all.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod site;

use challenger_testkit::{code_of, escape};
use serde_json::json;
use site::{REDIRECT_URI, SECRET, Site, admin, json_of, stderr, stdout, told};

const OTHER: &str = "https://other.example/cb";
const HTML: [(&str, &str); 2] = [("Accept", "text/html"), ("Accept-Language", "en")];

/// The page of a validation.
fn page(site: &Site, nonce: &str) -> String {
    let query = "response_type=code&client_id=1";
    site.get(&format!("authorize/{nonce}?{query}"), &HTML).body
}

/// The validation that an open client's link begins, or the page that refuses it.
fn begin(site: &Site) -> (u16, String) {
    let uri = escape(REDIRECT_URI);
    let link = format!("authorize?response_type=code&client_id=1&redirect_uri={uri}");
    let reply = site.get(&link, &HTML);
    (reply.status, reply.body)
}

#[test]
fn people_read_the_name_of_a_client() {
    let mut site = Site::new("");
    site.start();
    let before = site.setup();
    let name = "--name=Zoë's <Shop>";
    assert_eq!(told(&site, &[name, "1"]), "Client changed. Client ID is: 1\nName: Zoë's <Shop>\n");
    let named = site.setup();
    let text = page(&site, &named);
    assert!(text.contains("<strong>Zoë&#39;s &lt;Shop&gt;</strong> wants to"), "{text}");
    assert_eq!(site.challenge(&named, "ada@example.com").status, 200);
    let message = site.message("ada@example.com").unwrap();
    assert!(message.contains("Zoë's <Shop> wants to confirm your e-mail address. "), "{message}");
    // Whoever is under way reads what they read before.
    assert!(page(&site, &before).contains("<strong>client.example</strong> wants to"));
    assert!(told(&site, &["--list"]).ends_with("/callback?shop=1 \"Zoë's <Shop>\"\n"));

    let unnamed = json_of(&site, &["--name=", "--json", REDIRECT_URI]);
    assert_eq!(unnamed, json!({"client_id": 1, "name": null, "redirect_uri": REDIRECT_URI}));
    assert!(page(&site, &site.setup()).contains("<strong>client.example</strong> wants to"));
    let added = told(&site, &["--name=B", "--messages-per-day=5", "--add", SECRET, OTHER]);
    assert_eq!(added, "Client added. Client ID is: 2\nName: B\nMessages per day: 5\n");
    assert_eq!(json_of(&site, &["--list", "--json"])[1]["name"], "B");
    site.stop();
}

#[test]
fn a_disabled_client_does_nothing_until_it_is_enabled() {
    let mut site = Site::new("");
    told(&site, &["--messages-per-day=50", "1"]);
    assert!(admin(&site, &["--open", "1"]).status.success());
    site.start();
    let (_, spent) = site.solved("eve@example.com");
    let token = site.token(&spent).member("access_token").unwrap();
    let (_, code) = site.solved("bob@example.com");
    let under_way = site.setup();
    let messages = site.messages().len();

    let said = told(&site, &["--disable", "1"]);
    assert_eq!(said, "Client changed. Client ID is: 1\nDisabled: yes\n");
    assert!(told(&site, &["--list"]).ends_with(" (open, disabled)\n"));
    let setup = |secret: &str| {
        let bearer = format!("Bearer {secret}");
        site.post("setup/1", &[("Authorization", &bearer)], "").refusal()
    };
    assert_eq!(setup(SECRET), (403, 9750));
    assert_eq!(setup("secret-token:wrong"), (404, 9750));
    let refused = site.token(&code);
    assert_eq!((refused.status, &refused.json()["error"]), (403, &json!("unauthorized_client")));
    assert_eq!(site.challenge(&under_way, "ada@example.com").refusal(), (403, 9750));
    let form = "CONTACT_EMAIL=ada%40example.com";
    let reply = site.post(&format!("challenge/{under_way}"), &HTML, form);
    for (status, text) in [(reply.status, reply.body), begin(&site)] {
        assert_eq!(status, 403, "{text}");
        assert!(text.contains("<h1>Not available right now</h1>"), "{text}");
        assert!(text.contains("not confirming addresses for <strong>client.example</"), "{text}");
        assert!(text.contains("client.example</a>"), "a way back: {text}");
    }
    assert_eq!(site.messages().len(), messages);
    assert_eq!(site.info(&token).status, 200, "tokens stay good");

    let said = json_of(&site, &["--enable", "--json", "1"]);
    assert_eq!(said, json!({"client_id": 1, "disabled": false, "redirect_uri": REDIRECT_URI}));
    assert_eq!(site.token(&code).status, 200);
    assert_eq!(begin(&site).0, 302, "it is open as before");
    assert_eq!(site.challenge(&under_way, "ada@example.com").status, 200);
    site.stop();
}

#[test]
fn a_client_moves_and_what_it_has_begun_stays() {
    let mut site = Site::new("");
    told(&site, &["--add", SECRET, OTHER]);
    site.start();
    let under_way = site.setup();
    let taken = admin(&site, &[&format!("--set-redirect-uri={OTHER}"), "--name=x", "1"]);
    assert_eq!((taken.status.code(), stdout(&taken).as_str()), (Some(1), ""));
    let complaint = "client 1 was left as it is: client 2 has this redirect URI already";
    assert!(stderr(&taken).contains(complaint), "{}", stderr(&taken));
    assert_eq!(json_of(&site, &["--list", "--json"])[0]["name"], json!(null));

    let new = "https://new.example/cb";
    let said = told(&site, &[&format!("--set-redirect-uri={new}"), REDIRECT_URI]);
    assert_eq!(said, format!("Client changed. Client ID is: 1\nRedirect URI: {new}\n"));
    let code_at = |nonce: &str, email: &str, place: &str| {
        assert_eq!(site.challenge(nonce, email).status, 200);
        let url = site.solve(nonce, &site.pin(email)).member("redirect_url").unwrap();
        assert!(url.starts_with(place), "{url}");
        code_of(&url)
    };
    let code = code_at(&under_way, "ada@example.com", REDIRECT_URI);
    assert_eq!(site.token(&code).status, 200, "with the old redirect URI");
    code_at(&site.setup(), "bob@example.com", new);
    let gone = admin(&site, &["--enable", REDIRECT_URI]);
    assert!(stderr(&gone).contains("no client is registered"), "{}", stderr(&gone));
    // The old place is free.
    assert_eq!(told(&site, &["--add", SECRET, "-q", REDIRECT_URI]), "3\n");
    let risky = admin(&site, &["--set-redirect-uri=http://new.example/", "1"]);
    assert!(stderr(&risky).contains("without TLS"), "{}", stderr(&risky));
    site.stop();
}
