//! The operator's clients: registered, listed, changed and deleted while the service runs.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod site;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::process::Stdio;

use challenger_proto::Timestamp;
use serde_json::json;
use site::{REDIRECT_URI, SECRET, Site, admin, json_of, stderr, stdout, told};

const OTHER: &str = "https://other.example/cb";
const NEW_SECRET: &str = "secret-token:9HT3XW5ZB7KQ0DJ6YN2VRC8M4P";

/// The answer of `/setup` to a client.
fn setup(site: &Site, client: u64, secret: &str) -> (u16, Option<u64>) {
    let bearer = format!("Bearer {secret}");
    let reply = site.post(&format!("setup/{client}"), &[("Authorization", &bearer)], "");
    (reply.status, reply.json()["code"].as_u64())
}

/// The list of a site with its first client, which was registered today.
fn list_of_one(site: &Site) -> String {
    let seconds = json_of(site, &["--list", "--json"])[0]["created"]["t_s"].as_u64().unwrap();
    let day = Timestamp::from_seconds(seconds).to_rfc3339();
    format!(
        "    ID  VALIDATIONS       GRANTS  MESSAGES/DAY  CREATED     REDIRECT URI\n     \
         1            0            0     unlimited  {}  https://client.example/callback?shop=1\n",
        &day[..10]
    )
}

#[test]
fn each_command_prints_what_it_says() {
    let site = Site::new("");
    let secret = format!("--add={SECRET}");
    let rotate = format!("--rotate={NEW_SECRET}");
    let list = list_of_one(&site);
    let cases: [(&[&str], &str); 15] = [
        (&[&secret, OTHER], "Client added. Client ID is: 2\n"),
        (&["--delete", OTHER], "Client deleted. Client ID was: 2\n"),
        (&["-a", SECRET, "-q", OTHER], "3\n"),
        (&["-dq", OTHER], "3\n"),
        (
            &[&secret, "--json", OTHER],
            "{\"client_id\":4,\"redirect_uri\":\"https://other.example/cb\"}\n",
        ),
        (&[&rotate, OTHER], "Secret replaced. Client ID is: 4\nUnsolved validations ended: 0\n"),
        (&["-r", NEW_SECRET, "--quiet", OTHER], "4\n"),
        (
            &[&rotate, "--json", OTHER],
            "{\"client_id\":4,\"redirect_uri\":\"https://other.example/cb\",\
             \"validations_ended\":0}\n",
        ),
        (
            &[&rotate, "--json", "--keep-open", OTHER],
            "{\"client_id\":4,\"redirect_uri\":\"https://other.example/cb\"}\n",
        ),
        (&["--list", "-q"], "1\n4\n"),
        (
            &["--delete", "--json", OTHER],
            "{\"client_id\":4,\"redirect_uri\":\"https://other.example/cb\"}\n",
        ),
        (&["--list", "-q"], "1\n"),
        (&["--list"], &list),
        (&["-d", "-q", REDIRECT_URI], "1\n"),
        (&["--list", "--json"], "[]\n"),
    ];
    for (arguments, expected) in cases {
        assert_eq!(told(&site, arguments), expected, "{arguments:?}");
    }
}

#[test]
fn who_is_not_there_cannot_be_changed() {
    let site = Site::new("");
    let rotate = format!("--rotate={SECRET}");
    let moved = format!("--set-redirect-uri={OTHER}");
    let actions = ["--delete", &rotate, "--regenerate", "--open", "--close", "--disable", &moved];
    for (client, complaint) in [
        (OTHER, "no client is registered with this redirect URI; see --list"),
        ("2", "no client is registered with the ID 2; see --list"),
    ] {
        for (action, format) in actions.into_iter().zip(["--quiet", "--json"].iter().cycle()) {
            let output = admin(&site, &[action, format, client]);
            assert_eq!(output.status.code(), Some(1), "{action}");
            assert!(stderr(&output).contains(complaint), "{action}: {}", stderr(&output));
            assert_eq!(stdout(&output), "");
        }
    }
    let output = admin(&site, &["--generate", REDIRECT_URI]);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(1), ""));
    assert!(stderr(&output).contains("client 1 is registered"), "{}", stderr(&output));
}

