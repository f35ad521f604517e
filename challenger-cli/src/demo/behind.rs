//! The margin of the pages, which tells newcomers what happens behind: each request that was made
//! for them, as it was, except for secrets.

use challenger_proto::http::Form;
use challenger_server::pages::escape_html;
use serde_json::Value;

use super::exchange::Exchange;

/// What is worth something to a thief, or says nothing to a reader: its beginning is enough.
const LONG: [&str; 6] =
    ["access_token", "code", "code_challenge", "code_verifier", "request_uri", "state"];

/// How many characters are left of it.
const BEGINNING: usize = 6;

/// What the margin of the shop says first.
const SHOP: &str = "<p>This shop is an application that uses Challenger, the service, by \
                    OAuth 2.0. It never sends a code itself.</p>\n";

/// Where there is more to read.
const MORE: &str = "<p>More: <code>docs/api.md</code>, “The standard way”. This shop is \
                    <code>challenger-cli/src/demo/shop.rs</code>, to read and to copy.</p>\n";

/// The way of a person through the shop and the service: the requests so far, the query with which
/// they came back, and a problem.
pub(super) fn shop(exchanges: &[Exchange], back: Option<&str>, problem: Option<&str>) -> String {
    let made = |request: &str| exchanges.iter().find(|it| it.request == request);
    let (pushed, granted, info) = (made("POST /par"), made("POST /token"), made("GET /info"));
    let back = back.and_then(|query| Form::parse(query.as_bytes()).ok());
    let stopped = back.as_ref().is_some_and(|back| back.get("error").is_some());
    let mut steps = vec![
        ("The shop asks the service for a link.", pushed.map(exchange)),
        (
            "It sends your browser there. The service asks for your address, sends a code to it, \
             and checks what you enter.",
            pushed.map(departure),
        ),
    ];
    let back = back.as_ref().map(arrival);
    if stopped {
        let sentence = "Your browser came back without a code, so there is nothing to exchange. \
                        The shop gets no address.";
        steps.push((sentence, back));
    } else {
        let sentence = "Your browser comes back with a code for the shop, which checks \
                        <code>state</code> and <code>iss</code>.";
        steps.push((sentence, back));
        steps.push(("The shop exchanges this code for a token.", granted.map(exchange)));
        steps.push(("With the token, it reads your address.", info.map(exchange)));
    }
    let last = steps.iter().rposition(|(_, made)| made.is_some());
    let steps = steps.iter().enumerate();
    let steps =
        steps.map(|(index, (sentence, made))| step(sentence, made.as_ref(), Some(index) == last));
    let problem = problem.map(|problem| {
        format!("<p><strong>What went wrong:</strong> {}</p>\n", escape_html(problem))
    });
    format!("{SHOP}{}<ol>\n{}</ol>\n{MORE}", problem.unwrap_or_default(), steps.collect::<String>())
}

/// A link that the shop takes nothing from.
pub(super) fn unknown() -> String {
    "<p>The shop remembers a random <code>state</code> for each browser that it sends to the \
     service, and takes each answer once. This link has a <code>state</code> that it does not \
     know, or that belongs to another browser, or its <code>iss</code> is not the service. So it \
     did not use the code in it.</p>\n"
        .to_owned()
        + MORE
}

/// The way of a message.
pub(super) fn inbox() -> String {
    "<p>Challenger sends nothing itself. For each message it runs a helper, which gets address and \
     message: yours sends e-mail, text messages or letters. In this demonstration, the helper puts \
     them here.</p>\n\
     <p>Tests of an application read the same as JSON: \
     <a href=\"/inbox.json\"><code>/inbox.json</code></a>.</p>\n\
     <p>More: <code>docs/deliver.md</code>, and “Testing your client” in \
     <code>docs/api.md</code>.</p>\n"
        .to_owned()
}

/// A request as it was made: its first line, and all of it.
struct Made {
    line: String,
    text: String,
}

