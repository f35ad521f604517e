//! Reads the operator's files and directories. Only regular files of a limited size are read:
//! nothing that would keep us waiting or fill the memory.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// Reads a file of at most `max` bytes.
///
/// # Errors
/// It cannot be read, is not a regular file, or is longer.
pub(crate) fn read(path: &Path, max: usize) -> io::Result<Vec<u8>> {
    // Opening a pipe would wait for its writer.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let limit = u64::try_from(max).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    // Some files claim to be empty and are not, and others grow.
    if metadata.len() <= limit {
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    }
    if metadata.len() > limit || bytes.len() > max {
        return Err(io::Error::other(format!("it is longer than {max} bytes")));
    }
    Ok(bytes)
}

/// The paths of everything in a directory, in order.
///
/// # Errors
/// It cannot be read.
pub(crate) fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory)?;
    let mut paths: Vec<_> = entries.map(|it| it.map(|it| it.path())).collect::<io::Result<_>>()?;
    paths.sort();
    Ok(paths)
}

/// The text of a file.
///
/// # Errors
/// It is not UTF-8.
pub(crate) fn utf8(bytes: &[u8]) -> Result<String, String> {
    str::from_utf8(bytes).map(str::to_owned).map_err(|_| "the file is not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn only_regular_files_of_a_reasonable_size_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("good"), "12345").unwrap();
        fs::write(path("long"), "123456").unwrap();
        File::create(path("sparse")).unwrap().set_len(1 << 40).unwrap();
        assert!(Command::new("mkfifo").arg(path("pipe")).status().unwrap().success());
        let read = |path: &Path| read(path, 5).map_err(|error| error.to_string());
        assert_eq!(read(&path("good")), Ok(b"12345".to_vec()));
        for name in ["long", "sparse"] {
            assert_eq!(read(&path(name)), Err("it is longer than 5 bytes".to_owned()), "{name}");
        }
        for other in [path("pipe"), directory.path().to_path_buf(), "/dev/zero".into()] {
            let complaint = "it is no regular file".to_owned();
            assert_eq!(read(&other), Err(complaint), "{}", other.display());
        }
        assert!(read(&path("none")).is_err());
    }
}
