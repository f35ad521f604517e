//! A mail server to deliver to: it keeps what it takes, and misbehaves as a test wants it to.

#[path = "../certificates/mod.rs"]
mod certificates;

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use data_encoding::BASE64;
use rustls::{ServerConnection, StreamOwned};
use tempfile::TempDir;

use certificates::{Certificates, certificates};

/// The user who may log in.
pub(crate) const USER: &str = "shop@relay.example";
pub(crate) const PASSWORD: &str = "swordfish, and \"more\"";
pub(crate) const TOKEN: &str = "ya29.swordfish-_~+/=";

/// How much a flood says at a time.
const FLOOD_LEN: usize = 64 * 1024;

/// How connections are protected, if they are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Security {
    None,
    StartTls,
    Tls,
}

/// A misbehaviour of the server.
#[derive(Clone, Copy)]
pub(crate) enum Instead {
    /// Says the right thing, and this in the same breath.
    Add(&'static str),
    /// Hangs up.
    Close,
    /// Says one letter after the other, and comes to no end.
    Dribble,
    /// Says the right thing, but only after this many seconds.
    Late(u64),
    /// Says this again and again, as fast as it can, and comes to no end.
    Flood(&'static str),
    /// Says nothing any more.
    Hang,
    /// Says this.
    Say(&'static str),
}

/// A mail that was taken.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    /// The commands that came before, without those of a login.
    pub(crate) commands: Vec<String>,
    pub(crate) encrypted: bool,
    pub(crate) user: Option<String>,
    /// Headers and body, the dots in front taken away.
    pub(crate) text: String,
}

/// The server.
pub(crate) struct MailServer {
    pub(crate) port: u16,
    /// Not shared with the threads, which nobody ends: it is removed with the server.
    directory: TempDir,
    house: Arc<House>,
    mailbox: Arc<Mutex<Vec<Taken>>>,
}

/// The data that all connections share.
struct House {
    security: Security,
    misbehaviour: Vec<(&'static str, Instead)>,
    /// The misbehaviour that happens once.
    once: Mutex<Vec<(&'static str, Instead)>>,
    /// All connections so far.
    connections: Mutex<Vec<TcpStream>>,
}

impl MailServer {
    pub(crate) fn new(security: Security) -> Self {
        Self::with(security, &[])
    }

    /// A server with a misbehaviour at some commands; `GREETING` and `.` count as such.
    pub(crate) fn with(security: Security, misbehaviour: &[(&'static str, Instead)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        write_certificates(directory.path());
        let (misbehaviour, once) = (misbehaviour.to_vec(), Mutex::default());
        let connections = Mutex::default();
        let house = Arc::new(House { security, misbehaviour, once, connections });
        let server = Self { port, directory, house, mailbox: Arc::default() };
        let (house, mailbox) = (Arc::clone(&server.house), Arc::clone(&server.mailbox));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                let other = stream.try_clone().unwrap();
                house.connections.lock().unwrap().push(stream.try_clone().unwrap());
                let (house, mailbox) = (Arc::clone(&house), Arc::clone(&mailbox));
                thread::spawn(move || {
                    // A client that goes away is none of our business.
                    let _ = Connection::accept(stream, &house, &mailbox);
                    let _ = other.shutdown(Shutdown::Both);
                });
            }
        });
        server
    }

    /// The settings for this server, under a name of it.
    pub(crate) fn settings(&self, host: &str) -> Vec<(&'static str, String)> {
        let security = match self.house.security {
            Security::None => "none",
            Security::StartTls => "starttls",
            Security::Tls => "tls",
        };
        let mut settings = vec![
            ("SMTP_HOST", host.to_owned()),
            ("SMTP_PORT", self.port.to_string()),
            ("SMTP_SECURITY", security.to_owned()),
        ];
        if self.house.security != Security::None {
            settings.push(("SMTP_CA_FILE", self.file("ca.pem").display().to_string()));
        }
        settings
    }

    /// A file of the server's: the certificates of the authorities are `ca.pem` and `other.pem`.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Lets it misbehave at a command, once.
    pub(crate) fn once(&self, command: &'static str, instead: Instead) {
        self.house.once.lock().unwrap().push((command, instead));
    }

    /// How many connections there were so far.
    pub(crate) fn connections(&self) -> usize {
        self.house.connections.lock().unwrap().len()
    }

    /// Hangs up on everybody.
    pub(crate) fn hang_up(&self) {
        for connection in &*self.house.connections.lock().unwrap() {
            // It may be closed already.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    /// The mails that it has taken so far.
    pub(crate) fn mails(&self) -> Vec<Taken> {
        self.mailbox.lock().unwrap().clone()
    }

    /// The only mail it has taken.
    pub(crate) fn mail(&self) -> Taken {
        let mut mails = self.mails();
        assert_eq!(mails.len(), 1, "{mails:?}");
        mails.remove(0)
    }
}

/// Writes the certificates of the authorities, and that of a server on `localhost` with its key,
/// for another server: `ca.pem`, `other.pem`, `server.pem` and `server.key`.
pub(crate) fn write_certificates(folder: &Path) {
    let Certificates { ca, other, server, key, .. } = certificates();
    for (name, text) in
        [("ca.pem", ca), ("other.pem", other), ("server.pem", server), ("server.key", key)]
    {
        fs::write(folder.join(name), text).unwrap();
    }
}

trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

/// A conversation with a client.
struct Connection<'a> {
    stream: Box<dyn Stream>,
    house: &'a House,
    commands: Vec<String>,
    encrypted: bool,
    user: Option<String>,
}

impl<'a> Connection<'a> {
    fn accept(tcp: TcpStream, house: &'a House, mailbox: &Mutex<Vec<Taken>>) -> io::Result<()> {
        let raw = tcp.try_clone()?;
        let stream: Box<dyn Stream> = match house.security {
            Security::None | Security::StartTls => Box::new(tcp),
            Security::Tls => Box::new(encrypted(tcp)),
        };
        let encrypted = house.security == Security::Tls;
        let mut connection = Self { stream, house, commands: Vec::new(), encrypted, user: None };
        if connection.answer("GREETING", "220 stand-in ESMTP")? {
            connection.converse(raw, mailbox)?;
        }
        Ok(())
    }

    fn converse(&mut self, raw: TcpStream, mailbox: &Mutex<Vec<Taken>>) -> io::Result<()> {
        let mut raw = Some(raw);
        loop {
            let line = self.read_line()?;
            let verb = line.split([' ', ':']).next().unwrap().to_ascii_uppercase();
            if verb != "AUTH" {
                self.commands.push(line.clone());
            }
            match verb.as_str() {
                "EHLO" => {
                    let hello = self.hello();
                    self.answer("EHLO", hello)?;
                }
                "STARTTLS" => {
                    if self.answer("STARTTLS", "220 go ahead")? {
                        self.stream = Box::new(encrypted(raw.take().unwrap()));
                        self.encrypted = true;
                    }
                }
                "AUTH" => self.log_in(&line)?,
                "DATA" => {
                    if self.answer("DATA", "354 go ahead")? {
                        let text = self.read_mail()?;
                        if self.ordered(".").is_none() {
                            mailbox.lock().unwrap().push(self.taken(text));
                        }
                        self.answer(".", "250 2.0.0 taken")?;
                    }
                }
                "QUIT" => {
                    self.answer("QUIT", "221 bye")?;
                    return Ok(());
                }
                other => {
                    self.answer(other, "250 fine")?;
                }
            }
        }
    }

    fn hello(&self) -> &'static str {
        match (self.house.security, self.encrypted) {
            (Security::StartTls, false) => "250-stand-in\r\n250-8BITMIME\r\n250 STARTTLS",
            (Security::None | Security::Tls | Security::StartTls, _) => {
                "250-stand-in\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 AUTH LOGIN PLAIN XOAUTH2"
            }
        }
    }

    fn taken(&self, text: String) -> Taken {
        let (commands, user) = (self.commands.clone(), self.user.clone());
        Taken { commands, encrypted: self.encrypted, user, text }
    }

    fn log_in(&mut self, line: &str) -> io::Result<()> {
        let mut words = line.split(' ').skip(1);
        let mechanism = words.next().unwrap();
        let mut given = Vec::new();
        given.extend(words.next().map(ToOwned::to_owned));
        if mechanism == "LOGIN" {
            for prompt in ["334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"] {
                self.say(prompt)?;
                given.push(self.read_line()?);
            }
        }
        let right = match mechanism {
            "PLAIN" => vec![format!("\0{USER}\0{PASSWORD}")],
            "LOGIN" => vec![USER.to_owned(), PASSWORD.to_owned()],
            _ => vec![format!("user={USER}\x01auth=Bearer {TOKEN}\x01\x01")],
        };
        let right = right.iter().map(|it| BASE64.encode(it.as_bytes()));
        if !right.eq(given.iter().cloned()) {
            if mechanism == "XOAUTH2" {
                self.say("334 eyJzdGF0dXMiOiI0MDAifQ==")?;
                assert_eq!(self.read_line()?, "");
            }
            // Some servers repeat what they do not like.
            return self.say(&format!("535 5.7.8 {USER}: not with {}", given.join(" ")));
        }
        if self.answer("AUTH", "235 2.7.0 welcome")? {
            self.user = Some(USER.to_owned());
        }
        Ok(())
    }

    fn ordered(&self, command: &str) -> Option<Instead> {
        let once = self.house.once.lock().unwrap();
        let mut ordered = self.house.misbehaviour.iter().chain(&*once);
        ordered.find(|(when, _)| *when == command).map(|(_, instead)| *instead)
    }

    /// Answers a command, or does what was ordered instead. Returns whether the usual was said.
    fn answer(&mut self, command: &str, usual: &str) -> io::Result<bool> {
        let Some(instead) = self.ordered(command) else {
            return self.say(usual).map(|()| true);
        };
        self.house.once.lock().unwrap().retain(|(when, _)| *when != command);
        match instead {
            Instead::Add(more) => return self.say(&format!("{usual}\r\n{more}")).map(|()| true),
            Instead::Close => return Err(io::ErrorKind::ConnectionAborted.into()),
            Instead::Dribble => {
                for letter in b"250-".iter().chain(b"a".iter().cycle()) {
                    self.stream.write_all(&[*letter])?;
                    self.stream.flush()?;
                    thread::sleep(Duration::from_millis(20));
                }
            }
            Instead::Flood(text) => {
                let much = text.repeat(FLOOD_LEN / text.len());
                loop {
                    self.stream.write_all(much.as_bytes())?;
                }
            }
            Instead::Hang => {
                let mut void = Vec::new();
                self.stream.read_to_end(&mut void)?;
            }
            Instead::Late(seconds) => {
                thread::sleep(Duration::from_secs(seconds));
                return self.say(usual).map(|()| true);
            }
            Instead::Say(text) => self.say(text)?,
        }
        Ok(false)
    }

    fn say(&mut self, text: &str) -> io::Result<()> {
        self.stream.write_all(format!("{text}\r\n").as_bytes())?;
        self.stream.flush()
    }

    fn read_line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte)?;
            line.extend(byte);
        }
        line.truncate(line.len() - 2);
        Ok(String::from_utf8(line).unwrap())
    }

    fn read_mail(&mut self) -> io::Result<String> {
        let mut text = String::new();
        loop {
            let line = self.read_line()?;
            if line == "." {
                return Ok(text);
            }
            assert!(line.len() <= 998, "RFC 5322 §2.1.1");
            assert!(!line.contains(['\r', '\n', '\0']), "{line:?}");
            text.push_str(line.strip_prefix('.').unwrap_or(&line));
            text.push_str("\r\n");
        }
    }
}

fn encrypted(tcp: TcpStream) -> impl Stream + use<> {
    let tls = Arc::clone(&certificates().tls);
    StreamOwned::new(ServerConnection::new(tls).unwrap(), tcp)
}
