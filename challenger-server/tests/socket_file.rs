//! The file of a UNIX socket: its permissions, its owner, and its removal.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{
    DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, chown, lchown, symlink,
};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;

use challenger_server::listen::{Listen, SocketFile};
use challenger_testkit::at_once;
use tempfile::TempDir;

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn complaint(path: &Path) -> String {
    SocketFile::bind(path, 0o660).unwrap_err().to_string()
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Leaves a socket behind that nobody listens on.
fn leave_behind(path: &Path) {
    drop(UnixListener::bind(path).unwrap());
    assert!(fs::symlink_metadata(path).unwrap().file_type().is_socket());
}

#[test]
fn folder_and_file_let_in_who_they_should() {
    let root = folder();
    for (number, bits) in [0o660, 0o600, 0o666, 0o777, 0].into_iter().enumerate() {
        let folder = root.path().join(number.to_string()).join("deeper");
        let path = folder.join("socket");
        let (file, listener) = SocketFile::bind(&path, bits).unwrap();
        assert_eq!(mode(&path), bits);
        assert_eq!(mode(&folder) & !0o750, 0);
        assert_eq!(listener.place().unwrap(), path.to_str().unwrap());
        assert!(bits == 0 || UnixStream::connect(&path).is_ok());
        drop(file);
        assert!(!path.exists());
        assert!(folder.exists());
    }
}

#[test]
fn a_socket_that_is_left_over_is_replaced() {
    let root = folder();
    let path = root.path().join("socket");
    leave_behind(&path);
    let (_file, _listener) = SocketFile::bind(&path, 0o660).unwrap();
    UnixStream::connect(&path).unwrap();
}

#[test]
fn a_socket_that_is_served_is_left_alone() {
    let root = folder();
    let path = root.path().join("socket");
    let (_file, _listener) = SocketFile::bind(&path, 0o660).unwrap();
    let told = complaint(&path);
    assert!(told.ends_with("it is already served by another process"), "{told}");
    assert!(told.starts_with(&format!("cannot listen on {}", path.display())), "{told}");
    UnixStream::connect(&path).unwrap();
}

#[test]
fn what_is_no_such_socket_is_left_alone() {
    let root = folder();
    let file = root.path().join("file");
    fs::write(&file, "precious").unwrap();
    let directory = root.path().join("directory");
    fs::create_dir(&directory).unwrap();
    let target = root.path().join("target");
    leave_behind(&target);
    let link = root.path().join("link");
    symlink(&target, &link).unwrap();
    for path in [&file, &directory, &link] {
        let told = complaint(path);
        assert!(told.ends_with("there is a file already that is no socket"), "{told}");
        assert!(fs::symlink_metadata(path).is_ok());
    }
    let datagrams = root.path().join("datagrams");
    let _receiver = UnixDatagram::bind(&datagrams).unwrap();
    let told = complaint(&datagrams);
    assert!(told.ends_with("there is already a socket that takes no connections"), "{told}");
    assert!(datagrams.exists());
    let inside = file.join("socket");
    assert!(complaint(&inside).contains("the folder"), "{}", complaint(&inside));
}

#[test]
fn a_folder_that_others_can_write_is_refused() {
    let root = folder();
    let open = root.path().join("open");
    fs::create_dir(&open).unwrap();
    let path = open.join("socket");
    for (bits, is_good) in [(0o777, false), (0o757, false), (0o1777, true), (0o770, true)] {
        fs::set_permissions(&open, Permissions::from_mode(bits)).unwrap();
        assert_eq!(SocketFile::bind(&path, 0o660).is_ok(), is_good, "{bits:o}");
        assert!(!path.exists());
    }
    fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
    assert!(complaint(&path).contains("has mode 777"), "{}", complaint(&path));
}

/// Only root can give a folder away; for others, this proves nothing.
#[test]
fn a_folder_of_somebody_else_is_refused() {
    const SOMEBODY: Option<u32> = Some(65_534);
    let root = folder();
    let theirs = root.path().join("theirs");
    let ours = root.path().join("ours");
    let link = root.path().join("link");
    fs::create_dir(&theirs).unwrap();
    fs::create_dir(&ours).unwrap();
    symlink(&ours, &link).unwrap();
    assert!(SocketFile::bind(&link.join("socket"), 0o660).is_ok());
    if chown(&theirs, SOMEBODY, None).is_ok() && lchown(&link, SOMEBODY, None).is_ok() {
        for folder in [theirs, link] {
            let told = complaint(&folder.join("socket"));
            assert!(told.contains("belongs to user 65534, expected user 0 or root"), "{told}");
        }
    }
}

/// Binds a socket in a folder that is not there yet.
fn binds(folder: &Path) -> Result<(), String> {
    let bound = SocketFile::bind(&folder.join("new/socket"), 0o660).map(drop);
    let made = fs::remove_dir(folder.join("new")).is_ok();
    assert_eq!(made, bound.is_ok(), "nothing is made in a folder that is not trusted");
    bound.map_err(|error| error.to_string())
}

#[test]
fn a_folder_whose_ancestors_others_can_write_is_refused() {
    let root = folder();
    let ancestor = root.path().join("ancestor");
    let ours = ancestor.join("parent/ours");
    DirBuilder::new().recursive(true).mode(0o755).create(&ours).unwrap();
    for (bits, is_good) in [(0o755, true), (0o777, false), (0o757, false), (0o1777, true)] {
        fs::set_permissions(&ancestor, Permissions::from_mode(bits)).unwrap();
        let told = binds(&ours);
        assert_eq!(told.is_ok(), is_good, "{bits:o} {told:?}");
        if let Err(told) = told {
            let expected = format!("the folder {} has mode {bits:o}, so that", ancestor.display());
            assert!(told.contains(&expected), "{told}");
            assert!(told.ends_with("lets nobody else write, such as 755"), "{told}");
        }
    }
}

#[test]
fn links_are_followed_to_folders_that_others_cannot_write() {
    let root = folder();
    let path = |name: &str| root.path().join(name);
    for name in ["open/ours", "closed/ours"] {
        DirBuilder::new().recursive(true).mode(0o755).create(path(name)).unwrap();
    }
    // A link that leads into an open folder, and one that is in an open folder.
    symlink("../open/ours", path("closed/link")).unwrap();
    symlink(path("closed/ours"), path("open/link")).unwrap();
    symlink("loop", path("loop")).unwrap();
    let all = ["closed/link", "open/link", "closed/../open/ours", "closed/ours"];
    for name in all {
        assert_eq!(binds(&path(name)), Ok(()), "{name}");
    }
    fs::set_permissions(path("open"), Permissions::from_mode(0o777)).unwrap();
    let distrusted = format!("the folder {} has mode 777", path("open").display());
    for (name, is_good) in all.into_iter().zip([false, false, false, true]) {
        let told = binds(&path(name));
        assert_eq!(told.is_ok(), is_good, "{name}");
        assert!(told.err().is_none_or(|told| told.contains(&distrusted)), "{name}");
    }
    assert!(binds(&path("loop")).unwrap_err().ends_with("too many symbolic links"));
}

/// Only root can give a folder away; for others, this proves nothing.
#[test]
fn a_folder_whose_ancestors_are_somebody_elses_is_refused() {
    const SOMEBODY: Option<u32> = Some(65_534);
    let root = folder();
    let ancestor = root.path().join("ancestor");
    let ours = ancestor.join("ours");
    DirBuilder::new().recursive(true).mode(0o755).create(&ours).unwrap();
    if chown(&ancestor, None, SOMEBODY).is_ok() {
        assert_eq!(binds(&ours), Ok(()));
        fs::set_permissions(&ancestor, Permissions::from_mode(0o775)).unwrap();
        let told = binds(&ours).unwrap_err();
        assert!(told.contains("has mode 775, so that group 65534 can"), "{told}");
        fs::set_permissions(&ancestor, Permissions::from_mode(0o755)).unwrap();
        chown(&ancestor, SOMEBODY, None).unwrap();
        let told = binds(&ours).unwrap_err();
        let expected = format!("the folder {} belongs to user 65534", ancestor.display());
        assert!(told.contains(&expected), "{told}");
    }
}

#[test]
fn only_our_own_file_is_removed() {
    let root = folder();
    let path = root.path().join("socket");
    let (file, _listener) = SocketFile::bind(&path, 0o660).unwrap();
    fs::remove_file(&path).unwrap();
    let (theirs, _their_listener) = SocketFile::bind(&path, 0o660).unwrap();
    drop(file);
    UnixStream::connect(&path).unwrap();
    drop(theirs);
    assert!(!path.exists());
}

#[test]
fn of_those_that_start_at_once_one_serves() {
    let root = folder();
    let path = root.path().join("socket");
    for _ in 0..300 {
        leave_behind(&path);
        let tried = at_once(4, || SocketFile::bind(&path, 0o660));
        let started: Vec<_> = tried.into_iter().flatten().collect();
        assert_eq!(started.len(), 1);
        UnixStream::connect(&path).unwrap();
        drop(started);
        assert!(!path.exists());
    }
}

#[test]
fn a_path_that_is_too_long_is_refused() {
    let root = folder();
    let path = root.path().join("x".repeat(108));
    let listen = Listen::Unix { path, mode: 0o660 };
    assert!(listen.open().is_err());
}
