//! Errors of delivery, without personal data.

use std::fmt;

use data_encoding::BASE64;
use lettre::Address;

use super::conversation::{Kind, Login, Secret};
use crate::common::of_helper;
use crate::exit::Exit;
use crate::private::Private;

/// The message was not taken.
pub(super) struct DeliveryError {
    /// What the failure means.
    pub(super) kind: Kind,
    pub(super) why: String,
}

impl DeliveryError {
    pub(super) fn new(kind: Kind, why: impl Into<String>) -> Self {
        Self { kind, why: why.into() }
    }

    /// How the program ends.
    pub(super) fn exit(&self) -> Exit {
        self.end(self.to_string())
    }

    /// How a check ends that finds this about a setting.
    pub(super) fn found(&self, setting: &str) -> Exit {
        self.end(of_helper(&format!("{setting}: {}", self.why)))
    }

    fn end(&self, why: String) -> Exit {
        match self.kind {
            Kind::Address => Exit::address_refused(why),
            Kind::Host => Exit::host_unknown(why),
            Kind::Configuration => Exit::misconfigured(why),
            Kind::Later => Exit::try_later(why),
            Kind::Unavailable => Exit::unavailable(why),
        }
    }
}

impl fmt::Display for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how_long = if self.kind == Kind::Later { "temporary" } else { "permanent" };
        write!(f, "{how_long} failure: {}", self.why)
    }
}

/// What must not be printed: the recipient and the message.
pub(super) fn private(recipient: &Address, message: &str) -> Private {
    let mut private = Private::default();
    private.add_address(recipient.as_ref());
    let (unicode, _) = idna::domain_to_unicode(recipient.domain());
    private.add_address(&format!("{}@{unicode}", recipient.user()));
    private.add_message(message);
    private
}

/// Adds the credentials to what must not be printed.
pub(super) fn add_login(private: &mut Private, login: &Login) {
    let (Secret::Password(secret) | Secret::Token(secret)) = &login.secret;
    for text in [&login.user, secret] {
        private.add_secret(text);
        // Also as it is sent: a server may repeat a command that it did not understand.
        private.add_secret(&BASE64.encode(text.as_bytes()));
    }
    private.add_secret(&login.response());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_hidden_however_they_are_sent() {
        let secret = Secret::Password("p, w".to_owned());
        let recipient = "a@xn--bcher-kva.example".parse().unwrap();
        let mut private = private(&recipient, "1234-5678 for you.\n");
        add_login(&mut private, &Login { user: "ann".to_owned(), secret });
        let hidden = private.hide("Ann: p, w, cCwgdw== AGFubgBwLCB3 YW5u; 1234-5678 A");
        assert_eq!(hidden, "***: ***, *** *** ***; *** ***");
        assert_eq!(private.hide("no bücher.example, XN--bcher-kva.example"), "no ***, ***");
    }
}
