//! A helper that stays: it is given one message after the other, each a line of JSON, and hands
//! each code to the driver.

use std::io::{self, BufRead, Write};
use std::path::PathBuf;

use argh::FromArgs;
use serde_json::{Value, json};

use super::codes::{Mail, code_in};

/// The exit statuses that its answers stand for (sysexits.h).
const SENT: u8 = 0;
const BAD_DATA: u8 = 65;
const NO_SUCH_USER: u8 = 67;

/// a helper for the others, which stays for many messages
#[derive(FromArgs)]
#[argh(subcommand, name = "resident")]
pub struct Resident {
    /// where it sends codes
    #[argh(option)]
    codes: PathBuf,
    /// answer lines until there are no more; the server gives this
    #[argh(switch)]
    serve: bool,
}

impl Resident {
    pub fn run(self) -> Result<(), String> {
        if !self.serve {
            return Err("expected --serve: this helper takes lines, and not one message".to_owned());
        }
        let mail = Mail::open(self.codes).map_err(|error| error.to_string())?;
        let done = answer_all(io::stdin().lock(), io::stdout().lock(), &mail);
        done.map_err(|error| error.to_string())
    }
}

/// Answers each line with a line.
fn answer_all(lines: impl BufRead, mut answers: impl Write, mail: &Mail) -> io::Result<()> {
    for line in lines.lines() {
        let answer = match deliver(&line?, mail) {
            Ok(()) => json!({"status": SENT}),
            Err((status, log)) => json!({"log": log, "status": status}),
        };
        writeln!(answers, "{answer}")?;
        answers.flush()?;
    }
    Ok(())
}

/// Delivers a message, or says why not.
fn deliver(line: &str, mail: &Mail) -> Result<(), (u8, &'static str)> {
    let message: Value = serde_json::from_str(line).map_err(|_| (BAD_DATA, "not JSON"))?;
    let member = |name| message.get(name).and_then(Value::as_str);
    let address = member("argument").ok_or((BAD_DATA, "no argument"))?;
    let code = member("message").and_then(code_in).ok_or((BAD_DATA, "no code"))?;
    mail.send(address, &code).map_err(|_| (NO_SUCH_USER, "not somebody of the benchmark"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::Post;

    #[test]
    fn each_line_is_answered_and_each_code_arrives() {
        let codes = tempfile::tempdir().unwrap();
        let post = Post::Datagrams(codes.path().to_owned()).open(3).unwrap();
        let lines = "\
            {\"address\":{\"CONTACT_EMAIL\":\"person3.a@bench.example\"},\
            \"argument\":\"person3.a@bench.example\",\"language\":\"en\",\
            \"message\":\"Your code:\\n\\n1234-5678\\n\",\"reference\":\"ABCDEF\",\
            \"subject\":\"A\"}\n\
            nonsense\n\
            {\"argument\":\"person3.a@bench.example\",\"message\":\"no code\"}\n\
            {\"argument\":\"ada@example.org\",\"message\":\"1234-5678\"}\n\
            {\"argument\":\"person3.b@bench.example\",\"message\":\"8765-4321\"}\n";
        let mail = Mail::open(codes.path().to_owned()).unwrap();
        let mut answers = Vec::new();
        answer_all(lines.as_bytes(), &mut answers, &mail).unwrap();
        let answers = String::from_utf8(answers).unwrap();
        let statuses = answers.lines().map(|line| {
            let answer: Value = serde_json::from_str(line).unwrap();
            answer["status"].as_u64().unwrap()
        });
        assert_eq!(statuses.collect::<Vec<_>>(), [0, 65, 65, 67, 0], "{answers}");
        assert_eq!(post.take("person3.a@bench.example").unwrap(), "12345678");
        assert_eq!(post.take("person3.b@bench.example").unwrap(), "87654321");
    }
}
