//! Reads legal documents from their directory: `DIR/LANGUAGE/VERSION.EXTENSION`.

use std::io;
use std::path::{Path, PathBuf};

use challenger_proto::http::{Document, Documents, is_language_tag};

use crate::files;
use crate::secrecy;

/// The longest document, in bytes. All of them are kept in memory. Legal texts have some hundred
/// thousand bytes, even as PDF.
const DOCUMENT_MAX: usize = 2 * 1024 * 1024;

/// The documents of a directory, and warnings about others.
pub struct Found {
    /// The documents of the version.
    pub documents: Documents,
    /// One sentence for each entry that is not served although it may have been meant to be.
    pub warnings: Vec<String>,
}

/// Reads all documents of a version. They are read once: changes take effect at the next start.
/// An error in one does not keep the others from being served.
///
/// # Errors
/// The directory cannot be read; the message names it.
pub fn load(directory: &Path, version: &str) -> io::Result<Found> {
    let mut found = Vec::new();
    let mut warnings = Vec::new();
    for entry in visible_entries(directory)? {
        let name = name_of(&entry);
        // The sources of documents, translations and texts, may be kept beside them.
        if name == "locale" || name.ends_with(".rst") {
            continue;
        }
        if !entry.is_dir() {
            warnings.push(format!("{}: not in the directory of a language", secrecy::path(&entry)));
        } else if !is_language_tag(&name) {
            let path = secrecy::path(&entry);
            warnings.push(format!("{path}: not served, because it names no language, as en does"));
        } else {
            let files = visible_entries(&entry).unwrap_or_else(|error| {
                warnings.push(error.to_string());
                Vec::new()
            });
            for file in files {
                match read(&file, &name, version) {
                    Ok(None) => {}
                    Ok(Some(document)) => match unfinished(&file, &document.body) {
                        Some(warning) => warnings.push(warning),
                        None => found.push(document),
                    },
                    Err(error) => warnings.push(format!("{}: {error}", secrecy::path(&file))),
                }
            }
        }
    }
    Ok(Found { documents: Documents::new(version, found), warnings })
}

/// The document in a file; `None` if it is of another version.
fn read(file: &Path, language: &str, version: &str) -> io::Result<Option<Document>> {
    if file.is_dir() {
        return Err(io::Error::other("not served, because it is a directory"));
    }
    let name = name_of(file);
    let (base, extension) = match name.rsplit_once('.') {
        Some(parts) if name != version => parts,
        _ => (name.as_str(), ""),
    };
    if base != version {
        return Ok(None);
    }
    let body = files::read(file, DOCUMENT_MAX)?;
    if body.is_empty() {
        return Err(io::Error::other("not served, because it is empty"));
    }
    let Some(document) = Document::new(language, extension, body) else {
        let known = Document::extensions().collect::<Vec<_>>().join(", ");
        let complaint = format!("not served, because its extension is not one of {known}");
        return Err(io::Error::other(complaint));
    };
    Ok(Some(document))
}

/// Why a document is not served: something is left to be filled in, in double brackets, as in the
/// texts that are shipped. What is not text, such as PDF, is not searched.
fn unfinished(file: &Path, body: &[u8]) -> Option<String> {
    let text = str::from_utf8(body).ok()?;
    let mut marks = text.match_indices("[[").filter_map(|(at, _)| {
        let (before, rest) = text.split_at_checked(at)?;
        let (inside, _) = rest.get(2..)?.split_once("]]")?;
        (!inside.contains(['[', ']'])).then(|| (before.matches('\n').count() + 1, inside))
    });
    let (line, first) = marks.next()?;
    let first: Vec<&str> = first.split_whitespace().collect();
    let others = match marks.count() {
        0 => String::new(),
        count => format!(", and {count} more"),
    };
    let (path, first) = (secrecy::path(file), first.join(" "));
    Some(format!("{path}:{line}: not served, because [[{first}]] is left to be filled in{others}"))
}

/// The entries of a directory that are not hidden, in order.
fn visible_entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = files::list(directory).map_err(|error| {
        io::Error::new(error.kind(), format!("{}: {error}", secrecy::path(directory)))
    })?;
    paths.retain(|path| !name_of(path).starts_with('.'));
    Ok(paths)
}

