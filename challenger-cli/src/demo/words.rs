//! The words of the shop and the inbox, a file for each language.
//!
//! For another language, copy `words/en.rs`, translate it, and list it here twice: the compiler
//! misses every text that is not there. A price has the form that the language's readers expect.

mod de;
mod en;
mod es;
mod fr;
mod it;
mod nl;
mod pl;
mod pt;

use challenger_proto::address::Channel;
use challenger_proto::best_language;
use challenger_proto::http::Request;

/// All languages. English comes first, for those who read none of them.
const ALL: [&Words; 8] = [
    &en::WORDS,
    &de::WORDS,
    &es::WORDS,
    &fr::WORDS,
    &it::WORDS,
    &nl::WORDS,
    &pl::WORDS,
    &pt::WORDS,
];

/// The name of the shop, in all languages.
pub(super) const SHOP: &str = "Atelier Tilia";

/// The words in one language. All are plain text.
pub(super) struct Words {
    /// Its tag.
    pub(super) language: &'static str,
    /// What the shop sells.
    pub(super) trade: &'static str,
    /// Above what explains the protocol, which is in English.
    pub(super) behind: &'static str,
    /// Below each page.
    pub(super) demonstration: &'static str,

    pub(super) order: &'static str,
    pub(super) product: &'static str,
    pub(super) details: &'static str,
    pub(super) delivery: &'static str,
    pub(super) free: &'static str,
    pub(super) total: &'static str,
    pub(super) price: &'static str,

    /// The steps of an order; that between these depends on the type of address.
    pub(super) steps: &'static str,
    pub(super) basket: &'static str,
    pub(super) payment: &'static str,

    pub(super) email: Proof,
    pub(super) phone: Proof,
    pub(super) post: Proof,

    pub(super) go_on: &'static str,
    pub(super) stopped: Ending,
    pub(super) unavailable: Ending,
    pub(super) unknown: Ending,
    pub(super) failed: Ending,
    pub(super) nothing_here: Ending,
    pub(super) bad_request: Ending,

    pub(super) inbox: Inbox,
}

/// The words for a type of address.
pub(super) struct Proof {
    /// Its step of an order: one or two words.
    pub(super) step: &'static str,
    pub(super) title: &'static str,
    /// Why the shop asks, and what will happen.
    pub(super) why: &'static str,
    pub(super) button: &'static str,
    pub(super) confirmed: &'static str,
}

/// The words of a page on which something ends, and of the way on.
pub(super) struct Ending {
    pub(super) title: &'static str,
    pub(super) text: &'static str,
    pub(super) button: &'static str,
}

/// The words for messages.
pub(super) struct Inbox {
    pub(super) title: &'static str,
    /// How to get there in another tab, from a sentence and a link.
    pub(super) hint: [&'static str; 2],
    pub(super) text: &'static str,
    pub(super) refresh: &'static str,
    pub(super) empty: &'static str,
    pub(super) to: &'static str,
    pub(super) code: &'static str,
    pub(super) reference: &'static str,
    pub(super) to_shop: &'static str,
    pub(super) to_service: &'static str,
}

impl Words {
    /// Those that the reader's browser asks for, as the service chooses them.
    pub(super) fn choose(request: Option<&Request>) -> &'static Self {
        let wanted = request.and_then(|request| request.header("Accept-Language"));
        let best = best_language(wanted, ALL.iter().map(|words| words.language));
        let best = ALL.into_iter().find(|words| Some(words.language) == best);
        best.unwrap_or(&en::WORDS)
    }

    pub(super) const fn proof(&self, channel: Channel) -> &Proof {
        match channel {
            Channel::Phone => &self.phone,
            Channel::Post => &self.post,
            _ => &self.email,
        }
    }
}

#[cfg(test)]
mod tests {
    use challenger_proto::http::Method;
    use challenger_server::pages::Messages;

    use super::*;

    fn chosen(wanted: &str) -> &'static str {
        let headers = vec![("accept-language".to_owned(), wanted.to_owned())];
        let request =
            Request { method: Method::Get, target: "/".to_owned(), headers, body: Vec::new() };
        Words::choose(Some(&request)).language
    }

    #[test]
    fn the_shop_speaks_all_languages_of_the_service() {
        for language in Messages::embedded().unwrap().languages() {
            assert_eq!(chosen(language), language, "add {language} to words.rs");
        }
    }

    #[test]
    fn readers_get_their_language_or_english() {
        assert_eq!(chosen("de-CH, fr;q=0.9"), "de");
        assert_eq!(chosen("pt-BR"), "pt");
        assert_eq!(chosen("ja, it;q=0.1"), "it");
        assert_eq!(chosen("ja"), "en");
        assert_eq!(Words::choose(None).language, "en");
    }
}
