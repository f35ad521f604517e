//! `challenger-terms-generator` with docutils, pandoc, weasyprint and gettext as they are here, and
//! the server with its documents.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "terms_generator/desk.rs"]
mod desk;
mod site;

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, SystemTime};

use challenger_proto::Span;
use challenger_proto::address::AddressType;
use challenger_proto::machine::Limits;
use desk::{Desk, EXTENSIONS, TEXT, root, script};
use site::{Site, stderr, stdout};

fn starter(name: &str) -> String {
    fs::read_to_string(root().join("docs/terms").join(format!("{name}.rst"))).unwrap()
}

/// The texts in double square brackets, each with its line.
fn placeholders(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (start, _) in text.match_indices("[[") {
        let rest = &text[start..];
        let name = &rest[..rest.find("]]").unwrap() + 2];
        let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
        found.push((text[..start].matches('\n').count() + 1, name));
    }
    found
}

#[test]
fn the_texts_that_come_along_become_documents() {
    for (name, title) in
        [("challenger-tos-v0", "Terms of Service"), ("challenger-pp-v0", "Privacy Policy")]
    {
        let text = starter(name);
        let desk = Desk::new(&[(&format!("{name}.rst"), &text)]);
        let refused = desk.fail(&mut desk.generator(&["-i", name]));
        let to_fill = placeholders(&text);
        assert!(to_fill.len() >= 7, "{to_fill:?}");
        for (line, placeholder) in &to_fill {
            let complaint = refused.lines().find(|it| it.contains(placeholder)).unwrap();
            let (_, lines) = complaint.split_once(&format!("{name}.rst:")).unwrap();
            let mut lines = lines.split(':').next().unwrap().split(',');
            assert!(lines.any(|it| it == line.to_string()), "{complaint}: {line}");
        }

        let mut filled = text;
        for (_, placeholder) in to_fill {
            filled = filled.replace(&placeholder, "filled in");
        }
        desk.write(&format!("{name}.rst"), filled);
        let (said, warned) = desk.make(&["-i", name, "-C", "© Example"]);
        assert_eq!((said, warned), (format!("en/{name}.{{html,md,pdf,txt}}\n"), String::new()));

        let html = desk.read(&format!("en/{name}.html"));
        assert!(html.starts_with("<!DOCTYPE html>\n<html lang=\"en\">\n"), "{html}");
        assert!(html.ends_with("</html>\n") && html.contains(&format!("<title>{title}</title>")));
        for foreign in ["src=", "<link", "<script", "@import", "url(", "<!--", "lawyer"] {
            assert!(!html.contains(foreign), "{foreign}");
        }
        let plain = desk.read(&format!("en/{name}.txt"));
        assert!(plain.starts_with(&format!("{title}\n{}\n", "=".repeat(title.len()))), "{plain}");
        assert!(plain.ends_with(&format!("© Example · {name}\n")), "{plain}");
        assert!(plain.lines().all(|line| line.chars().count() <= 76), "{plain}");
        assert!(desk.read(&format!("en/{name}.md")).starts_with(&format!("# {title}\n")));
        let file = format!("en/{name}.pdf");
        let info = desk.ask("pdfinfo", &[&file]);
        assert!(info.contains("(A4)") && info.contains(title), "{info}");
        let pages = desk.pdf_text(&file).replace(' ', "");
        assert!(pages.contains("\n1/") && pages.contains("Inforcesincefilledin"), "{pages}");
        // Only a page in a browser has a way back.
        let back = "To return to where you were";
        assert!(html.contains(back) && !plain.contains(back) && !pages.contains("Toreturn"));
    }
}

#[test]
fn the_texts_that_come_along_tell_the_defaults() {
    let limits = Limits::for_type(&AddressType::new("email").unwrap());
    assert_eq!(
        (limits.address_changes, limits.pin_transmissions.get(), limits.pin_attempts.get()),
        (3, 3, 3)
    );
    assert_eq!(limits.validation_duration, Span::days(1));
    let by_post = Limits::for_type(&AddressType::new("postal").unwrap());
    assert_eq!(by_post.validation_duration, Span::days(30));
    let terms = starter("challenger-tos-v0").split_whitespace().collect::<Vec<_>>().join(" ");
    for phrase in [
        "chosen 3 times, a message with a code can be sent 3 times to each address",
        "a code can be tried 3 times",
        "within one day, or within 30 days if the code arrives by post",
    ] {
        assert!(terms.contains(phrase), "{phrase}");
    }
    assert_eq!(limits.token_duration, Span::seconds(3600));
    let policy = starter("challenger-pp-v0").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(policy.contains("for one hour after the client asked for it"));
}

