//! Whose pages they are: the name, the logo and the icon of the service.
#![expect(clippy::expect_used, reason = "the functions below are part of the tests")]

mod markup;

use std::fs;
use std::path::Path;

use challenger_proto::address::AddressType;
use challenger_proto::http::{Page, PageName};
use challenger_server::pages::{Sources, Templates};
use markup::{EVIL, LANGUAGES, check_page, embedded};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The shipped pages with a directory over them, which has no errors.
fn overlaid(directory: &Path) -> Templates {
    let mut sources = Sources::embedded();
    assert_eq!(sources.overlay(directory), []);
    let (templates, errors) = Templates::compile(&sources);
    assert_eq!(errors, []);
    templates
}

fn render(templates: &Templates, name: PageName, language: &str, data: Value) -> String {
    let page = Page { name, language: language.to_owned(), data: data.into() };
    let kind = AddressType::new("email").expect("a good name");
    templates.render(&page, &kind).expect("the page exists")
}

/// What stands between the first two of these.
fn between<'a>(html: &'a str, begin: &str, end: &str) -> &'a str {
    let (_, rest) = html.split_once(begin).expect(begin);
    rest.split_once(end).expect(end).0
}

#[test]
fn the_name_of_the_service_is_in_the_header_and_the_title_of_every_page() {
    for (name, language) in PageName::ALL.into_iter().flat_map(|n| LANGUAGES.map(|l| (n, l))) {
        let html =
            render(embedded(), name, language, json!({"service": "Ada's <ID>", "by_email": true}));
        let header = between(&html, "<header>", "</header>");
        assert_eq!(header.trim(), "<p class=\"service\">Ada&#39;s &lt;ID&gt;</p>");
        let title = between(&html, "<title>", "</title>");
        let words = title.strip_suffix(" – Ada&#39;s &lt;ID&gt;").expect("the name comes last");
        assert!(!words.trim().is_empty(), "{html}");

        let html = render(embedded(), name, language, json!({"by_email": true}));
        assert_eq!(between(&html, "<header>", "</header>").trim(), "", "{html}");
        assert_eq!(between(&html, "<title>", "</title>"), words);
    }
}

#[test]
fn a_hostile_name_stays_text() {
    for name in PageName::ALL {
        let data = json!({"service": EVIL, "nonce": EVIL, "client": EVIL, "change_url": EVIL});
        let html = render(embedded(), name, "en", data);
        assert!(!html.contains(EVIL), "{html}");
        check_page(&html, "en");
    }
}

#[test]
fn a_logo_is_in_every_page() {
    let png = b"\x89PNG and so on";
    let directory = TempDir::new().expect("a directory");
    fs::write(directory.path().join("logo.png"), png).expect("written");
    let header = |templates: &Templates, name| {
        let html = render(templates, name, "de", json!({"service": "Ada"}));
        between(&html, "<header>", "</header>").to_owned()
    };
    let name = "<p class=\"service\">Ada</p>";
    let image = "<img class=\"logo\" src=\"data:image/png;base64,iVBORyBhbmQgc28gb24=\" alt=\"\">";
    let templates = overlaid(directory.path());
    for page in PageName::ALL {
        let header = header(&templates, page);
        assert_eq!(header.trim(), format!("{image}\n{name}"), "above the name");
    }
    fs::write(directory.path().join("logo.svg"), "<svg/>").expect("written");
    let header_of_svg = header(&overlaid(directory.path()), PageName::AlreadyDone);
    let image = "src=\"data:image/svg+xml;base64,PHN2Zy8+\"";
    assert!(header_of_svg.contains(image), "{header_of_svg}");
    assert!(!header(embedded(), PageName::AlreadyDone).contains("<img"));
}

#[test]
fn an_icon_takes_the_place_of_the_shipped_one() {
    let icons = |templates: &Templates, name| {
        let html = render(templates, name, "de", json!({}));
        let icons = html.split("<link rel=\"icon\" href=\"").skip(1);
        icons.map(|it| it.split('"').next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    let directory = TempDir::new().expect("a directory");
    fs::write(directory.path().join("icon.png"), b"\x89PNG and so on").expect("written");
    let templates = overlaid(directory.path());
    for name in PageName::ALL {
        let shipped = icons(embedded(), name);
        assert_eq!(shipped.len(), 1);
        assert!(shipped.concat().starts_with("data:image/svg+xml,%3Csvg "), "{shipped:?}");
        assert_eq!(icons(&templates, name), ["data:image/png;base64,iVBORyBhbmQgc28gb24="]);
    }
    fs::write(directory.path().join("icon.svg"), "<svg/>").expect("written");
    let templates = overlaid(directory.path());
    assert_eq!(icons(&templates, PageName::AlreadyDone), ["data:image/svg+xml;base64,PHN2Zy8+"]);
    assert_eq!(templates.warnings().collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn pictures_that_are_too_large_are_refused() {
    for name in ["icon.png", "icon.svg", "logo.png", "logo.svg"] {
        for (length, is_good) in [(64 * 1024, true), (64 * 1024 + 1, false)] {
            let directory = TempDir::new().expect("a directory");
            fs::write(directory.path().join(name), "x".repeat(length)).expect("written");
            let errors = Sources::embedded().overlay(directory.path());
            assert_eq!(errors.is_empty(), is_good, "{name}: {errors:?}");
            let (what, _) = name.split_once('.').expect("a type");
            let expected = format!("the {what} has 65537 bytes: expected at most 65536");
            assert!(errors.iter().all(|it| it.to_string().contains(&expected)), "{errors:?}");
        }
    }
}
