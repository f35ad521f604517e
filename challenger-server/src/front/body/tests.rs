//! Tests of bodies alone. The table of framings tests them as parts of a connection.

use challenger_proto::Refusal::*;

use super::*;

/// The body at the beginning of some bytes, and the number of bytes after it; `None` if it is
/// incomplete.
fn chunked(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, Refusal> {
    let mut body = Body::new(Framing::Chunked).unwrap();
    let taken = body.take(bytes).map_err(|refused| refused.refusal)?;
    assert!(body.bytes.len() <= BODY_MAX);
    Ok(body.is_complete().then(|| (body.into_bytes(), bytes.len() - taken)))
}

/// A body in chunks of this size.
fn in_chunks(length: usize, size: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for chunk in vec![b'x'; length].chunks(size) {
        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

#[test]
fn a_body_of_chunks_is_as_long_as_any_other() {
    for size in [25, 1000, BODY_MAX] {
        let whole = chunked(&in_chunks(BODY_MAX, size));
        assert!(whole == Ok(Some((vec![b'x'; BODY_MAX], 0))), "chunks of {size}");
        assert!(chunked(&in_chunks(BODY_MAX + 1, size)) == Err(BodyTooLarge), "chunks of {size}");
    }
    for size in ["10001", "ffffffffffffffff", "7fffffffffffffff", "0000000000010001"] {
        assert_eq!(chunked(format!("{size}\r\n").as_bytes()), Err(BodyTooLarge), "{size}");
    }
    assert_eq!(chunked(b"10000\r\n"), Ok(None));
    assert_eq!(chunked(b"ffff\r\n"), Ok(None));
}

#[test]
fn what_chunks_cost_beside_the_body_is_bounded_to_the_byte() {
    let frame = "1;\r\na\r\n0\r\n\r\n".len() - 1;
    let extension = |length: usize| format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(length));
    let most = CHUNKING_MAX - frame;
    assert_eq!(chunked(extension(most).as_bytes()), Ok(Some((b"a".to_vec(), 0))));
    assert_eq!(chunked(extension(most + 1).as_bytes()), Err(BodyTooLarge));
    let trailer = |length: usize| format!("0\r\na:{}\r\n\r\n", "x".repeat(length));
    let most = CHUNKING_MAX - "0\r\na:\r\n\r\n".len();
    assert_eq!(chunked(trailer(most).as_bytes()), Ok(Some((Vec::new(), 0))));
    assert_eq!(chunked(trailer(most + 1).as_bytes()), Err(BodyTooLarge));
    // A body without an end is refused as soon as its framing is too long.
    for (beginning, more) in
        [("1;", "x"), ("0", "0"), ("", "1;x\r\na\r\n"), ("0\r\n", "a:\r\n"), ("0\r\na", "a")]
    {
        let bytes = format!("{beginning}{}", more.repeat(CHUNKING_MAX));
        assert_eq!(chunked(&bytes.as_bytes()[..CHUNKING_MAX - 1]), Ok(None), "{beginning} {more}");
        assert_eq!(chunked(bytes.as_bytes()), Err(BodyTooLarge), "{beginning} {more}");
    }
}

#[test]
fn a_promise_takes_no_memory() {
    let mut body = Body::new(Framing::Length(BODY_MAX)).unwrap();
    assert_eq!(body.take(b"abc"), Ok(3));
    assert!(!body.is_complete());
    assert!(body.bytes.capacity() < 100);
    assert!(Body::new(Framing::Length(BODY_MAX + 1)).is_err());
    assert!(Body::new(Framing::Length(0)).unwrap().is_complete());
}
