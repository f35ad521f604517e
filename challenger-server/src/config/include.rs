//! Files that include others.
//!
//! - Names in directives are relative to the directory of their file, with symbolic links resolved,
//!   and may have references with `$`, to what `[PATHS]` has so far.
//! - In the last part of a pattern `*` is any text and `?` any character; directories are literal.
//! - A secret section whose file cannot be read is hidden: all its options count as absent.

use std::path::{Path, PathBuf};
use std::vec;

use super::error::{ConfigError, LineError, Origin};
use super::files::{Files, matching};
use super::parse::{Directive, Line, parse};
use super::{Config, LoadedFile, Value};
use crate::secrecy;

/// The maximum number of files in a configuration. Real ones have a dozen; files that include each
/// other twice, without a cycle, would double the work with each level.
const FILES_MAX: usize = 1000;

/// Adds files to a configuration.
pub(super) struct Loader<'a> {
    pub(super) files: &'a dyn Files,
    pub(super) config: &'a mut Config,
}

impl Loader<'_> {
    /// Reads a file and whatever it includes, depth first, on a stack of its own.
    pub(super) fn load_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let mut stack = vec![self.open(path, &[], None)?];
        while let Some(frame) = stack.last_mut() {
            if let Some(path) = frame.included.next() {
                let included_by = frame.includes_at.clone();
                let frame = self.open(&path, &stack, included_by)?;
                stack.push(frame);
            } else if let Some((line, content)) = frame.lines.next() {
                self.take(frame, line, content)?;
            } else {
                stack.pop();
            }
        }
        Ok(())
    }

    /// Applies a line, except for opening the files it includes.
    fn take(&mut self, frame: &mut Frame, line: usize, content: Line) -> Result<(), ConfigError> {
        let origin = Origin::File { path: frame.path.clone(), line };
        let directory = frame.path.parent().unwrap_or_else(|| Path::new("/"));
        match content {
            Line::Option { name, value } => {
                self.config.assign(&frame.section, &name, Value::new(value, origin));
            }
            Line::Section(name) => frame.section = name,
            Line::Directive(Directive::Inline { file }) => {
                let file = self.config.included_name(&file, &origin)?;
                frame.included = vec![directory.join(file)].into_iter();
                frame.includes_at = Some(origin);
            }
            Line::Directive(Directive::InlineMatching { pattern }) => {
                let pattern = self.config.included_name(&pattern, &origin)?;
                frame.included = self.matching(directory, &pattern, &origin)?.into_iter();
                frame.includes_at = Some(origin);
            }
            Line::Directive(Directive::InlineSecret { section, file }) => {
                let file = directory.join(self.config.included_name(&file, &origin)?);
                self.load_secret(&section, &file, &origin, frame.depth + 1)?;
            }
        }
        Ok(())
    }

    fn open(
        &mut self,
        path: &Path,
        stack: &[Frame],
        included_by: Option<Origin>,
    ) -> Result<Frame, ConfigError> {
        let path = self.canonical(path);
        if let Some(origin) = &included_by
            && stack.iter().any(|frame| frame.path == path)
        {
            return Err(ConfigError::line(origin.clone(), LineError::Cycle(path)));
        }
        let text = self.files.read(&path).map_err(|error| ConfigError::Unreadable {
            file: path.clone(),
            included_by: included_by.clone(),
            reason: error.to_string(),
        })?;
        let depth = stack.len();
        self.remember(&path, depth, included_by.as_ref())?;
        let lines = parse_file(&path, &text)?.into_iter();
        let included = Vec::new().into_iter();
        Ok(Frame { path, depth, section: String::new(), lines, included, includes_at: None })
    }

    fn matching(
        &self,
        directory: &Path,
        pattern: &str,
        origin: &Origin,
    ) -> Result<Vec<PathBuf>, ConfigError> {
        let (parent, name) = pattern.rsplit_once('/').unwrap_or(("", pattern));
        if parent.contains(['*', '?']) {
            return Err(ConfigError::line(origin.clone(), LineError::WildcardInDirectory));
        }
        let directory = match pattern.strip_suffix(name) {
            Some("") | None => directory.to_path_buf(),
            Some(parent) => directory.join(parent),
        };
        // No match is fine, so a directory that this user may not list is a reason to warn only.
        Ok(matching(self.files, &directory, name).unwrap_or_else(|error| {
            self.warn(format!("{origin}: cannot read {}: {error}", secrecy::path(&directory)));
            Vec::new()
        }))
    }

    /// Takes one section of a file. The section is hidden if the file cannot be read.
    fn load_secret(
        &mut self,
        wanted: &str,
        path: &Path,
        included_by: &Origin,
        depth: usize,
    ) -> Result<(), ConfigError> {
        let path = self.canonical(path);
        let text = match self.files.read(&path) {
            Ok(text) => text,
            Err(error) => {
                self.config.hide(wanted, path.clone());
                let (file, wanted) = (secrecy::path(&path), secrecy::quote(wanted));
                self.warn(format!(
                    "{included_by}: [{wanted}] is hidden: cannot read {file}: {error}"
                ));
                return Ok(());
            }
        };
        self.remember(&path, depth, Some(included_by))?;
        // As in the original, the section is there even if the file says nothing about it.
        self.config.edit(wanted, |_| ());
        let mut section = String::new();
        for (line, content) in parse_file(&path, &text)? {
            let origin = Origin::File { path: path.clone(), line };
            match content {
                Line::Directive(_) => {
                    return Err(ConfigError::line(origin, LineError::DirectiveInSecret));
                }
                Line::Option { name, value } => {
                    if section.eq_ignore_ascii_case(wanted) {
                        self.config.assign(&section, &name, Value::new(value, origin));
                        self.config.mark_secret(&section, &path);
                    }
                }
                Line::Section(name) => section = name,
            }
        }
        Ok(())
    }

    /// The path with symbolic links resolved; as it is where that fails, as for a pipe.
    fn canonical(&self, path: &Path) -> PathBuf {
        self.files.canonical(path).unwrap_or_else(|_| path.to_path_buf())
    }

    fn remember(
        &mut self,
        path: &Path,
        depth: usize,
        included_by: Option<&Origin>,
    ) -> Result<(), ConfigError> {
        if let (Some(origin), true) = (included_by, self.config.files.len() >= FILES_MAX) {
            return Err(ConfigError::line(origin.clone(), LineError::TooManyFiles(FILES_MAX)));
        }
        self.config.files.push(LoadedFile { path: path.to_path_buf(), depth });
        Ok(())
    }

    pub(super) fn warn(&self, warning: String) {
        self.config.warn(warning);
    }
}

