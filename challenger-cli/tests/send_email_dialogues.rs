//! The conversation with mail servers as they are: what they say, what we say, and how it ends.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod email;

use challenger_cli::send_email::conversation::{
    Conversation, Failure, Kind, Login, Next, Plan, Protection, REPLY_MAX, Secret, Transaction,
};
use email::dialogues::{DIALOGUES, Dialogue, End, REFUSALS};
use proptest::prelude::*;

/// How a conversation ends.
type Outcome = Result<(), Failure>;

fn plan(dialogue: &Dialogue) -> Plan {
    let secret = match dialogue.login {
        None => None,
        Some(("password", password)) => Some(Secret::Password(password.to_owned())),
        Some((_, token)) => Some(Secret::Token(token.to_owned())),
    };
    Plan {
        hello: "me.example".to_owned(),
        protection: dialogue.protection,
        login: secret.map(|secret| Login { user: "ann".to_owned(), secret }),
    }
}

fn mail(dialogue: &Dialogue) -> Transaction {
    Transaction {
        from: "noreply@shop.example".to_owned(),
        to: dialogue.to.to_owned(),
        text: format!("To: {}\r\n\r\n.\r\nHello\r\n", dialogue.to),
    }
}

fn begin(dialogue: &Dialogue) -> Conversation {
    Conversation::new(plan(dialogue), mail(dialogue))
}

/// The bytes that a server says in its turn. Each letter is one byte, as in Latin-1.
fn bytes(turn: &str, line_end: &str) -> Vec<u8> {
    let lines = turn.lines().filter(|line| !line.is_empty());
    let text: String = lines.map(|line| format!("{line}{line_end}")).collect();
    text.chars().map(|letter| u8::try_from(letter).unwrap()).collect()
}

/// The turns of a dialogue: what the server says, and what we are to say then. `TLS` stands for the
/// beginning of TLS, `TEXT` for the message.
fn turns(dialogue: &Dialogue) -> Vec<(String, String)> {
    let mut turns = Vec::new();
    let mut said = String::new();
    for line in dialogue.lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line.split_at(2) {
            ("S:", line) => said.push_str(&format!("{}\n", line.trim())),
            ("C:", line) => turns.push((std::mem::take(&mut said), line.trim().to_owned())),
            _ => panic!("{line}"),
        }
    }
    turns.push((said, "END".to_owned()));
    turns
}

/// Plays a dialogue, in which each turn of the server comes in pieces of these lengths, and the
/// server hangs up in the end. Checks what we say.
fn play(dialogue: &Dialogue, line_end: &str, lengths: &[usize]) -> Outcome {
    let name = dialogue.name;
    let mut lengths = lengths.iter().cycle();
    let mut conversation = begin(dialogue);
    for (said, expected) in turns(dialogue) {
        let said = bytes(&said, line_end);
        let mut left = said.as_slice();
        loop {
            match conversation.advance() {
                Next::Read if left.is_empty() => {
                    assert_eq!(expected, "END", "{name}: we wait");
                    conversation.close();
                }
                Next::Read => {
                    let (piece, rest) = left.split_at((*lengths.next().unwrap()).min(left.len()));
                    conversation.take(piece);
                    left = rest;
                }
                Next::Send(bytes) => {
                    let text = String::from_utf8(bytes).unwrap();
                    let is_text = text.ends_with("\r\n\r\n..\r\nHello\r\n.\r\n");
                    let line = if is_text { "TEXT" } else { text.strip_suffix("\r\n").unwrap() };
                    assert_eq!(line, expected, "{name}");
                    break;
                }
                Next::StartTls => {
                    assert_eq!(expected, "TLS", "{name}");
                    conversation.encrypted();
                    break;
                }
                Next::End(result) => {
                    assert_eq!(expected, "END", "{name}: {result:?}");
                    return result;
                }
            }
        }
    }
    panic!("{name} does not end");
}

fn end(outcome: &Outcome) -> End {
    outcome.as_ref().map_err(Failure::kind).copied()
}

