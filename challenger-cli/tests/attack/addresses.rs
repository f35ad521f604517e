//! Addresses that are not addresses, but input for a shell, a program or a screen.

use std::fs;
use std::path::Path;

use challenger_testkit::{code_of, escape, pin_in, request};

use crate::harness::{authorize, everywhere, logged, prove};
use crate::site::{SECRET, Site};

/// Reports how many arguments there were, and the first of them to the byte.
const TELLING: &str = "#!/bin/sh\ncat >/dev/null\nfolder=$(dirname \"$0\")\n\
                       printf '%s\\n' \"$#\" >\"$folder/count\"\n\
                       printf '%s' \"$1\" >\"$folder/argument\"\n";

const TRICKS: [&str; 26] = [
    "$(touch pwned)@example.com",
    "`touch pwned`@example.com",
    "${HOME}@example.com",
    "a@example.com; touch pwned",
    "a@example.com | touch pwned",
    "a@example.com && touch pwned",
    "a@example.com > pwned",
    "* ? [a-z] ~",
    "'; touch pwned; '",
    "\"; touch pwned; \"",
    "\\\"; touch pwned; \\\"",
    "\\",
    "a@example.com -oX/tmp/pwned",
    "@/etc/passwd",
    "../../../../etc/passwd",
    "%s%s%s%n",
    "a@example.com\u{202e}moc.live",
    "\u{200b}a@example.com",
    "a@example.com\u{feff}",
    "a\u{301}\u{301}\u{301}@example.com",
    "\u{1f468}\u{200d}\u{1f469}@example.com",
    "{\"CONTACT_EMAIL\":\"b@example.com\"}",
    "{{pin}}{{{nonce}}}{{#host}}",
    "<script>alert(1)</script>@example.com",
    "a@example.com,b@example.com",
    "a@[127.0.0.1]:25",
];

/// A trick without its invisible characters.
fn seen(value: &str) -> String {
    value.replace(['\u{202e}', '\u{200b}', '\u{feff}'], "")
}

