//! Who has the port: the service itself, which may run, or another program.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long somebody may take to answer. This service does in milliseconds.
const PATIENCE: Duration = Duration::from_secs(2);
/// How much of an answer is read, in bytes.
const ANSWER_MAX: usize = 16 * 1024;

const REQUEST: &[u8] = b"GET /config HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
/// What the answer to that has in it, if it is this service's, or that of its monitor.
const OURS: [&str; 2] = [r#""name":"challenger""#, "there are /healthz, /readyz and /metrics here"];

/// Who listens somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Neighbour {
    /// This service.
    Challenger,
    /// Another program that speaks HTTP.
    Other,
    /// Somebody who says nothing that tells.
    Unknown,
}

/// Asks who listens there.
pub(super) fn ask(address: SocketAddr) -> Neighbour {
    match answer(address) {
        Ok(answer) if OURS.iter().any(|mark| answer.contains(mark)) => Neighbour::Challenger,
        Ok(answer) if answer.starts_with("HTTP/1.") => Neighbour::Other,
        Ok(_) | Err(_) => Neighbour::Unknown,
    }
}

fn answer(address: SocketAddr) -> io::Result<String> {
    let deadline = Instant::now() + PATIENCE;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(REQUEST)?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while answer.len() < ANSWER_MAX {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(count) => answer.extend_from_slice(buffer.get(..count).unwrap_or_default()),
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
