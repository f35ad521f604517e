//! The one table of where a body ends. Everything that two servers could read in two ways is
//! refused, and what follows a body is the next request to the byte.

use super::*;

/// The request that would be smuggled.
const NEXT: &str = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";

/// Fields, and what follows them: a body, and the next request.
type Case = (&'static str, &'static str, &'static str);

/// Refused, without a look at what follows the head.
const HEADS: &[Case] = &[
    ("Content-Length: abc", "", "ContentLengthMalformed"),
    ("Content-Length: -1", "", "ContentLengthMalformed"),
    ("Content-Length: +3", "a=b", "ContentLengthMalformed"),
    ("Content-Length: 0x3", "a=b", "ContentLengthMalformed"),
    ("Content-Length: 3.0", "a=b", "ContentLengthMalformed"),
    ("Content-Length: 1e1", "a=b", "ContentLengthMalformed"),
    ("Content-Length: 1_0", "a=b", "ContentLengthMalformed"),
    ("Content-Length: 3 3", "a=b", "ContentLengthMalformed"),
    ("Content-Length: 3, 3", "a=b", "ContentLengthMalformed"),
    ("Content-Length: 3,35", "a=b", "ContentLengthMalformed"),
    ("Content-Length: \u{663}", "a=b", "ContentLengthMalformed"),
    ("Content-Length: \u{ff13}", "a=b", "ContentLengthMalformed"),
    ("Content-Length:", "", "ContentLengthMalformed"),
    ("Content-Length: 0\r\nContent-Length: 35", "", "ContentLengthMalformed"),
    ("Content-Length: 35\r\nContent-Length: 0", "", "ContentLengthMalformed"),
    ("Content-Length: 3\r\ncontent-length: 3", "a=b", "ContentLengthMalformed"),
    ("Content-Length : 3", "a=b", "HeadMalformed"),
    ("Content-Length\t: 3", "a=b", "HeadMalformed"),
    (" Content-Length: 3", "a=b", "HeadMalformed"),
    ("X: a\r\n Content-Length: 3", "a=b", "HeadMalformed"),
    ("X: a\r\n\tContent-Length: 3", "a=b", "HeadMalformed"),
    ("Transfer-Encoding: chunked\r\nContent-Length: 5", "0\r\n\r\n", "ContentLengthMalformed"),
    ("Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n", "ContentLengthMalformed"),
    ("Content-Length: 0\r\nTransfer-Encoding: chunked", "0\r\n\r\n", "ContentLengthMalformed"),
    ("Content-Length: x\r\nTransfer-Encoding: chunked", "0\r\n\r\n", "ContentLengthMalformed"),
    ("Content-Length: 5\r\nTransfer-Encoding: gzip", "0\r\n\r\n", "ContentLengthMalformed"),
    ("Content-Length: 5\r\nTransfer-Encoding:", "0\r\n\r\n", "ContentLengthMalformed"),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "", "ContentLengthMalformed"),
    ("Transfer-Encoding: chunked\r\ntransfer-encoding: x", "", "ContentLengthMalformed"),
    ("Transfer-Encoding: x\r\nTransfer-Encoding: chunked", "", "ContentLengthMalformed"),
    ("Transfer-Encoding: identity", "", "TransferEncodingUnsupported"),
    ("Transfer-Encoding: identity, chunked", "", "TransferEncodingUnsupported"),
    ("Transfer-Encoding: chunked, identity", "", "TransferEncodingUnsupported"),
    ("Transfer-Encoding: chunked, chunked", "", "TransferEncodingUnsupported"),
    ("Transfer-Encoding: gzip", "", "TransferEncodingUnsupported"),
    ("Transfer-Encoding: gzip, chunked", "", "TransferEncodingUnsupported"),
    ("Transfer-Encoding: xchunked", "", "TransferEncodingUnsupported"),
    ("Transfer-Encoding: chunkedx", "", "TransferEncodingUnsupported"),
    ("Transfer-Encoding: chunked,", "", "TransferEncodingUnsupported"),
    ("Transfer-Encoding: ,chunked", "", "TransferEncodingUnsupported"),
    ("Transfer-Encoding: chunked;a=b", "", "TransferEncodingUnsupported"),
    ("Transfer-Encoding: \"chunked\"", "", "TransferEncodingUnsupported"),
    ("Transfer-Encoding: chun\u{212a}ed", "", "TransferEncodingUnsupported"),
    ("Transfer-Encoding:", "", "TransferEncodingUnsupported"),
    ("Transfer-Encoding: \u{b}chunked", "", "HeadMalformed"),
    ("Transfer-Encoding : chunked", "", "HeadMalformed"),
    (" Transfer-Encoding: chunked", "", "HeadMalformed"),
    ("X: a\r\n Transfer-Encoding: chunked", "", "HeadMalformed"),
    ("X: a\r\n\tTransfer-Encoding: chunked", "", "HeadMalformed"),
    ("X: a\nTransfer-Encoding: chunked", "", "HeadMalformed"),
    ("X: a\rTransfer-Encoding: chunked", "", "HeadMalformed"),
    ("X: a\0\r\nTransfer-Encoding: chunked", "", "HeadMalformed"),
];

