//! Whole conversations with a mail server: its bytes, cut anywhere.

use challenger_cli::send_email::conversation::{
    Conversation, Failure, Login, Next, Plan, Protection, REPLY_MAX, Secret, Transaction,
};

/// Between two pieces of what the server says; it is in none of them.
const CUT: u8 = 0xff;
/// The most times that we say something: EHLO, HELO or EHLO again, STARTTLS, three lines of a
/// login, four commands with the message, and five with the next one.
const SENT_MAX: usize = 16;
/// The longest command line (RFC 5321 §4.5.3.1.4), and the longest line of a login (RFC 4954 §4).
const LINE_MAX: usize = 512;
const LOGIN_LINE_MAX: usize = 12288;

const TEXT: &str = "Subject: x\r\n\r\nthe message\r\n.\r\n";
const SENT_TEXT: &[u8] = b"Subject: x\r\n\r\nthe message\r\n..\r\n.\r\n";
const SECRET: &str = "hunter2";

/// What we said, and how the first mail ended.
type Outcome = (Vec<Vec<u8>>, Result<(), Failure>);

/// Whatever a server says, the conversation ends, and holds no more than a reply. It sends nothing
/// of the message before the server asks for it, and nothing but EHLO before TLS, where TLS is
/// wanted. All of that holds for another mail, too.
/// Without a change to TLS, it does not matter how the bytes are cut.
pub fn mail(data: &[u8]) {
    let Some((way, said)) = data.split_first() else { return };
    let pieces: Vec<&[u8]> = said.split(|byte| *byte == CUT).collect();
    let bytes = pieces.concat();
    let cut = play(*way, &pieces);
    let whole = play(*way, &[&bytes]);
    // Long ones would take their time cut to bytes, and say no more.
    let small = play(*way, &bytes.chunks(1 + bytes.len() / 1024).collect::<Vec<_>>());
    if protection(*way) != Protection::StartTls {
        assert_eq!(cut, whole);
        assert_eq!(small, whole);
    }
}

fn protection(way: u8) -> Protection {
    match way % 3 {
        0 => Protection::None,
        1 => Protection::StartTls,
        _ => Protection::Tls,
    }
}

fn plan(way: u8) -> Plan {
    let secret = match way / 3 % 4 {
        0 => None,
        1 => Some(Secret::Password(SECRET.to_owned())),
        2 => Some(Secret::Token(SECRET.to_owned())),
        _ => Some(Secret::Token(SECRET.repeat(500))),
    };
    Plan {
        hello: "me.example".to_owned(),
        protection: protection(way),
        login: secret.map(|secret| Login { user: "ann".to_owned(), secret }),
    }
}

fn transaction(way: u8) -> Transaction {
    Transaction {
        from: "noreply@shop.example".to_owned(),
        to: if way / 12 % 2 == 0 { "ada@example.com" } else { "zoë@example.com" }.to_owned(),
        text: TEXT.to_owned(),
    }
}

/// Plays a conversation in which the server says these pieces, and hangs up. Where it can go on,
/// there is another mail.
fn play(way: u8, pieces: &[&[u8]]) -> Outcome {
    let mut conversation = Conversation::new(plan(way), transaction(way));
    let mut pieces = pieces.iter();
    let (mut said, mut sent) = (Vec::new(), Vec::new());
    let mut is_encrypted = protection(way) != Protection::StartTls;
    let mut has_closed = false;
    let mut first = None;
    loop {
        match conversation.advance() {
            Next::Read => {
                assert!(conversation.kept() <= REPLY_MAX, "{}", conversation.kept());
                assert!(!has_closed, "it waits in vain");
                match pieces.next() {
                    Some(piece) => {
                        said.extend_from_slice(piece);
                        conversation.take(piece);
                    }
                    None => {
                        has_closed = true;
                        conversation.close();
                    }
                }
            }
            Next::Send(bytes) => {
                check(way, &bytes, &sent, is_encrypted);
                let asks = |line: &[u8]| line.starts_with(b"3");
                let is_asked = said.split(|byte| *byte == b'\n').any(asks);
                assert!(bytes != SENT_TEXT || is_asked, "{}", said.escape_ascii());
                sent.push(bytes);
            }
            Next::StartTls => {
                assert!(!is_encrypted);
                assert_eq!(sent.last().map(Vec::as_slice), Some(&b"STARTTLS\r\n"[..]));
                is_encrypted = true;
                conversation.encrypted();
            }
            Next::End(result) => {
                assert!(result.is_err() || sent.last().is_some_and(|it| it == SENT_TEXT));
                let is_next = first.is_some();
                let outcome = first.unwrap_or_else(|| (sent.clone(), result));
                if is_next || !conversation.can_go_on() {
                    return outcome;
                }
                assert_eq!(conversation.kept(), 0);
                first = Some(outcome);
                conversation.go_on(transaction(way));
            }
        }
    }
}

/// Checks what is sent after what was sent.
fn check(way: u8, bytes: &[u8], sent: &[Vec<u8>], is_encrypted: bool) {
    assert!(sent.len() < SENT_MAX, "it sends without an end");
    if bytes == SENT_TEXT {
        assert_eq!(sent.last().map(Vec::as_slice), Some(&b"DATA\r\n"[..]));
        return;
    }
    let text = str::from_utf8(bytes).expect("a line");
    let line = text.strip_suffix("\r\n").expect("a whole line");
    assert!(!line.contains(char::is_control), "{line:?}");
    assert!(!line.contains("the message"));
    let verb = line.split(' ').next().unwrap_or_default();
    let login_has_begun = sent.iter().any(|line| line.starts_with(b"AUTH "));
    match verb {
        "EHLO" | "HELO" | "STARTTLS" => {}
        _ => assert!(is_encrypted, "{line} before TLS"),
    }
    match verb {
        "EHLO" | "HELO" | "STARTTLS" | "MAIL" | "RCPT" | "DATA" | "RSET" => {}
        "AUTH" => assert!(plan(way).login.is_some() && !login_has_begun),
        _ => {
            assert!(login_has_begun, "{line}");
            assert!(bytes.len() <= LOGIN_LINE_MAX);
            return;
        }
    }
    assert!(bytes.len() <= LINE_MAX, "{line}");
}