#[test]
fn we_get_along_with_the_servers_that_there_are() {
    for dialogue in DIALOGUES {
        for line_end in ["\r\n", "\n"] {
            for length in [1, 4096] {
                let outcome = play(dialogue, line_end, &[length]);
                assert_eq!(end(&outcome), dialogue.end, "{}: {outcome:?}", dialogue.name);
            }
        }
    }
}

proptest! {
    #[test]
    fn it_does_not_matter_how_replies_are_cut(
        which in 0..DIALOGUES.len(),
        lengths in proptest::collection::vec(1_usize..40, 1..20),
    ) {
        let dialogue = &DIALOGUES[which];
        prop_assert_eq!(play(dialogue, "\r\n", &lengths), play(dialogue, "\r\n", &[4096]));
    }
}

/// A dialogue without a login in which the server says this to a command.
fn answering(command: &str, answer: &str) -> Dialogue {
    let lines = "S: 220 mx\nC: EHLO me.example\nS: 250-mx\nS: 250 8BITMIME\n\
                 C: MAIL FROM:<noreply@shop.example>\nS: 250 ok\n\
                 C: RCPT TO:<ada@example.com>\nS: 250 ok\nC: DATA\nS: 354 go\nC: TEXT\nS: 250 ok\n";
    let begins = if command.is_empty() { "S: 220" } else { command };
    let at = lines.find(begins).unwrap();
    let before = if command.is_empty() { "" } else { lines[..at].trim_end() };
    let line = if command.is_empty() { "" } else { lines[at..].lines().next().unwrap() };
    let answer: String = answer.lines().map(|line| format!("S: {line}\n")).collect();
    let lines = format!("{before}\n{line}\n{answer}");
    Dialogue { name: "refusal", lines: lines.leak(), ..DIALOGUES[0] }.simple()
}

#[test]
fn refusals_mean_what_servers_mean() {
    for (command, answer, kind) in REFUSALS {
        let outcome = play(&answering(command, answer), "\r\n", &[4096]);
        assert_eq!(end(&outcome), Err(*kind), "{command} {answer}");
    }
}

#[test]
fn a_server_may_leave_at_any_moment() {
    for dialogue in DIALOGUES.iter().filter(|dialogue| dialogue.end.is_ok()) {
        let count = turns(dialogue).len();
        for last in 0..count {
            for words in [&["421 4.3.2 shutting down"][..], &[]] {
                let mut lines = Vec::new();
                let commands = turns(dialogue).into_iter().take(last);
                for (said, command) in commands {
                    lines.extend(said.lines().map(|line| format!("S: {line}")));
                    lines.push(format!("C: {command}"));
                }
                // There is no SMTP where the server leaves instead of TLS.
                if lines.last().is_some_and(|line| line == "C: TLS") {
                    continue;
                }
                lines.extend(words.iter().map(|line| format!("S: {line}")));
                let lines: &str = lines.join("\n").leak();
                let outcome = play(&Dialogue { lines, ..*dialogue }, "\r\n", &[4096]);
                assert_eq!(end(&outcome), Err(Kind::Later), "{}: {lines}", dialogue.name);
            }
        }
    }
}

#[test]
fn behind_the_dot_the_first_digit_decides() {
    for (said, expected) in [
        (&b"250 ok\r\n"[..], Ok(())),
        (b"250\r\n", Ok(())),
        (b"250", Ok(())),
        (b"2", Ok(())),
        (b"200-a\r\n", Ok(())),
        (b"2\xff\0", Ok(())),
        (b"250-endless ", Ok(())),
        (b"450", Err(Kind::Later)),
        (b"452-4.3.1 full", Err(Kind::Later)),
        (b"550-5.1.1 no", Err(Kind::Address)),
        (b"554-no\r\n554-", Err(Kind::Unavailable)),
        (b"", Err(Kind::Later)),
        (b"354 go\r\n", Err(Kind::Unavailable)),
        (b"hello\r\n", Err(Kind::Unavailable)),
    ] {
        let mut conversation = begin(&DIALOGUES[0].simple());
        for reply in ["220 mx", "250 mx", "250 ok", "250 ok", "354 go"] {
            assert_eq!(conversation.advance(), Next::Read);
            conversation.take(format!("{reply}\r\n").as_bytes());
            assert!(matches!(conversation.advance(), Next::Send(_)), "{reply}");
        }
        assert_eq!(conversation.advance(), Next::Read);
        conversation.take(said);
        if let Next::End(result) = conversation.advance() {
            assert_eq!(end(&result), expected, "{}", said.escape_ascii());
            continue;
        }
        conversation.close();
        let Next::End(result) = conversation.advance() else { panic!("{}", said.escape_ascii()) };
        assert_eq!(end(&result), expected, "{}", said.escape_ascii());
    }
}

