//! Loads a configuration from its files, in this order. Later values win.
//!
//! 1. The program's own values: installation paths and where users keep their files.
//! 2. All `*.conf` of the directory in `$CHALLENGER_BASE_CONFIG`, else of `${DATADIR}config.d`.
//! 3. The file that is asked for, else the first readable one of the usual places.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::error::{ConfigError, LineError, Origin};
use super::files::{Environment, Files, matches};
use super::include::Loader;
use super::parse::{Line, parse};
use super::{Config, Value};
use crate::secrecy;

/// Where an installation lives unless `$CHALLENGER_PREFIX`, or the place of the program, says
/// otherwise.
const PREFIX: &str = "/usr";

/// Directories of an installation, relative to its prefix. They end with a slash, because files are
/// named `${DATADIR}terms`.
const INSTALLED: [(&str, &str); 8] = [
    ("PREFIX", ""),
    ("BINDIR", "bin/"),
    ("LIBDIR", "lib/challenger/"),
    ("DATADIR", "share/challenger/"),
    ("LOCALEDIR", "share/locale/"),
    ("ICONDIR", "share/icons/"),
    ("DOCDIR", "share/doc/challenger/"),
    ("LIBEXECDIR", "lib/challenger/libexec/"),
];

/// Where users keep their files.
const HOMES: [(&str, &str); 5] = [
    ("CHALLENGER_HOME", "${CHALLENGER_TEST_HOME:-${HOME:-${USERPROFILE}}}"),
    ("CHALLENGER_DATA_HOME", "${XDG_DATA_HOME:-${CHALLENGER_HOME}/.local/share}/challenger/"),
    ("CHALLENGER_CONFIG_HOME", "${XDG_CONFIG_HOME:-${CHALLENGER_HOME}/.config}/challenger/"),
    ("CHALLENGER_CACHE_HOME", "${XDG_CACHE_HOME:-${CHALLENGER_HOME}/.cache}/challenger/"),
    ("CHALLENGER_RUNTIME_DIR", "${TMPDIR:-${TMP:-/tmp}}/challenger-runtime/"),
];

pub(super) fn load(
    files: &dyn Files,
    environment: &Environment,
    asked_for: Option<&Path>,
) -> Result<Config, ConfigError> {
    let mut config = defaults(environment);
    let mut loader = Loader { files, config: &mut config };
    loader.load_base()?;
    loader.config.base_files = loader.config.files.len();
    loader.load_main(asked_for)?;
    if let Some(path) = &config.main_file {
        let path = path.to_string_lossy().into_owned();
        if config.value("PATHS", "DEFAULTCONFIG").is_none() {
            config.assign("PATHS", "DEFAULTCONFIG", built_in(path));
        }
    }
    Ok(config)
}

/// Reads a text that is not a file, over the built-in defaults only.
pub(super) fn from_text(text: &str, environment: &Environment) -> Result<Config, ConfigError> {
    let mut config = defaults(environment);
    let mut section = String::new();
    let lines = parse(text.as_bytes())
        .map_err(|(line, error)| ConfigError::line(Origin::Text { line }, error))?;
    for (line, content) in lines {
        let origin = Origin::Text { line };
        match content {
            Line::Directive(_) => {
                return Err(ConfigError::line(origin, LineError::DirectiveInText));
            }
            Line::Option { name, value } => {
                config.assign(&section, &name, Value::new(value, origin));
            }
            Line::Section(name) => section = name,
        }
    }
    Ok(config)
}

fn defaults(environment: &Environment) -> Config {
    let mut config = Config::empty(environment.clone());
    let prefix = environment.filled("CHALLENGER_PREFIX").or(environment.prefix.as_deref());
    let prefix = prefix.unwrap_or(PREFIX).trim_end_matches('/');
    for (name, directory) in INSTALLED {
        config.assign("PATHS", name, built_in(format!("{prefix}/{directory}")));
    }
    for (name, directory) in HOMES {
        config.assign("PATHS", name, built_in(String::from(directory)));
    }
    config
}

fn built_in(text: String) -> Value {
    Value::new(text, Origin::BuiltIn)
}

