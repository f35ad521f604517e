//! A stand-in for Pingen, and the script that sends letters through it.

#![allow(dead_code, reason = "each test uses its part of it")]

use serde_json::{Value, json};

use crate::provider::{Act, Asked, Provider};
use crate::script::Script;

pub(crate) const PROGRAMS: [&str; 11] =
    ["cat", "curl", "date", "find", "head", "id", "jq", "mktemp", "rm", "timeout", "weasyprint"];
pub(crate) const ADDRESS: &str =
    r#"{"CONTACT_NAME":"Ada Lovelace","ADDRESS_LINES":"Bahnhofstrasse 1\n8001 Zürich"}"#;
pub(crate) const MESSAGE: &str = "Your code for shop.example: 1234-5678\n\nEnter it soon.\n";
pub(crate) const SECRET: &str = "s\"e\\c $(id)/+=ü";
pub(crate) const TOKEN: &str = "eyJ0eXAi.access-token.x_y~+/=";
pub(crate) const SIGNATURE: &str = "$2y$10$BLOzVbYTXrh4LZbSYNVf7e";
pub(crate) const UPLOAD: &str = "/bucket/file.pdf?X-Signature=a%2Fb[1]{2}&x=y";

/// The steps: what each is for, its method and path.
pub(crate) const STEPS: [(&str, &str, &str); 4] = [
    ("an access token", "POST", "/auth/access-tokens"),
    ("a place for the file", "GET", "/file-upload"),
    ("the file", "PUT", UPLOAD),
    ("the letter", "POST", "/organisations/b3c1-42/deliveries/letters"),
];

/// As Pingen answers when all is well.
pub(crate) fn good(asked: &Asked) -> Act {
    let step = STEPS.iter().position(|(_, _, target)| *target == asked.target);
    let (status, body) = match step {
        Some(0) => {
            (200, json!({"token_type": "Bearer", "expires_in": 43200, "access_token": TOKEN}))
        }
        Some(1) => (200, place(&format!("http://{}{UPLOAD}", asked.header("Host")))),
        Some(2) => return Act::Answer(200, String::new()),
        Some(3) => (201, json!({"data": {"id": "x-1", "type": "letters", "attributes": {}}})),
        _ => (404, json!({"errors": [{"title": "Not found"}]})),
    };
    Act::Answer(status, body.to_string())
}

pub(crate) fn place(url: &str) -> Value {
    let attributes = json!({"url": url, "url_signature": SIGNATURE, "expires_at": "2026-01-05"});
    json!({"data": {"id": "x", "type": "file_uploads", "attributes": attributes}})
}

/// A provider that answers well but to one step.
pub(crate) fn bad(step: usize, act: Act) -> Provider {
    Provider::start(move |asked| {
        let it_is = asked.target == STEPS[step].2;
        if it_is { act.clone() } else { good(asked) }
    })
}

/// The script, set up for a provider.
pub(crate) fn script(provider: &Provider) -> Script {
    let mut script = Script::new("challenger-send-post.sh", &PROGRAMS);
    script.set("PINGEN_CLIENT_ID", "0A1B2C");
    script.set("PINGEN_CLIENT_SECRET", SECRET);
    script.set("PINGEN_ORGANISATION", "b3c1-42");
    script.set("PINGEN_URL", provider.url());
    script.set("PINGEN_AUTH_URL", provider.url());
    // The machine may be busy.
    script.set("PINGEN_TIMEOUT", "999");
    script
}

/// Like [`script`], where the letter does not matter, whose making takes most of the time.
pub(crate) fn hasty_script(provider: &Provider) -> Script {
    let script = script(provider);
    script.replace("weasyprint", "prints.sh");
    script
}

pub(crate) fn address(name: &str, lines: &str, country: Option<&str>) -> String {
    let mut address = json!({"CONTACT_NAME": name, "ADDRESS_LINES": lines});
    if let Some(country) = country {
        address["ADDRESS_COUNTRY"] = country.into();
    }
    address.to_string()
}

/// Whether a text contains nothing secret.
pub(crate) fn is_silent(text: &str) -> bool {
    let secrets = [SECRET, "s\"e", "$2y", "X-Signature", "eyJ0", "1234-5678", "Ada", "Bahnhof"];
    secrets.iter().all(|secret| !text.contains(secret))
}