#[test]
fn nothing_from_before_tls_counts() {
    let dialogue = Dialogue { protection: Protection::StartTls, ..DIALOGUES[0].simple() };
    for injected in ["2", "250-mx\r\n250 AUTH PLAIN\r\n", "\r\n", "\0"] {
        let mut conversation = begin(&dialogue);
        conversation.take(b"220 mx\r\n");
        assert!(matches!(conversation.advance(), Next::Send(_)));
        conversation.take(b"250-mx\r\n250 STARTTLS\r\n");
        assert_eq!(conversation.advance(), Next::Send(b"STARTTLS\r\n".to_vec()));
        conversation.take(format!("220 go\r\n{injected}").as_bytes());
        assert_eq!(conversation.advance(), Next::End(Err(Failure::Unasked)));
    }
}

#[test]
fn no_reply_is_read_without_an_end() {
    let flood = |bytes: &[u8]| {
        let mut conversation = begin(&DIALOGUES[0].simple());
        let mut read = 0;
        loop {
            match conversation.advance() {
                Next::Read => conversation.take(bytes),
                Next::End(result) => return (end(&result), read),
                other => panic!("{other:?}"),
            }
            read += bytes.len();
            assert!(conversation.kept() <= REPLY_MAX + bytes.len());
        }
    };
    for bytes in [&b"220-flood "[..], b"220-flood\r\n", &[0; 100], b"220-a\nflood\n"] {
        let (end, read) = flood(bytes);
        assert_eq!(end, Err(Kind::Unavailable));
        assert!(read <= REPLY_MAX + bytes.len());
    }
}

/// Goes on until something is sent or the end is reached; there is nothing more to read.
fn sent(conversation: &mut Conversation) -> Result<String, Outcome> {
    match conversation.advance() {
        Next::Send(bytes) => Ok(String::from_utf8(bytes).unwrap().trim_end().to_owned()),
        Next::End(result) => Err(result),
        other => panic!("{other:?}"),
    }
}

/// A conversation in which the server has answered as often as there are replies.
fn answered(replies: &[&str]) -> Conversation {
    let mut conversation = begin(&DIALOGUES[0].simple());
    for reply in replies {
        assert_eq!(conversation.advance(), Next::Read);
        conversation.take(format!("{reply}\r\n").as_bytes());
        // The last one may end it.
        let _ = sent(&mut conversation);
    }
    conversation
}

#[test]
fn a_probe_leaves_before_it_names_a_recipient() {
    let sender = "noreply@shop.example".to_owned();
    let mut probe = Conversation::probe(plan(&DIALOGUES[0].simple()), sender);
    for (reply, expected) in
        [("220 mx", "EHLO me.example"), ("250 mx", "MAIL FROM:<noreply@shop.example>")]
    {
        assert_eq!(probe.advance(), Next::Read);
        probe.take(format!("{reply}\r\n").as_bytes());
        assert_eq!(sent(&mut probe).as_deref(), Ok(expected));
    }
    probe.take(b"250 ok\r\n");
    assert_eq!(sent(&mut probe), Err(Ok(())));
}

/// What a server says to a first mail that it takes.
const FIRST: [&str; 6] = ["220 mx", "250 mx", "250 ok", "250 ok", "354 go", "250 taken"];

