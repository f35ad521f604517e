//! `challenger-send-post.sh` against a stand-in for Pingen.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod pingen;
mod provider;
mod script;
mod site;

use std::fs;
use std::process::Command;

use challenger_testkit::pin_in;
use pingen::{
    ADDRESS, MESSAGE, PROGRAMS, SECRET, SIGNATURE, STEPS, TOKEN, UPLOAD, address, good, is_silent,
    script,
};
use provider::Provider;
use script::Ran;
use serde_json::{Value, json};
use site::Site;

/// Checks the four requests against Pingen's documentation, and returns the file and the parameters
/// of the letter.
fn judge(provider: &Provider) -> (Vec<u8>, Value) {
    let asked = provider.asked();
    let steps = asked.iter().map(|asked| (asked.method.as_str(), asked.target.as_str()));
    let expected = STEPS.map(|(_, method, target)| (method, target));
    assert_eq!(steps.collect::<Vec<_>>(), expected);
    let [token, place, file, letter] = asked.try_into().unwrap();

    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut form = token.form();
    form.sort();
    let expected = [
        field("client_id", "0A1B2C"),
        field("client_secret", SECRET),
        field("grant_type", "client_credentials"),
        field("scope", "letter"),
    ];
    assert_eq!(form, expected);
    for asked in [&place, &letter] {
        assert_eq!(asked.header("Authorization"), format!("Bearer {TOKEN}"));
        assert_eq!(asked.header("Accept"), "application/vnd.api+json");
    }
    assert!(place.body.is_empty());
    // The file goes to another party, which must not get the token.
    for asked in [&token, &file] {
        assert_eq!(asked.header("Authorization"), "");
    }
    assert!(file.body.starts_with(b"%PDF-1."));
    assert_eq!(letter.header("Content-Type"), "application/vnd.api+json");
    let letter: Value = serde_json::from_slice(&letter.body).unwrap();
    assert_eq!(letter["data"]["type"], "letters");
    let mut attributes = letter["data"]["attributes"].clone();
    assert_eq!(letter, json!({"data": {"type": "letters", "attributes": attributes.clone()}}));
    let url = attributes["file_url"].take();
    assert_eq!(url, format!("{}{UPLOAD}", provider.url()));
    assert_eq!(attributes["file_url_signature"].take(), SIGNATURE);
    assert_eq!(attributes["auto_send"].take(), true);
    (file.body, attributes)
}