const PO: &str = "locale/de/LC_MESSAGES/v0.po";

#[test]
fn translations_follow_the_text() {
    let desk = Desk::new(&[("v0.rst", TEXT)]);
    desk.make(&["-i", "v0"]);
    let english = desk.read("en/v0.txt");
    let (said, _) = desk.make(&["-i", "v0", "-l", "de"]);
    assert_eq!(said, format!("{PO}: 12 of 12 texts are to be translated\n"));
    let empty = desk.read(PO);
    for part in ["\"Language: de\\n\"", "charset=UTF-8\\n", "#: v0.rst:11\nmsgid \"Second\""] {
        assert!(empty.contains(part), "{part} in {empty}");
    }
    for hidden in ["ANYBODY", "header-rows", "contents"] {
        assert!(!empty.contains(hidden), "{hidden} in {empty}");
    }
    assert_eq!(desk.ask("msgfmt", &["--check", "-o", "/dev/null", PO]), "");

    // Without a translation, everything is in English except for docutils' own words.
    let (said, warned) = desk.make(&["-i", "v0"]);
    assert_eq!(said, "en/v0.{html,md,pdf,txt}\nde/v0.{html,md,pdf,txt}\n");
    assert!(warned.contains(&format!("{PO}: 12 of 12 texts are not translated")), "{warned}");
    assert_eq!(desk.read("de/v0.txt").replace("Inhalt", "Contents"), english);

    // Headings may be of any width, and are found under both names.
    let some = [
        ("The *first* line", "第一*行* mit Überlänge, die breiter ist"),
        ("Second", "Zweitens"),
        ("one item", "ein [[DING]]"),
        ("How much", "Wieviel"),
        ("Street 1", "Straße 1"),
    ];
    desk.translate(PO, &some);
    let refused = desk.fail(&mut desk.generator(&["-i", "v0"]));
    assert!(refused.ends_with(&format!("{PO}: [[DING]] is to be filled in\n")), "{refused}");
    desk.write(PO, desk.read(PO).replace("[[DING]]", "Ding"));
    let (_, warned) = desk.make(&["-i", "v0"]);
    assert!(warned.contains("7 of 12 texts are not"), "{warned}");
    let german = desk.read("de/v0.txt");
    let title = "第一*行* mit Überlänge, die breiter ist";
    let underline = "=".repeat(title.chars().count() + 3);
    assert!(german.starts_with(&format!("{title}\n{underline}\n\n")), "{german}");
    for part in ["\nZweitens\n--------\n", "Wieviel", "\nExample Ltd.\nStraße 1\n"] {
        assert!(german.contains(part), "{part} in {german}");
    }
    let html = desk.read("de/v0.html");
    assert!(html.contains("<html lang=\"de\">") && html.contains("href=\"#zweitens\">Second</a>"));
    assert!(desk.pdf_text("de/v0.pdf").contains("Zweitens"));
    assert_eq!(desk.read("en/v0.txt"), english);

    // One text changes, one goes, one comes, and one is only broken into other lines.
    let rest = [("another item", "ein anderes"), ("A check", "Eine Prüfung"), ("Costs", "Kosten")];
    desk.translate(PO, &rest);
    let changed = TEXT
        .replace("* another item", "* another\n  item")
        .replace("Street 1\n", "Street 2\n")
        .replace("one item", "one thing\n\n  * entirely new words here")
        .replace("Example Ltd.", "Nobody")
        .replace(":: Costs", "::");
    desk.write("v0.rst", changed);
    let (said, _) = desk.make(&["-i", "v0", "-l", "de"]);
    assert_eq!(said, format!("{PO}: 7 of 12 texts are to be translated\n"), "{}", desk.read(PO));
    let merged = desk.read(PO);
    for part in [
        "#, fuzzy\n#| msgid \"Street 1\"\nmsgid \"Street 2\"\nmsgstr \"Straße 1\"",
        "\nmsgid \"another item\"\nmsgstr \"ein anderes\"",
        "\nmsgid \"Second\"\nmsgstr \"Zweitens\"",
        "\n#~ msgid \"Costs\"\n#~ msgstr \"Kosten\"",
    ] {
        assert!(merged.contains(part), "{part} in {merged}");
    }
    let (_, warned) = desk.make(&["-i", "v0"]);
    assert!(warned.contains("7 of 12 texts are not translated, or fuzzy"), "{warned}");
    let german = desk.read("de/v0.txt");
    assert!(german.contains("Street 2") && !german.contains("Straße"), "{german}");
}