/// Refused at their body. The request has got so far that the answer can fit its path.
const BODIES: &[Case] = &[
    ("Content-Length: 65537", "", "BodyTooLarge of Post /x "),
    ("Content-Length: 000000000000000000000000065537", "", "BodyTooLarge of Post /x "),
    ("Content-Length: 100000000000", "", "BodyTooLarge of Post /x "),
    ("Content-Length: 9223372036854775808", "", "BodyTooLarge of Post /x "),
    ("Content-Length: 18446744073709551616", "", "BodyTooLarge of Post /x "),
    ("Content-Length: 18446744073709551619", "", "BodyTooLarge of Post /x "),
];

/// Refused at a chunk.
const CHUNKS: &[&str] = &[
    // Sizes that some take for others.
    "\r\n",
    ";a\r\n",
    "+3\r\nabc\r\n0\r\n\r\n",
    "-3\r\nabc\r\n0\r\n\r\n",
    "0x3\r\nabc\r\n0\r\n\r\n",
    "3h\r\nabc\r\n0\r\n\r\n",
    "3_0\r\nabc\r\n0\r\n\r\n",
    "g\r\n",
    "\u{ff13}\r\nabc\r\n0\r\n\r\n",
    " 3\r\nabc\r\n0\r\n\r\n",
    "3 \r\nabc\r\n0\r\n\r\n",
    "3\t;a=b\r\nabc\r\n0\r\n\r\n",
    "3,3\r\nabc\r\n0\r\n\r\n",
    "3\0\r\nabc\r\n0\r\n\r\n",
    "00000000000000003\r\nabc\r\n0\r\n\r\n",
    "10000000000000003\r\nabc\r\n0\r\n\r\n",
    // Line ends that some do not recognize, and the other way round.
    "3\nabc\r\n0\r\n\r\n",
    "3\rabc\r\n0\r\n\r\n",
    "3\n\r\nabc\r\n0\r\n\r\n",
    "3;a\nb\r\nabc\r\n0\r\n\r\n",
    "3;a\rb\r\nabc\r\n0\r\n\r\n",
    "3;a\0\r\nabc\r\n0\r\n\r\n",
    "3;a=\"\n\"\r\nabc\r\n0\r\n\r\n",
    "3\r\nabc\n0\r\n\r\n",
    "3\r\nabc\r0\r\n\r\n",
    "0\n\r\n",
    "0\r\n\n",
    "0\r\n\rG",
    // Chunks that are shorter or longer than they say.
    "3\r\nab\r\n0\r\n\r\n",
    "3\r\nabcd\r\n0\r\n\r\n",
    "3\r\nabc0\r\n\r\n",
    "3\r\nabc \r\n0\r\n\r\n",
    "3\r\nabc\r\n\r\n0\r\n\r\n",
    // Trailers that are not fields, such as another request.
    "0\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "0\r\na\r\n\r\n",
    "0\r\n: a\r\n\r\n",
    "0\r\n a: b\r\n\r\n",
    "0\r\na : b\r\n\r\n",
    "0\r\na: b\r\n c\r\n\r\n",
    "0\r\na: b\nc: d\r\n\r\n",
    "0\r\na: \0\r\n\r\n",
    "0\r\n\u{fc}: a\r\n\r\n",
];

