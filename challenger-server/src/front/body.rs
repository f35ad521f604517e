//! From bytes to the body of a request, of a length that is known or in chunks (RFC 9112 §6, §7.1).
//!
//! As in a head, every byte has one reading, or the request is refused: sizes are hexadecimal
//! digits and nothing else, lines end in CR LF, and a trailer is a field. Extensions and trailers
//! are skipped.

#[cfg(test)]
mod tests;

use challenger_proto::http::BODY_MAX;
use challenger_proto::{Refusal, Refused};

use super::head::{Framing, after_line, is_text, is_token, split_line};

/// The maximum number of bytes in a chunked body besides its content: sizes, extensions, ends of
/// lines and trailers. It is enough for the longest body in chunks of 25 bytes.
pub(super) const CHUNKING_MAX: usize = 16 * 1024;

/// The bytes of CR LF.
const LINE_END: usize = 2;

/// The most digits of a chunk's size: all that a number of 64 bits may have.
const DIGITS_MAX: usize = 16;

/// A body that is being received.
pub(super) struct Body {
    /// The bytes that have arrived, without the framing.
    bytes: Vec<u8>,
    awaited: Awaited,
    /// How many more bytes of framing its chunks may have.
    chunking_left: usize,
}

/// The part of a body that comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    /// This many bytes, of the whole body or of a chunk.
    Data { left: usize, is_chunk: bool },
    /// A line with the size of a chunk.
    ChunkSize,
    /// The line end after a chunk.
    ChunkEnd,
    /// A trailer field, or the empty line after the last.
    Trailer,
    /// Nothing: what follows is another request.
    End,
}

impl Body {
    /// A body of which nothing has arrived yet.
    pub(super) fn new(framing: Framing) -> Result<Self, Refused> {
        let awaited = match framing {
            Framing::Length(0) => Awaited::End,
            Framing::Length(left) if left <= BODY_MAX => Awaited::Data { left, is_chunk: false },
            Framing::Length(_) => return Err(Refusal::BodyTooLarge.into()),
            Framing::Chunked => Awaited::ChunkSize,
        };
        Ok(Self { bytes: Vec::new(), awaited, chunking_left: CHUNKING_MAX })
    }

    /// Takes the bytes at the beginning of `bytes` that belong to the body, and returns their
    /// number.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<usize, Refused> {
        let mut rest = bytes;
        while self.take_next(&mut rest)? {}
        Ok(bytes.len() - rest.len())
    }

    /// Whether the body is complete.
    pub(super) fn is_complete(&self) -> bool {
        self.awaited == Awaited::End
    }

    /// The number of bytes that have arrived.
    pub(super) fn length(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes that have arrived.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Takes the next part, if it has arrived, and returns whether it has.
    fn take_next(&mut self, rest: &mut &[u8]) -> Result<bool, Refused> {
        match self.awaited {
            Awaited::Data { left, is_chunk } => return Ok(self.take_data(rest, left, is_chunk)),
            Awaited::ChunkSize => {
                let Some(line) = self.take_line(rest)? else { return Ok(false) };
                let left = chunk_size(line).ok_or_else(|| malformed("chunk size"))?;
                if left > BODY_MAX - self.bytes.len() {
                    return Err(Refusal::BodyTooLarge.into());
                }
                let chunk = Awaited::Data { left, is_chunk: true };
                self.awaited = if left == 0 { Awaited::Trailer } else { chunk };
            }
            Awaited::ChunkEnd => {
                let Some(after) = after_line(rest).map_err(|_| malformed("chunk"))? else {
                    return Ok(false);
                };
                self.count(LINE_END)?;
                *rest = after;
                self.awaited = Awaited::ChunkSize;
            }
            Awaited::Trailer => {
                let Some(line) = self.take_line(rest)? else { return Ok(false) };
                if line.is_empty() {
                    self.awaited = Awaited::End;
                } else if !is_field(line) {
                    return Err(malformed("trailer"));
                }
            }
            Awaited::End => return Ok(false),
        }
        Ok(true)
    }

    /// Takes data, at most `left` bytes. Returns whether there was any.
    fn take_data(&mut self, rest: &mut &[u8], left: usize, is_chunk: bool) -> bool {
        let (data, after) = rest.split_at(left.min(rest.len()));
        self.bytes.extend_from_slice(data);
        *rest = after;
        self.awaited = match left - data.len() {
            0 if is_chunk => Awaited::ChunkEnd,
            0 => Awaited::End,
            left => Awaited::Data { left, is_chunk },
        };
        !data.is_empty()
    }

    /// Takes a line and returns it without its end; `None` if it is incomplete.
    fn take_line<'b>(&mut self, rest: &mut &'b [u8]) -> Result<Option<&'b [u8]>, Refused> {
        let bounded = rest.get(..self.chunking_left).unwrap_or(rest);
        let (line, end) = split_line(bounded, is_text);
        if after_line(end).map_err(|_| malformed("chunk"))?.is_some() {
            let length = line.len() + LINE_END;
            self.count(length)?;
            *rest = rest.get(length..).unwrap_or_default();
            Ok(Some(line))
        } else if bounded.len() < self.chunking_left {
            Ok(None)
        } else {
            Err(Refusal::BodyTooLarge.into())
        }
    }

    /// Counts bytes of the framing.
    fn count(&mut self, bytes: usize) -> Result<(), Refused> {
        let left = self.chunking_left.checked_sub(bytes);
        self.chunking_left = left.ok_or(Refusal::BodyTooLarge)?;
        Ok(())
    }
}

fn malformed(what: &str) -> Refused {
    Refusal::ContentLengthMalformed.about(what)
}

/// The size at the beginning of a line, before its extensions. `None` if that is not a size; one
/// that is too large becomes the largest number.
fn chunk_size(line: &[u8]) -> Option<usize> {
    let digits = line.split(|byte| *byte == b';').next()?;
    let is_size = (1..=DIGITS_MAX).contains(&digits.len());
    if !is_size || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let digits = str::from_utf8(digits).ok()?;
    Some(usize::from_str_radix(digits, 16).unwrap_or(usize::MAX))
}

/// Whether a line begins like a field, whose value may be anything.
fn is_field(line: &[u8]) -> bool {
    let Some(end) = line.iter().position(|byte| *byte == b':') else { return false };
    end > 0 && line.iter().take(end).copied().all(is_token)
}