/// The output of one of poppler's programs for a PDF file.
fn poppler(pdf: &[u8], program: &str, options: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letter.pdf");
    fs::write(&path, pdf).unwrap();
    let mut command = Command::new(program);
    command.args(options).arg(path);
    if program == "pdftotext" {
        command.arg("-");
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", site::stderr(&output));
    site::stdout(&output)
}

fn text(pdf: &[u8]) -> String {
    poppler(pdf, "pdftotext", &["-layout"])
}

/// The words of a letter with their boxes: left, top, right and bottom, in hundredths of a
/// millimetre.
fn words(pdf: &[u8]) -> Vec<(String, [i64; 4])> {
    let html = poppler(pdf, "pdftotext", &["-bbox"]);
    let words = html.lines().filter_map(|line| line.trim().strip_prefix("<word "));
    words
        .map(|word| {
            let (edges, word) = word.strip_suffix("</word>").unwrap().split_once('>').unwrap();
            let edges: Vec<i64> = edges.split('"').skip(1).step_by(2).map(hundredths).collect();
            (word.to_owned(), edges.try_into().unwrap())
        })
        .collect()
}

/// A number of points, of which 72 are 25.4 mm, in hundredths of a millimetre.
fn hundredths(points: &str) -> i64 {
    let (whole, part) = points.split_once('.').unwrap();
    let thousandths: i64 = format!("{whole}{}", &part[..3]).parse().unwrap();
    thousandths * 254 / 7200
}

#[test]
fn a_letter_is_sent_as_pingen_documents_it() {
    let provider = Provider::start(good);
    assert_eq!(script(&provider).run(ADDRESS, MESSAGE), Ran::well());
    let (pdf, attributes) = judge(&provider);
    let expected = json!({
        "address_position": "left", "auto_send": null, "delivery_product": "cheap",
        "file_original_name": "letter.pdf", "file_url": null, "file_url_signature": null,
        "print_mode": "simplex", "print_spectrum": "grayscale",
    });
    assert_eq!(attributes, expected);
    let facts = poppler(&pdf, "pdfinfo", &[]);
    assert!(facts.contains("Pages:           1\n") && facts.contains("(A4)"), "{facts}");
    let fonts = poppler(&pdf, "pdffonts", &[]);
    assert!(fonts.lines().skip(2).all(|font| font.contains(" yes yes ")), "embedded: {fonts}");
    let text = text(&pdf);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let expected = [
        "Ada Lovelace",
        "Bahnhofstrasse 1",
        "8001 Zürich",
        "Your code for shop.example:",
        "1234-5678",
        "Enter it soon.",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn settings_choose_how_it_looks_and_travels() {
    let provider = Provider::start(good);
    let mut script = script(&provider);
    for (name, value) in [
        ("PINGEN_ADDRESS_POSITION", "right"),
        ("PINGEN_DELIVERY_PRODUCT", "fast"),
        ("PINGEN_PRINT_MODE", "duplex"),
        ("PINGEN_PRINT_SPECTRUM", "color"),
        ("PINGEN_SENDER", "<Example & Co>, Weg 1"),
        ("PINGEN_COUNTRY", "DE"),
        ("CHALLENGER_SUBJECT", "Ihr Code für <shop>"),
        ("CHALLENGER_LANGUAGE", "de"),
    ] {
        script.set(name, value);
    }
    let address = address("Ada", "Weg 2\n10115 Berlin", Some("DE"));
    assert_eq!(script.run(&address, MESSAGE), Ran::well());
    let (pdf, attributes) = judge(&provider);
    for (name, value) in [
        ("address_position", "right"),
        ("delivery_product", "fast"),
        ("print_mode", "duplex"),
        ("print_spectrum", "color"),
    ] {
        assert_eq!(attributes[name], value);
    }
    let text = text(&pdf);
    assert!(text.contains("<Example & Co>, Weg 1\n"), "{text}");
    assert!(text.contains("\nIhr Code für <shop>\n") && !text.contains("Germany"), "{text}");
}

#[test]
fn the_window_shows_the_address_and_nothing_else() {
    let long = "Donaudampfschifffahrtsgesellschaft Elektrizitätenhauptbetriebswerk Bauunterbeamte";
    let addresses = [
        address("Ada", "Weg 1\n8001 Zürich", None),
        address("Ada", "1\n2\n3\n4\n5\n6", Some("GB")),
        address(long, "Weg 1\n8001 Zürich", None),
        address("WWWWW WWWWW WWWWW WWWWW WWWWW WWWWW", "Weg 1\n1010 Wien", Some("AT")),
        address("東京都千代田区丸の内東京都千代田区丸の内", "1-1\n100-0001", Some("JP")),
        address("Ada", &format!("{}\n8001 Zürich", "x".repeat(150)), None),
    ];
    for (position, left, count) in [("left", 2200, 6), ("right", 11800, 2)] {
        for address in &addresses[..count] {
            let provider = Provider::start(good);
            let mut script = script(&provider);
            script.set("PINGEN_ADDRESS_POSITION", position);
            script.set("PINGEN_SENDER", "Example AG, Weg 1, 8000 Zürich");
            assert_eq!(script.run(address, MESSAGE), Ran::well(), "{address}");
            let words = words(&judge(&provider).0);
            let [begin, end] =
                ["Zürich", "Your"].map(|it| words.iter().position(|(word, _)| word == it).unwrap());
            assert!(end > begin + 3);
            for (number, (word, [x0, y0, x1, y1])) in words.iter().enumerate() {
                assert!(*x0 >= 2000 && *x1 <= 20500 && *y1 <= 28000, "{word} is on the page");
                if number <= begin {
                    assert!(*y1 < 4000, "{word} is above the place for the stamp");
                } else if number < end {
                    assert!(*x0 >= left && *x1 <= left + 8550, "{word} from {x0} to {x1}");
                    assert!(*y0 >= 6000 && *y1 <= 8550, "{word} from {y0} to {y1}");
                } else {
                    assert!(*y0 >= 9900, "{word} is below the window");
                }
            }
        }
    }
}

#[test]
fn the_code_is_large_and_text_is_but_text() {
    let provider = Provider::start(good);
    let spy = provider.url();
    let evil = format!(
        "<img src=\"{spy}/spy\"><link rel=stylesheet href='{spy}/spy'> url({spy}/spy) \
         <style>@import \"{spy}/spy\";</style> &amp; {{{{x}}}} \\(env.TOKEN) `id` $(id) 'q' \\n"
    );
    let message = format!("shop-1234-5678.example 12345678901: 4321-8765 or another\n\n{evil}");
    let address = address("<b>Ada</b> \"&lt;\"", "$(id) `id`\n-o /etc\\n\n@/etc/passwd", None);
    assert_eq!(script(&provider).run(&address, &message), Ran::well());
    let (pdf, _) = judge(&provider);
    let squeeze = |text: &str| text.chars().filter(|it| !it.is_whitespace()).collect::<String>();
    let text = squeeze(&text(&pdf));
    for expected in ["<b>Ada</b> \"&lt;\"", "$(id) `id`-o /etc\\n@/etc/passwd", evil.as_str()] {
        assert!(text.contains(&squeeze(expected)), "{expected} in {text}");
    }
    assert_eq!(large(&pdf), ["4321-8765"]);
}

/// The words in the letters of a code.
fn large(pdf: &[u8]) -> Vec<String> {
    let is_large = |[_, top, _, bottom]: &[i64; 4]| bottom - top > 700;
    let words = words(pdf).into_iter().filter(|(_, edges)| is_large(edges));
    words.map(|(word, _)| word).collect()
}

#[test]
fn the_code_is_set_off_whatever_looks_like_one() {
    let name = address("1111-2222", "Weg 99998888\n8001 Zürich", None);
    for (subject, message) in [
        ("Your code", "Your code for 1111-2222.example: 8765-4321"),
        ("Your code", "8765-4321 is for shop-1111-2222, 1111-2222:8080 and https://3333-4444/"),
        ("Your code", "Your code for 3333-4444:\n\n 8765-4321\t\n\nNot 5555-6666."),
        ("For 3333-4444", "3333-4444\nhas this code for you: 8765-4321"),
        ("For 3333-4444", "8765-4321 is your code for 3333-4444."),
        ("Your code", "Dear 1111-2222,\n1111-2222\nWeg 99998888\n99998888\n(8765-4321)"),
        ("Your code", "Your code:8765-4321."),
    ] {
        let provider = Provider::start(good);
        let mut script = script(&provider);
        script.set("CHALLENGER_SUBJECT", subject);
        // Instead of a PDF, which takes longer, the letter as it goes into one.
        script.rewrite("weasyprint", "#!/bin/sh\nexec cat >\"$5\"\n");
        assert_eq!(script.run(&name, message), Ran::well());
        let html = String::from_utf8(provider.asked()[2].body.clone()).unwrap();
        let set_off = html.split("<b>").skip(1).map(|rest| rest.split_once("</b>").unwrap().0);
        assert_eq!(set_off.collect::<Vec<_>>(), ["8765-4321"], "{message}");
    }
}

#[test]
fn nothing_ends_lines_or_turns_them_around() {
    let provider = Provider::start(good);
    let lines = "Weg 1\u{2028}\u{2028}Questions?\u{2029}Call\u{85}+41\u{b}\u{c}now\r1\n\
                 \u{202e}8001 Zü\u{200b}rich\u{2066}\u{200f}\u{61c}\r\n";
    let name = "Ada\u{2029}\u{2028}Love\u{ad}lace\nof \u{e0041}London";
    let message =
        "Your code:\n\n\u{200e}1234-\u{200b}5678\u{2028}\n\nNow\u{2029}or\u{202e} never.\n";
    assert_eq!(script(&provider).run(&address(name, lines, None), message), Ran::well());
    let pdf = judge(&provider).0;
    let text = text(&pdf);
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    let lines: Vec<String> = lines.filter(|line| !line.is_empty()).collect();
    let expected = [
        "Ada Lovelace of London",
        "Weg 1 Questions? Call +41 now 1",
        "8001 Zürich",
        "Your code:",
        "1234-5678",
        "Now or never.",
    ];
    assert_eq!(lines, expected);
    assert_eq!(large(&pdf), ["1234-5678"]);
}

#[test]
fn an_address_never_leaves_its_window() {
    let provider = Provider::start(good);
    // Wider than assumed, so that it takes twice as many lines.
    let line = "щ".repeat(39);
    let address = address("Ada", &[line.as_str(); 7].join("\n"), None);
    let mut script = script(&provider);
    script.set("CHALLENGER_SUBJECT", "Subject");
    assert_eq!(script.run(&address, MESSAGE), Ran::well());
    let folder = tempfile::tempdir().unwrap();
    let [pdf, image] = ["letter.pdf", "letter"].map(|name| folder.path().join(name));
    fs::write(&pdf, judge(&provider).0).unwrap();
    let mut command = Command::new("pdftoppm");
    command.args(["-gray", "-singlefile", "-r", "127"]).arg(pdf).arg(&image);
    assert!(command.status().unwrap().success());
    let image = fs::read(image.with_extension("pgm")).unwrap();
    // Five dots are a millimetre, and each is a byte.
    let dots = &image[image.len() - 1050 * 1485..];
    let is_white =
        |from: usize, to: usize| dots[from * 5250..to * 5250].iter().all(|it| *it == 255);
    assert!(!is_white(61, 85) && is_white(86, 99) && !is_white(99, 120));
}

#[test]
fn letters_abroad_name_the_country() {
    for (country, name) in [
        (Some("XK"), Some("Kosovo")),
        (Some("DE"), Some("Germany")),
        (Some("LI"), Some("Liechtenstein")),
        (Some("BO"), Some("Bolivia")),
        (Some("CH"), None),
    ] {
        let provider = Provider::start(good);
        let ran = script(&provider).run(&address("Ada", " Weg 1 \n\nOrt\n", country), MESSAGE);
        assert_eq!(ran, Ran::well());
        let text = text(&judge(&provider).0);
        let lines = text.lines().map(str::trim).skip_while(|line| *line != "Ada");
        let lines: Vec<&str> = lines.take_while(|line| !line.is_empty()).collect();
        let expected: Vec<&str> = ["Ada", "Weg 1", "Ort"].into_iter().chain(name).collect();
        assert_eq!(lines, expected);
    }
}

#[test]
fn nobody_else_sees_anything() {
    let provider = Provider::start(good);
    let script = script(&provider);
    let ran = script.run_with(&["-x"], &[ADDRESS], MESSAGE);
    assert_eq!(ran.code, Some(0));
    assert!(ran.stderr.contains("set +x") && is_silent(&ran.stderr), "{}", ran.stderr);
    judge(&provider);
    let lines = script.command_lines();
    for program in PROGRAMS {
        assert!(lines.lines().any(|line| line == program), "{program} was used: {lines}");
    }
    assert!(is_silent(&lines), "{lines}");
}

#[test]
fn a_postal_address_is_proved_through_it() {
    let provider = Provider::start(good);
    let snippet = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/address-types/postal-ch.conf");
    let mut site = Site::new(&format!("@inline@ {snippet}"));
    site.set_helper(&format!(
        "#!/bin/sh\nexport PINGEN_CLIENT_ID=0A1B2C PINGEN_CLIENT_SECRET='{SECRET}'\n\
         export PINGEN_ORGANISATION=b3c1-42 PINGEN_URL={0} PINGEN_AUTH_URL={0}\n\
         exec {1} \"$1\"\n",
        provider.url(),
        script::path("challenger-send-post.sh").display(),
    ));
    site.remember(SECRET);
    site.remember("Bahnhofstrasse");
    site.start();
    let nonce = site.setup();
    let form = "CONTACT_NAME=Ada+Lovelace&ADDRESS_LINES=Bahnhofstrasse+1%0D%0A8001+Z%C3%BCrich";
    let sent = site.post(&format!("challenge/{nonce}"), &[], form);
    assert_eq!((sent.status, &sent.json()["transmitted"]), (200, &true.into()), "{}", site.log());
    let text = text(&judge(&provider).0);
    assert!(text.contains("Ada Lovelace\n") && text.contains("8001 Zürich\n"), "{text}");
    assert_eq!(site.solve(&nonce, &pin_in(&text).unwrap()).status, 200);
    site.stop();
}
