//! Replaces a file atomically: readers find the old text or the new one, also after a crash.

use std::fs::{File, Metadata};
use std::io::{self, Error, Write as _};
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::Path;

use tempfile::Builder;

/// Gives a file another text. Its owner, group and mode stay. The path has no symbolic links, or
/// the link would be replaced and not the file.
pub(super) fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let before = path.metadata()?;
    if !before.is_file() {
        return Err(Error::other("expected a regular file"));
    }
    // Renaming would ignore that, but a file without write permission is meant to stay as it is.
    File::options().write(true).open(path)?;
    let directory = path.parent().unwrap_or_else(|| Path::new("/"));
    // Hidden, so that no @inline-matching@ finds it, and readable by us only until it is complete.
    let mut new = Builder::new().prefix(".challenger-config-").tempfile_in(directory)?;
    keep_owner(new.as_file(), &before)?;
    new.as_file().set_permissions(before.permissions())?;
    new.write_all(text)?;
    new.as_file().sync_all()?;
    new.persist(path)?;
    File::open(directory)?.sync_all()
}

fn keep_owner(new: &File, before: &Metadata) -> io::Result<()> {
    let now = new.metadata()?;
    if (now.uid(), now.gid()) == (before.uid(), before.gid()) {
        return Ok(());
    }
    fchown(new, Some(before.uid()), Some(before.gid())).map_err(|error| {
        Error::new(error.kind(), format!("its owner and group could not be kept: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, chown};

    use super::*;

    #[test]
    fn the_text_changes_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.conf");
        for mode in [0o600, 0o640, 0o644] {
            fs::write(&path, "a long old text").unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            replace(&path, b"new").unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), "new");
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, mode);
        }
        // Only root can give a file away.
        if chown(&path, Some(65_534), Some(65_534)).is_ok() {
            replace(&path, b"newer").unwrap();
            let after = fs::metadata(&path).unwrap();
            assert_eq!((after.uid(), after.gid()), (65_534, 65_534));
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left behind");
    }

    #[test]
    fn only_files_that_may_be_written_are_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.conf");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o444)).unwrap();
        // Root may write to everything.
        let may_write = File::options().write(true).open(&path).is_ok();
        assert_eq!(replace(&path, b"new").is_ok(), may_write);
        fs::remove_file(&path).unwrap();
        assert!(replace(directory.path(), b"").is_err());
        assert!(replace(&directory.path().join("absent"), b"").is_err());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