/// A file that is being read, with what is left of it.
struct Frame {
    path: PathBuf,
    depth: usize,
    section: String,
    lines: vec::IntoIter<(usize, Line)>,
    /// Files of its latest directive that are still to be read.
    included: vec::IntoIter<PathBuf>,
    /// Where that directive is.
    includes_at: Option<Origin>,
}

fn parse_file(path: &Path, text: &[u8]) -> Result<Vec<(usize, Line)>, ConfigError> {
    parse(text).map_err(|(line, error)| {
        let origin = Origin::File { path: path.to_path_buf(), line };
        ConfigError::line(origin, error)
    })
}

#[cfg(test)]
mod tests {
    use super::super::memory_files::{MAIN, MemoryFiles, environment, loaded, origin, text};
    use super::*;

    #[test]
    fn files_are_included_where_the_directive_is() {
        let files = MemoryFiles::default()
            .with_link(MAIN, "/srv/c/main.conf")
            .with(
                "/srv/c/main.conf",
                "[s]\nA = 1\nB = 1\n@inline@ sub/one.conf\nB = 2\n@INLINE-MATCHING@ sub/d/*.conf\n\
             @inline-matching@ none/*\n@inline@ /abs.conf\nE = 5",
            )
            .with(
                "/srv/c/sub/one.conf",
                "[s]\nA = one\nB = one\n[t]\nC = one\n@inline@ ../two.conf",
            )
            .with("/srv/c/two.conf", "[t]\nC = two")
            .with("/srv/c/sub/d/b.conf", "[t]\nD = b\nC = b")
            .with("/srv/c/sub/d/a.conf", "[t]\nD = a\n@inline@ ../../two.conf")
            .with("/srv/c/sub/d/a.conf~", "nonsense")
            .with("/abs.conf", "[t]\nabs = 1");
        let config = files.load();
        assert_eq!(text(&config, "s", "A"), Some("one"));
        assert_eq!(text(&config, "s", "B"), Some("2"), "the section is the same after a directive");
        assert_eq!(text(&config, "s", "E"), Some("5"));
        assert_eq!(text(&config, "t", "C"), Some("b"));
        assert_eq!(text(&config, "t", "D"), Some("b"));
        let expected = [
            (0, "/srv/c/main.conf"),
            (1, "/srv/c/sub/one.conf"),
            (2, "/srv/c/two.conf"),
            (1, "/srv/c/sub/d/a.conf"),
            (2, "/srv/c/two.conf"),
            (1, "/srv/c/sub/d/b.conf"),
            (1, "/abs.conf"),
        ];
        assert_eq!(loaded(&config), expected);
        assert_eq!(config.warnings(), Vec::<String>::new());
    }

