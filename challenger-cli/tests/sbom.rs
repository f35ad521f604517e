//! The list of libraries beside the package: it is valid, and has what is in the programs.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn run(command: &mut Command) -> String {
    let output = command.current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The build directory, in which `make` keeps what tests need.
fn target() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(3).unwrap().to_owned()
}

#[test]
fn the_list_is_valid_and_has_what_is_in_the_programs() {
    let list = || run(Command::new(root().join("debian/sbom")).arg("1.2.3"));
    let text = list();
    assert_eq!(text, list(), "the same sources have the same list");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("list.cdx.json");
    fs::write(&file, &text).unwrap();
    let python = target().join("cyclonedx/bin/python");
    assert!(python.exists(), "{} is missing: run make cyclonedx", python.display());
    let validate = root().join("testdata/sbom/validate.py");
    run(Command::new(&python).arg(&validate).arg(&file));
    fs::write(&file, text.replace("\"library\"", "\"book\"")).unwrap();
    let refused = Command::new(&python).arg(validate).arg(&file).output().unwrap();
    assert!(!refused.status.success(), "mistakes show");

    let list: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(list["metadata"]["component"]["version"], "1.2.3");
    let components = list["components"].as_array().unwrap();
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let by_name: BTreeMap<String, &Value> =
        components.iter().map(|it| (word(&it["name"]), it)).collect();
    for name in ["challenger-proto", "challenger-server", "rustls", "sqlite", "tokio-postgres"] {
        assert!(by_name.contains_key(name), "{name}");
    }
    // Tests, procedural macros, the build, and what other platforms need.
    for name in ["challenger-testkit", "proptest", "argh_derive", "syn", "cc", "windows-sys"] {
        assert!(!by_name.contains_key(name), "{name}");
    }
    let ours = ["challenger-proto", "challenger-server", "sqlite"];
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    for component in components {
        let (name, version) = (word(&component["name"]), word(&component["version"]));
        let kind = if name == "sqlite" { "generic" } else { "cargo" };
        assert_eq!(component["purl"], format!("pkg:{kind}/{name}@{version}"));
        assert_eq!(component["licenses"].as_array().unwrap().len(), 1, "{name}");
        let hash = component["hashes"][0]["content"].as_str();
        assert_eq!(hash.is_none(), ours.contains(&name.as_str()), "{name}");
        assert!(hash.is_none_or(|hash| lock.contains(&format!("checksum = \"{hash}\""))), "{name}");
    }

    // Everything is needed by something, and all of that is in the list.
    let reference = word(&list["metadata"]["component"]["bom-ref"]);
    let listed = components.iter().map(|it| word(&it["bom-ref"]));
    let known: BTreeSet<String> = listed.chain([reference.clone()]).collect();
    let uses = list["dependencies"].as_array().unwrap();
    let users: BTreeSet<String> = uses.iter().map(|it| word(&it["ref"])).collect();
    assert_eq!(users, known);
    let used = uses.iter().flat_map(|it| it["dependsOn"].as_array().unwrap()).map(word);
    assert_eq!(used.chain([reference]).collect::<BTreeSet<_>>(), known);
}