/// A step, with what it looked like if it was made. The latest is open.
fn step(sentence: &str, made: Option<&Made>, is_last: bool) -> String {
    match made {
        Some(Made { line, text }) => format!(
            "<li>{sentence}\n<details{}><summary>{line}</summary>\n<pre>{}</pre>\n\
             </details></li>\n",
            if is_last { " open" } else { "" },
            escape_html(text.trim_end()),
        ),
        None => format!("<li class=\"todo\">{sentence}</li>\n"),
    }
}

/// A request of the shop, and its answer.
fn exchange(it: &Exchange) -> Made {
    let Exchange { request, fields, status, answer } = it;
    let fields: String = fields.iter().map(|(name, value)| field(name, value)).collect();
    let answer = serde_json::to_string_pretty(&without_secrets(answer)).unwrap_or_default();
    Made { line: format!("{request} → {status}"), text: format!("{fields}\n{answer}") }
}

/// Where the browser was sent.
fn departure(pushed: &Exchange) -> Made {
    let client_id = pushed.fields.iter().find(|(name, _)| name == "client_id");
    let client_id = client_id.map_or("", |(_, value)| value);
    let request_uri = pushed.text("request_uri").unwrap_or_default();
    let text = field("client_id", client_id) + &field("request_uri", request_uri);
    Made { line: "GET /authorize".to_owned(), text }
}

/// What the browser came back with.
fn arrival(back: &Form) -> Made {
    let names = ["code", "error", "state", "iss"];
    let fields = names.iter().filter_map(|name| Some(field(name, back.get(name)?)));
    Made { line: "GET /callback".to_owned(), text: fields.collect() }
}

/// A line for a parameter.
fn field(name: &str, value: &str) -> String {
    match name {
        "Authorization" => {
            let token = value.trim_start_matches("Bearer ");
            format!("{name}: Bearer {}\n", shortened(token))
        }
        "client_secret" => format!("{name}=(secret)\n"),
        _ if LONG.contains(&name) => format!("{name}={}\n", shortened(value)),
        _ => format!("{name}={value}\n"),
    }
}

fn without_secrets(answer: &Value) -> Value {
    let mut answer = answer.clone();
    for (name, value) in answer.as_object_mut().into_iter().flatten() {
        if let Some(text) = value.as_str().filter(|_| LONG.contains(&name.as_str())) {
            *value = Value::from(shortened(text));
        }
    }
    answer
}

/// The beginning of a text, after that of a URN.
fn shortened(text: &str) -> String {
    let own = text.rfind(':').map_or(0, |colon| colon.saturating_add(1));
    let (urn, own) = text.split_at(own);
    let beginning: String = own.chars().take(BEGINNING).collect();
    if beginning.len() == own.len() { text.to_owned() } else { format!("{urn}{beginning}…") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_shortened_and_all_else_is_there() {
        let fields = [
            ("client_secret", "secret-token:abcdefghijkl"),
            ("state", "0123456789"),
            ("code_challenge_method", "S256"),
            ("Authorization", "Bearer ABCDEFGHIJ"),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let answer = json!({"request_uri": "urn:x:ABCDEFGHIJ", "expires_in": 300});
        let made = exchange(&Exchange { request: "POST /par", fields, status: 201, answer });
        assert_eq!(made.line, "POST /par → 201");
        assert_eq!(
            made.text,
            "client_secret=(secret)\nstate=012345…\ncode_challenge_method=S256\n\
             Authorization: Bearer ABCDEF…\n\n{\n  \"expires_in\": 300,\n  \
             \"request_uri\": \"urn:x:ABCDEF…\"\n}"
        );
    }

    #[test]
    fn what_a_stranger_wrote_is_text() {
        let page = shop(&[], Some("error=%3Cscript%3E"), Some("<b>"));
        assert!(page.contains("error=&lt;script&gt;") && page.contains("&lt;b&gt;"), "{page}");
    }
}