/// The name of an entry. One that is not UTF-8 never equals a name that is looked for.
fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::process::Command;

    use super::*;

    /// The number of documents served from a directory of these files, each holding its own name,
    /// and the warnings.
    fn told(names: &[&str], prepare: impl Fn(&Path)) -> (usize, Vec<String>) {
        let directory = tempfile::tempdir().unwrap();
        for name in names {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
        prepare(directory.path());
        let loaded = load(directory.path(), "tos-v0").unwrap();
        assert_eq!(loaded.documents.version(), "tos-v0");
        let root = format!("{}/", directory.path().display());
        let warnings = loaded.warnings.iter().map(|warning| warning.replace(&root, ""));
        (loaded.documents.len(), warnings.collect())
    }

    #[test]
    fn documents_of_one_version_are_found() {
        let names = [
            "en/tos-v0.txt",
            "de/tos-v0.html",
            "de-CH/tos-v0.pdf",
            "en/tos-v1.txt",
            "en/tos-v0.1.txt",
            "en/tos-v00.txt",
            "en/pp-v0",
            "en/.tos-v0.txt.swp",
            ".git/tos-v0.txt",
            "locale/en/tos-v0.txt",
            "tos-v0.rst",
        ];
        let empty_language = |root: &Path| fs::create_dir(root.join("fr")).unwrap();
        assert_eq!(told(&names, empty_language), (3, Vec::new()));
        let error = load(Path::new("/none"), "x").err().unwrap().to_string();
        assert!(error.contains("/none: "), "{error}");
    }

    #[test]
    fn what_is_left_to_be_filled_in_is_told_by_its_line() {
        let told = |body: &[u8]| unfinished(Path::new("tos.txt"), body);
        for (body, expected) in [
            ("[[DATE]]", Some("tos.txt:1: not served, because [[DATE]] is left to be filled in")),
            (
                "a\n[[POSTAL\n  ADDRESS]]",
                Some("tos.txt:2: not served, because [[POSTAL ADDRESS]] is left to be filled in"),
            ),
            (
                "a\n\nb [[X]]\n[[Y]] [[Z]]",
                Some("tos.txt:3: not served, because [[X]] is left to be filled in, and 2 more"),
            ),
            (
                "[[:digit:]]+ and a[b[0]]",
                Some("tos.txt:1: not served, because [[:digit:]] is left to be filled in"),
            ),
            ("[[a", None),
            ("a[b[0]]", None),
            ("[[a]b]]", None),
            ("[DATE]", None),
        ] {
            assert_eq!(told(body.as_bytes()).as_deref(), expected, "{body}");
        }
        assert_eq!(told(b"%PDF \xff [[DATE]]"), None);
    }

    #[test]
    fn what_is_not_finished_is_not_served() {
        let names = ["de/tos-v0.html", "en/tos-v0.txt", "en/tos-v0.html"];
        let (count, warnings) = told(&names, |root| {
            fs::write(root.join("en/tos-v0.html"), "<p>\n[[OPERATOR]]").unwrap();
        });
        let expected = "en/tos-v0.html:2: not served, because [[OPERATOR]] is left to be filled in";
        assert_eq!((count, warnings), (2, vec![expected.to_owned()]));
    }

    #[test]
    fn what_might_have_been_meant_is_told_and_the_rest_served() {
        let names = [
            "de/tos-v0.txt",
            "de_CH/tos-v0.txt",
            "en/more/tos-v0.txt",
            "en/tos-v0",
            "en/tos-v0.doc",
            "english/tos-v0.txt",
            "stray.txt",
        ];
        let (count, warnings) = told(&names, |root| {
            fs::write(root.join("en/tos-v0.html"), "").unwrap();
            let fifo = Command::new("mkfifo").arg(root.join("en/tos-v0.md")).status();
            assert!(fifo.unwrap().success());
            symlink("nowhere", root.join("en/tos-v0.pdf")).unwrap();
        });
        let expected = [
            "de_CH: not served, because it names no language",
            "en/more: not served, because it is a directory",
            "en/tos-v0: not served, because its extension is not one of txt, html",
            "en/tos-v0.doc: not served, because its extension is not one of txt, html",
            "en/tos-v0.html: not served, because it is empty",
            "en/tos-v0.md: it is no regular file",
            "en/tos-v0.pdf: No such file",
            "english: not served, because it names no language",
            "stray.txt: not in the directory of a language",
        ];
        assert_eq!((count, warnings.len()), (1, expected.len()), "{warnings:?}");
        for (warning, expected) in warnings.iter().zip(expected) {
            assert!(warning.starts_with(expected), "{warning} is not {expected}");
        }
    }
}