    #[test]
    fn names_of_included_files_are_expanded() {
        let files = MemoryFiles::default()
            .with(
                MAIN,
                "[PATHS]\nOWN = ${DATADIR}own\n@inline@ $OWN/one.conf\n\
                 @inline-matching@ ${OWN}/d/*.conf\n@inline-secret@ db ${NO:-$OWN}/db.conf\n\
                 @inline@ $LATER\n[PATHS]\nLATER = /no",
            )
            .with("/usr/share/challenger/own/one.conf", "[s]\nA = 1\n@inline@ two.conf")
            .with("/usr/share/challenger/own/two.conf", "[s]\nB = 2")
            .with("/usr/share/challenger/own/d/a.conf", "[s]\nC = 3")
            .with("/usr/share/challenger/own/db.conf", "[db]\nD = 4")
            .with("/etc/challenger/$LATER", "[s]\nE = 5");
        let config = files.load();
        for (section, option, value) in
            [("s", "A", "1"), ("s", "B", "2"), ("s", "C", "3"), ("db", "D", "4"), ("s", "E", "5")]
        {
            assert_eq!(text(&config, section, option), Some(value), "{option}");
        }
        let warning = "\"$LATER\" is neither in [PATHS] nor in the environment and stays as it is";
        assert_eq!(config.warnings(), [format!("{MAIN}:6: {warning}")]);

        let files = MemoryFiles::default().with(MAIN, "[PATHS]\nLOOP = $LOOP\n@inline@ $LOOP/a");
        let bound = "expected at most 128 levels of $";
        let complaint = format!("{MAIN}:3: the name of the file cannot be expanded: {bound}");
        assert_eq!(files.complaint(), complaint);
    }

    #[test]
    fn a_secret_section_is_taken_alone() {
        let files = MemoryFiles::default()
            .with(MAIN, "[s]\nA = 1\n@inline-secret@ DB ../secrets/db.conf\nB = 2\n")
            .with("/etc/secrets/db.conf", "[other]\nX = 1\n[s]\nA = 9\n[db]\nCONFIG = \"p q\"\n");
        let config = files.load();
        assert_eq!(text(&config, "db", "config"), Some("p q"));
        assert_eq!(origin(&config, "db", "config"), "/etc/secrets/db.conf:6");
        let secret_in = |name| config.section(name).unwrap().secret_in.as_deref();
        assert_eq!(secret_in("db"), Some(Path::new("/etc/secrets/db.conf")));
        assert_eq!(secret_in("s"), None);
        assert_eq!(text(&config, "other", "X"), None);
        assert_eq!(text(&config, "s", "A"), Some("1"));
        assert_eq!(text(&config, "s", "B"), Some("2"));
        assert_eq!(loaded(&config), [(0, MAIN), (1, "/etc/secrets/db.conf")]);
        assert!(!format!("{config:?}").contains("p q"), "no secrets in debug output");

        let files = files.with("/etc/secrets/db.conf", "[other]\nX = 1\n");
        let config = files.load();
        let section = config.section("db").unwrap();
        assert!(section.settings.is_empty(), "the file may say nothing about the section");
        assert_eq!((&section.hidden_in, &section.secret_in), (&None, &None));
    }