/// The usual places of the main file, the most personal one first.
fn usual_places(environment: &Environment) -> Vec<PathBuf> {
    let home = || environment.filled("HOME").map(|home| Path::new(home).join(".config"));
    let personal = environment.filled("XDG_CONFIG_HOME").map(PathBuf::from).or_else(home);
    let mut places: Vec<PathBuf> = personal.into_iter().collect();
    places.extend([PathBuf::from("/etc"), PathBuf::from("/etc/challenger")]);
    places.iter().map(|place| environment.directory.join(place).join("challenger.conf")).collect()
}

impl Loader<'_> {
    fn load_base(&mut self) -> Result<(), ConfigError> {
        let environment = &self.config.environment;
        let named = environment.filled("CHALLENGER_BASE_CONFIG");
        let directory = match named {
            Some(directory) => environment.directory.join(directory),
            None => {
                let datadir = self.config.value("PATHS", "DATADIR");
                datadir.map_or_else(PathBuf::new, |value| Path::new(&value.text).join("config.d"))
            }
        };
        let mut paths = match self.files.list(&directory) {
            Ok(paths) => paths,
            // Defaults need not be installed, but a directory that is named should be there.
            Err(error) => {
                if named.is_some() || error.kind() != ErrorKind::NotFound {
                    self.warn(format!("cannot read {}: {error}", secrecy::path(&directory)));
                }
                return Ok(());
            }
        };
        paths.sort_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
        for path in paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if matches("*.conf", &name) {
                self.load_file(&path)?;
            } else {
                self.warn(format!("{} is skipped: it is not named *.conf", secrecy::path(&path)));
            }
        }
        Ok(())
    }

    fn load_main(&mut self, asked_for: Option<&Path>) -> Result<(), ConfigError> {
        if let Some(path) = asked_for {
            let path = self.config.environment.directory.join(path);
            self.load_file(&path)?;
            self.config.main_file = Some(path);
            return Ok(());
        }
        let places = usual_places(&self.config.environment);
        for path in &places {
            match self.files.read(path) {
                Ok(_) => {
                    self.load_file(path)?;
                    self.config.main_file = Some(path.clone());
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => self.warn(format!("cannot read {}: {error}", secrecy::path(path))),
            }
        }
        self.config.usual_places = places;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use proptest::prelude::*;

    use super::super::Disk;
    use super::super::memory_files::{MAIN, MemoryFiles, environment, origin, text};
    use super::*;

    #[test]
    fn the_main_file_comes_after_the_base() {
        let files = MemoryFiles::default()
            .with("/usr/share/challenger/config.d/20.conf", "[s]\nA = 20\nB = 20\n")
            .with("/usr/share/challenger/config.d/10.conf", "[S]\na = 10\nB = 10\nC = 10\n")
            .with("/usr/share/challenger/config.d/README", "no syntax")
            .with(MAIN, "[t]\nX = 1\n[s]\nA = main\n[T]\nY = 2\n");
        let config = files.load();
        assert_eq!(text(&config, "s", "A"), Some("main"));
        assert_eq!(text(&config, "s", "b"), Some("20"));
        assert_eq!(text(&config, "s", "C"), Some("10"));
        assert_eq!(text(&config, "t", "x"), Some("1"));
        assert_eq!(text(&config, "t", "Y"), Some("2"));
        assert_eq!(text(&config, "t", "Z"), None);
        assert_eq!(text(&config, "u", "X"), None);
        assert_eq!(origin(&config, "S", "A"), "/etc/challenger/challenger.conf:4");
        assert_eq!(origin(&config, "s", "c"), "/usr/share/challenger/config.d/10.conf:4");
        let names: Vec<_> = config.sections().iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["PATHS", "S", "t"]);
        let section = config.section("s").unwrap();
        let names: Vec<_> = section.settings.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["A", "B", "C"]);
        assert_eq!(
            config.warnings(),
            ["/usr/share/challenger/config.d/README is skipped: it is not named *.conf"]
        );
        assert_eq!(config.main_file(), Some(Path::new(MAIN)));
    }

    #[test]
    fn the_first_readable_usual_place_is_the_main_file() {
        let places = [
            "/home/u/.config/challenger.conf",
            "/etc/challenger.conf",
            "/etc/challenger/challenger.conf",
        ];
        for skipped in 0..places.len() {
            let mut files = MemoryFiles::default();
            for place in &places[..skipped] {
                files = files.with_closed(place);
            }
            for place in &places[skipped..] {
                files = files.with(place, "");
            }
            let config = files.load_in(&[("HOME", "/home/u")]).unwrap();
            assert_eq!(config.main_file(), Some(Path::new(places[skipped])));
            assert_eq!(config.warnings().len(), skipped, "{:?}", config.warnings());
        }

        let files = MemoryFiles::default().with("/xdg/challenger.conf", "").with(places[0], "");
        let config = files.load_in(&[("HOME", "/home/u"), ("XDG_CONFIG_HOME", "/xdg")]).unwrap();
        assert_eq!(config.main_file(), Some(Path::new("/xdg/challenger.conf")));
        let config = files.load_in(&[("HOME", "/home/u"), ("XDG_CONFIG_HOME", "")]).unwrap();
        assert_eq!(config.main_file(), Some(Path::new(places[0])));

        let config = MemoryFiles::default().load();
        assert_eq!(config.main_file(), None);
        assert_eq!(text(&config, "PATHS", "DEFAULTCONFIG"), None);
    }

    #[test]
    fn a_file_that_is_asked_for_must_be_there() {
        let files =
            MemoryFiles::default().with("/srv/my.conf", "[s]\nA = 1").with(MAIN, "[s]\nB = 1");
        let config = Config::load(&files, &environment(&[]), Some(Path::new("my.conf"))).unwrap();
        assert_eq!(text(&config, "s", "A"), Some("1"));
        assert_eq!(text(&config, "s", "B"), None);
        assert_eq!(text(&config, "PATHS", "DEFAULTCONFIG"), Some("/srv/my.conf"));
        let error = Config::load(&files, &environment(&[]), Some(Path::new("/no"))).unwrap_err();
        assert_eq!(error.to_string(), "cannot read /no: entity not found");
        assert!(!error.is_missing());
    }

    #[test]
    fn installation_paths_are_the_lowest_defaults() {
        let config = MemoryFiles::default().load();
        let cases = [
            ("PREFIX", "/usr/"),
            ("BINDIR", "/usr/bin/"),
            ("LIBDIR", "/usr/lib/challenger/"),
            ("DATADIR", "/usr/share/challenger/"),
            ("LOCALEDIR", "/usr/share/locale/"),
            ("ICONDIR", "/usr/share/icons/"),
            ("DOCDIR", "/usr/share/doc/challenger/"),
            ("LIBEXECDIR", "/usr/lib/challenger/libexec/"),
            ("CHALLENGER_RUNTIME_DIR", "${TMPDIR:-${TMP:-/tmp}}/challenger-runtime/"),
        ];
        for (name, path) in cases {
            assert_eq!(text(&config, "paths", name), Some(path));
            assert_eq!(config.value("PATHS", name).unwrap().origin, Origin::BuiltIn);
        }

        let files = MemoryFiles::default()
            .with("/opt/c/share/challenger/config.d/a.conf", "[s]\nA = 1\n[paths]\nBINDIR=/b")
            .with("/base/b.conf", "[s]\nB = 1\n[paths]\nDEFAULTCONFIG = mine")
            .with(MAIN, "");
        let config = files.load_in(&[("CHALLENGER_PREFIX", "/opt/c/")]).unwrap();
        assert_eq!(text(&config, "PATHS", "PREFIX"), Some("/opt/c/"));
        assert_eq!(text(&config, "PATHS", "BINDIR"), Some("/b"));
        assert_eq!(text(&config, "PATHS", "DEFAULTCONFIG"), Some(MAIN));
        assert_eq!(text(&config, "s", "A"), Some("1"));
        let config = files.load_in(&[("CHALLENGER_BASE_CONFIG", "/base")]).unwrap();
        assert_eq!(text(&config, "s", "B"), Some("1"));
        assert_eq!(text(&config, "PATHS", "DEFAULTCONFIG"), Some("mine"));
        assert_eq!(config.warnings(), Vec::<String>::new());
        let config = files.load_in(&[("CHALLENGER_BASE_CONFIG", "/absent")]).unwrap();
        assert_eq!(config.warnings(), ["cannot read /absent: entity not found"]);
    }

    #[test]
    fn the_place_of_the_program_gives_way_to_the_variable() {
        let datadir = |variables: &[(&str, &str)]| {
            let prefix = Some(String::from("/opt/here"));
            let environment = Environment { prefix, ..environment(variables) };
            let config = Config::load(&MemoryFiles::default(), &environment, None).unwrap();
            String::from(text(&config, "PATHS", "DATADIR").unwrap())
        };
        assert_eq!(datadir(&[]), "/opt/here/share/challenger/");
        assert_eq!(datadir(&[("CHALLENGER_PREFIX", "")]), "/opt/here/share/challenger/");
        assert_eq!(datadir(&[("CHALLENGER_PREFIX", "/x")]), "/x/share/challenger/");
    }

    #[test]
    fn missing_options_say_where_to_write_them() {
        let ask = |config: &Config| {
            let error = config.required("Challenger", "port").unwrap_err();
            assert!(error.is_missing());
            error.to_string()
        };
        assert_eq!(
            ask(&MemoryFiles::default().with(MAIN, "").load()),
            "[Challenger] port is missing: expected it in /etc/challenger/challenger.conf"
        );
        assert_eq!(
            ask(&MemoryFiles::default().load_in(&[("HOME", "/h")]).unwrap()),
            "[Challenger] port is missing: no configuration was found, expected one at \
         /h/.config/challenger.conf, /etc/challenger.conf or /etc/challenger/challenger.conf"
        );
        assert_eq!(
            ask(&Config::from_text("", &environment(&[])).unwrap()),
            "[Challenger] port is missing: expected it to be set"
        );
    }

    #[test]
    fn links_on_a_disk_are_resolved_before_names() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        for name in ["real/conf.d", "base"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        fs::write(root.join("real/main.conf"), "@inline-matching@ conf.d/*.conf").unwrap();
        fs::write(root.join("real/conf.d/a.conf"), "\n[s]\nA = 1\n").unwrap();
        symlink("real/main.conf", root.join("link.conf")).unwrap();
        let base = root.join("base");
        let mut environment = environment(&[("CHALLENGER_BASE_CONFIG", base.to_str().unwrap())]);
        environment.directory = root.clone();
        let config = Config::load(&Disk, &environment, Some(Path::new("link.conf"))).unwrap();
        let place = root.join("real/conf.d/a.conf");
        assert_eq!(origin(&config, "s", "A"), format!("{}:3", place.display()));
        assert_eq!(config.main_file(), Some(root.join("link.conf").as_path()));
        assert_eq!(config.warnings(), Vec::<String>::new());
    }

    #[test]
    fn a_value_of_the_program_comes_last() {
        let mut config = MemoryFiles::default().with(MAIN, "[S]\nA = 1\n").load();
        config.set("s", "a", "2");
        config.set("T", "B", " 3");
        assert_eq!(text(&config, "s", "A"), Some("2"));
        assert_eq!(text(&config, "t", "B"), Some(" 3"));
        assert_eq!(origin(&config, "s", "A"), "set by this program");
        let section = config.section("s").unwrap();
        assert_eq!((section.name.as_str(), section.settings.len()), ("S", 1));
    }

    proptest! {
        #[test]
        fn any_files_are_a_configuration_or_a_complaint(
            main in "(\\[s\\]|@inline(-secret|-matching)?@ |s |a|b|[*]| = |\\$|\\{|\n|x){0,30}",
            other in "(\\[s\\]|@inline(-secret|-matching)?@ |s |a|b|[*]| = |\\$|\\{|\n|x){0,30}",
            bytes in prop::collection::vec(any::<u8>(), 0..50),
        ) {
            let files = MemoryFiles::default()
                .with(MAIN, main)
                .with("/etc/challenger/a", other)
                .with("/etc/challenger/b", bytes);
            if let Ok(config) = files.load_in(&[]) {
                for section in config.sections() {
                    for setting in &section.settings {
                        let entry = config.entry(&section.name, &setting.name);
                        let _ = entry.map(|it| (it.filename(), it.duration()));
                    }
                }
            }
        }
    }
}
