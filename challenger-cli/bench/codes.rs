//! Brings the codes that people would read in their messages to the driver.
//!
//! ```text
//!   our server, or a helper that stays ── datagram ──▶ DIRECTORY/NUMBER of the person
//!   any server, any helper ── the message in a file ──▶ DIRECTORY/ADDRESS
//! ```
//!
//! Either arrives before the answer to `/challenge` does, because the service waits for its helper.

use std::fs;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longer than it takes to receive a datagram that was sent already.
const WAIT: Duration = Duration::from_secs(10);

/// The codes of one person.
pub enum Codes {
    /// Sent by [`Mail`].
    Datagrams(UnixDatagram),
    /// In files that a helper writes, one for each address, with the message that has the code.
    Files(PathBuf),
    /// Always the same: nobody checks it.
    Known(&'static str),
}

/// The codes of all people.
#[derive(Clone, Debug)]
pub enum Post {
    Datagrams(PathBuf),
    Files(PathBuf),
    Known(&'static str),
}

impl Post {
    /// Opens the codes of one person.
    pub fn open(&self, person: usize) -> io::Result<Codes> {
        Ok(match self {
            Self::Datagrams(directory) => {
                let path = directory.join(person.to_string());
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    Ok(()) | Err(_) => {}
                }
                let socket = UnixDatagram::bind(path)?;
                socket.set_read_timeout(Some(WAIT))?;
                Codes::Datagrams(socket)
            }
            Self::Files(directory) => Codes::Files(directory.clone()),
            Self::Known(code) => Codes::Known(code),
        })
    }
}

impl Codes {
    /// The code that was sent to an address.
    pub fn take(&self, address: &str) -> io::Result<String> {
        match self {
            Self::Datagrams(socket) => {
                let mut bytes = [0; 512];
                loop {
                    let length = socket.recv(&mut bytes)?;
                    let text = str::from_utf8(bytes.get(..length).unwrap_or_default());
                    let found = text.ok().and_then(|text| text.split_once(' '));
                    // A code that is left of a flow that broke off is for somebody else.
                    if let Some((_, code)) = found.filter(|(to, _)| *to == address) {
                        return Ok(code.to_owned());
                    }
                }
            }
            Self::Files(directory) => {
                let path = directory.join(address);
                let message = fs::read_to_string(&path)?;
                fs::remove_file(&path)?;
                code_in(&message).ok_or_else(|| io::Error::other("a message without a code"))
            }
            Self::Known(code) => Ok((*code).to_owned()),
        }
    }
}

/// Sends codes to people of the driver.
pub struct Mail {
    directory: PathBuf,
    socket: UnixDatagram,
}

impl Mail {
    /// Opens it, for people whose codes go to this directory.
    pub fn open(directory: PathBuf) -> io::Result<Self> {
        Ok(Self { directory, socket: UnixDatagram::unbound()? })
    }

    /// Sends the digits of a code to the person with this address.
    pub fn send(&self, address: &str, code: &str) -> io::Result<()> {
        let to = box_of(&self.directory, address).ok_or(io::ErrorKind::NotFound)?;
        self.socket.send_to(format!("{address} {code}").as_bytes(), to).map(drop)
    }
}

/// Where the codes of the person with this address go: the number is in the address.
fn box_of(directory: &Path, address: &str) -> Option<PathBuf> {
    let (number, _) = address.strip_prefix("person")?.split_once('.')?;
    number.parse::<usize>().ok().map(|number| directory.join(number.to_string()))
}

/// The first `NNNN-NNNN` in a text, without its dash.
pub fn code_in(text: &str) -> Option<String> {
    let is_code = |word: &&str| {
        let digits = word.bytes().filter(u8::is_ascii_digit).count();
        word.len() == 9 && digits == 8 && word.as_bytes().get(4) == Some(&b'-')
    };
    let mut words = text.split(|it: char| !(it.is_ascii_digit() || it == '-'));
    words.find(is_code).map(|word| word.replace('-', ""))
}