    #[test]
    fn an_unreadable_secret_section_is_hidden_whoever_fills_it() {
        let files = MemoryFiles::default()
        .with(
            MAIN,
            "[db]\nCONFIG = before\n@inline-secret@ DB /secrets/db.conf\n[dB]\nCONFIG = after\n",
        )
        .with_closed("/secrets/db.conf");
        let config = files.load();
        assert_eq!(text(&config, "db", "CONFIG"), None);
        let section = config.section("db").unwrap();
        assert_eq!(section.hidden_in.as_deref(), Some(Path::new("/secrets/db.conf")));
        let warning = "/etc/challenger/challenger.conf:3: [DB] is hidden: cannot read \
                   /secrets/db.conf: permission denied";
        assert_eq!(config.warnings(), [warning]);
        let error = config.required("db", "CONFIG").unwrap_err();
        assert!(error.is_missing());
        assert_eq!(
            error.to_string(),
            "[db] CONFIG is missing: its section is in /secrets/db.conf, which cannot be read"
        );

        let absent = MemoryFiles::default().with(MAIN, "@inline-secret@ DB /secrets/db.conf\n");
        assert!(absent.load().section("db").unwrap().hidden_in.is_some());
    }

    #[test]
    fn wrong_files_are_named_with_the_line() {
        let files = |main: &'static str| MemoryFiles::default().with(MAIN, main);
        let no_line =
            "expected [section], OPTION = VALUE, a directive, or a comment starting with # or %";
        let cases = [
            (files("[s]\nnonsense"), format!("{MAIN}:2: {no_line}")),
            (
                files("\n@inline@ no.conf"),
                format!("{MAIN}:2: cannot read /etc/challenger/no.conf: entity not found"),
            ),
            (
                files("@inline-matching@ *"),
                format!("{MAIN}:1: {MAIN} includes itself: expected no cycle"),
            ),
            (
                files("@inline-matching@ d/*").with_closed("/etc/challenger/d/x"),
                format!("{MAIN}:1: cannot read /etc/challenger/d/x: permission denied"),
            ),
            (
                files("@inline-matching@ d*/x.conf"),
                format!(
                    "{MAIN}:1: * and ? are accepted in the last part of the path only: expected \
                     literal directories before it"
                ),
            ),
            (
                files("@inline@ a")
                    .with("/etc/challenger/a", "[s]\n@inline@ b")
                    .with_link("/etc/challenger/b", MAIN),
                format!("/etc/challenger/a:2: {MAIN} includes itself: expected no cycle"),
            ),
            (
                files("[s]\n@inline@ a").with("/etc/challenger/a", "A = 1"),
                String::from(
                    "/etc/challenger/a:1: an option before any section: expected a [section] first",
                ),
            ),
            (
                files("@inline-secret@ s a").with("/etc/challenger/a", "@inline@ b"),
                String::from(
                    "/etc/challenger/a:1: directives are not accepted in a file of \
                     @inline-secret@: expected only options",
                ),
            ),
            (
                files("@inline-secret@ s a").with("/etc/challenger/a", "[t]\nA"),
                format!("/etc/challenger/a:2: {no_line}"),
            ),
            (
                files("").with_closed("/usr/share/challenger/config.d/a.conf"),
                String::from(
                    "cannot read /usr/share/challenger/config.d/a.conf: permission denied",
                ),
            ),
        ];
        for (files, complaint) in cases {
            assert_eq!(files.complaint(), complaint);
        }
        let error = Config::from_text("[s]\n@inline@ a", &environment(&[])).unwrap_err();
        assert_eq!(error.to_string(), "line 2: directives are accepted in files only");
    }

    #[test]
    fn a_directory_that_cannot_be_listed_is_no_match() {
        let files = MemoryFiles::default()
            .with(MAIN, "@inline-matching@ d/*.conf\n[s]\nA = 1")
            .with_closed("/etc/challenger/d");
        let config = files.load();
        assert_eq!(text(&config, "s", "A"), Some("1"));
        assert_eq!(
            config.warnings(),
            [format!("{MAIN}:1: cannot read /etc/challenger/d/: permission denied")]
        );
    }

    #[test]
    fn inclusion_is_bounded_without_a_cycle() {
        let mut files = MemoryFiles::default().with(MAIN, "@inline@ 0");
        for level in 0..20 {
            let next = level + 1;
            files = files.with(
                &format!("/etc/challenger/{level}"),
                format!("@inline@ {next}\n@inline@ {next}\n"),
            );
        }
        let complaint = files.with("/etc/challenger/20", "").complaint();
        assert!(complaint.ends_with("more than 1000 files are included: expected fewer"));
    }
}
