//! From an answer to its bytes.

use std::borrow::Cow;
use std::sync::Arc;

use challenger_proto::Timestamp;
use challenger_proto::http::Status;

/// As long as the head of a page, in bytes: most of it is about its security.
const HEAD_LEN: usize = 1024;

/// An answer to a request. The front adds `Date`, `Content-Length` and `Connection`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status, from 200 on.
    pub status: Status,
    /// Names and values in the order to send them. Without control characters and without the
    /// headers that the front adds; otherwise the peer gets a bare 500 instead.
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    /// The body; for `HEAD` what it would be for `GET`. Shared, because many slow readers may be
    /// getting the same document.
    pub body: Arc<[u8]>,
}

impl Answer {
    /// The answer when there is nothing else left to say: 500 without a body.
    pub(super) fn bare() -> Self {
        Self { status: Status(500), headers: Vec::new(), body: Arc::default() }
    }

    /// This answer, or a bare one if it cannot be sent, which is logged.
    pub(super) fn sendable(self) -> Self {
        if !self.is_sendable() {
            log::error!(status = self.status.0, error = "cannot be sent"; "answer");
            return Self::bare();
        }
        self
    }

    /// The bytes of head and body, or of a bare answer if this one cannot be sent.
    pub(super) fn into_parts(
        self,
        date: Timestamp,
        without_body: bool,
        close: bool,
    ) -> (Vec<u8>, Arc<[u8]>) {
        if !self.is_sendable() {
            return Self::bare().into_parts(date, without_body, close);
        }
        let mut text = String::with_capacity(HEAD_LEN);
        text += &format!("HTTP/1.1 {} {}\r\n", self.status.0, self.status.reason());
        let mut add = |name: &str, value: &str| {
            for part in [name, ": ", value, "\r\n"] {
                text.push_str(part);
            }
        };
        add("Date", &date.to_http_date());
        for (name, value) in &self.headers {
            add(name, value);
        }
        // These two never have a body nor say how long it is (RFC 9110 §8.6, §15.4.5).
        let never_has_body = matches!(self.status.0, 204 | 304);
        if !never_has_body {
            add("Content-Length", &self.body.len().to_string());
        }
        if close {
            add("Connection", "close");
        }
        text.push_str("\r\n");
        let no_body = never_has_body || without_body;
        (text.into_bytes(), if no_body { Arc::default() } else { self.body })
    }

    /// Whether the bytes mean this answer: a line end in a value could begin another header, or a
    /// second answer.
    fn is_sendable(&self) -> bool {
        (200..600).contains(&self.status.0)
            && self.headers.iter().all(|(name, value)| {
                !value.contains(char::is_control)
                    && !OURS.iter().any(|o| o.eq_ignore_ascii_case(name))
            })
    }
}

/// The headers about how an answer is transferred, which is the front's to say.
const OURS: [&str; 4] = ["Connection", "Content-Length", "Date", "Transfer-Encoding"];

#[cfg(test)]
mod tests {
    use super::*;

    fn text(answer: &Answer, without_body: bool, close: bool) -> String {
        let date = Timestamp::from_seconds(784_111_777);
        let (head, body) = answer.clone().into_parts(date, without_body, close);
        let text = String::from_utf8([&head[..], &body].concat()).unwrap();
        let (before, after) = text.split_once("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n").unwrap();
        format!("{before}{after}")
    }

    fn answer(status: u16, name: &'static str, value: &str) -> Answer {
        let headers = vec![(name, value.to_owned().into())];
        Answer { status: Status(status), headers, body: (*b"body").into() }
    }

    #[test]
    fn the_front_adds_what_is_its_own() {
        let found = answer(302, "Location", "/a?b=\u{fc}");
        let head = "HTTP/1.1 302 Found\r\nLocation: /a?b=\u{fc}\r\nContent-Length: 4\r\n";
        assert_eq!(text(&found, false, false), format!("{head}\r\nbody"));
        assert_eq!(text(&found, false, true), format!("{head}Connection: close\r\n\r\nbody"));
        assert_eq!(text(&found, true, false), format!("{head}\r\n"));
    }

    #[test]
    fn some_answers_have_no_body() {
        for status in [204, 304] {
            let text = text(&answer(status, "ETag", "\"a\""), false, false);
            assert!(text.ends_with("ETag: \"a\"\r\n\r\n"), "{text}");
        }
    }

    #[test]
    fn nobody_writes_headers_through_a_value() {
        let bare = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n";
        for value in ["http://a\r\nSet-Cookie: evil=1", "a\nb", "a\rb", "a\0b", "a\u{7f}", "\u{85}"]
        {
            assert_eq!(text(&answer(302, "Location", value), false, false), bare);
        }
        assert_eq!(text(&answer(200, "content-length", "3"), false, false), bare);
        assert_eq!(text(&answer(99, "X", ""), false, false), bare);
    }
}
