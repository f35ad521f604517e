//! From bytes to the head of a request: every byte has one reading, or the request is refused.
//!
//! Two servers that read the same bytes differently can be made to see different requests (request
//! smuggling). So where RFC 9112 lets a recipient be lenient, this parser is not: lines end in
//! CR LF, a body has one length in digits or is chunked, and nothing is folded.
//!
//! [`parse_head`] is pure. It goes from left to right and never changes its verdict: one about the
//! beginning of a head holds for the whole.

#[cfg(test)]
mod tests;

use challenger_proto::http::{HEAD_MAX, Method, Request, TARGET_MAX};
use challenger_proto::{Refusal, Refused};
use httparse::Header;

/// The most header fields of a request: browsers send about twenty and proxies add a few. It bounds
/// the cost of fields beyond their bytes.
pub const HEADERS_MAX: usize = 100;

const TRANSFER_ENCODING: &str = "Transfer-Encoding";

/// The result of parsing the bytes that have arrived so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// The head goes on; nothing is wrong with it so far.
    Incomplete,
    /// The head is complete.
    Complete(Head),
}

/// A complete head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// How many bytes it takes up; the body begins after them.
    pub length: usize,
    /// The request, with an empty body and without `Transfer-Encoding`, which is about the
    /// connection.
    pub request: Request,
    /// Where the body ends.
    pub framing: Framing,
    /// Whether the peer may send another request on the same connection.
    pub keep_alive: bool,
    /// Whether the peer waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
}

/// Where the body of a request ends (RFC 9112 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// After so many bytes. It may be any number: a body that is too large is refused by the
    /// caller, who can then answer as the path demands.
    Length(usize),
    /// With the last of its chunks (RFC 9112 §7.1).
    Chunked,
}

/// Reads the head of the request that `bytes` begin with.
///
/// A request line is refused as soon as it has ended, or is too long; bytes that are not allowed in
/// a head as soon as they arrive; everything else once the head is complete.
///
/// ```
/// use challenger_server::front::head::{Framing, Parsed, parse_head};
///
/// let bytes = b"POST /token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\na=b";
/// assert_eq!(parse_head(&bytes[..30]), Ok(Parsed::Incomplete));
/// let Ok(Parsed::Complete(head)) = parse_head(bytes) else { panic!() };
/// assert_eq!(head.request.target, "/token");
/// assert_eq!(head.framing, Framing::Length(3));
/// assert_eq!(&bytes[head.length..], b"a=b");
/// ```
pub fn parse_head(bytes: &[u8]) -> Result<Parsed, Refused> {
    let bytes = bytes.get(..HEAD_MAX).unwrap_or(bytes);
    match parse_bounded(bytes)? {
        Some(head) => Ok(Parsed::Complete(head)),
        None if bytes.len() < HEAD_MAX => Ok(Parsed::Incomplete),
        None => Err(Refusal::HeadTooLarge.into()),
    }
}

/// Whether the peer has begun a request. An empty line before it does not count.
pub(super) fn begun(bytes: &[u8]) -> bool {
    !matches!(bytes, b"" | b"\r" | b"\r\n")
}

/// The head, or `None` while it goes on.
fn parse_bounded(bytes: &[u8]) -> Result<Option<Head>, Refused> {
    // Some clients send an empty line after a body. One is forgiven (RFC 9112 §2.2).
    let bytes_left = bytes.strip_prefix(b"\r\n").unwrap_or(bytes);
    let (line, bytes_left) = split_line(bytes_left, |byte| matches!(byte, b' '..=b'~'));
    if longest_target(line) > TARGET_MAX {
        return Err(Refusal::TargetTooLong.into());
    }
    let Some(fields) = after_line(bytes_left)? else {
        return Ok(None);
    };
    let line = RequestLine::parse(line)?;

    let mut bytes_left = fields;
    loop {
        let (field, end) = split_line(bytes_left, is_text);
        let Some(next) = after_line(end)? else {
            return Ok(None);
        };
        bytes_left = next;
        if field.is_empty() {
            break;
        }
    }
    let fields = fields.get(..fields.len() - bytes_left.len()).unwrap_or_default();
    complete(line, fields, bytes.len() - bytes_left.len()).map(Some)
}

