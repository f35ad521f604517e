//! Requests that no client or person who knows the protocol would send.

use challenger_proto::http::{BODY_MAX, Method, Request, TARGET_MAX};

use super::server::What;
use crate::Dice;
use crate::world;

const JSON: (&str, &str) = ("Accept", "application/json");
const GRANT: &str = "grant_type=password&code=x&client_id=1&client_secret=x&redirect_uri=x";
const TWICE: &str = "grant_type=authorization_code&code=x&code=y";

fn ask(method: Method, target: &str, headers: &[(&str, &str)], body: &str) -> Request {
    let request = Request::new(method, target, body);
    headers.iter().fold(request, |it, (name, value)| it.with(name, value))
}

/// Any of them, and whether nothing may come of it.
pub(super) fn nonsense(dice: &mut Dice) -> (What, Request) {
    if dice.below(2) == 0 {
        return nonsense_of_clients(dice);
    }
    let bearer = format!("Bearer {}", world::SECRET);
    let bearer = ("Authorization", bearer.as_str());
    let deflate = ("Content-Encoding", "deflate");
    let (get, post) = (Method::Get, Method::Post);
    let (name, request) = match dice.below(11) {
        0 => ("no path", ask(get, "/nowhere", &[JSON], "")),
        1 => ("no method", ask(Method::Other, "/token", &[JSON], "")),
        2 => ("a long target", ask(get, &"/x".repeat(TARGET_MAX), &[JSON], "")),
        3 => ("a long body", ask(post, "/token", &[JSON], &"x".repeat(BODY_MAX + 1))),
        4 => ("no bearer", ask(get, "/info", &[JSON], "")),
        5 => ("a bad bearer", ask(get, "/info", &[("Authorization", "Bearer x")], "")),
        6 => ("no parameters", ask(post, "/token", &[JSON], "")),
        7 => ("another grant type", ask(post, "/token", &[JSON], GRANT)),
        8 => ("no JSON", ask(post, "/setup/1", &[bearer], "x")),
        9 => ("no zlib", ask(post, "/setup/1", &[bearer, deflate], "x")),
        _ => ("a page that is not there", ask(get, "/challenge/x", &[("Accept", "text/html")], "")),
    };
    (What::Bent(name), request)
}

/// Those for the endpoints that OAuth libraries know.
fn nonsense_of_clients(dice: &mut Dice) -> (What, Request) {
    let [open, closed] = &world::CLIENTS;
    let (get, post) = (Method::Get, Method::Post);
    let push = |body: &str| ask(post, "/par", &[], body);
    let nonce = "0".repeat(52);
    let metadata = "/.well-known/oauth-authorization-server";
    let another_type = format!("/authorize?response_type=token&client_id={}&state=x", open.number);
    let page = ("Accept", "text/html");
    let (name, request) = match dice.below(20) {
        0 => ("a JSON body", push(r#"{"response_type":"code"}"#)),
        1 => ("a multipart body", ask(post, "/token", &[], "--x\r\n")),
        2 => ("a repeated parameter", ask(post, "/token", &[], TWICE)),
        3 => ("no secret at /status", ask(get, &format!("/status/{nonce}"), &[JSON], "")),
        4 => ("a status of nothing", world::status(&nonce, open.secret)),
        5 => ("no token to revoke", world::about_token("/revoke", open, "")),
        6 => ("no token to ask about", world::about_token("/introspect", closed, "")),
        7 => ("a push of two addresses", world::push(open, "&login_hint=a&address=%7B%7D")),
        8 => ("a push of no address", world::push(open, "&address=x")),
        9 => ("a push of another type", push("response_type=token&client_id=1&client_secret=x")),
        10 => ("a browser for a closed client", world::begin_direct(closed.number, "", page.1)),
        11 => ("a browser for nobody", ask(get, "/authorize", &[page], "")),
        // An open client is told of the mistake by a redirect.
        12 => return (What::Other("another type"), ask(get, &another_type, &[page], "")),
        13 => {
            let request = world::begin_direct(open.number, "", page.1);
            return (What::Other("a stray browser"), request);
        }
        14 => ("a push of one that is disabled", world::push(&world::DISABLED, "")),
        15 => ("a setup of one that is disabled", {
            world::setup_as(world::DISABLED.number, world::DISABLED.secret, "")
        }),
        16 => ("a browser for one that is disabled", {
            world::begin_direct(world::DISABLED.number, "", page.1)
        }),
        17 => ("a setup with a secret of before", {
            world::setup_as(open.number, world::SECRET_OF_BEFORE, "")
        }),
        18 => ("a push with a secret of before", {
            world::push(&world::Party { secret: world::SECRET_OF_BEFORE, ..*closed }, "")
        }),
        // Without an issuer, there is none.
        _ => return (What::Other("metadata"), ask(get, metadata, &[], "")),
    };
    (What::Bent(name), request)
}
