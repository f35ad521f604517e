//! Client secrets: made, read or given, and looked at before they are used.

use std::io::BufRead as _;

use challenger_proto::oauth::{HashedSecret, SECRET_PREFIX, generate_client_secret};
use challenger_proto::secret::Secret;
use challenger_server::os::OsEntropy;
use challenger_server::ports::EntropySource;

use crate::exit::Exit;

/// A secret with fewer characters than this can be guessed.
const SECRET_MIN: usize = 16;

/// Stands for a secret or an address that comes from standard input, where no list of processes
/// shows it.
pub(super) const FROM_STDIN: &str = "-";

/// Where a secret comes from.
pub(super) enum NewSecret {
    /// From us: a strong one is made.
    Generated,
    /// From the operator.
    Given(String),
}

/// A secret that can be used.
pub(super) struct Obtained {
    /// For the store.
    pub(super) hashed: HashedSecret,
    /// For the operator, if nobody else knows it.
    pub(super) to_print: Option<Secret<String>>,
}

impl NewSecret {
    /// Makes the secret, reads it, or takes it as it is.
    ///
    /// # Errors
    /// It cannot be read, or is not a possible secret.
    pub(super) fn obtain(self) -> Result<Obtained, Exit> {
        let (secret, is_new) = match self {
            Self::Generated => (generate_client_secret(OsEntropy.draw()), true),
            Self::Given(text) if text == FROM_STDIN => (read_line()?, false),
            Self::Given(text) => (Secret::new(text), false),
        };
        check(secret.expose())?;
        let hashed = HashedSecret::new(secret.expose(), OsEntropy.draw());
        Ok(Obtained { hashed, to_print: is_new.then_some(secret) })
    }
}

/// Reads one line of standard input.
///
/// # Errors
/// It cannot be read.
pub(super) fn read_line() -> Result<Secret<String>, Exit> {
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| Exit::failed(format!("standard input: {error}")))?;
    Ok(Secret::new(line.trim_end_matches(['\r', '\n']).to_owned()))
}

/// Refuses impossible secrets, and warns about weak ones.
fn check(secret: &str) -> Result<(), Exit> {
    let printable = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    if secret.is_empty() || !secret.bytes().all(printable) {
        return Err(Exit::invalid_argument(
            "a client secret is one or more characters of printable ASCII",
        ));
    }
    if secret.trim() != secret {
        return Err(Exit::invalid_argument(
            "a client secret has no spaces at its ends, which a header would lose",
        ));
    }
    match secret.strip_prefix(SECRET_PREFIX) {
        // Most likely a shell variable that was not set.
        Some("") => {
            return Err(Exit::invalid_argument(format!("nothing follows {SECRET_PREFIX}")));
        }
        None => log::warn!(
            "the secret does not begin with {SECRET_PREFIX} (RFC 8959), which some clients want"
        ),
        Some(rest) if rest.len() < SECRET_MIN => log::warn!(
            "after {SECRET_PREFIX} the secret has fewer than {SECRET_MIN} characters, so it can be \
             guessed"
        ),
        Some(_) => {}
    }
    Ok(())
}
