//! Reads legal documents from their directory: `DIR/LANGUAGE/VERSION.EXTENSION`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use challenger_proto::{Document, Documents};

/// What a directory holds, and what is odd about it.
pub struct Loaded {
    /// The documents of the version.
    pub documents: Documents,
    /// One sentence for each file that will not be served and might have been meant to.
    pub warnings: Vec<String>,
}

/// Reads all documents of a version. They are read once: changes take effect at the next start.
///
/// # Errors
/// The directory, or a document in it, cannot be read; the message names it.
pub fn load(directory: &Path, version: &str) -> io::Result<Loaded> {
    let mut found = Vec::new();
    let mut warnings = Vec::new();
    for language in sorted_entries(directory)? {
        // `locale` is where translations of the source are kept.
        let Some(name) = visible_name(&language).filter(|name| name != "locale") else { continue };
        if !language.is_dir() {
            warnings.push(format!("{}: not in the directory of a language", language.display()));
            continue;
        }
        for file in sorted_entries(&language)? {
            if visible_name(&file).is_none() || file.file_stem().is_none_or(|stem| stem != version)
            {
                continue;
            }
            let extension = file.extension().and_then(|it| it.to_str()).unwrap_or_default();
            let body = fs::read(&file).map_err(|error| at(&file, &error))?;
            match Document::new(&*name, extension, body) {
                Some(document) => found.push(document),
                None => warnings.push(format!(
                    "{}: not served, because its extension is none of {}",
                    file.display(),
                    Document::extensions().collect::<Vec<_>>().join(", "),
                )),
            }
        }
    }
    Ok(Loaded { documents: Documents::new(version, found), warnings })
}

fn sorted_entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).map_err(|error| at(directory, &error))?;
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()
        .map_err(|error| at(directory, &error))?;
    paths.sort();
    Ok(paths)
}

/// The name of an entry that is not hidden.
fn visible_name(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    (!name.starts_with('.')).then(|| name.to_string())
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_of_one_version_are_found() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str| {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        };
        for name in [
            "en/tos-v0.txt",
            "de/tos-v0.html",
            "en/tos-v1.txt",
            "en/tos-v0.doc",
            "en/.tos-v0.txt.swp",
            "locale/en/tos-v0.txt",
            ".git/tos-v0.txt",
            "stray.txt",
        ] {
            write(name);
        }
        fs::create_dir(directory.path().join("fr")).unwrap();
        let loaded = load(directory.path(), "tos-v0").unwrap();
        assert_eq!(loaded.documents.version(), "tos-v0");
        assert_eq!(loaded.documents.len(), 2);
        assert_eq!(loaded.warnings.len(), 2, "{:?}", loaded.warnings);
        assert!(loaded.warnings[0].contains("tos-v0.doc"));
        assert!(loaded.warnings[1].contains("stray.txt"));
        let error = load(&directory.path().join("none"), "x").err().unwrap().to_string();
        assert!(error.contains("none"), "{error}");
    }
}
