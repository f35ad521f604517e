//! The pages of the demonstration: those of the shop, and the frame around all of them.

use challenger_proto::address::Channel;
use challenger_server::front::Answer;
use challenger_server::pages::escape_html;

use super::behind;
use super::exchange::Exchange;
use super::shop::{Arrival, Outcome};
use super::site::answer;
use super::words::{Ending, Proof, SHOP, Words};

/// Nothing is loaded or run, whatever is in an address or a message; the icon is in the page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
                      base-uri 'none'; frame-ancestors 'none'";

const STYLE: &str = include_str!("style.css");
const LEAF: &str = include_str!("leaf.svg");
const MUG: &str = include_str!("mug.svg");

/// What all pages for one reader have in common.
pub(super) struct Pages<'a> {
    pub(super) words: &'static Words,
    pub(super) channel: Channel,
    /// The site's own URL, with a slash at its end.
    pub(super) url: &'a str,
    /// The service's URL, with a slash at its end.
    pub(super) service_url: &'a str,
    pub(super) has_shop: bool,
}

/// The steps of an order.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Step {
    Basket,
    Proof,
    Payment,
}

impl Pages<'_> {
    /// The shop's first page.
    pub(super) fn welcome(&self) -> Answer {
        let proof = self.proof();
        let text = format!("<p>{}</p>\n{}", proof.why, self.start(proof.button, ""));
        let content = self.order(Step::Proof, proof.title, &(text + &self.hint()));
        self.page(200, proof.title, &content, &behind::shop(&[], None, None))
    }

    /// The page for a person who is back with this query.
    pub(super) fn arrival(&self, arrival: &Arrival, query: &str) -> Answer {
        let (words, proof) = (self.words, self.proof());
        let Arrival { outcome, exchanges } = arrival;
        let (status, ending) = match outcome {
            Outcome::Confirmed { address } => {
                let text = format!(
                    "<p class=\"proved\"><strong id=\"address\">{}</strong></p>\n<p>{}</p>\n{}",
                    escape_html(address),
                    words.go_on,
                    self.start(words.unknown.button, " class=\"second\""),
                );
                let content = self.order(Step::Payment, proof.confirmed, &text);
                let behind = behind::shop(exchanges, Some(query), None);
                return self.page(200, proof.confirmed, &content, &behind);
            }
            Outcome::Failed { problem } => return self.failed(problem, exchanges, Some(query)),
            Outcome::Stopped => (200, &words.stopped),
            Outcome::Unavailable => (503, &words.unavailable),
            Outcome::Unknown => {
                return self.ending(400, &words.unknown, &behind::unknown());
            }
        };
        self.ending(status, ending, &behind::shop(exchanges, Some(query), None))
    }

    /// The page for what went wrong, which is told in the margin.
    pub(super) fn failed(
        &self,
        problem: &str,
        exchanges: &[Exchange],
        query: Option<&str>,
    ) -> Answer {
        let behind = behind::shop(exchanges, query, Some(problem));
        self.ending(502, &self.words.failed, &behind)
    }

    pub(super) fn nothing_here(&self) -> Answer {
        self.dead_end(404, &self.words.nothing_here)
    }

    pub(super) fn bad_request(&self, status: u16) -> Answer {
        self.dead_end(status, &self.words.bad_request)
    }

    /// A page without an order, with a link to the first page.
    fn dead_end(&self, status: u16, ending: &Ending) -> Answer {
        let Ending { title, text, button } = ending;
        let content = format!(
            "<div class=\"card\">\n<h1>{title}</h1>\n<p>{text}</p>\n\
             <a class=\"button\" href=\"{}\">{button}</a>\n</div>",
            self.url,
        );
        self.page(status, title, &content, "")
    }

    /// A page on which the order waits for its proof, with the way on.
    fn ending(&self, status: u16, ending: &Ending, behind: &str) -> Answer {
        let Ending { title, text, button } = ending;
        let text = format!("<p>{text}</p>\n{}", self.start(button, ""));
        self.page(status, title, &self.order(Step::Proof, title, &text), behind)
    }

    /// A button to begin. It leads to the host of the redirect URI, because the cookie has to be
    /// there when the person comes back: `localhost` is another one.
    fn start(&self, button: &str, class: &str) -> String {
        let url = self.url;
        format!(
            "<form method=\"post\" action=\"{url}start\"><button{class}>{button}</button></form>\n"
        )
    }

    /// The inbox is needed while the service has the window.
    fn hint(&self) -> String {
        let [text, link] = self.words.inbox.hint;
        format!("<p class=\"hint\">{text} <a href=\"/inbox\" target=\"_blank\">{link}</a></p>\n")
    }

    /// What is left to do of an order, and beside it what was ordered.
    fn order(&self, now: Step, title: &str, text: &str) -> String {
        let (words, proof) = (self.words, self.proof());
        let step = |step: Step, label: &str| {
            let state = if step == now {
                " aria-current=\"step\""
            } else if step < now {
                " class=\"done\""
            } else {
                ""
            };
            format!("<li{state}>{label}</li>\n")
        };
        let steps = [
            step(Step::Basket, words.basket),
            step(Step::Proof, proof.step),
            step(Step::Payment, words.payment),
        ];
        let Words { order, product, details, delivery, free, total, price, .. } = words;
        format!(
            "<div class=\"shop\">\n<div class=\"card\">\n\
             <ol class=\"steps\" aria-label=\"{}\">\n{}</ol>\n<h1>{}</h1>\n{text}</div>\n\
             <section class=\"card order\" aria-labelledby=\"order\">\n\
             <h2 id=\"order\">{order}</h2>\n{}<h3>{product}</h3>\n<p>{details}</p>\n<dl>\n\
             <div><dt>{product}</dt><dd>{price}</dd></div>\n\
             <div><dt>{delivery}</dt><dd>{free}</dd></div>\n\
             <div><dt>{total}</dt><dd>{price}</dd></div>\n</dl>\n</section>\n</div>",
            words.steps,
            steps.concat(),
            // In large letters, no line ends within "e-mail".
            title.replace('-', "\u{2011}"),
            MUG.replace("NAME", product),
        )
    }

    /// The words for the type of address.
    fn proof(&self) -> &'static Proof {
        self.words.proof(self.channel)
    }

    /// A page. Whoever makes the content escapes it. What happens behind is told in English.
    pub(super) fn page(&self, status: u16, title: &str, content: &str, behind: &str) -> Answer {
        let Words { language, trade, demonstration, .. } = self.words;
        let (name, head) = if self.has_shop {
            let inbox = format!("<a href=\"/inbox\">{}</a>\n", self.words.inbox.title);
            (SHOP, brand(SHOP, &format!("<small>{trade}</small>"), "/") + &inbox)
        } else {
            ("Challenger", brand("Challenger", "", self.service_url))
        };
        let margin = if behind.is_empty() {
            String::new()
        } else {
            format!(
                "<aside aria-labelledby=\"behind\">\n<h2 id=\"behind\">{}</h2>\n\
                 <div lang=\"en\">\n{behind}</div>\n</aside>\n",
                self.words.behind,
            )
        };
        let end = if self.has_shop { *demonstration } else { "" };
        let icon = LEAF.trim_end().replace('#', "%23").replace('"', "'");
        let body = format!(
            "<!DOCTYPE html>\n<html lang=\"{language}\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title} – {name}</title>\n\
             <link rel=\"icon\" href=\"data:image/svg+xml,{icon}\">\n\
             <style>\n{STYLE}</style>\n</head>\n<body>\n<header class=\"top\">\n{head}</header>\n\
             <div class=\"columns\">\n<main>\n{content}\n</main>\n{margin}</div>\n\
             <footer class=\"end\">{end}</footer>\n</body>\n</html>\n"
        );
        let mut answer = answer(status, "text/html; charset=utf-8", body);
        answer.headers.push(("Content-Language", (*language).into()));
        answer.headers.push(("Content-Security-Policy", POLICY.into()));
        answer
    }
}

fn brand(name: &str, below: &str, url: &str) -> String {
    format!(
        "<a class=\"brand\" href=\"{url}\">{LEAF}<span><strong>{name}</strong>{below}</span></a>\n"
    )
}
