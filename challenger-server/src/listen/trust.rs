//! Checks whether others could replace a file: everybody who may write to a folder can rename what
//! is in it, whatever the permissions of that are.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{self, Component, Path, PathBuf};

use rustix::process::{getegid, geteuid};

use crate::secrecy;

/// How many symbolic links a path may go through: as many as in Linux.
const LINKS_MAX: usize = 40;

const GROUP_MAY_WRITE: u32 = 0o020;
const OTHERS_MAY_WRITE: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// Checks a folder, and all folders and links on the way to it, from the root on, as far as they
/// exist.
///
/// # Errors
/// The message names the folder that others control, and what would be accepted.
pub(super) fn check(folder: &Path) -> Result<(), String> {
    let failed =
        |place: &Path, error: io::Error| format!("the folder {}: {error}", secrecy::path(place));
    let whole = path::absolute(folder).map_err(|error| failed(folder, error))?;
    let us = Us { user: geteuid().as_raw(), group: getegid().as_raw() };
    let mut here = PathBuf::new();
    let mut ahead: VecDeque<OsString> = parts(&whole).collect();
    let mut links = 0..LINKS_MAX;
    while let Some(part) = ahead.pop_front() {
        if part == ".." {
            here.pop();
            continue;
        }
        let next = here.join(part);
        let metadata = match fs::symlink_metadata(&next) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            found => found.map_err(|error| failed(&next, error))?,
        };
        if let Some(why) = us.distrusts(&metadata) {
            return Err(format!("the folder {} {why}", secrecy::path(&next)));
        }
        if !metadata.is_symlink() {
            here = next;
            continue;
        }
        if links.next().is_none() {
            return Err(failed(&next, io::Error::other("too many symbolic links")));
        }
        let target = fs::read_link(&next).map_err(|error| failed(&next, error))?;
        for part in parts(&target).collect::<Vec<_>>().into_iter().rev() {
            ahead.push_front(part);
        }
    }
    Ok(())
}

/// The parts of a path, the root included: joined to another one, it takes its place.
fn parts(path: &Path) -> impl Iterator<Item = OsString> {
    let parts = path.components().filter(|part| *part != Component::CurDir);
    parts.map(|part| part.as_os_str().to_owned())
}

/// The user and the group that are trusted besides root.
struct Us {
    user: u32,
    group: u32,
}

impl Us {
    fn distrusts(&self, metadata: &Metadata) -> Option<String> {
        // The mode of a link has no meaning, but its owner can make it point elsewhere.
        let mode = if metadata.is_symlink() { 0 } else { metadata.mode() };
        self.distrust(metadata.uid(), metadata.gid(), mode)
    }

    /// Why others could change what is in a folder, if they could. In a sticky one, they can change
    /// only what is theirs.
    fn distrust(&self, owner: u32, group: u32, mode: u32) -> Option<String> {
        if owner != self.user && owner != 0 {
            return Some(format!("belongs to user {owner}, expected user {} or root", self.user));
        }
        let good = mode & 0o7777 & !GROUP_MAY_WRITE & !OTHERS_MAY_WRITE;
        let mode = mode & 0o7777;
        if mode & STICKY != 0 {
            return None;
        }
        if mode & OTHERS_MAY_WRITE != 0 {
            return Some(format!(
                "has mode {mode:o}, so that everybody can put another socket in place of ours: \
                 expected one that lets nobody else write, such as {good:o}"
            ));
        }
        let is_ours = group == self.group || group == 0;
        (mode & GROUP_MAY_WRITE != 0 && !is_ours).then(|| {
            format!(
                "has mode {mode:o}, so that group {group} can put another socket in place of \
                 ours: expected a mode such as {good:o}, or group {}",
                self.group
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_that_others_control_are_not_trusted() {
        let us = Us { user: 7, group: 70 };
        for (owner, group, mode) in [
            (7, 70, 0o750),
            (0, 0, 0o755),
            (7, 70, 0o1777),
            (0, 50, 0o1777),
            (7, 70, 0o770),
            (0, 0, 0o775),
            (7, 50, 0o755),
            (0, 50, 0o1775),
        ] {
            assert_eq!(us.distrust(owner, group, mode), None, "{owner} {group} {mode:o}");
        }
        let told = |owner, group, mode| us.distrust(owner, group, mode).unwrap();
        assert_eq!(told(8, 70, 0o750), "belongs to user 8, expected user 7 or root");
        assert_eq!(told(8, 70, 0o1777), "belongs to user 8, expected user 7 or root");
        let everybody = "has mode 777, so that everybody can put another socket in place of ours: \
                         expected one that lets nobody else write, such as 755";
        assert_eq!(told(7, 70, 0o40777), everybody);
        assert_eq!(told(0, 0, 0o777), everybody);
        let group = "has mode 2775, so that group 50 can put another socket in place of ours: \
                     expected a mode such as 2755, or group 70";
        assert_eq!(told(0, 50, 0o2775), group);
    }

    #[test]
    fn a_path_is_followed_as_the_system_follows_it() {
        let all = |path: &str| parts(Path::new(path)).collect::<Vec<_>>();
        assert_eq!(all("/run/./a/../b"), ["/", "run", "a", "..", "b"]);
        assert_eq!(all("../b"), ["..", "b"]);
    }
}