/// Whether a byte is allowed in the value of a field. A browser may send cookies in UTF-8, so bytes
/// from 0x80 on are fine (RFC 9110 §5.5).
pub(super) fn is_text(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

/// Splits before the first byte that is not allowed inside a line.
pub(super) fn split_line(bytes: &[u8], allowed: fn(u8) -> bool) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| !allowed(*byte)).unwrap_or(bytes.len());
    bytes.split_at(end)
}

/// The bytes after the CR LF that must be here; `None` if it has not arrived yet.
///
/// A CR or LF alone is refused: some servers take it for the end of a line, some do not.
pub(super) fn after_line(bytes: &[u8]) -> Result<Option<&[u8]>, Refused> {
    match bytes {
        [] | [b'\r'] => Ok(None),
        [b'\r', b'\n', next @ ..] => Ok(Some(next)),
        _ => Err(Refusal::HeadMalformed.into()),
    }
}

/// The length of the target in a request line, which may be incomplete.
fn longest_target(line: &[u8]) -> usize {
    line.split(|byte| *byte == b' ').nth(1).map_or(0, <[u8]>::len)
}

/// A request line (RFC 9112 §3).
struct RequestLine<'a> {
    method: Method,
    /// In origin form.
    target: String,
    /// The host of a target in absolute form.
    authority: Option<&'a str>,
    is_http_1_1: bool,
}

impl<'a> RequestLine<'a> {
    fn parse(line: &'a [u8]) -> Result<Self, Refused> {
        let malformed = || Refusal::HeadMalformed.about("request line");
        let line = str::from_utf8(line).map_err(|_| malformed())?;
        let mut words = line.split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(malformed()); // Among others HTTP/0.9, which has no version.
        };
        let is_http_1_1 = match version {
            "HTTP/1.1" => true,
            "HTTP/1.0" => false,
            _ if version.starts_with("HTTP/") => return Err(Refusal::VersionUnsupported.into()),
            _ => return Err(malformed()),
        };
        if method.is_empty() || !method.bytes().all(is_token) {
            return Err(malformed());
        }
        let method = Method::parse(method);
        let (target, authority) = origin_form(method, target).ok_or_else(malformed)?;
        Ok(Self { method, target, authority, is_http_1_1 })
    }
}

/// The target in origin form, and the host that it names if it came in absolute form, which every
/// server must accept (RFC 9112 §3.2.2). `*` asks about the server as a whole, which for us is `/`.
fn origin_form(method: Method, target: &str) -> Option<(String, Option<&str>)> {
    if target.starts_with('/') {
        return Some((target.to_owned(), None));
    }
    if target == "*" && method == Method::Options {
        return Some(("/".to_owned(), None));
    }
    let (scheme, rest) = target.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if authority.is_empty() || !authority.bytes().all(is_host) {
        return None;
    }
    let slash = if path.starts_with('/') { "" } else { "/" };
    Some((format!("{slash}{path}"), Some(authority)))
}

/// Whether a byte is allowed in a method or the name of a field (RFC 9110 §5.6.2).
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Whether a byte is allowed in a host with a port (RFC 3986 §3.2.2). Not a comma, which would join
/// two hosts, and no `@`: nobody logs in this way (RFC 9110 §4.2.4).
fn is_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!$%&'()*+-.:;=[]_~".contains(&byte)
}

