//! The log of the system: lines to whoever listens at `/dev/log`, such as systemd's journal.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process;
use std::time::Duration;

/// Where it is taken by all services that keep the log of a Linux system.
const SOCKET: &str = "/dev/log";

/// A notice about security and authorization (RFC 5424 §6.2.1: facility 4, severity 5).
const PRIORITY: u8 = 4 * 8 + 5;

/// How long a service that does not read may hold up a program.
const PATIENCE: Duration = Duration::from_secs(1);

/// Sends one line. Where nobody listens, there is no log of the system to keep it.
pub(crate) fn send(program: &str, line: &str) {
    let _ = send_to(Path::new(SOCKET), program, line);
}

/// In the form that all services read (RFC 3164 §4.1.3); they add the time, and most of them the
/// user and the process, as the kernel knows them.
fn send_to(place: &Path, program: &str, line: &str) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(PATIENCE))?;
    let text = format!("<{PRIORITY}>{program}[{}]: {line}", process::id());
    socket.send_to(text.as_bytes(), place).map(drop)
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn a_line_is_one_datagram_and_no_reader_is_waited_for_without_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("log");
        let sent = send_to(&place, "challenger-admin", "changed action=add");
        assert_eq!(sent.map_err(|error| error.kind()), Err(ErrorKind::NotFound));

        let journal = UnixDatagram::bind(&place).expect("a socket");
        send_to(&place, "challenger-admin", "changed action=add client=7").expect("sent");
        let mut buffer = [0; 200];
        let length = journal.recv(&mut buffer).expect("a datagram");
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        let own = process::id();
        let expected = format!("<37>challenger-admin[{own}]: changed action=add client=7");
        assert_eq!(text, expected);

        let refused = (0..10_000).find_map(|_| send_to(&place, "challenger-admin", "x").err());
        assert_eq!(refused.map(|error| error.kind()), Some(ErrorKind::WouldBlock));
    }
}
