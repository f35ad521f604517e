//! `--serve`: a helper that stays, and takes one message after the other. Each is a line of JSON on
//! standard input, and the answer to it a line of JSON on standard output. Nothing of a message is
//! kept for the next one.

use std::io::{self, BufRead, Read as _};

use serde_json::{Map, Value};

use crate::exit::Exit;

/// The longest line, in bytes. A message has up to 64 KiB, and JSON may take six bytes for each.
const LINE_MAX: u64 = 1024 * 1024;
/// How much of an explanation is passed on, in bytes: as much as the service logs of it.
const LOG_MAX: usize = 4096;

/// A message to deliver.
pub(crate) struct Order {
    /// The address, as a program gets it as its argument.
    pub(crate) argument: String,
    pub(crate) message: String,
    language: Option<String>,
    reference: Option<String>,
    subject: Option<String>,
}

impl Order {
    /// Reads a line. Members that are not known here do not matter.
    fn parse(line: &[u8]) -> Option<Self> {
        let Value::Object(mut members) = serde_json::from_slice(line).ok()? else { return None };
        Some(Self {
            argument: text(&mut members, "argument")??,
            message: text(&mut members, "message")??,
            language: text(&mut members, "language")?,
            reference: text(&mut members, "reference")?,
            subject: text(&mut members, "subject")?,
        })
    }

    /// What the service says of the message, by the name of the variable that a program has it in.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        match name {
            "CHALLENGER_LANGUAGE" => self.language.as_deref(),
            "CHALLENGER_SUBJECT" => self.subject.as_deref(),
            _ => None,
        }
    }
}

/// A member, which is a text if it is there.
fn text(members: &mut Map<String, Value>, name: &str) -> Option<Option<String>> {
    match members.remove(name) {
        None => Some(None),
        Some(Value::String(text)) => Some(Some(text)),
        Some(_) => None,
    }
}

/// Delivers all messages on standard input.
///
/// # Errors
/// A line is longer than [`LINE_MAX`], which is answered first; or the service cannot be read, or
/// does not read the answer.
pub(crate) fn serve(deliver: impl FnMut(Order) -> Result<(), Exit>) -> Result<(), Exit> {
    answer_all(io::stdin().lock(), io::stdout().lock(), deliver)
}

fn answer_all(
    mut input: impl BufRead,
    mut output: impl io::Write,
    mut deliver: impl FnMut(Order) -> Result<(), Exit>,
) -> Result<(), Exit> {
    let failed =
        |what: &'static str| move |error| Exit::unavailable(format!("standard {what}: {error}"));
    loop {
        let mut line = Vec::new();
        let mut begun = input.by_ref().take(LINE_MAX);
        begun.read_until(b'\n', &mut line).map_err(failed("input"))?;
        let is_whole = line.ends_with(b"\n");
        if !is_whole && begun.limit() > 0 {
            // Nobody waits for an answer to the rest of a line.
            return Ok(());
        }
        let mut order = Order::parse(&line);
        let reference = order.as_mut().and_then(|order| order.reference.take());
        let result = match order {
            _ if !is_whole => Err(Exit::broken(format!("the line has more than {LINE_MAX} bytes"))),
            None => Err(Exit::broken(
                "the line is not a message: expected a JSON object with the texts argument and \
                 message",
            )),
            Some(order) => deliver(order),
        };
        writeln!(output, "{}", answer(&result, reference))
            .and_then(|()| output.flush())
            .map_err(failed("output"))?;
        if !is_whole {
            return result;
        }
    }
}

/// The answer to the message that has this reference, so that it is never taken for another one's.
fn answer(result: &Result<(), Exit>, reference: Option<String>) -> Value {
    let (status, log) = match result {
        Ok(()) => (0, None),
        Err(exit) => (exit.code(), Some(log(exit.message()))),
    };
    let texts = [("log", log), ("reference", reference)];
    let texts = texts.into_iter().filter_map(|(name, text)| Some((name, Value::from(text?))));
    texts.chain([("status", status.into())]).collect()
}