/// Reads the fields, from after the request line to the empty line, and decides what they mean for
/// the connection.
fn complete(line: RequestLine<'_>, fields: &[u8], length: usize) -> Result<Head, Refused> {
    let mut room = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let fields = match httparse::parse_headers(fields, &mut room) {
        Ok(httparse::Status::Complete((_, fields))) => fields,
        Err(httparse::Error::TooManyHeaders) => return Err(Refusal::HeadTooLarge.into()),
        Ok(httparse::Status::Partial) | Err(_) => return Err(Refusal::HeadMalformed.into()),
    };
    let framing = framing(fields, line.is_http_1_1)?;
    // Of two, one server would take the first and another the last (RFC 9110 §5.3).
    for name in ["Authorization", "Content-Encoding"] {
        if values(fields, name).nth(1).is_some() {
            return Err(Refusal::HeadMalformed.about(name));
        }
    }
    check_host(fields, line.is_http_1_1)?;
    let expects_continue = expects_continue(fields)? && line.is_http_1_1;
    let keep_alive = line.is_http_1_1 && !closes(fields);
    let mut headers: Vec<_> = fields
        .iter()
        .map(|field| (field.name.to_owned(), String::from_utf8_lossy(field.value).into_owned()))
        .collect();
    if framing == Framing::Chunked {
        headers.retain(|(name, _)| !name.eq_ignore_ascii_case(TRANSFER_ENCODING));
    }
    if let Some(authority) = line.authority {
        // A server must ignore the other host (RFC 9112 §3.2.2).
        headers.retain(|(name, _)| !name.eq_ignore_ascii_case("Host"));
        headers.push(("Host".to_owned(), authority.to_owned()));
    }
    let request = Request { method: line.method, target: line.target, headers, body: Vec::new() };
    Ok(Head { length, request, framing, keep_alive, expects_continue })
}

/// The values of all fields of that name.
fn values<'a>(fields: &'a [Header<'a>], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|it| it.value)
}

/// Where the body ends. A coding beside a length, a coding of the old version, which had none, and
/// two codings are read in one way by one server and in another way by the next (RFC 9112 §6.1).
fn framing(fields: &[Header<'_>], is_http_1_1: bool) -> Result<Framing, Refused> {
    let mut codings = values(fields, TRANSFER_ENCODING);
    let Some(coding) = codings.next() else {
        return body_length(fields).map(Framing::Length);
    };
    let has_length = values(fields, "Content-Length").next().is_some();
    if has_length || !is_http_1_1 || codings.next().is_some() {
        return Err(Refusal::ContentLengthMalformed.about(TRANSFER_ENCODING));
    }
    if !coding.eq_ignore_ascii_case(b"chunked") {
        return Err(Refusal::TransferEncodingUnsupported.about(TRANSFER_ENCODING));
    }
    Ok(Framing::Chunked)
}

/// One number in digits. RFC 9112 §6.3 allows a list of equal ones; nobody honest sends it.
fn body_length(fields: &[Header<'_>]) -> Result<usize, Refused> {
    let mut values = values(fields, "Content-Length");
    let Some(digits) = values.next() else {
        return Ok(0);
    };
    if values.next().is_some() || digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Refusal::ContentLengthMalformed.about("Content-Length"));
    }
    Ok(digits.iter().fold(0_usize, |length, digit| {
        length.saturating_mul(10).saturating_add(usize::from(digit - b'0'))
    }))
}

/// HTTP/1.1 wants one `Host` (RFC 9112 §3.2); it may be empty. HTTP/1.0 may do without.
fn check_host(fields: &[Header<'_>], is_http_1_1: bool) -> Result<(), Refused> {
    let mut hosts = values(fields, "Host");
    match (hosts.next(), hosts.next()) {
        (Some(host), None) if host.iter().copied().all(is_host) => Ok(()),
        (None, _) if !is_http_1_1 => Ok(()),
        _ => Err(Refusal::HeadMalformed.about("Host")),
    }
}

/// Whether the peer waits for `100 Continue`, the only expectation there is (RFC 9110 §10.1.1).
fn expects_continue(fields: &[Header<'_>]) -> Result<bool, Refused> {
    let mut expectations = values(fields, "Expect").peekable();
    let expects = expectations.peek().is_some();
    if expectations.all(|value| value.eq_ignore_ascii_case(b"100-continue")) {
        Ok(expects)
    } else {
        Err(Refusal::ExpectationUnknown.about("Expect"))
    }
}

/// Whether the peer closes the connection after this request (RFC 9112 §9.6).
fn closes(fields: &[Header<'_>]) -> bool {
    values(fields, "Connection")
        .flat_map(|value| value.split(|byte| *byte == b','))
        .any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
}
