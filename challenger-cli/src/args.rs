//! Arguments in GNU's spelling, which argh alone does not read.
//!
//! argh knows `--long value` and `-s value`. People also write `--long=value`, `-svalue`, `-ab`,
//! `-h` and `-v`.

use argh::FromArgs;

use crate::exit::Exit;

/// argh's description of the one option that it adds, and a true one.
const ARGH_HELP: &str = "  --help, help      display usage information";
const OUR_HELP: &str =
    "  -h, --help        print this and exit\n  -v, --version     print the version and exit";

/// Parses the arguments of a program. `valued` lists the short options that take a value.
///
/// # Errors
/// Help and version as [`Exit::asked`], anything wrong as [`Exit::invalid_argument`].
pub(crate) fn parse<T: FromArgs>(
    program: &str,
    valued: &str,
    arguments: impl Iterator<Item = std::ffi::OsString>,
) -> Result<T, Exit> {
    let mut plain = Vec::new();
    for argument in arguments.skip(1) {
        let argument = argument.into_string().map_err(|argument| {
            Exit::invalid_argument(format!("{} is not UTF-8", argument.to_string_lossy()))
        })?;
        plain.push(argument);
    }
    let plain = rewrite(plain, valued);
    if plain.iter().take_while(|it| *it != "--").any(|it| it == "--version") {
        return Err(Exit::asked(format!("{program} {}", env!("CARGO_PKG_VERSION"))));
    }
    let plain: Vec<&str> = plain.iter().map(String::as_str).collect();
    T::from_args(&[program], &plain).map_err(|early| match early.status {
        Ok(()) => Exit::asked(early.output.replace(ARGH_HELP, OUR_HELP)),
        Err(()) => {
            let complaint = early.output.split_whitespace().collect::<Vec<_>>().join(" ");
            Exit::invalid_argument(format!("{complaint}\nTry '{program} --help'."))
        }
    })
}

/// Rewrites GNU's spellings into those that argh reads.
fn rewrite(arguments: Vec<String>, valued: &str) -> Vec<String> {
    let mut plain = Vec::new();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            plain.push(argument);
            plain.extend(arguments.by_ref());
        } else if let Some(long) = argument.strip_prefix("--") {
            match long.split_once('=') {
                Some((name, value)) => plain.extend([format!("--{name}"), value.to_string()]),
                None => plain.push(argument),
            }
        } else if let Some(short) = argument.strip_prefix('-').filter(|rest| !rest.is_empty()) {
            rewrite_short(short, valued, &mut arguments, &mut plain);
        } else {
            plain.push(argument);
        }
    }
    plain
}

/// Takes a bundle of short options apart; what follows one with a value is its value.
fn rewrite_short(
    bundle: &str,
    valued: &str,
    arguments: &mut impl Iterator<Item = String>,
    plain: &mut Vec<String>,
) {
    for (index, option) in bundle.char_indices() {
        plain.push(match option {
            'h' => "--help".to_string(),
            'v' => "--version".to_string(),
            other => format!("-{other}"),
        });
        if valued.contains(option) {
            let rest = bundle.get(index + option.len_utf8()..).unwrap_or_default();
            if rest.is_empty() {
                plain.extend(arguments.next());
            } else {
                plain.push(rest.to_string());
            }
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(arguments: &[&str]) -> Vec<String> {
        rewrite(arguments.iter().map(ToString::to_string).collect(), "cL")
    }

    #[test]
    fn gnu_spellings_become_plain() {
        for (given, expected) in [
            (&["--config=a=b"][..], &["--config", "a=b"][..]),
            (&["-ca.conf"], &["-c", "a.conf"]),
            (&["-c", "-h"], &["-c", "-h"]),
            (&["-rg"], &["-r", "-g"]),
            (&["-rcfile"], &["-r", "-c", "file"]),
            (&["-h"], &["--help"]),
            (&["-qv"], &["-q", "--version"]),
            (&["--", "-h", "--a=b"], &["--", "-h", "--a=b"]),
            (&["-", "x"], &["-", "x"]),
        ] {
            assert_eq!(rewritten(given), expected, "{given:?}");
        }
    }
}