/// Served with this body; and then the next request is served.
const SERVED: &[Case] = &[
    ("X: y", "", ""),
    ("Content-Length: 0", "", ""),
    ("Content-Length: 3", "a=b", "a=b"),
    ("Content-Length: 000000000000000000000000000003", "a=b", "a=b"),
    ("Content-Length: 5", "0\r\n\r\n", "0\\r\\n\\r\\n"),
    ("Transfer-Encoding: chunked", "0\r\n\r\n", ""),
    ("Transfer-Encoding:chunked", "3\r\na=b\r\n0\r\n\r\n", "a=b"),
    ("Transfer-Encoding:\tchunked\t", "1\r\na\r\n2\r\n=b\r\n0\r\n\r\n", "a=b"),
    ("tRANSFER-eNCODING: cHUNKED", "003\r\na=b\r\n000\r\n\r\n", "a=b"),
    ("Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked", "0\r\n\r\n", ""),
    ("Transfer-Encoding: chunked", "0000000000000003\r\na=b\r\n0\r\n\r\n", "a=b"),
    ("Transfer-Encoding: chunked", "A\r\n0\r\n\r\nGET /\r\n0\r\n\r\n", "0\\r\\n\\r\\nGET /"),
    ("Transfer-Encoding: chunked", "3;a=\"b;\";c\r\na=b\r\n0;d\r\n\r\n", "a=b"),
    ("Transfer-Encoding: chunked", "3; a = \u{fc}\r\na=b\r\n0\r\n\r\n", "a=b"),
    ("Transfer-Encoding: chunked", "0\r\nA: b\r\nC:\r\n\r\n", ""),
    ("Transfer-Encoding: chunked", "0\r\nContent-Length: 35\r\nHost: b\r\n\r\n", ""),
    ("Transfer-Encoding: chunked", "0\r\nTransfer-Encoding: chunked\r\n\r\n", ""),
    ("Transfer-Encoding: chunked\r\nTrailer: A", "0\r\nA: b\r\n\r\n", ""),
];

/// The outcome of a request with these fields, and of the next one, however the bytes are cut.
fn outcome(version: &str, fields: &str, body: &str) -> Vec<String> {
    let bytes = format!("POST /x HTTP/{version}\r\nHost: a\r\n{fields}\r\n\r\n{body}{NEXT}");
    let whole = story_of(bytes.as_bytes());
    let pieces: Vec<&[u8]> = bytes.as_bytes().chunks(1).collect();
    assert_eq!(story(&limits(), &pieces), whole, "{bytes:?} byte by byte");
    whole
}

#[test]
fn what_has_two_readings_is_refused_and_ends_the_connection() {
    let chunks = CHUNKS
        .iter()
        .map(|body| ("Transfer-Encoding: chunked", *body, "ContentLengthMalformed of Post /x "));
    for (fields, body, expected) in HEADS.iter().chain(BODIES).copied().chain(chunks) {
        let expected = [expected, "HTTP/1.1 200 OK", "linger"];
        assert_eq!(outcome("1.1", fields, body), expected, "{fields:?} {body:?}");
    }
    for coding in ["chunked", "gzip", "identity", ""] {
        let coding = format!("Transfer-Encoding: {coding}");
        let expected = ["ContentLengthMalformed", "HTTP/1.1 200 OK", "linger"];
        assert_eq!(outcome("1.0", &coding, "0\r\n\r\n"), expected, "the old version has none");
    }
}

#[test]
fn what_has_one_reading_is_served_and_then_what_follows() {
    for (fields, body, expected) in SERVED {
        let answer = "HTTP/1.1 200 OK";
        let expected = [&format!("Post /x {expected}"), answer, "Get /next ", answer];
        assert_eq!(outcome("1.1", fields, body), expected, "{fields:?} {body:?}");
    }
}

#[test]
fn a_body_that_goes_on_is_waited_for() {
    for part in
        ["", "3", "3;", "3\r", "3\r\n", "3\r\na=", "3\r\na=b", "3\r\na=b\r\n0\r\n", "0\r\na:"]
    {
        let bytes =
            format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{part}");
        let (limits, now) = (limits(), Instant::now());
        let body = reading(Exchange::begin(&limits, now));
        let body = reading(body.received(bytes.as_bytes(), now));
        assert_eq!(body.until(), now + limits.body);
        assert_eq!(name(&body.late(body_end(now))), "RequestTimeout of Post / ");
    }
}

fn body_end(now: Instant) -> Instant {
    now + limits().body
}

#[test]
fn nothing_of_the_coding_is_left_in_the_request() {
    let bytes = b"POST / HTTP/1.1\r\nHost: a\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n\
                  3\r\na=b\r\n0\r\nX: z\r\nTransfer-Encoding: chunked\r\n\r\n";
    let (limits, now) = (limits(), Instant::now());
    let exchange = reading(Exchange::begin(&limits, now)).received(bytes, now);
    let Exchange::Decide(request, _) = exchange else { panic!("{}", name(&exchange)) };
    let headers = [("Host", "a"), ("X", "y")].map(|(name, it)| (name.to_owned(), it.to_owned()));
    assert_eq!(request.headers, headers);
    assert_eq!(request.body, b"a=b");
}
