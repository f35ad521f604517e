//! The demonstration's own web site, on a port of its own: the inbox, and the shop, if nobody
//! brought an application.

use std::sync::Arc;

use challenger_proto::Refused;
use challenger_proto::address::Channel;
use challenger_proto::http::{Method, Request, Status};
use challenger_server::front::{Answer, Peer, Respond};

use super::inbox::Inbox;
use super::pages::Pages;
use super::shop::{Departure, Shop};
use super::words::Words;

/// The site.
pub(super) struct Site {
    pub(super) inbox: Arc<Inbox>,
    pub(super) shop: Option<Shop>,
    pub(super) channel: Channel,
    /// Its own URL, with a slash at its end.
    pub(super) url: String,
    /// The service's URL, with a slash at its end.
    pub(super) service_url: String,
}

impl Respond for Site {
    fn respond(&self, request: Request, _: &dyn Peer) -> Answer {
        let pages = self.pages(Some(&request));
        let reads = matches!(request.method, Method::Get | Method::Head);
        match (request.path(), &self.shop) {
            ("/inbox", _) if reads => self.inbox.page(&pages),
            ("/inbox.json", _) if reads => self.inbox.json(),
            ("/", None) if reads => redirect("/inbox".to_owned()),
            ("/", Some(_)) if reads => pages.welcome(),
            ("/start", Some(shop)) if request.method == Method::Post => match shop.start() {
                Ok(Departure { url, cookie }) => {
                    let mut answer = redirect(url);
                    answer.headers.push(("Set-Cookie", cookie.into()));
                    answer
                }
                Err(problem) => pages.failed(&problem, &[], None),
            },
            ("/callback", Some(shop)) if request.method == Method::Get => {
                pages.arrival(&shop.finish(&request), request.query())
            }
            _ => pages.nothing_here(),
        }
    }

    fn refuse(&self, request: Option<&Request>, refused: Refused) -> Answer {
        self.pages(request).bad_request(refused.refusal.status())
    }
}

impl Site {
    /// The pages in the reader's language.
    fn pages(&self, request: Option<&Request>) -> Pages<'_> {
        Pages {
            words: Words::choose(request),
            channel: self.channel,
            url: &self.url,
            service_url: &self.service_url,
            has_shop: self.shop.is_some(),
        }
    }
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
fn redirect(location: String) -> Answer {
    let headers = vec![("Location", location.into()), ("Cache-Control", "no-store".into())];
    Answer { status: Status(303), headers, body: [].into() }
}