/// Fails, and prints everything that it was given, in spellings of its own.
const TALKATIVE: &str = r#"#!/bin/sh
code=$(grep -o '[0-9]\{4\}-[0-9]\{4\}' | head -n 1)
email=$(printf '%s' "$1" | sed 's/.*:"//; s/".*//')
echo "gateway refused: $email" | tr a-z A-Z
echo "mailbox ${email%@*} unknown at ${email#*@}"
echo "to=$(printf '%s' "$email" | sed 's/@/%40/; s/[.]/%2e/')"
printf '%s' "$email" | od -An -v -tx1 | tr ' ' '%' | tr -d '\n'
printf '\n%s\n' "$email" | sed 's/@/\\u0040/'
printf '%s' "$email" | base64
printf 'code %s %s, %s.%s, (%s) %s%s\n' ${code%-*} ${code#*-} ${code%-*} ${code#*-} $code \
    ${code%-*} ${code#*-}
echo "code ${code%-*}–${code#*-} with $GATEWAY_TOKEN at port $GATEWAY_PORT"
exit 1
"#;

fn challenge(site: &Site, nonce: &str, value: &str) -> (u16, String) {
    let body = format!("CONTACT_EMAIL={}", escape(value));
    let reply = site.post(&format!("challenge/{nonce}"), &[], body);
    (reply.status, reply.body)
}

#[test]
fn an_address_is_one_argument_whatever_is_in_it() {
    everywhere("", |site| {
        site.set_helper(TELLING);
        let read = |name: &str| fs::read_to_string(site.directory.path().join(name)).unwrap();
        for value in TRICKS.into_iter().chain(["-rf", "--help", "-"]) {
            let (status, body) = challenge(site, &site.setup(), value);
            assert_eq!(status, 200, "{value}: {body}");
            assert_eq!(read("count"), "1\n", "{value}");
            let value = seen(value);
            site.remember(&value);
            let expected = serde_json::json!({"CONTACT_EMAIL": value}).to_string();
            assert_eq!(read("argument"), expected);
        }
        assert!(!site.directory.path().join("pwned").exists());
    });
}

#[test]
fn a_plain_address_is_no_option() {
    everywhere("AUTH_ADDRESS_FORMAT = plain", |site| {
        site.set_helper(TELLING);
        let read = |name: &str| fs::read_to_string(site.directory.path().join(name)).unwrap();
        for value in TRICKS {
            let (status, body) = challenge(site, &site.setup(), value);
            assert_eq!(status, 200, "{value}: {body}");
            assert_eq!((read("count"), read("argument")), ("1\n".to_owned(), seen(value)));
        }
        fs::remove_file(site.directory.path().join("argument")).unwrap();
        for value in [
            "-rf",
            "--help",
            "-",
            "--",
            "  -rf",
            "\t-rf",
            "\r\n-rf",
            "\u{a0}-rf",
            "\u{200b}-rf",
            "\u{feff} \u{200d}-rf",
            "\u{2066}\u{ad}-rf\u{2069}",
        ] {
            let (status, body) = challenge(site, &site.setup(), value);
            assert_eq!(status, 400, "{value}: {body}");
        }
        assert!(!site.directory.path().join("argument").exists());
    });
}

#[test]
fn addresses_that_break_lines_or_limits_are_refused_and_cost_nothing() {
    let (fits, too_long) = ("x".repeat(2048), "x".repeat(2049));
    let odd = [
        "a@example.com\nBcc: everybody@example.com",
        "a@example.com\r\nBcc: everybody@example.com",
        "a@example.com\rBcc: everybody@example.com",
        "a@example.com\n\nHello",
        "a@example.com\u{2028}Bcc: everybody@example.com",
        "a@example.com\u{2029}Bcc: everybody@example.com",
        "a@example.com\u{85}Bcc: everybody@example.com",
        "a@example.com\u{b}Bcc: everybody@example.com",
        "a@example.com\u{c}Bcc: everybody@example.com",
        "a@example.com\0",
        "\0",
        "",
        " \t\r\n ",
        " \u{200b}\u{a0}\u{202e}\u{feff}\u{2800}\u{e0041}",
        &too_long,
    ];
    everywhere("", |site| {
        let nonce = site.setup();
        for value in odd {
            let (status, body) = challenge(site, &nonce, value);
            assert_eq!(status, 400, "{value:.40?}: {body:.200}");
        }
        for body in ["", "SHOE_SIZE=42", "CONTACT_EMAIL[]=a", "CONTACT_EMAIL=a&CONTACT_PHONE=1"] {
            let reply = site.post(&format!("challenge/{nonce}"), &[], body);
            assert_eq!(reply.status, 400, "{body}");
        }
        // 64 KiB is a body, but not an address; more is not even a body.
        let huge = "x".repeat(65_000);
        let reply = site.post(&format!("challenge/{nonce}"), &[], format!("CONTACT_EMAIL={huge}"));
        assert_eq!(reply.refusal(), (400, 26));
        let mut peer = site.connect();
        let body = format!("CONTACT_EMAIL={huge}{huge}");
        peer.send(request("POST", &format!("challenge/{nonce}"), &[], body.as_bytes()));
        assert!(peer.reply().is_none_or(|reply| reply.refusal() == (413, 32)));
        let status = site.get(&authorize(&nonce), &[]).json();
        assert_eq!(status["changes_left"], 3);
        assert!(site.messages().is_empty());
        assert_eq!(challenge(site, &nonce, &fits).0, 200);
        prove(site);
    });
}

#[test]
fn restrictions_are_not_got_around() {
    let restrictions = "ADDRESS_RESTRICTIONS = {\"CONTACT_EMAIL\":{\"regex\":\
                        \"^[a-z]+@example[.]com$\",\"hint\":\"ours\"}}";
    everywhere(restrictions, |site| {
        let nonce = site.setup();
        for value in [
            "ada@example.com.evil.example",
            "ada@example.com\n",
            "ada@example.com\nx",
            "x\nada@example.com",
            "ADA@example.com",
            "ada@exampleXcom",
            "ada@example.com\u{2028}",
            "\u{ff41}da@example.com",
            "ada@example.com,eve@evil.example",
        ] {
            let (status, body) = challenge(site, &nonce, value);
            // A line break at the end is only whitespace.
            assert_eq!(status, if value.trim() == "ada@example.com" { 200 } else { 400 }, "{body}");
        }
        // A client's proposal is judged all the same, and at once if nobody can correct it.
        let bearer = format!("Bearer {SECRET}");
        let setup = |more: &str| {
            let proposal = format!("{{\"CONTACT_EMAIL\":\"eve@evil.example\"{more}}}");
            site.post("setup/1", &[("Authorization", &bearer)], proposal)
        };
        assert_eq!(setup(",\"read_only\":true").refusal(), (400, 26));
        let nonce = setup("").json()["nonce"].as_str().unwrap().to_owned();
        assert_eq!(challenge(site, &nonce, "eve@evil.example").0, 400);
    });
}

/// The options of a type that comes along.
fn shipped(address_type: &str) -> String {
    let types = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/address-types");
    format!("@inline@ {}/{address_type}.conf", types.display())
}

/// The address that is proved to the client when these fields are sent, and the code of the latest
/// message.
fn proved(site: &Site, fields: &str) -> serde_json::Value {
    let nonce = site.setup();
    let reply = site.post(&format!("challenge/{nonce}"), &[], fields);
    assert_eq!(reply.status, 200, "{fields}: {}", reply.body);
    let mut messages = site.messages();
    let pin = pin_in(&messages.pop().unwrap()).unwrap();
    assert!(messages.is_empty(), "only one was sent");
    let solved = site.solve(&nonce, &pin).json();
    let code = code_of(solved["redirect_url"].as_str().unwrap());
    let token = site.token(&code).json()["access_token"].as_str().unwrap().to_owned();
    site.info(&token).json()["address"].clone()
}

const LETTER: &str = "CONTACT_NAME=Ada+Lovelace&ADDRESS_LINES=Gasse+1%0A7000+Chur";

#[test]
fn fields_that_nobody_declared_are_never_proved() {
    let postal = format!("{LETTER}&ADDRESS_COUNTRY=CH");
    let own = "ADDRESS_TYPE = own\nADDRESS_FIELDS = N, M\n\
               ADDRESS_RESTRICTIONS = {\"N\": {\"regex\": \"^[a-z]+$\", \"hint\": \"letters\"}}";
    let restricted = own.replace("ADDRESS_FIELDS = N, M\n", "");
    let cases = [
        (shipped("address"), postal.as_str()),
        (shipped("postal"), postal.as_str()),
        (shipped("file"), "filename=a.txt"),
        (own.to_owned(), "N=ada"),
        (restricted, "N=ada"),
    ];
    let undeclared = [
        ("CONTACT_EMAIL=ceo%40bank.example", "CONTACT_EMAIL"),
        ("CONTACT_PHONE=%2B41790000000", "CONTACT_PHONE"),
        ("BIRTHDATE=1970-01-01", "BIRTHDATE"),
        ("verified=true", "verified"),
        ("N+=eve", "N "),
        ("N%E2%80%8B=eve", "N\u{200b}"),
        ("%EF%BB%BFN=eve", "\u{feff}N"),
        ("n=eve", "n"),
        ("filename%00=eve", "NUL"),
        ("ADDRESS_LINES%5B%5D=eve", "ADDRESS_LINES[]"),
        ("=eve", ""),
        ("X=", "X"),
    ];
    for (options, fields) in cases {
        everywhere(&options, |site| {
            let nonce = site.setup();
            for (more, name) in undeclared {
                for body in [format!("{fields}&{more}"), format!("{more}&{fields}")] {
                    let reply = site.post(&format!("challenge/{nonce}"), &[], &body);
                    assert_eq!(reply.refusal(), (400, 26), "{body}");
                    assert_eq!(reply.json()["detail"], name, "{body}");
                }
            }
            let all = undeclared.iter().filter(|(_, name)| *name != "NUL");
            let all: String = all.map(|(more, _)| format!("&{more}")).collect();
            let reply = site.post(&format!("challenge/{nonce}"), &[], format!("{fields}{all}"));
            assert_eq!(reply.refusal(), (400, 26), "{}", reply.body);
            let status = site.get(&authorize(&nonce), &[]).json();
            assert_eq!(status["changes_left"], 3, "nothing was charged: {status}");
            assert!(site.messages().is_empty());
            let address = proved(site, &format!("read_only=true&{fields}"));
            let named: Vec<&str> = fields.split(['=', '&']).step_by(2).collect();
            assert!(address.as_object().unwrap().keys().all(|name| named.contains(&name.as_str())));
            assert_eq!(address.as_object().unwrap().len(), named.len());
        });
    }
}

#[test]
fn a_client_fixes_declared_fields_or_nothing() {
    everywhere(&shipped("address"), |site| {
        let bearer = format!("Bearer {SECRET}");
        let setup = |body: &str| site.post("setup/1", &[("Authorization", &bearer)], body);
        let name = "\"CONTACT_NAME\":\"Ada\"";
        for (more, detail) in [
            ("\"CONTACT_EMAIL\":\"ada@example.com\"", "CONTACT_EMAIL"),
            ("\"CONTACT_NAME \":\"Eve\"", "CONTACT_NAME "),
            ("\"verified\":true", "verified"),
            ("\"budget_seen\":\"3.3.3\"", "budget_seen"),
            ("\"ADDRESS_LINES\":[\"Gasse 1\"]", "ADDRESS_LINES"),
        ] {
            let reply = setup(&format!("{{{name},{more},\"read_only\":true}}"));
            assert_eq!(reply.refusal(), (400, 26), "{more}");
            assert_eq!(reply.json()["detail"], detail, "{more}");
            // An address that is only proposed loses them.
            let nonce = setup(&format!("{{{name},{more}}}")).json()["nonce"].clone();
            let status = site.get(&authorize(nonce.as_str().unwrap()), &[]).json();
            assert_eq!(status["last_address"], serde_json::json!({"CONTACT_NAME": "Ada"}));
        }
    });
}

#[test]
fn what_nobody_sees_is_in_no_address() {
    everywhere(&shipped("postal-ch"), |site| {
        let nonce = site.setup();
        // Whatever ends a line ends it for the restriction as well.
        for lines in [
            "Gasse 1\n7000 Chur\u{2028}Questions? Call +41 900 00 00 00",
            "Gasse 1\n7000 Chur\u{2029}Questions? Call +41 900 00 00 00",
            "Gasse 1\n7000 Chur\u{85}Questions? Call +41 900 00 00 00",
        ] {
            let body = format!("CONTACT_NAME=Ada&ADDRESS_LINES={}", escape(lines));
            let reply = site.post(&format!("challenge/{nonce}"), &[], body);
            assert_eq!(reply.refusal(), (400, 26), "{lines:?}");
            assert_eq!(reply.json()["detail"], "ADDRESS_LINES");
        }
        let (name, lines) =
            ("\u{2066}Ada\u{200f} Love\u{ad}lace\u{2069}", "Gasse 1\r\n7000\u{202e} Chur\u{200b}");
        let body = format!("CONTACT_NAME={}&ADDRESS_LINES={}", escape(name), escape(lines));
        let seen = serde_json::json!({
            "CONTACT_NAME": "Ada Lovelace",
            "ADDRESS_LINES": "Gasse 1\n7000 Chur",
        });
        assert_eq!(proved(site, &body), seen);
    });
}

#[test]
fn a_helper_that_says_all_it_knows_leaves_nothing_in_the_log() {
    let settings = "[challenger-helper]\nGATEWAY_TOKEN = k3Y\nGATEWAY_PORT = 465";
    everywhere(settings, |site| {
        site.set_helper(TALKATIVE);
        let (status, body) = challenge(site, &site.setup(), "Ada.King@lovelace.example");
        assert_eq!(status, 502, "{body}");
        let line = logged(site, "said=");
        let said = line.split_once("said=").unwrap().1.to_lowercase();
        for private in ["ada", "king", "lovelace", "k3y", "qwrh"] {
            assert!(!said.contains(private), "{private} in {said}");
        }
        let digits = said.replace("465", "");
        assert!(!digits.contains(|it: char| it.is_ascii_digit()), "{said}");
        for harmless in ["gateway refused: ***", "mailbox *** unknown at ***", "at port 465"] {
            assert!(said.contains(harmless), "{harmless} in {said}");
        }
    });
}

#[test]
fn a_domain_in_its_own_script_is_hidden_as_well() {
    everywhere("", |site| {
        site.set_helper("#!/bin/sh\necho \"no Ada at MX.bücher.example or $1\"\nexit 67\n");
        let (status, body) = challenge(site, &site.setup(), "ada@Bücher.example");
        assert_eq!(status, 502, "{body}");
        let line = logged(site, "said=");
        assert!(line.contains("no *** at MX.*** or ***"), "{line}");
    });
}
