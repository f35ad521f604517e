//! Completions in the shells that they are for: each option of `--help` is offered, and what some
//! of them take.

#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod site;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use site::{binary, stderr, stdout};
use tempfile::TempDir;

/// Prints what bash offers for a line: its arguments are the file, the program and the words.
const BASH: &str = "source \"$1\"; shift
    complete -p \"$1\" >/dev/null || exit
    function=_${1//[!A-Za-z0-9]/_}
    COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1))
    compopt() { :; }
    $function
    printf '%s\\n' \"${COMPREPLY[@]}\"";

/// Prints what zsh offers for a line, with a terminal for a shell that somebody types into. Its
/// arguments are the directory and the line.
const ZSH: &str = "zmodload zsh/zpty
    zpty shell env TERM=dumb zsh -f -i
    zpty -w shell \"fpath=($1 \\$fpath); autoload -Uz compinit; compinit -u -d $HOME/dump; \
        PROMPT=; LISTMAX=0; stty rows 500 columns 200; zstyle ':completion:*' verbose no; \
        offer() { zle complete-word; zle -R; print -r -- \\$BUFFER fin''ished }; \
        zle -N offer; bindkey '^I' offer; print rea''dy\"
    zpty -r -m shell seen '*ready*'
    zpty -w -n shell \"$2\"$'\\t'
    zpty -r -m shell seen '*finished*'
    print -r -- \"$seen\"";

/// The programs and their completions, as they are installed.
struct Completions {
    directory: TempDir,
    programs: Vec<String>,
}

impl Completions {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let built = Path::new(binary("challenger")).parent().unwrap();
        let mut programs = Vec::new();
        let scripts = fs::read_dir(here.join("helpers")).unwrap().map(|it| it.unwrap().path());
        let manuals = fs::read_dir(here.join("../docs/man")).unwrap();
        let manuals = manuals.map(|it| it.unwrap().file_name().into_string().unwrap());
        let names = manuals.filter_map(|it| it.strip_suffix(".1").map(str::to_owned));
        let compiled = names.map(|it| built.join(it)).filter(|it| it.exists());
        for path in compiled.chain(scripts) {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            symlink(&path, directory.path().join(&name)).unwrap();
            programs.push(name);
        }
        assert_eq!(programs.len(), 12, "{programs:?}");
        let mut generate = Command::new(here.join("completions/generate"));
        generate.args([directory.path(), &directory.path().join("share")]);
        let output = generate.arg("site-functions").args(&programs).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(stderr(&output), "");
        Self { directory, programs }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join("share").join(path)
    }

    /// What a shell prints when the last word of a line is to be completed.
    fn offered(&self, shell: &str, line: &str) -> String {
        let program = line.split(' ').next().unwrap();
        let mut command = Command::new(shell);
        match shell {
            "bash" => {
                let file = self.path(&format!("bash-completion/completions/{program}"));
                command.args(["--norc", "-c", BASH, "bash"]).arg(file).args(line.split(' '));
            }
            "fish" => {
                let file = self.path(&format!("fish/vendor_completions.d/{program}.fish"));
                let script = format!("source {}; complete -C '{line}'", file.display());
                command.args(["--no-config", "-c", &script]);
            }
            _ => {
                let folder = self.path("zsh/site-functions");
                command.args(["-f", "-c", ZSH, "zsh"]).arg(folder).arg(line);
            }
        }
        command.env("HOME", self.directory.path()).current_dir(self.directory.path());
        let output = command.stdin(Stdio::null()).output();
        let output = output.unwrap_or_else(|error| panic!("{shell}: {error}: run make shells"));
        assert_eq!(stderr(&output), "", "{shell}: {line}");
        stdout(&output)
    }

    /// The options in the help of a program or its subcommand.
    fn options(&self, words: &str) -> BTreeSet<String> {
        let mut words = words.split(' ');
        let program = self.directory.path().join(words.next().unwrap());
        let output = Command::new(program).args(words).arg("-h").output().unwrap();
        let help = stdout(&output);
        let part = help.split("\nOptions:\n").nth(1).unwrap().split("\n\n").next().unwrap();
        let lines = part.lines().filter_map(|line| line.strip_prefix("  -"));
        let names = lines.flat_map(|line| line.split("  ").next().unwrap().split(", -"));
        let names: BTreeSet<String> =
            names.map(|name| format!("-{}", name.split(' ').next().unwrap())).collect();
        assert!(names.contains("-h"), "{help}");
        names
    }
}

/// The words of a text that a terminal shows.
fn words(text: &str) -> BTreeSet<&str> {
    text.split(|char: char| char.is_whitespace() || char.is_control()).collect()
}

#[test]
fn every_option_is_offered_in_every_shell() {
    let completions = Completions::new();
    let mut lines: BTreeMap<String, BTreeSet<String>> =
        completions.programs.iter().map(|name| (name.clone(), completions.options(name))).collect();
    lines.insert("challenger demo".into(), completions.options("challenger demo"));
    assert!(lines["challenger-dbinit"].contains("--reset"));
    assert!(lines["challenger demo"].contains("--selftest"));
    for shell in ["bash", "fish", "zsh"] {
        for (line, options) in &lines {
            let offered = completions.offered(shell, &format!("{line} -"));
            let offered = words(&offered);
            for option in options.iter().filter(|_| options.len() > 1) {
                assert!(offered.contains(option.as_str()), "{shell}: {line} {option}: {offered:?}");
            }
        }
    }
}

#[test]
fn what_options_take_is_offered_as_well() {
    let completions = Completions::new();
    fs::write(completions.directory.path().join("some.conf"), "").unwrap();
    for shell in ["bash", "fish", "zsh"] {
        for (line, expected) in [
            ("challenger-httpd -L ", "WARNING"),
            ("challenger-httpd --log ", "DEBUG"),
            ("challenger-admin -c som", "some.conf"),
            ("challenger-terms-generator -p ", "letter"),
            ("challenger-dbconfig -u roo", "root"),
            ("challenger ", "demo"),
        ] {
            let offered = completions.offered(shell, line);
            assert!(words(&offered).contains(expected), "{shell}: {line}: {offered}");
        }
        let nothing = completions.offered(shell, "challenger-admin --add ");
        assert!(!nothing.contains("some.conf"), "{shell}: {nothing}");
    }
    // bash takes --option=value apart.
    for line in ["challenger-httpd --log = ", "challenger-httpd --log ="] {
        assert_eq!(words(&completions.offered("bash", line)).len(), 6, "{line}");
    }
}
