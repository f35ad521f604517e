//! The file of a UNIX socket: made without a moment in which it is open to too many, never taken
//! from somebody else, and removed in the end.

use std::fmt;
use std::fs::{self, DirBuilder, File, Metadata, Permissions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::geteuid;
use socket2::{Domain, SockAddr, Socket, Type};

use super::ListenError;
use crate::front::BACKLOG;
use crate::front::Listener;
use crate::log::{self, Level};

/// How long to wait for somebody else who starts in the same folder, which takes milliseconds.
const LOCK_TRIES: u32 = 40;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// The longest path, in bytes, that fits in a socket's address.
pub const PATH_MAX: usize = 107;

/// The permissions of a folder that we make: the group is let in, because the reverse proxy belongs
/// to it.
const FOLDER_MODE: u32 = 0o750;

/// The file of a UNIX socket. It is removed when this is dropped, if it is still the same file, so
/// this has to be dropped before the listener: as long as somebody listens, nobody else takes the
/// path, and the system does not give the file's number to another one.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    identity: Identity,
}

/// Device and number, by which a file is told from others at the same path.
type Identity = (u64, u64);

impl SocketFile {
    /// Listens on a path. Its folder is made if it is missing, and a socket that nobody serves any
    /// more is replaced.
    ///
    /// # Errors
    /// Something else is there, somebody serves it, or the folder cannot be trusted.
    pub fn bind(path: &Path, mode: u32) -> Result<(Self, Listener), ListenError> {
        Self::try_bind(path, mode).map_err(|cause| ListenError::new(path.display(), cause))
    }

    fn try_bind(path: &Path, mode: u32) -> Result<(Self, Listener), Cause> {
        let folder = path.parent().ok_or_else(|| Cause::from("expected a file in a folder"))?;
        prepare_folder(folder)?;
        // Two that start at once would each take the other's socket, which does not answer yet, for
        // one that is left over.
        let lock = File::open(folder)?;
        take(&lock)?;
        remove_left_over(path)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&SockAddr::unix(path)?)?;
        let file = Self { path: path.to_owned(), identity: identity(&fs::symlink_metadata(path)?) };
        // Until we listen nobody can connect, so it does not matter what mode the file has before.
        fs::set_permissions(path, Permissions::from_mode(mode))?;
        socket.listen(BACKLOG)?;
        Ok((file, UnixListener::from(OwnedFd::from(socket)).into()))
    }
}

/// Takes the lock, or says that it is not to be had: whoever may read the folder could hold it.
fn take(lock: &File) -> Result<(), Cause> {
    for _ in 0..LOCK_TRIES {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
    }
    Err(Cause::from("another process keeps its folder locked"))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let removed = match fs::symlink_metadata(&self.path) {
            Ok(metadata) if identity(&metadata) == self.identity => fs::remove_file(&self.path),
            Ok(_) | Err(_) => return,
        };
        if let Err(error) = removed {
            let path = self.path.display();
            let known: [(&str, &dyn fmt::Display); 2] = [("path", &path), ("error", &error)];
            log::event(Level::Warning, "socket not removed", &known);
        }
    }
}

fn identity(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

/// Makes the folder if it is missing, and looks whether others could put their own socket in it.
fn prepare_folder(folder: &Path) -> Result<(), Cause> {
    let failed = |error: io::Error| Cause(format!("the folder {}: {error}", folder.display()));
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder).map_err(failed)?;
    let link = fs::symlink_metadata(folder).map_err(failed)?;
    let target = fs::metadata(folder).map_err(failed)?;
    let us = geteuid().as_raw();
    // Whoever owns a symbolic link can let it point elsewhere.
    let distrust =
        distrust(link.uid(), 0, us).or_else(|| distrust(target.uid(), target.mode(), us));
    distrust.map_or(Ok(()), |why| Err(Cause(format!("the folder {} {why}", folder.display()))))
}

/// Why others could put their own socket in a folder, if they could.
fn distrust(owner: u32, mode: u32, us: u32) -> Option<String> {
    const OTHERS_MAY_WRITE: u32 = 0o002;
    const STICKY: u32 = 0o1000;
    if owner != us && owner != 0 {
        return Some(format!("belongs to user {owner}, expected user {us} or root"));
    }
    if mode & OTHERS_MAY_WRITE != 0 && mode & STICKY == 0 {
        let mode = mode & 0o7777;
        return Some(format!("has mode {mode:o}, expected one that lets nobody else write"));
    }
    None
}

/// Removes a socket that nobody listens on, and nothing else.
fn remove_left_over(path: &Path) -> Result<(), Cause> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if !metadata.file_type().is_socket() {
        return Err("there is a file already that is no socket".into());
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Else a queue that is full would hold us up.
    socket.set_nonblocking(true)?;
    match socket.connect(&SockAddr::unix(path)?) {
        Ok(()) => Err("it is already served by another process".into()),
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            Err("it is already served by another process, which is very busy".into())
        }
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(fs::remove_file(path)?),
        Err(error) if Errno::from_io_error(&error) == Some(Errno::PROTOTYPE) => {
            Err("there is a socket already that is none for connections".into())
        }
        Err(error) => Err(Cause(format!("cannot tell whether it is served already: {error}"))),
    }
}

/// What is in the way.
struct Cause(String);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for Cause {
    fn from(cause: &str) -> Self {
        Self(cause.to_owned())
    }
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_that_others_control_are_not_trusted() {
        for (owner, mode) in [(7, 0o750), (0, 0o755), (7, 0o1777), (0, 0o1777), (7, 0o770)] {
            assert_eq!(distrust(owner, mode, 7), None, "{owner} {mode:o}");
        }
        let told = |owner, mode| distrust(owner, mode, 7).unwrap();
        assert_eq!(told(8, 0o750), "belongs to user 8, expected user 7 or root");
        assert_eq!(told(8, 0o1777), "belongs to user 8, expected user 7 or root");
        let mode = "has mode 777, expected one that lets nobody else write";
        assert_eq!(told(7, 0o40777), mode);
        assert_eq!(told(0, 0o777), mode);
    }
}
