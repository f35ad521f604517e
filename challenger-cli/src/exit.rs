//! How programs end: with an exit code and a message.

use std::io::Write as _;
use std::process::ExitCode;

/// Why a program ends early.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Exit {
    code: u8,
    message: String,
    /// Help and versions go to standard output, complaints to standard error.
    to_stdout: bool,
}

/// The exit codes that GNU Taler's programs share, and from 64 on those of helpers, which follow
/// sysexits.h.
impl Exit {
    /// 0: the person asked for help or a version and gets it.
    pub(crate) fn asked(message: impl Into<String>) -> Self {
        Self { code: 0, message: message.into(), to_stdout: true }
    }

    /// Whether the person gets what they asked for.
    #[cfg(any(feature = "email", feature = "http"))]
    pub(crate) fn is_asked(&self) -> bool {
        self.to_stdout
    }

    /// 1: it did not work.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { code: 1, message: message.into(), to_stdout: false }
    }

    /// 2: the arguments make no sense.
    pub(crate) fn invalid_argument(message: impl Into<String>) -> Self {
        Self { code: 2, message: message.into(), to_stdout: false }
    }

    /// 2: a configuration was not written. The original has no other code for it.
    pub(crate) fn not_written(message: impl Into<String>) -> Self {
        Self { code: 2, message: message.into(), to_stdout: false }
    }

    /// 6: the configuration lacks something, or has it wrong.
    pub(crate) fn not_configured(message: impl Into<String>) -> Self {
        Self { code: 6, message: message.into(), to_stdout: false }
    }

    /// The message, to end in another way with it.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }
}

/// The exit statuses of helpers, from sysexits.h: what a failed delivery means.
#[cfg(any(feature = "email", feature = "http"))]
impl Exit {
    /// 64, EX_USAGE: the arguments make no sense.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { code: 64, message: message.into(), to_stdout: false }
    }

    /// 65, EX_DATAERR: a line that `--serve` cannot read.
    pub(crate) fn broken(message: impl Into<String>) -> Self {
        Self { code: 65, message: message.into(), to_stdout: false }
    }

    /// The code, to answer with it.
    pub(crate) fn code(&self) -> u8 {
        self.code
    }

    /// 67, EX_NOUSER: the address does not exist, or takes no message.
    pub(crate) fn address_refused(message: impl Into<String>) -> Self {
        Self { code: 67, message: message.into(), to_stdout: false }
    }

    /// 68, EX_NOHOST: the address is at a host that does not exist, or takes no message.
    #[cfg(feature = "email")]
    pub(crate) fn host_unknown(message: impl Into<String>) -> Self {
        Self { code: 68, message: message.into(), to_stdout: false }
    }

    /// 69, EX_UNAVAILABLE: the message was not taken, for a reason that no other status has.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self { code: 69, message: message.into(), to_stdout: false }
    }

    /// 75, EX_TEMPFAIL: the next attempt may work.
    pub(crate) fn try_later(message: impl Into<String>) -> Self {
        Self { code: 75, message: message.into(), to_stdout: false }
    }

    /// 78, EX_CONFIG: the operator has to change a setting, an account or a server.
    pub(crate) fn misconfigured(message: impl Into<String>) -> Self {
        Self { code: 78, message: message.into(), to_stdout: false }
    }
}

/// Ends a program: prints the message, if there is one, and returns the code.
pub(crate) fn end(program: &str, result: Result<(), Exit>) -> ExitCode {
    let Err(exit) = result else { return ExitCode::SUCCESS };
    // The reader may be gone; then there is nothing left to do.
    let _ = if exit.to_stdout {
        writeln!(std::io::stdout(), "{}", exit.message.trim_end())
    } else {
        writeln!(std::io::stderr(), "{program}: {}", exit.message.trim_end())
    };
    ExitCode::from(exit.code)
}

/// Prints a line to standard error, and ignores errors.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Prints a result to standard output, at once: somebody may be waiting for the line.
///
/// # Errors
/// [`Exit::failed`] when it cannot be written: a script must not go on without the result.
pub(crate) fn say(text: &str) -> Result<(), Exit> {
    std::io::stdout()
        .write_all(format!("{text}\n").as_bytes())
        .map_err(|error| Exit::failed(format!("standard output: {error}")))
}
