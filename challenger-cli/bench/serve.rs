//! Two servers, each a process of its own so that its CPU time and memory can be measured apart:
//! the real one with a helper that costs nothing, and one that does nothing.

use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use challenger_cli::logger::Logger;
use challenger_proto::{Failure, FailureKind, Transmission};
use challenger_server::config::{Config, Disk, Environment};
use challenger_server::helper::AuthCommand;
use challenger_server::ports::Helper;
use challenger_server::server::Server;
use challenger_server::settings::Settings;
use log::LevelFilter;

use super::codes::Mail;
use super::wire::Place;

/// The code that the server that does nothing takes for the right one.
pub const NULL_CODE: &str = "12345678";

/// As large as a page with a form.
const NULL_PAGE: usize = 6000;

/// Serves like `challenger-httpd`, until it is killed.
pub fn real(config: &Path, codes: PathBuf) -> Result<(), String> {
    Logger::start(LevelFilter::Warn, None).map_err(|error| error.to_string())?;
    let environment = Environment::of_process().map_err(|error| error.to_string())?;
    let config =
        Config::load(&Disk, &environment, Some(config)).map_err(|error| error.to_string())?;
    let settings = Settings::read(&config, None).map_err(|error| error.to_string())?;
    let mail = Mail::open(codes).map_err(|error| error.to_string())?;
    let _server = Server::start_with(settings, |command| Arc::new(Told { command, mail }))
        .map_err(|error| error.to_string())?;
    loop {
        thread::park();
    }
}

/// Makes the message as the real helper's caller does, and then only sends the code to the driver.
struct Told {
    command: AuthCommand,
    mail: Mail,
}

impl Helper for Told {
    fn send(&self, transmission: &Transmission) -> Result<(), Failure> {
        let variables = transmission.variables(&self.command.host);
        let message = self.command.messages.render(&transmission.language, &variables);
        let unknown = |how: &str| Failure::new(FailureKind::Unknown, how.to_owned());
        message.ok_or_else(|| unknown("the message cannot be rendered"))?;
        let address = transmission.address.get("CONTACT_EMAIL").unwrap_or_default();
        let sent = self.mail.send(address, transmission.pin.digits());
        sent.map_err(|error| unknown(&error.kind().to_string()))
    }
}

/// Answers everything at once with the answer that the driver hopes for, until it is killed.
pub fn null(place: &Place) -> Result<(), String> {
    let failed = |error: io::Error| error.to_string();
    match place {
        Place::Tcp(host) => {
            let listener = TcpListener::bind(host).map_err(failed)?;
            for stream in listener.incoming() {
                let stream = stream.map_err(failed)?;
                stream.set_nodelay(true).map_err(failed)?;
                thread::spawn(move || answer_all(stream));
            }
        }
        Place::Unix(path) => {
            let _ = fs::remove_file(path);
            for stream in UnixListener::bind(path).map_err(failed)?.incoming() {
                let stream = stream.map_err(failed)?;
                thread::spawn(move || answer_all(stream));
            }
        }
    }
    Ok(())
}

fn answer_all(mut stream: impl Read + Write) -> io::Result<()> {
    let mut bytes = vec![0; 16 * 1024];
    let mut address = String::new();
    let page = "x".repeat(NULL_PAGE);
    loop {
        // The driver sends each request at once and waits, so that one read gets all of it.
        let length = stream.read(&mut bytes)?;
        if length == 0 {
            return Ok(());
        }
        let text = str::from_utf8(bytes.get(..length).unwrap_or_default());
        let text = text.map_err(|_| io::ErrorKind::InvalidData)?;
        if let Some((_, entered)) = text.split_once("CONTACT_EMAIL=") {
            address = entered.replace("%40", "@");
        }
        let path = text.split(' ').nth(1).unwrap_or_default();
        let (status, header, body) = match path.split('/').nth(1).unwrap_or_default() {
            "setup" => ("200 OK", "", format!("{{\"nonce\":\"{}\"}}", "N".repeat(52))),
            "solve" if text.ends_with(NULL_CODE) => ("302 Found", LOCATION, String::new()),
            "solve" => ("403 Forbidden", "", page.clone()),
            "token" => ("200 OK", "", format!("{{\"access_token\":\"{}\"}}", "T".repeat(52))),
            "info" => ("200 OK", "", format!("{{\"CONTACT_EMAIL\":\"{address}\"}}")),
            _ => ("200 OK", "", page.clone()),
        };
        let answer =
            format!("HTTP/1.1 {status}\r\n{header}Content-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes())?;
    }
}

/// The redirect to the client of a site that was set up here, the only client that comes.
const LOCATION: &str = "Location: https://client.example/callback?code=C&state=a1b2c3d4\r\n";
