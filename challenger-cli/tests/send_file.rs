//! `challenger-send-file.sh`, alone and as the helper of a site.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod script;
mod site;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::thread;

use challenger_testkit::pin_in;
use script::{Ran, Script};
use site::Site;

const PROGRAMS: [&str; 5] = ["cat", "jq", "mktemp", "mv", "rm"];
const ADDRESS: &str = r#"{"filename":"message.txt"}"#;
const MESSAGE: &str = "Your code: 1234-5678\n\nZürich\n\n";

/// The script, with a directory for its files.
fn script() -> (Script, PathBuf) {
    let mut script = Script::new("challenger-send-file.sh", &PROGRAMS);
    let folder = script.folder.path().join("files");
    fs::create_dir(&folder).unwrap();
    script.set("CHALLENGER_FILE_DIR", folder.to_str().unwrap());
    (script, folder)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_message_is_in_the_file_as_it_is() {
    let (script, folder) = script();
    for (address, name) in [
        (ADDRESS, "message.txt"),
        (r#"{"filename":"A-b_c.1"}"#, "A-b_c.1"),
        (r#"{"CONTACT_EMAIL":"ada+shop@example.com"}"#, "ada+shop@example.com"),
        (r#"{"CONTACT_PHONE":"+41791234567"}"#, "+41791234567"),
    ] {
        for message in [MESSAGE, "", "no line break"] {
            assert_eq!(script.run(address, message), Ran::well());
            let path = folder.join(name);
            assert_eq!(fs::read_to_string(&path).unwrap(), message);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        }
    }
    assert_eq!(names(&folder).len(), 4, "{:?}", names(&folder));
    assert!(!script.command_lines().contains("1234-5678"));
}

#[test]
fn other_names_are_refused() {
    let (script, folder) = script();
    let name = "expected a name of up to 100 letters, digits, or _ + . @ -, \
        and none of . @ - in front";
    let long = format!("{{\"filename\":\"{}\"}}", "x".repeat(101));
    for address in [
        r#"{"filename":""}"#,
        r#"{"filename":"."}"#,
        r#"{"filename":".."}"#,
        r#"{"filename":".profile"}"#,
        r#"{"filename":"../x"}"#,
        r#"{"filename":"/etc/passwd"}"#,
        r#"{"filename":"a/b"}"#,
        r#"{"filename":"-f"}"#,
        r#"{"filename":"@x"}"#,
        r#"{"filename":"a b"}"#,
        r#"{"filename":"a\n"}"#,
        r#"{"filename":"a\nb"}"#,
        r#"{"filename":"$(id)"}"#,
        r#"{"filename":"ä"}"#,
        &long,
    ] {
        assert_eq!(script.run(address, MESSAGE), script.complaint(67, name), "{address}");
    }
    let field = "expected an address with filename, CONTACT_EMAIL or CONTACT_PHONE";
    for address in [
        r#"{"filename":["a"]}"#,
        r#"{"filename":7}"#,
        r#"{"filename":"a""#,
        r#"{"CONTACT_NAME":"Ada"}"#,
        "message.txt",
        "[]",
        "",
    ] {
        assert_eq!(script.run(address, MESSAGE), script.complaint(64, field), "{address}");
    }
    assert_eq!(names(&folder), Vec::<String>::new());
}

#[test]
fn links_are_replaced_and_not_followed() {
    let (script, folder) = script();
    let target = script.folder.path().join("target");
    fs::write(&target, "kept").unwrap();
    let path = folder.join("message.txt");
    for target in [target.as_path(), script.folder.path(), Path::new("/no/such/file")] {
        let _ = fs::remove_file(&path);
        symlink(target, &path).unwrap();
        assert_eq!(script.run(ADDRESS, MESSAGE), Ran::well());
        assert!(fs::symlink_metadata(&path).unwrap().is_file());
        assert_eq!(fs::read_to_string(&path).unwrap(), MESSAGE);
    }
    assert_eq!(fs::read_to_string(target).unwrap(), "kept");
    assert_eq!(names(&folder), ["message.txt"]);
}

#[test]
fn what_cannot_be_replaced_stays() {
    let (script, folder) = script();
    fs::create_dir(folder.join("message.txt")).unwrap();
    let complaint = script.complaint(67, "cannot replace what has the name of the file");
    assert_eq!(script.run(ADDRESS, MESSAGE), complaint);
    assert_eq!(names(&folder), ["message.txt"]);
    assert_eq!(names(&folder.join("message.txt")), Vec::<String>::new());
}

#[test]
fn the_directory_and_jq_are_asked_for() {
    let (mut script, folder) = script();
    script.uninstall("jq");
    let complaint = script.complaint(69, "jq is not installed: apt install jq");
    assert_eq!(script.run(ADDRESS, MESSAGE), complaint);
    fs::write(folder.join("file"), "").unwrap();
    let file = folder.join("file").display().to_string();
    let expected =
        "[challenger-helper] CHALLENGER_FILE_DIR: expected a directory, by its full path";
    for value in ["/no/such/directory", file.as_str(), ".", "-d", "tmp"] {
        script.set("CHALLENGER_FILE_DIR", value);
        assert_eq!(script.run(ADDRESS, MESSAGE), script.complaint(78, expected), "{value}");
    }
    for value in [Some(""), None] {
        script.unset("CHALLENGER_FILE_DIR");
        value.iter().for_each(|value| script.set("CHALLENGER_FILE_DIR", *value));
        let complaint = "[challenger-helper] CHALLENGER_FILE_DIR is missing";
        assert_eq!(script.run(ADDRESS, MESSAGE), script.complaint(78, complaint));
    }
}

#[test]
fn nobody_reads_half_a_message() {
    let (script, folder) = script();
    let messages: Vec<String> = (0..4).map(|it| it.to_string().repeat(200_000)).collect();
    assert_eq!(script.run(ADDRESS, &messages[0]), Ran::well());
    thread::scope(|scope| {
        let writers: Vec<_> =
            messages.iter().map(|message| scope.spawn(|| script.run(ADDRESS, message))).collect();
        while !writers.iter().all(thread::ScopedJoinHandle::is_finished) {
            let text = fs::read_to_string(folder.join("message.txt")).unwrap();
            assert!(messages.contains(&text), "{} bytes", text.len());
        }
        for writer in writers {
            assert_eq!(writer.join().unwrap(), Ran::well());
        }
    });
    assert_eq!(names(&folder), ["message.txt"]);
}

/// A site that writes its messages into files, with the directory of these.
fn site(address_type: &str) -> (Site, PathBuf) {
    let types = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/address-types");
    let site = Site::new(&format!("@inline@ {}/{address_type}.conf", types.display()));
    let folder = site.directory.path().join("files");
    fs::create_dir(&folder).unwrap();
    site.set_helper(&format!(
        "#!/bin/sh\nexport CHALLENGER_FILE_DIR={}\nexec {} \"$1\"\n",
        folder.display(),
        script::path("challenger-send-file.sh").display(),
    ));
    (site, folder)
}

#[test]
fn a_file_is_proved_through_it() {
    let (mut site, folder) = site("file");
    site.start();
    let nonce = site.setup();
    let challenge =
        |name: &str| site.post(&format!("challenge/{nonce}"), &[], format!("filename={name}"));
    for name in ["../x", "/tmp/x", ".x", "%24%28id%29"] {
        assert_eq!(challenge(name).refusal(), (400, 26), "{name}");
    }
    assert_eq!(challenge("letter-1.txt").json()["transmitted"], true, "{}", site.log());
    let message = fs::read_to_string(folder.join("letter-1.txt")).unwrap();
    assert_eq!(site.solve(&nonce, &pin_in(&message).unwrap()).status, 200);
    site.stop();
}

#[test]
fn an_email_address_is_tried_out_with_it() {
    let (mut site, folder) = site("email");
    site.start();
    let nonce = site.setup();
    assert_eq!(site.challenge(&nonce, "ada@example.com").status, 200);
    let message = fs::read_to_string(folder.join("ada@example.com")).unwrap();
    assert_eq!(site.solve(&nonce, &pin_in(&message).unwrap()).status, 200);
    site.stop();
}