/// The explanation in one line, which is not too long.
fn log(message: &str) -> String {
    let text = message.trim_end().replace(char::is_control, " ");
    let characters = text.char_indices().take_while(|(at, it)| at + it.len_utf8() <= LOG_MAX);
    characters.map(|(_, character)| character).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ORDER: &str = r#"{"argument":"ada","message":"1234-5678"}"#;

    /// The answers to an input, and how the helper ends. Each message is refused with what came.
    fn answers(input: &[u8]) -> (Vec<Value>, Result<(), Exit>) {
        let mut output = Vec::new();
        let end = answer_all(input, &mut output, |it| {
            let told = (it.argument, it.message, it.language, it.subject);
            Err(Exit::try_later(format!("{told:?}")))
        });
        let output = String::from_utf8(output).unwrap();
        assert!(output.is_empty() || output.ends_with('\n'));
        (output.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), end)
    }

    #[test]
    fn a_line_is_a_message_and_unknown_members_do_not_matter() {
        let more = r#"{"address":{"A":"ada"},"argument":"é","message":"m\n","language":"de",
                       "subject":"s","reference":"ABCDEF","x":[{}]}"#;
        let input = format!("{ORDER}\n{}\r\n", more.replace('\n', ""));
        let (answers, end) = answers(input.as_bytes());
        assert_eq!(end, Ok(()));
        let log = |index: usize| answers[index]["log"].as_str().unwrap();
        assert_eq!(log(0), r#"("ada", "1234-5678", None, None)"#);
        assert_eq!(log(1), r#"("é", "m\n", Some("de"), Some("s"))"#);
        assert_eq!((answers.len(), &answers[0]["status"]), (2, &json!(75)));
        assert_eq!(answers[0].get("reference"), None);
        assert_eq!(answers[1]["reference"], "ABCDEF");
        assert_eq!(answer(&Ok(()), None).to_string(), r#"{"status":0}"#);
    }

    #[test]
    fn a_broken_line_is_answered_without_its_words_and_the_next_one_taken() {
        let broken: [&[u8]; 9] = [
            b"",
            b"swordfish",
            b"\"swordfish\"",
            b"{\"argument\":\"swordfish\"}",
            b"{\"message\":\"swordfish\"}",
            b"{\"argument\":[\"swordfish\"],\"message\":\"m\"}",
            b"{\"argument\":\"a\",\"message\":\"m\",\"subject\":7}",
            b"{\"argument\":\"\xff\",\"message\":\"m\"}",
            b"{\"argument\":\"a\",\"message\":\"m\"}{}",
        ];
        for line in broken {
            let (answers, end) = answers(&[line, b"\n", ORDER.as_bytes(), b"\n"].concat());
            assert_eq!((answers.len(), end), (2, Ok(())), "{}", line.escape_ascii());
            assert_eq!(answers[0]["status"], 65, "{}", line.escape_ascii());
            assert!(answers[0]["log"].as_str().unwrap().starts_with("the line is not a message"));
            assert!(!answers[0].to_string().contains("swordfish"));
            assert_eq!(answers[1]["status"], 75);
        }
    }

    #[test]
    fn a_line_without_an_end_is_not_a_message() {
        assert_eq!(answers(b""), (vec![], Ok(())));
        assert_eq!(answers(ORDER.as_bytes()), (vec![], Ok(())));
        // One that is too long ends the helper.
        let blanks = usize::try_from(LINE_MAX).unwrap() - ORDER.len() - 1;
        let line = |blanks: usize| [ORDER, &" ".repeat(blanks), "\n", ORDER, "\n"].concat();
        let (longest, end) = answers(line(blanks).as_bytes());
        assert_eq!((longest.len(), end), (2, Ok(())));
        let (too_long, end) = answers(line(blanks + 1).as_bytes());
        let why = format!("the line has more than {LINE_MAX} bytes");
        assert_eq!(too_long, [json!({ "status": 65, "log": why })]);
        assert_eq!(end, Err(Exit::broken(why)));
    }

    #[test]
    fn an_explanation_is_one_line_and_not_too_long() {
        assert_eq!(log("a\nb\u{1b}c\n"), "a b c");
        assert_eq!(log(&format!("a{}", "ü".repeat(LOG_MAX))).len(), LOG_MAX - 1);
        let longest = answer(&Err(Exit::try_later("\"\\".repeat(LOG_MAX))), None).to_string();
        assert!(longest.len() < 16 * 1024, "{}", longest.len());
    }
}
