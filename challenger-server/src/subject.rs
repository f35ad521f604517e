//! What a request is about, for the log: by its client's number, and by the six letters that the
//! person sees on the page and in the message.

use challenger_proto::http::Request;
use challenger_proto::machine::Validation;
use challenger_proto::oauth::{ClientId, GrantSerial};
use challenger_proto::secret::NonceDigest;
use challenger_proto::store::{Keys, Rows};

/// What a request is about, as far as it is known. It is learned from rows that exist, so that
/// nobody can make up what the log says.
pub(crate) struct Subject {
    /// The name of the route.
    pub(crate) route: &'static str,
    client: Option<ClientId>,
    validation: Option<NonceDigest>,
    grant: Option<GrantSerial>,
}

impl Subject {
    /// That of a request of which nothing else is known yet.
    pub(crate) fn of(head: Option<&Request>) -> Self {
        let route = head.map_or("-", Request::route);
        Self { route, client: None, validation: None, grant: None }
    }

    /// Learns from rows that were loaded.
    pub(crate) fn learn(&mut self, rows: &Rows) {
        let Rows { client, validation, grant, .. } = rows;
        let grant = grant.as_ref();
        let client = client.as_ref().map(|it| it.id).or_else(|| Some(grant?.1.client));
        self.client = validation.as_ref().map(|it| it.client).or(client).or(self.client);
        self.validation = validation.as_ref().map(|it| it.id).or(self.validation);
        self.grant = grant.map(|(serial, _)| *serial).or(self.grant);
    }

    /// Learns from a row that is remembered, or going to be written.
    pub(crate) fn learn_from_row(&mut self, row: &Validation) {
        (self.client, self.validation) = (Some(row.client), Some(row.id));
    }

    /// Learns what could not be read: the person may be there, and ask what is wrong.
    pub(crate) fn learn_from_keys(&mut self, keys: &Keys) {
        self.validation = self.validation.or(keys.validation);
    }

    /// The number of the client.
    pub(crate) fn client(&self) -> Option<i64> {
        self.client.map(ClientId::number)
    }

    /// The letters that name the validation to people.
    pub(crate) fn reference(&self) -> Option<String> {
        self.validation.as_ref().map(NonceDigest::reference)
    }

    /// The number of the grant, which its client knows as `id`.
    pub(crate) fn grant(&self) -> Option<i64> {
        self.grant.map(|it| it.0)
    }
}
