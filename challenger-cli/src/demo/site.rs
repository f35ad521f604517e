//! The demonstration's own web site, on a port of its own: the inbox, and the shop, if nobody
//! brought an application.

use std::sync::Arc;

use challenger_proto::Refused;
use challenger_proto::http::{Method, Request, Status};
use challenger_server::front::{Answer, Peer, Respond};

use super::inbox::Inbox;
use super::shop::Shop;

/// The site.
pub(super) struct Site {
    pub(super) inbox: Arc<Inbox>,
    pub(super) shop: Option<Shop>,
}

impl Respond for Site {
    fn respond(&self, request: Request, _: &dyn Peer) -> Answer {
        let reads = matches!(request.method, Method::Get | Method::Head);
        match (request.path(), &self.shop) {
            ("/inbox", _) if reads => self.inbox.page(),
            ("/inbox.json", _) if reads => self.inbox.json(),
            ("/", None) if reads => redirect("/inbox".to_owned()),
            (_, Some(shop)) => shop.respond(&request),
            (_, None) => page(404, "Nothing here", "<p><a href=\"/inbox\">To the inbox</a></p>"),
        }
    }

    fn refuse(&self, _: Option<&Request>, refused: Refused) -> Answer {
        page(refused.refusal.status(), "This request makes no sense", "")
    }
}

/// How the pages look: readable on a phone, in the colours that the reader prefers.
const STYLE: &str = "\
    :root{color-scheme:light dark}\
    body{font:1rem/1.5 system-ui,sans-serif;margin:0 auto;max-width:40rem;padding:1rem}\
    pre,.address{overflow-wrap:anywhere;white-space:pre-wrap}\
    article{border-top:1px solid;padding:.5rem 0}\
    .code{font:1.5rem ui-monospace,monospace}";

/// Nothing is loaded or run, whatever is in an address or a message.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

/// A page. Whoever makes the content escapes it.
pub(super) fn page(status: u16, title: &str, content: &str) -> Answer {
    let body = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>{title}</h1>\n{content}\n</main>\n</body>\n</html>\n"
    );
    let mut answer = answer(status, "text/html; charset=utf-8", body);
    answer.headers.push(("Content-Security-Policy", POLICY.into()));
    answer
}

/// A body, to be shown as what it is and not to be kept.
pub(super) fn answer(status: u16, media_type: &'static str, body: String) -> Answer {
    let headers = vec![
        ("Content-Type", media_type.into()),
        ("Cache-Control", "no-store".into()),
        ("X-Content-Type-Options", "nosniff".into()),
    ];
    Answer { status: Status(status), headers, body: body.into_bytes().into() }
}

/// A redirect that is followed with `GET`.
pub(super) fn redirect(location: String) -> Answer {
    let headers = vec![("Location", location.into()), ("Cache-Control", "no-store".into())];
    Answer { status: Status(303), headers, body: [].into() }
}