/// The next mail, to somebody else.
fn next(conversation: &mut Conversation) {
    let (from, to) = ("noreply@shop.example".to_owned(), "bob@example.com".to_owned());
    conversation.go_on(Transaction { from, to, text: "Bye\r\n".to_owned() });
    assert_eq!(sent(conversation).as_deref(), Ok("RSET"));
}

#[test]
fn each_mail_begins_anew() {
    let mut conversation = answered(&FIRST);
    for _ in 0..3 {
        assert!(conversation.can_go_on());
        next(&mut conversation);
        for (reply, expected) in [
            ("250 reset", "MAIL FROM:<noreply@shop.example>"),
            ("250 ok", "RCPT TO:<bob@example.com>"),
            ("250 ok", "DATA"),
            ("354 go", "Bye\r\n."),
        ] {
            assert_eq!(conversation.advance(), Next::Read);
            conversation.take(format!("{reply}\r\n").as_bytes());
            assert_eq!(sent(&mut conversation).as_deref(), Ok(expected));
        }
        conversation.take(b"250 taken\r\n");
        assert_eq!(sent(&mut conversation), Err(Ok(())));
    }
}

#[test]
fn another_mail_follows_only_where_everything_is_said() {
    for (taken, last, expected) in [
        (5, "250 taken", true),
        (5, "250-taken\r\n250 really", true),
        // There is more, or there will be.
        (5, "250-taken", false),
        (5, "250 taken\r\n250 again", false),
        (5, "554 spam", true),
        (5, "554-spam", false),
        (5, "554 spam\r\n250 or not", false),
        (5, "421 bye", false),
        (5, "354 what?", false),
        (5, "nonsense", false),
        (4, "451 not now", true),
        (3, "550 5.1.1 unknown", true),
        (3, "450 4.2.0 greylisted", true),
        (3, "421 bye", false),
        (2, "553 not you", false),
        (1, "554 not you", false),
        (0, "554 not you", false),
    ] {
        let mut conversation = answered(&FIRST[..taken]);
        assert!(!conversation.can_go_on());
        conversation.take(format!("{last}\r\n").as_bytes());
        if conversation.advance() == Next::Read {
            conversation.close();
            assert!(matches!(conversation.advance(), Next::End(_)));
        }
        assert_eq!(conversation.can_go_on(), expected, "{last}");
        assert!(!conversation.is_stale(), "{last}");
    }
}

#[test]
fn what_may_be_the_fault_of_an_old_connection_is_told_apart() {
    // Up to the sender, everything is; then its end; behind the dot, nothing.
    for (said, closing, other, nothing) in [
        (&[][..], true, true, true),
        (&["250 reset"][..], true, true, true),
        (&["250 reset", "250 ok"][..], true, false, true),
        (&["250 reset", "250 ok", "250 ok"][..], true, false, true),
        (&["250 reset", "250 ok", "250 ok", "354 go"][..], false, false, false),
    ] {
        for (last, expected) in
            [("421 bye\r\n", closing), ("550 no\r\n", other), ("no\r\n", other), ("", nothing)]
        {
            let mut conversation = answered(&FIRST);
            next(&mut conversation);
            for reply in said {
                conversation.take(format!("{reply}\r\n").as_bytes());
                sent(&mut conversation).unwrap();
            }
            conversation.take(last.as_bytes());
            conversation.close();
            assert!(matches!(conversation.advance(), Next::End(Err(_))));
            assert_eq!(conversation.is_stale(), expected, "{said:?}, {last:?}");
        }
    }
    // What the server does not offer, it does not offer to a new connection.
    let mut conversation = answered(&FIRST);
    conversation.go_on(Transaction { to: "zoë@example.com".to_owned(), ..Default::default() });
    assert_eq!(sent(&mut conversation).as_deref(), Ok("RSET"));
    conversation.take(b"250 reset\r\n");
    let failure = Failure::NoUtf8 { is_recipient: true };
    assert_eq!(sent(&mut conversation), Err(Err(failure)));
    assert!(!conversation.is_stale());
}
