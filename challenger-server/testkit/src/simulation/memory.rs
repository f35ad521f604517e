//! What the servers remember of rows: any of them may remember any row as it ever was.

use std::collections::BTreeMap;

use challenger_proto::machine::Validation;
use challenger_proto::secret::NonceDigest;
use challenger_proto::store::Rows;
use challenger_proto::{Entropy, Step, Timestamp};

use crate::Dice;

/// Each row in all its versions, also after it was deleted.
#[derive(Debug, Default)]
pub(super) struct Memory(BTreeMap<NonceDigest, Vec<Validation>>);

impl Memory {
    pub(super) fn keep(&mut self, row: Validation) {
        self.0.entry(row.id).or_default().push(row);
    }

    /// A row as the server that is asked remembers it, if it does: mostly as it is.
    pub(super) fn recall(&self, id: &NonceDigest, dice: &mut Dice) -> Option<Validation> {
        let versions = self.0.get(id)?;
        match dice.below(4) {
            0 => None,
            1 => Some(dice.pick(versions).clone()),
            _ => versions.last().cloned(),
        }
    }
}

/// I16: what is decided on rows that were loaded is what would be decided without the guess before.
pub(super) fn assert_forgotten(
    begun: Step<'_>,
    rows: Rows,
    now: Timestamp,
    entropy: Entropy,
    found: &Step<'_>,
) {
    let Step::Load(it) = begun else { panic!("I16: no rows are needed") };
    let is_same = match (it.loaded(rows, now, entropy), found) {
        (Step::Commit(one), Step::Commit(other)) => one.write() == other.write(),
        (Step::Respond(one), Step::Respond(other)) => one == *other,
        _ => false,
    };
    assert!(is_same, "I16: a row that was not proved decides");
}
