//! Destinations: pumping messages to a prefix, a domain or a country in other spellings.

use std::sync::atomic::{AtomicUsize, Ordering};

use challenger_testkit::{Reply, escape};

use crate::budgets::{is_over, spent};
use crate::harness::everywhere;
use crate::site::Site;

/// Asks for a message of a new validation.
fn ask(site: &Site, fields: &[(&str, &str)]) -> Reply {
    let nonce = site.setup();
    let pairs = fields.iter().map(|(name, value)| format!("{name}={}", escape(value)));
    site.post(
        &format!("challenge/{nonce}"),
        &[("Accept", "application/json")],
        pairs.collect::<Vec<_>>().join("&"),
    )
}

#[test]
fn no_spelling_of_a_number_gets_around_its_prefix() {
    let options = "ADDRESS_TYPE = phone\nADDRESS_MESSAGES = 3\n\
                   [challenger-destination-all]\nPREFIX = +\nMESSAGES = 0\n\
                   [challenger-destination-ours]\nPREFIX = +41\nMESSAGES = 5\n\
                   [challenger-destination-premium]\nPREFIX = +41900\nMESSAGES = 0";
    everywhere(options, |site| {
        let sent = |number: &str| !is_over(&ask(site, &[("CONTACT_PHONE", number)]));
        for number in [
            "+41900123456",
            "0041900123456",
            "+0041900123456",
            "+041900123456",
            "+41 (0)900 123 456",
            "+41 0900 123456",
            "+410900123456",
            "+41-9-0-0-1-2-3-4-5-6",
            "tel:+41900123456",
            "TEL: 0041 900 123456",
            "＋４１９００１２３４５６",
            "+٤١٩٠٠١٢٣٤٥٦",
            "+41\u{200b}900\u{2060}123456",
            "+41 900 123 456 ext. 7",
            "tel:+41900123456;ext=7",
            "call +41 900 123 456",
            // Without the country, it is nobody's that is allowed.
            "41900123456",
            "0900123456",
            "900123456",
            "+882123456789",
            "00882123456789",
            "call me",
        ] {
            assert!(!sent(number), "{number}");
        }
        assert_eq!((site.messages().len(), spent(site, "prefix:+41")), (0, 0));
        let eve = ["+41791234567", "0041 79 123 45 67", "+41 079 1234567", "+41 79 123 45 67 #1"];
        assert_eq!(eve.map(&sent), [true, true, true, false], "the same phone");
        // Pumping ends with the prefix, whichever number is next.
        let pumped = (0..20).filter(|number| sent(&format!("+4177{:07}", 1_234_567 + number)));
        assert_eq!(pumped.count(), 2);
        assert_eq!((site.messages().len(), spent(site, "prefix:+41")), (5, 5));
    });
}

#[test]
fn no_spelling_of_a_domain_gets_around_it() {
    let options = "[challenger-destination-blocked]\nDOMAIN = b\u{fc}cher.example\nMESSAGES = 0\n\
                   [challenger-destination-below]\nDOMAIN = shop.b\u{fc}cher.example\nMESSAGES = 2";
    everywhere(options, |site| {
        let sent = |email: &str| !is_over(&ask(site, &[("CONTACT_EMAIL", email)]));
        for email in [
            "ada@bücher.example",
            "ada@BÜCHER.Example",
            "ada@xn--bcher-kva.example",
            "ada@XN--BCHER-KVA.EXAMPLE.",
            "ada@bu\u{308}cher.example",
            "ada@bücher。example",
            "ada@ｂücher．example",
            "ada@bü\u{ad}cher.example",
            "ada＠bücher.example",
            "mailto:ada@bücher.example",
            "ada@mail.bücher.example",
            "ada@a.b.c.bücher.example..",
            "bob@home@bücher.example",
        ] {
            assert!(!sent(email), "{email}");
        }
        assert_eq!(site.messages().len(), 0);
        for email in ["a@xbücher.example", "b@bucher.example", "c@bücher.example.example"] {
            assert!(sent(email), "{email}");
        }
        let below = ["a@shop.bücher.example", "b@SHOP.BÜCHER.example.", "c@x.shop.bücher.example"];
        assert_eq!(below.map(sent), [true, true, false]);
    });
}

#[test]
fn no_spelling_of_a_country_gets_around_it() {
    let options = "ADDRESS_TYPE = postal\n\
                   [challenger-destination-uk]\nCOUNTRY = uk\nMESSAGES = 2\n\
                   [challenger-destination-gr]\nCOUNTRY = EL\nMESSAGES = 0";
    everywhere(options, |site| {
        let person = AtomicUsize::new(0);
        let sent = |country: &str| {
            let name = format!("Ada {}", person.fetch_add(1, Ordering::SeqCst));
            let lines = "Street 1\nTown";
            let fields =
                [("CONTACT_NAME", &*name), ("ADDRESS_LINES", lines), ("ADDRESS_COUNTRY", country)];
            !is_over(&ask(site, &fields))
        };
        assert_eq!(["uk", " Gb ", "UK\u{200b}", "gb", "GB\u{feff}"].map(sent), {
            [true, true, false, false, false]
        });
        assert_eq!(["gr", "EL", "el", "\u{200e}GR"].map(sent), [false; 4]);
        assert!(sent("ch"));
    });
}