#[test]
fn options_do_what_they_say() {
    let desk = Desk::new(&[("texts/v0.rst", TEXT), ("texts/bare.rst", "No title.\n")]);
    // Documents are for everybody, even if files of this user otherwise are not.
    let mut command = Command::new("sh");
    command.args(["-c", "umask 077; exec \"$@\"", "sh"]).arg(script());
    command.args(["-i", "texts/v0.rst", "-o", "a/b", "-L", "words", "-p", "letter"]);
    command.args(["-t", "A <title>", "-a", "Ada \"A\" & co.", "-C", "(c) <us>"]);
    let output = command.current_dir(desk.0.path()).output().unwrap();
    assert_eq!(stdout(&output), "a/b/en/v0.{html,md,pdf,txt}\n", "{}", stderr(&output));
    for (name, mode) in [("a", 0o755), ("a/b/en", 0o755), ("a/b/en/v0.pdf", 0o644)] {
        assert_eq!(desk.path(name).metadata().unwrap().permissions().mode() & 0o777, mode);
    }
    let html = desk.read("a/b/en/v0.html");
    for part in [
        "<title>A &lt;title&gt;</title>",
        "<meta name=\"author\" content=\"Ada &quot;A&quot; &amp; co.\">",
        "<p>(c) &lt;us&gt; · v0</p>",
        "<h1 class=\"title\">The <em>first</em> line</h1>",
        "size: letter",
    ] {
        assert!(html.contains(part), "{part} in {html}");
    }
    assert!(desk.read("a/b/en/v0.txt").contains(
        "See Second and the site\n(https://client.example/?a=1&b=2) of \"us\" \\ <them>."
    ));
    assert!(desk.read("a/b/en/v0.md").ends_with("\n\\(c\\) \\<us\\> · v0\n"));
    let info = desk.ask("pdfinfo", &["a/b/en/v0.pdf"]);
    for part in ["(letter)", "A <title>", "Ada \"A\" & co."] {
        assert!(info.contains(part), "{part} in {info}");
    }

    // Translations elsewhere; other directories there are none of ours.
    desk.make(&["-i", "texts/v0", "-l", "fr", "-L", "words"]);
    desk.write("words/fr/LC_MESSAGES/other.po", "");
    desk.write("words/it/LC_MESSAGES/other.po", "");
    desk.write("words/fr_CH/LC_MESSAGES/v0.po", "");
    let run = |variable: &str, value: &str, arguments: &[&str]| {
        let output = desk.generator(arguments).env(variable, value).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    let said = run("LOCALE_DIR", "words", &["-i", "texts/v0", "-o", "c"]);
    assert_eq!(said, "c/en/v0.{html,md,pdf,txt}\nc/fr/v0.{html,md,pdf,txt}\n");
    let said = run("OUTPUT", "d", &["-i", "texts/bare", "-t", "Titled"]);
    assert_eq!(said, "d/en/bare.{html,md,pdf,txt}\n");
    assert!(desk.read("d/en/bare.txt").starts_with("Titled\n======\n\nNo title.\n"));

    let version = format!("challenger-terms-generator {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(desk.make(&["-v"]), (version, String::new()));
    assert!(desk.make(&["-h"]).0.starts_with("Usage: challenger-terms-generator"));
}

#[test]
fn what_is_newer_is_kept_if_asked_for() {
    let desk = Desk::new(&[("v0.rst", TEXT)]);
    desk.make(&["-i", "v0", "-l", "de"]);
    let now = SystemTime::now();
    let set = |name: &str, seconds: u64| {
        let time = now - Duration::from_secs(1000) + Duration::from_secs(seconds);
        File::options().append(true).open(desk.path(name)).unwrap().set_modified(time).unwrap();
    };
    let both = ["en", "de"].map(|language| format!("{language}/v0.{{html,md,pdf,txt}}\n"));
    let cases: [(&str, u64, &str); 5] = [
        (PO, 0, ""),
        (PO, 200, &both[1]),
        ("v0.rst", 200, &both.concat()),
        ("en/v0.md", 0, &both[0]),
        ("en/v0.md", 50, ""),
    ];
    desk.make(&["-i", "v0"]);
    for (name, seconds, expected) in cases {
        for source in ["v0.rst", PO] {
            set(source, 0);
        }
        for extension in EXTENSIONS {
            set(&format!("en/v0.{extension}"), 100);
            set(&format!("de/v0.{extension}"), 100);
        }
        if expected == both[0] {
            fs::remove_file(desk.path(name)).unwrap();
        } else {
            set(name, seconds);
        }
        assert_eq!(desk.make(&["-K", "-i", "v0"]).0, expected, "{name} {seconds}");
    }
}

#[test]
fn the_same_text_gives_the_same_documents() {
    let desk = Desk::new(&[("v0.rst", TEXT)]);
    desk.make(&["-i", "v0", "-o", "a"]);
    // Whenever that was, it was not in 1970.
    for (folder, time) in [("b", "0"), ("c", "1000000000")] {
        let mut command = desk.generator(&["-i", "v0", "-o", folder]);
        assert!(command.env("SOURCE_DATE_EPOCH", time).output().unwrap().status.success());
    }
    let read = |folder: &str, extension: &str| {
        fs::read(desk.path(&format!("{folder}/en/v0.{extension}"))).unwrap()
    };
    for extension in EXTENSIONS {
        assert!(read("a", extension) == read("b", extension), "{extension}");
    }
    assert!(read("a", "pdf") != read("c", "pdf"), "the time would show");
}

#[test]
fn the_service_serves_what_was_made() {
    let filled_in = |name: &str| starter(name).replace("[[", "").replace("]]", "");
    let (terms, policy) = (filled_in("challenger-tos-v0"), filled_in("challenger-pp-v0"));
    let desk = Desk::new(&[("tos-v0.rst", &terms), ("pp-v0.rst", &policy)]);
    desk.make(&["-i", "tos-v0", "-l", "de"]);
    let title = [("Terms of Service", "Nutzungsbedingungen")];
    desk.translate("locale/de/LC_MESSAGES/tos-v0.po", &title);
    desk.make(&["-i", "tos-v0"]);
    desk.make(&["-i", "pp-v0"]);
    let folder = desk.path("").display().to_string();
    let mut site = Site::new(&format!(
        "TERMS_ETAG = tos-v0\nTERMS_DIR = {folder}\nPRIVACY_ETAG = pp-v0\nPRIVACY_DIR = {folder}\n"
    ));
    // The texts and their translations lie beside the documents.
    let check = site.run("challenger-httpd", &["--check"]);
    assert_eq!((stderr(&check).as_str(), check.status.code()), ("", Some(0)));
    site.start();
    for (media_type, extension) in
        [("text/html", "html"), ("text/markdown", "md"), ("application/pdf", "pdf")]
            .into_iter()
            .chain([("text/plain", "txt")])
    {
        let mut tags = Vec::new();
        for (path, version, asked, language, languages) in [
            ("terms", "tos-v0", "de", "de", "de,en"),
            ("terms", "tos-v0", "fr, en;q=0.5", "en", "de,en"),
            ("privacy", "pp-v0", "de, en;q=0.5", "en", "en"),
            ("pp", "pp-v0", "de, en;q=0.5", "en", "en"),
        ] {
            let request = ureq::get(site.url(path)).header("Accept", media_type);
            let mut reply = request.header("Accept-Language", asked).call().unwrap();
            let body = reply.body_mut().read_to_vec().unwrap();
            let file = format!("{language}/{version}.{extension}");
            assert!(body == fs::read(desk.path(&file)).unwrap(), "{path} in {asked} is {file}");
            let header = |name: &str| reply.headers()[name].to_str().unwrap();
            assert!(header("Content-Type").starts_with(media_type), "{}", header("Content-Type"));
            assert_eq!(header("Content-Language"), language);
            assert_eq!(header("Avail-Languages"), languages);
            assert_eq!(header("Taler-Terms-Version"), version);
            tags.push(header("ETag").to_string());
            let again = site.get(path, &[("If-None-Match", header("ETag"))]);
            assert_eq!((again.status, again.body.as_str()), (304, ""));
        }
        assert!(tags[0] != tags[1] && tags[1] != tags[2] && tags[2] == tags[3], "{tags:?}");
    }
    assert!(site.get("terms", &[("Accept-Language", "de")]).body.starts_with("Nutzungsbed"));
    site.stop();
}
