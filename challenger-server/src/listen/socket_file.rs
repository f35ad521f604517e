//! The file of a UNIX socket: it is never open to too many, even for a moment, never taken from
//! another process, and removed at the end.

use std::fmt;
use std::fs::{self, DirBuilder, File, Metadata, Permissions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::{Access, access};
use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, Type};

use super::{ListenError, trust};
use crate::front::BACKLOG;
use crate::front::Listener;
use crate::secrecy;

/// How long to wait for another process that starts in the same folder, which takes milliseconds.
const LOCK_TRIES: u32 = 40;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// The longest path, in bytes, that fits in a socket's address.
pub const PATH_MAX: usize = 107;

/// The complaint about a file of another kind.
const NO_SOCKET: &str = "there is a file already that is no socket";

/// Where the service manager makes a folder for each service that starts.
const RUNTIME: [&str; 2] = ["/run", "/var/run"];

/// The permissions of a folder that we make: the group has access, because the reverse proxy
/// belongs to it.
const FOLDER_MODE: u32 = 0o750;

/// The file of a UNIX socket. Dropping this removes it, if it is still the same file. Drop it
/// before the listener: as long as the socket listens, no other process takes the path, and the
/// system does not reuse the inode number.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    identity: Identity,
}

/// Device and inode number, which identify a file whatever its path.
type Identity = (u64, u64);

impl SocketFile {
    /// Listens on a path. Creates its folder if it is missing, and replaces a socket that is no
    /// longer served.
    ///
    /// # Errors
    /// Another file is there, the socket is served, or the folder cannot be trusted.
    pub fn bind(path: &Path, mode: u32) -> Result<(Self, Listener), ListenError> {
        Self::try_bind(path, mode).map_err(|cause| ListenError::new(secrecy::path(path), cause))
    }

    /// Checks whether this user could bind, and others could replace such a file. Nothing is
    /// created. A socket that is served is a good sign: nobody but we or root can have put it
    /// there, so it is this service's, or the service manager's for it.
    ///
    /// # Errors
    /// The message says what is in the way.
    pub(super) fn check(path: &Path) -> Result<(), ListenError> {
        Self::try_check(path).map_err(|cause| ListenError::new(secrecy::path(path), cause))
    }

    fn try_check(path: &Path) -> Result<(), BindError> {
        let folder = folder(path)?;
        trust::check(folder)?;
        match fs::symlink_metadata(path) {
            Ok(metadata) if !metadata.file_type().is_socket() => return Err(NO_SOCKET.into()),
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            Ok(_) | Err(_) => {}
        }
        // The service manager makes what is missing there.
        if !folder.exists() && RUNTIME.iter().any(|place| folder.starts_with(place)) {
            return Ok(());
        }
        let mut existing = folder.ancestors().filter(|it| it.exists() || it.as_os_str().is_empty());
        let place = existing.next().filter(|it| !it.as_os_str().is_empty());
        let place = place.unwrap_or_else(|| Path::new("."));
        access(place, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| {
            let error = io::Error::from(error);
            BindError(format!("nothing can be created in {}: {error}", secrecy::path(place)))
        })
    }

    fn try_bind(path: &Path, mode: u32) -> Result<(Self, Listener), BindError> {
        let folder = folder(path)?;
        prepare_folder(folder)?;
        // Of two that start at once, each would take the other's socket, which does not answer yet,
        // for a stale one.
        let lock = File::open(folder)?;
        take(&lock)?;
        remove_left_over(path)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&SockAddr::unix(path)?)?;
        let file = Self { path: path.to_owned(), identity: identity(&fs::symlink_metadata(path)?) };
        // Until we listen nobody can connect, so the mode does not matter before.
        fs::set_permissions(path, Permissions::from_mode(mode))?;
        socket.listen(BACKLOG)?;
        Ok((file, UnixListener::from(OwnedFd::from(socket)).into()))
    }
}

fn folder(path: &Path) -> Result<&Path, BindError> {
    path.parent().ok_or_else(|| "expected a file in a folder".into())
}

/// Takes the lock, but not at any price: every process that may read the folder could hold it.
fn take(lock: &File) -> Result<(), BindError> {
    for _ in 0..LOCK_TRIES {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
    }
    Err(BindError::from("another process keeps its folder locked"))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let removed = match fs::symlink_metadata(&self.path) {
            Ok(metadata) if identity(&metadata) == self.identity => fs::remove_file(&self.path),
            Ok(_) | Err(_) => return,
        };
        if let Err(error) = removed {
            log::warn!(path:% = secrecy::path(&self.path), error:%; "socket not removed");
        }
    }
}

fn identity(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

/// Creates the folder if it is missing, and checks that others cannot put their own socket in it,
/// or another folder in its place.
fn prepare_folder(folder: &Path) -> Result<(), BindError> {
    // Nothing is created where others could lead us.
    trust::check(folder)?;
    let made = DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder);
    made.map_err(|error| BindError(format!("the folder {}: {error}", secrecy::path(folder))))?;
    // Another process may have been faster.
    Ok(trust::check(folder)?)
}

/// Removes a stale socket, and nothing else.
fn remove_left_over(path: &Path) -> Result<(), BindError> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if !metadata.file_type().is_socket() {
        return Err(NO_SOCKET.into());
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Otherwise a full queue would block us.
    socket.set_nonblocking(true)?;
    match socket.connect(&SockAddr::unix(path)?) {
        Ok(()) => Err("it is already served by another process".into()),
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            Err("it is already served by another process, which is very busy".into())
        }
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(fs::remove_file(path)?),
        Err(error) if Errno::from_io_error(&error) == Some(Errno::PROTOTYPE) => {
            Err("there is already a socket that takes no connections".into())
        }
        Err(error) => Err(BindError(format!("cannot tell whether it is served already: {error}"))),
    }
}

/// Why the socket cannot be bound.
struct BindError(String);

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for BindError {
    fn from(cause: &str) -> Self {
        Self(cause.to_owned())
    }
}

impl From<String> for BindError {
    fn from(cause: String) -> Self {
        Self(cause)
    }
}

impl From<io::Error> for BindError {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}
