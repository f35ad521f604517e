//! Refusals of `challenger-terms-generator`: missing programs, mistakes, and texts that reach for
//! more than they should. Nothing is written then.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "terms_generator/desk.rs"]
mod desk;
mod site;

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use desk::{Desk, TEXT, script};
use site::write_script;

#[test]
fn what_is_missing_is_named_with_its_package() {
    let desk = Desk::new(&[("v0.rst", TEXT)]);
    desk.make(&["-i", "v0", "-l", "de"]);
    for (missing, arguments, complaint) in [
        (&["pandoc"][..], &["-i", "v0"][..], "pandoc is not installed: apt install pandoc"),
        (&["weasyprint"], &["-i", "v0"], "weasyprint is not installed: apt install weasyprint"),
        (&["msgfmt"], &["-i", "v0"], "msgfmt is not installed: apt install gettext"),
        (
            &["pandoc", "weasyprint"],
            &["-i", "v0"],
            "pandoc, weasyprint are not installed: apt install pandoc weasyprint",
        ),
        (
            &["msgfmt", "msgmerge"],
            &["-i", "v0", "-l", "de"],
            "msgfmt, msgmerge are not installed: apt install gettext",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        for program in ["msgfmt", "msgmerge", "pandoc", "weasyprint"] {
            if !missing.contains(&program) {
                symlink("/bin/true", folder.path().join(program)).unwrap();
            }
        }
        let said = desk.fail(desk.generator(arguments).env("PATH", folder.path()));
        assert_eq!(said, format!("challenger-terms-generator: {complaint}\n"));
    }
    // Without the folders in which packages put their modules.
    let mut python = Command::new("/usr/bin/python3");
    python.arg("-S").arg(script()).args(["-i", "v0"]).current_dir(desk.0.path());
    let complaint = "docutils is not installed: apt install python3-docutils";
    assert_eq!(desk.fail(&mut python), format!("challenger-terms-generator: {complaint}\n"));
}

#[test]
fn a_program_that_fails_leaves_everything_as_it_was() {
    let desk = Desk::new(&[("v0.rst", TEXT)]);
    desk.make(&["-i", "v0", "-l", "de"]);
    desk.make(&["-i", "v0"]);
    desk.write("v0.rst", TEXT.replace("2026", "2027"));
    let folder = tempfile::tempdir().unwrap();
    let path = format!("{}:/usr/bin:/bin", folder.path().display());
    for (program, arguments) in [
        ("pandoc", &["-i", "v0"][..]),
        ("weasyprint", &["-i", "v0"]),
        ("msgfmt", &["-i", "v0"]),
        ("msgmerge", &["-i", "v0", "-l", "de"]),
    ] {
        let stand_in = folder.path().join(program);
        write_script(&stand_in, "#!/bin/sh\necho half\necho out of ink >&2\nexit 3\n");
        let said = desk.fail(desk.generator(arguments).env("PATH", &path));
        assert!(said.ends_with(&format!("{program} ended with status 3: out of ink\n")), "{said}");
        fs::remove_file(stand_in).unwrap();
    }
    // Nor do hidden files stay that were to take the place of others.
    fs::remove_file(desk.path("en/v0.html")).unwrap();
    desk.write("en/v0.html/taken", "");
    let said = desk.fail(&mut desk.generator(&["-i", "v0"]));
    assert!(said.contains("en/v0.html: Is a directory"), "{said}");
}

#[test]
fn texts_with_mistakes_are_refused() {
    let title = "Title\n=====\n\n";
    for (text, complaints) in [
        (format!("{title}*open\n"), vec!["v0.rst:4: (WARNING/2) Inline emphasis start-string"]),
        (format!("{title}Short\n----\n"), vec!["v0.rst:5: (WARNING/2) Title underline too short"]),
        (format!("{title}.. nonsense::\n"), vec!["v0.rst:4: (ERROR/3) Unknown directive type"]),
        (format!("{title}See nowhere_.\n"), vec!["v0.rst:4: (ERROR/3) Unknown target name"]),
        (
            format!("{title}*open\n\n:what:`x`\n"),
            vec!["v0.rst:4: (WARNING/2)", "v0.rst:6: (ERROR/3) Unknown interpreted text role"],
        ),
        (
            format!("{title}.. include:: /etc/hostname\n"),
            vec!["v0.rst:4: (WARNING/2) \"include\" directive disabled"],
        ),
        (
            format!("{title}.. csv-table::\n   :file: /etc/hostname\n"),
            vec!["v0.rst:4: (WARNING/2) File and URL access deactivated"],
        ),
        (
            format!("{title}.. raw:: html\n\n   <script>alert(1)</script>\n"),
            vec!["v0.rst:4: (WARNING/2) \"raw\" directive disabled"],
        ),
        (
            format!("{title}.. role:: html(raw)\n   :format: html\n\n:html:`<script>`\n"),
            vec!["raw (and derived) roles disabled"],
        ),
        (format!("{title}.. image:: https://tracker.example/1.png\n"), vec!["it has images"]),
        (format!("{title}.. figure:: one.png\n\n   Caption\n"), vec!["it has images"]),
        (format!("{title}.. |one| image:: one.png\n\nSee |one|.\n"), vec!["it has images"]),
        (format!("{title}:math:`x`\n"), vec!["it has maths"]),
        (format!("{title}`x <javascript:alert(1)>`_\n"), vec!["a link to 'javascript:alert(1)'"]),
        (format!("{title}`x <other.html>`_\n"), vec!["a link to 'other.html': expected http:"]),
        ("No title\n".to_string(), vec!["v0.rst: it has no title: expected one in the first line"]),
        ("One\n===\n\nTwo\n===\n".to_string(), vec!["v0.rst: it has no title"]),
        (String::new(), vec!["v0.rst: it has no title"]),
    ] {
        let desk = Desk::new(&[("v0.rst", &text)]);
        let said = desk.fail(&mut desk.generator(&["-i", "v0"]));
        for complaint in complaints {
            assert_eq!(said.matches(complaint).count(), 1, "{complaint} in {said}");
        }
        let last = said.lines().last().unwrap();
        assert!(last.starts_with("challenger-terms-generator: v0.rst: "), "{said}");
    }
    let nested: String = (0..400).map(|level| format!("{}* x\n\n", "  ".repeat(level))).collect();
    for (text, complaint) in [
        (&b"Title \xff\n=======\n"[..], "v0.rst: expected UTF-8"),
        (
            b"Title\n=====\n\nx\x07y\n",
            "v0.rst:4: there is a control character, U+0007: expected text",
        ),
        (
            "Title\r\n=====\r\n\u{85}\r\n".as_bytes(),
            "v0.rst:3: there is a control character, U+0085: expected text",
        ),
        (
            format!("{title}{nested}").as_bytes(),
            "v0.rst: there are too many lists or blocks in each other",
        ),
    ] {
        let desk = Desk::new(&[]);
        desk.write("v0.rst", text);
        let said = desk.fail(&mut desk.generator(&["-i", "v0"]));
        assert_eq!(said, format!("challenger-terms-generator: {complaint}\n"));
    }
}

#[test]
fn what_could_be_waited_for_for_ever_is_not_read() {
    let po = "locale/de/LC_MESSAGES/v0.po";
    for (pipe, arguments) in
        [(po, &["-i", "v0"][..]), (po, &["-i", "v0", "-l", "de"]), ("v1.rst", &["-i", "v1"])]
    {
        let desk = Desk::new(&[("v0.rst", TEXT)]);
        fs::create_dir_all(desk.path("locale/de/LC_MESSAGES")).unwrap();
        assert!(Command::new("mkfifo").arg(desk.path(pipe)).status().unwrap().success());
        let said = desk.fail(&mut desk.generator(arguments));
        // Before it, there is a warning about the text.
        let complaint = format!("challenger-terms-generator: {pipe}: expected a regular file\n");
        assert!(said.ends_with(&complaint), "{said}");
    }
}

#[test]
fn translations_with_mistakes_are_refused() {
    let desk = Desk::new(&[("v0.rst", TEXT)]);
    let po = "locale/de/LC_MESSAGES/v0.po";
    desk.make(&["-i", "v0", "-l", "de"]);
    let empty = desk.read(po);
    for (translated, complaints) in [
        ("*offen", ["v0.rst in de:14: (WARNING/2) Inline emphasis", "v0.po: expected reStruct"]),
        ("siehe nirgends_", ["v0.rst in de:14: (ERROR/3) Unknown target", "v0.po: expected reSt"]),
        ("|nichts|", ["(ERROR/3) Undefined substitution", "v0.po: expected reStructuredText"]),
        ("`x <javascript:alert(1)>`_", ["v0.po: there is a link to 'javascript:alert(1)'", ""]),
        ("`x <file:///etc/passwd>`_", ["v0.po: there is a link to 'file:///etc/passwd'", ""]),
        ("\"", ["msgfmt ended with status 1: ", "locale/de/LC_MESSAGES/v0.po:"]),
    ] {
        desk.write(po, &empty);
        desk.translate(po, &[("one item", translated)]);
        // Not even the documents in English are written.
        let said = desk.fail(&mut desk.generator(&["-i", "v0"]));
        for complaint in complaints {
            assert!(said.contains(complaint), "{complaint} in {said}");
        }
    }
    let said = desk.fail(&mut desk.generator(&["-i", "v0", "-l", "de"]));
    assert!(said.contains("msgmerge ended with status 1: locale/de/LC_MESSAGES/v0.po:"), "{said}");
    desk.write(po, empty.replace("charset=UTF-8", "charset=NONE"));
    let said = desk.fail(&mut desk.generator(&["-i", "v0"]));
    assert!(said.contains("NONE"), "{said}");

    desk.write(po, &empty);
    desk.translate(po, &[("one item", "ein\\aPunkt")]);
    let said = desk.fail(&mut desk.generator(&["-i", "v0"]));
    assert!(said.contains("v0.po: the translation of 'one item' has a control"), "{said}");

    // Blocks in a translation are only text.
    desk.write(po, &empty);
    let block = ".. include:: /etc/passwd\\n\\n* one";
    desk.translate(po, &[("one item", block)]);
    desk.make(&["-i", "v0"]);
    assert!(desk.read("de/v0.txt").contains("\n-   .. include:: /etc/passwd * one\n"));
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    let desk = Desk::new(&[("v0.rst", TEXT), (".hidden.rst", TEXT), ("a b.rst", TEXT)]);
    desk.write("é.rst", TEXT);
    fs::create_dir(desk.path("folder.rst")).unwrap();
    let name = "expected printable ASCII without spaces that does not start with a dot";
    let letters = "expected two small letters, such as de, and not en";
    for (arguments, complaint) in [
        (&[][..], "there is no input: expected -i INPUT"),
        (&["-i", ""], "there is no input: expected -i INPUT"),
        (&["-i", "v1"], "v1.rst: No such file or directory"),
        (&["-i", "folder"], "folder.rst: expected a regular file"),
        (&["-i", ".."], name),
        (&["-i", "./.hidden"], name),
        (&["-i", "a b"], name),
        (&["-i", "é"], name),
        (&["-i", "./"], name),
        (&["-i", "v0", "-l", "../x"], letters),
        (&["-i", "v0", "-l", "DE"], letters),
        (&["-i", "v0", "-l", "deu"], letters),
        (&["-i", "v0", "-l", "en"], letters),
        (&["-i", "v0", "-l", ""], letters),
        (&["-i", "v0", "-p", "a5"], "the paper is 'a5': expected a4 or letter"),
        (&["-i", "v0", "v1"], "unexpected argument 'v1'"),
        (&["-i", "v0", "-x"], "option -x not recognized\nUsage: challenger-terms-generator"),
        (&["-i"], "option -i requires argument\nUsage: challenger-terms-generator"),
    ] {
        let said = desk.fail(&mut desk.generator(arguments));
        assert!(said.contains(complaint), "{arguments:?}: {said}");
        assert!(said.starts_with("challenger-terms-generator: "), "{arguments:?}: {said}");
    }
}