#[test]
fn one_action_at_a_time_is_possible() {
    let site = Site::bare("");
    let add = format!("--add={SECRET}");
    let cases: [(&[&str], &str); 35] = [
        (&[OTHER], "--find=WHOM or --forget=ADDRESS is missing"),
        (&["--json"], "--find=WHOM or --forget=ADDRESS is missing"),
        (&[&add, "--delete", OTHER], "only one of --add=SECRET"),
        (&["--generate", "--regenerate", OTHER], "only one of"),
        (&["--list", "--delete"], "only one of"),
        (&["--list", OTHER], "--list takes no CLIENT"),
        (&["--delete"], "REDIRECT_URI or CLIENT_ID is missing"),
        (&["--rotate=", OTHER], "printable ASCII"),
        (&["--delete", "nowhere"], "redirect URI"),
        (&["--open"], "REDIRECT_URI or CLIENT_ID is missing"),
        (&["--generate"], "REDIRECT_URI is missing"),
        (&["--generate", "7"], "redirect URI"),
        (&["--disable", "0"], "redirect URI"),
        (&["--disable", ""], "redirect URI"),
        (&["--open", "--close", OTHER], "either --open or --close is possible"),
        (&["--enable", "--disable", OTHER], "either --disable or --enable is possible"),
        (&["--generate", "--disable", OTHER], "--disable is for a client that is registered"),
        (&["--name= x", OTHER], "--name= x: expected 1 to 60 characters"),
        (&["--name=a\u{202e}b", OTHER], "--name=a\\u{202e}b: expected 1 to 60 characters"),
        (&["--set-redirect-uri=x", "1"], "--set-redirect-uri=x: "),
        (&["--set-redirect-uri=https://a.example/#x", "1"], "fragment"),
        (
            &[&add, "--set-redirect-uri=https://a.example/", OTHER],
            "for a client that is registered",
        ),
        (&["--regenerate", "--name=x", OTHER], "--name=NAME and --open stand alone, or belong to"),
        (&["--regenerate", "--keep-old=31 days", OTHER], "from \"1 s\" to \"30 days\""),
        (&["--regenerate", "--keep-old=60", OTHER], "such as \"1 day\" or \"2 h 30 min\""),
        (&["--regenerate", "--keep-old=forever", OTHER], "--keep-old=forever: expected a time"),
        (&["--regenerate", "--keep-old=", OTHER], "--keep-old=: expected a time"),
        (&["--disable", "--keep-old=1 d", OTHER], "--keep-old=TIME belongs to --rotate=SECRET"),
        (&["--generate", "--weak", OTHER], "--weak belongs to --add=SECRET or --rotate=SECRET"),
        (&["--rotate=abc", OTHER], "the secret is weak: it has 3 characters"),
        (&["--close", "--delete", OTHER], "--open stand alone, or belong to"),
        (&["--generate", "--close", OTHER], "--close is for a client that is registered"),
        (&["--generate", "--open", OTHER], "needs a budget: add --messages-per-day=N"),
        (&[&add, "--open", "--messages-per-day=unlimited", OTHER], "needs a budget: add"),
        (&["--open", "--messages-per-day=unlimited", OTHER], "needs a budget: add"),
    ];
    for (arguments, complaint) in cases {
        let output = admin(&site, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(complaint), "{arguments:?}: {}", stderr(&output));
        assert_eq!(stdout(&output), "", "{arguments:?}");
        assert!(!stderr(&output).contains(SECRET));
    }
}

#[test]
fn made_secrets_are_strong_and_work_at_once() {
    let mut site = Site::new("");
    site.start();
    let text = told(&site, &["--generate", "https://a.example/"]);
    let text = text.strip_prefix("Client added. Client ID is: 2\nClient secret is: ").unwrap();
    let quiet = told(&site, &["-gq", "https://b.example/"]);
    let object = json_of(&site, &["--generate", "--json", "https://c.example/"]);
    assert_eq!(
        (&object["client_id"], &object["redirect_uri"]),
        (&json!(4), &json!("https://c.example/"))
    );
    let made = [
        text.trim_end().to_owned(),
        quiet.strip_prefix("3\n").unwrap().trim_end().to_owned(),
        object["client_secret"].as_str().unwrap().to_owned(),
    ];
    for (client, secret) in (2..).zip(&made) {
        let random = secret.strip_prefix("secret-token:").unwrap();
        assert_eq!(random.len(), 52, "{secret}");
        assert_eq!(setup(&site, client, secret), (200, None));
    }
    let text = told(&site, &["--regenerate", "https://a.example/"]);
    let text = text.strip_prefix("Secret replaced. Client ID is: 2\nClient secret is: ").unwrap();
    let text = text.strip_suffix("\nUnsolved validations ended: 1\n").unwrap();
    assert_eq!(setup(&site, 2, text), (200, None));
    assert_eq!(setup(&site, 2, &made[0]), (404, Some(9750)));
    let all: BTreeSet<&str> = made.iter().map(String::as_str).chain([text]).collect();
    assert_eq!(all.len(), 4);
    site.stop();
    assert!(all.iter().all(|secret| !site.log().contains(secret)));
}

