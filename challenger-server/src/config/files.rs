//! The outside world of a configuration: files, environment, current directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use crate::files;

/// The files a configuration is read from; tests bring their own.
pub trait Files {
    /// The whole content of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The paths of everything in a directory, in any order.
    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>>;

    /// The same file by its absolute path without symbolic links.
    fn canonical(&self, path: &Path) -> io::Result<PathBuf>;
}

/// The files of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        files::list(directory)
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        fs::canonicalize(path)
    }
}

/// The environment of a process. It has no `Debug`, because variables may hold credentials.
#[derive(Clone, Default)]
pub struct Environment {
    /// The environment variables.
    pub variables: BTreeMap<String, String>,
    /// The current directory, where relative file names start.
    pub directory: PathBuf,
    /// Where the program is installed, if it is.
    pub prefix: Option<String>,
}

impl Environment {
    /// The environment of this process. Variables that are not UTF-8 are left out.
    pub fn of_process() -> io::Result<Self> {
        let variables = env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let prefix = env::current_exe().ok().and_then(|program| prefix_of(&program));
        Ok(Self { variables, directory: env::current_dir()?, prefix })
    }

    /// A variable, if it is set; it may be empty.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// A variable that is set to something.
    pub(super) fn filled(&self, name: &str) -> Option<&str> {
        self.variable(name).filter(|value| !value.is_empty())
    }
}

/// The prefix of an installed program: it is in `bin`, next to our data. A program that was just
/// built has none.
fn prefix_of(program: &Path) -> Option<String> {
    let folder = program.parent().filter(|folder| folder.ends_with("bin"))?;
    let prefix = folder.parent()?;
    prefix.join("share/challenger").is_dir().then(|| prefix.to_str().map(String::from))?
}

/// The files of a directory whose names match, sorted by their bytes. A directory that does not
/// exist has none.
pub(super) fn matching(
    files: &dyn Files,
    directory: &Path,
    pattern: &str,
) -> io::Result<Vec<PathBuf>> {
    let mut paths = match files.list(directory) {
        Ok(paths) => paths,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    paths.retain(|path| path.file_name().is_some_and(|n| matches(pattern, &n.to_string_lossy())));
    paths.sort_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
    Ok(paths)
}

/// Whether a name matches a pattern, in which `*` is any text and `?` any character. A hidden name
/// matches only a pattern that begins with a dot, because editors leave such files behind.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let (mut pattern, mut name) = (pattern, name);
    // The pattern after the latest star, and the rest of the name that was last tried for it.
    let mut latest_star: Option<(&str, &str)> = None;
    loop {
        let (mut wanted, mut given) = (pattern.chars(), name.chars());
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                pattern = wanted.as_str();
                latest_star = Some((pattern, name));
            }
            (Some(want), Some(give)) if want == '?' || want == give => {
                pattern = wanted.as_str();
                name = given.as_str();
            }
            _ => {
                let Some((after_star, tried)) = latest_star else {
                    return false;
                };
                let mut untried = tried.chars();
                if untried.next().is_none() {
                    return false;
                }
                pattern = after_star;
                name = untried.as_str();
                latest_star = Some((pattern, name));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns_fit_names() {
        let cases = [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf.conf", true),
            ("*.conf", "a.conf~", false),
            ("*.conf", ".conf", false),
            ("*.conf", ".#a.conf", false),
            (".*.conf", ".a.conf", true),
            ("*", "", true),
            ("*", "é", true),
            ("?", "é", true),
            ("?", "", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a*b*c", "xaxbxbxc", true),
            ("*a*b*c", "xaxbxbx", false),
            ("**", "ab", true),
            ("a", "a", true),
            ("a", "A", false),
            ("[ab]", "a", false),
            ("", "", true),
            ("", "a", false),
        ];
        for (pattern, name, fits) in cases {
            assert_eq!(matches(pattern, name), fits, "{pattern:?} {name:?}");
        }
    }

    #[test]
    fn the_disk_is_listed_in_order() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["b.conf", "B.conf", "a.conf", "a.conf~", "10.conf", "9.conf"] {
            fs::write(directory.path().join(name), name).unwrap();
        }
        let found = matching(&Disk, directory.path(), "*.conf").unwrap();
        let names: Vec<_> = found.iter().map(|path| path.file_name().unwrap()).collect();
        assert_eq!(names, ["10.conf", "9.conf", "B.conf", "a.conf", "b.conf"]);
        let absent = directory.path().join("absent");
        assert_eq!(matching(&Disk, &absent, "*").unwrap(), Vec::<PathBuf>::new());
        assert!(matching(&Disk, &found[0], "*").is_err(), "a file is no directory");
    }

    #[test]
    fn an_installation_is_found_by_its_program() {
        let directory = tempfile::tempdir().unwrap();
        let prefix = directory.path().join("opt");
        let program = prefix.join("bin/challenger-httpd");
        assert_eq!(prefix_of(&program), None, "nothing is installed there");
        fs::create_dir_all(prefix.join("share/challenger")).unwrap();
        assert_eq!(prefix_of(&program).as_deref(), prefix.to_str());
        assert_eq!(prefix_of(&prefix.join("sbin/challenger-httpd")), None);
        assert_eq!(prefix_of(&prefix.join("bin/deeper/challenger-httpd")), None);
        assert_eq!(prefix_of(Path::new("/")), None);
    }

    proptest! {
        #[test]
        fn a_name_fits_itself_and_a_star_fits_more(name in "[a-c]{0,8}", more in "[a-c.]{0,8}") {
            prop_assert!(matches(&name, &name));
            let (starred, joined) = (format!("{name}*"), format!("{name}{more}"));
            prop_assert!(matches(&starred, &joined) || joined.starts_with('.'));
        }
    }
}
