//! A server in one page: `std::net`, the reference store, and messages that are printed.
//!
//! It has no pages, so programs send `Accept: application/json`. It serves one connection at a time
//! and trusts its peers: the server for strangers is challenger-server. The client 1 has the secret
//! `secret-token:tiny`.
//!
//! ```text
//! cargo run --package challenger-proto --example tiny_server -- 127.0.0.1:8080
//! curl -X POST -H 'Authorization: Bearer secret-token:tiny' http://127.0.0.1:8080/setup/1
//! ```
#![allow(clippy::print_stdout, clippy::expect_used, reason = "it prints what it would send")]

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::SystemTime;

use challenger_proto::address::AddressType;
use challenger_proto::http::{BODY_MAX, Method, Request, Response};
use challenger_proto::oauth::{Client, ClientId, HashedSecret, RedirectUri};
use challenger_proto::store::{Commit, Records};
use challenger_proto::{Entropy, Service, Step, Timestamp};

struct Server {
    service: Service,
    records: Records,
}

fn main() -> io::Result<()> {
    let place = std::env::args().nth(1).unwrap_or_else(|| String::from("127.0.0.1:8080"));
    let listener = TcpListener::bind(place)?;
    println!("listening at http://{}", listener.local_addr()?);
    let mut server = Server::new()?;
    for stream in listener.incoming() {
        if let Err(error) = stream.and_then(|stream| server.serve(&stream)) {
            println!("a connection failed: {error}");
        }
    }
    Ok(())
}

impl Server {
    fn new() -> io::Result<Self> {
        let service = Service::new(AddressType::new("email").expect("a type of address"));
        let mut records = Records::default();
        records.insert_client(Client::new(
            ClientId::new(1).expect("an identifier"),
            RedirectUri::parse("https://client.example/back").expect("a URI"),
            HashedSecret::new("secret-token:tiny", draw()?),
        ));
        Ok(Self { service, records })
    }

    fn serve(&mut self, mut stream: &TcpStream) -> io::Result<()> {
        let request = read_request(stream)?;
        let response = self.respond(&request)?;
        write!(stream, "HTTP/1.1 {} {}\r\n", response.status.0, response.status.reason())?;
        for (name, value) in &response.headers {
            write!(stream, "{name}: {value}\r\n")?;
        }
        let body = response.body.into_bytes().unwrap_or_default(); // There are no pages here.
        write!(stream, "Content-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
        stream.write_all(&body)
    }

    /// Carries out what each step of the request needs.
    fn respond(&mut self, request: &Request) -> io::Result<Response> {
        let mut step = Step::begin(request, &self.service, now());
        loop {
            step = match step {
                Step::Load(it) => {
                    let rows = self.records.load(it.keys());
                    it.loaded(rows, now(), draw()?)
                }
                Step::Commit(it) => match self.records.commit(it.write()) {
                    Commit::Done => it.done(),
                    Commit::Conflict => it.conflict(),
                },
                Step::Send(it) => {
                    println!("to {}: {}", it.message().argument, it.message().pin.spelled());
                    it.sent()
                }
                Step::Respond(response) => return Ok(response),
            };
        }
    }
}

fn read_request(stream: &TcpStream) -> io::Result<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split(' ');
    let method = Method::parse(words.next().unwrap_or_default());
    let mut request = Request::new(method, words.next().unwrap_or_default(), "");
    for line in reader.by_ref().lines() {
        match line?.split_once(':') {
            Some((name, value)) => request = request.with(name, value.trim()),
            None => break, // The empty line after the headers.
        }
    }
    let length = request.header("Content-Length").and_then(|it| it.parse().ok()).unwrap_or(0);
    // One byte more than allowed is enough for a refusal.
    reader.take(length.min(BODY_MAX as u64 + 1)).read_to_end(&mut request.body)?;
    Ok(request)
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Timestamp::from_seconds(since.map_or(0, |since| since.as_secs()))
}

fn draw() -> io::Result<Entropy> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(Entropy::new(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_opens_a_validation_over_a_socket() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let place = listener.local_addr().expect("an address");
        let served = std::thread::spawn(move || {
            let (stream, _) = listener.accept()?;
            Server::new()?.serve(&stream)
        });
        let mut stream = TcpStream::connect(place).expect("a connection");
        let head = "POST /setup/1 HTTP/1.1\r\nAuthorization: Bearer secret-token:tiny\r\n\
                    Content-Length: 2\r\n\r\n{}";
        stream.write_all(head.as_bytes()).expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        served.join().expect("a thread").expect("an exchange");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("\r\n\r\n{\"nonce\":\""), "{answer}");
    }
}
