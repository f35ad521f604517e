//! Client secrets: made, read or given, and looked at before they are used.

use std::io::BufRead as _;

use challenger_proto::oauth::{HashedSecret, SECRET_PREFIX, generate_client_secret};
use challenger_proto::secret::Secret;
use challenger_server::os::OsEntropy;
use challenger_server::ports::EntropySource;

use super::strength::weakness;
use crate::exit::Exit;

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
    /// It cannot be read, or is not a possible secret, or is a weak one which is not allowed.
    pub(super) fn obtain(self, may_be_weak: bool) -> Result<Obtained, Exit> {
        let (secret, is_new) = match self {
            Self::Generated => (generate_client_secret(OsEntropy.draw()), true),
            Self::Given(text) if text == FROM_STDIN => (read_line()?, false),
            Self::Given(text) => (Secret::new(text), false),
        };
        if !is_new {
            check(secret.expose(), may_be_weak)?;
        }
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

/// Refuses impossible secrets, and weak ones unless they are allowed.
fn check(secret: &str, may_be_weak: bool) -> Result<(), Exit> {
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
    let random = secret.strip_prefix(SECRET_PREFIX);
    if random == Some("") {
        // Most likely a shell variable that was not set.
        return Err(Exit::invalid_argument(format!("nothing follows {SECRET_PREFIX}")));
    }
    if random.is_none() {
        log::warn!(
            "the secret does not begin with {SECRET_PREFIX} (RFC 8959), which some clients want"
        );
    }
    match weakness(random.unwrap_or(secret)) {
        Some(why) if may_be_weak => log::warn!("the secret is weak: {why}"),
        Some(why) => {
            return Err(Exit::invalid_argument(format!(
                "the secret is weak: {why}. --generate and --regenerate make strong ones; if it \
                 has to be this one, add --weak"
            )));
        }
        None => {}
    }
    Ok(())
}