#[test]
fn a_new_secret_counts_at_once() {
    let mut site = Site::new("");
    site.start();
    let (_, code) = site.solved("ada@example.com");
    assert_eq!(setup(&site, 1, SECRET), (200, None));
    told(&site, &["--rotate", NEW_SECRET, REDIRECT_URI]);
    assert_eq!(setup(&site, 1, SECRET), (404, Some(9750)));
    assert_eq!(setup(&site, 1, NEW_SECRET), (200, None));
    let refused = site.token(&code);
    assert_ne!(refused.status, 200);
    assert_eq!(refused.json()["error"], "invalid_client");
    // Solved validations go on: with the right secret, the code is still good.
    told(&site, &["--rotate", SECRET, REDIRECT_URI]);
    assert_eq!(site.token(&code).status, 200);
    site.stop();
}

#[test]
fn a_deleted_client_is_gone_with_all_it_had() {
    let mut site = Site::new("");
    site.start();
    let running = site.setup();
    let challenged = site.setup();
    assert_eq!(site.challenge(&challenged, "ada@example.com").status, 200);
    let (_, code) = site.solved("bob@example.com");
    let (_, spent) = site.solved("eve@example.com");
    let token = site.token(&spent).json()["access_token"].as_str().unwrap().to_string();
    assert_eq!(site.info(&token).status, 200);
    told(&site, &["--generate", OTHER]);

    told(&site, &["--delete", REDIRECT_URI]);
    assert_eq!(setup(&site, 1, SECRET), (404, Some(9750)));
    assert_eq!(site.challenge(&running, "ada@example.com").refusal(), (404, 9755));
    assert_eq!(site.solve(&challenged, &site.pin("ada@example.com")).refusal(), (404, 9755));
    assert_eq!(site.token(&code).refusal().1, 9750);
    assert_eq!(site.info(&token).status, 404);

    // The same URI now belongs to a new client.
    assert_eq!(told(&site, &["--add", SECRET, "-q", REDIRECT_URI]), "3\n");
    assert_eq!(site.challenge(&running, "ada@example.com").refusal(), (404, 9755));
    let list = json_of(&site, &["--list", "--json"]);
    assert_eq!(list.as_array().unwrap().len(), 2);
    assert_eq!(list[1]["validations"], 0);
    site.stop();
}

#[test]
fn the_list_counts_what_was_collected_as_well() {
    let mut site = Site::new("TOKEN_DURATION = 1 s");
    told(&site, &["--generate", OTHER]);
    site.start();
    let (_, code) = site.solved("ada@example.com");
    assert_eq!(site.token(&code).status, 200);
    site.stop();
    let text = fs::read_to_string(site.config()).unwrap();
    fs::write(site.config(), text.replace("TOKEN_DURATION", "VALIDATION_DURATION")).unwrap();
    site.start();
    site.setup();
    site.setup();
    let before = json_of(&site, &["--list", "--json"]);
    let created = |client: usize| before[client]["created"].clone();
    let expected = json!([
        {
            "client_id": 1,
            "redirect_uri": REDIRECT_URI,
            "name": null,
            "created": created(0),
            "validations": 3,
            "grants": 1,
            "messages_per_day": null,
            "open": false,
            "disabled": false,
            "old_secret_until": null,
            "being_deleted": false,
        },
        {
            "client_id": 2,
            "redirect_uri": OTHER,
            "name": null,
            "created": created(1),
            "validations": 0,
            "grants": 0,
            "messages_per_day": null,
            "open": false,
            "disabled": false,
            "old_secret_until": null,
            "being_deleted": false,
        },
    ]);
    let mut left = (2, 1);
    challenger_testkit::wait_for("all but the first validation to be collected", || {
        let output = stdout(&site.run("challenger-dbinit", &["--gc"]));
        let numbers: Vec<u32> = output.split(' ').filter_map(|word| word.parse().ok()).collect();
        left = (left.0 - numbers[0], left.1 - numbers[1]);
        assert_eq!(json_of(&site, &["--list", "--json"]), expected, "{left:?}");
        (left == (0, 0)).then_some(())
    });
    site.stop();
}

#[test]
fn a_secret_may_come_from_standard_input() {
    let mut site = Site::new("");
    site.start();
    for (action, input, code) in [
        ("--add=-", format!("{NEW_SECRET}\n"), 0),
        ("--rotate=-", format!("{SECRET}\r\n"), 0),
        ("--rotate=-", NEW_SECRET.to_owned(), 0),
        ("--rotate=-", String::new(), 2),
        ("--rotate=-", "\n".to_owned(), 2),
    ] {
        let mut command = site.command("challenger-admin");
        command.args([action, OTHER]).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{action} {input:?}");
        if code == 0 {
            assert_eq!(setup(&site, 2, input.trim_end()), (200, None));
        }
    }
    assert_eq!(setup(&site, 2, NEW_SECRET), (200, None));
    site.stop();
}
