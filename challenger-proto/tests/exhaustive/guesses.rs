//! Decisions on rows that are only remembered: right or wrong, they change nothing (I16).

use challenger_proto::http::Request;
use challenger_proto::store::{Commit, Rows};
use challenger_proto::{Entropy, Loading, Step};

use super::Node;
use challenger_testkit::audit::Cause;
use challenger_testkit::world;

impl Node {
    /// A guess with the row as it is leads to the commit that loading the row leads to.
    pub(super) fn check_right_guess(&self, request: &Request, seed: u8) {
        let Step::Load(it) = Step::begin(request, self.service, self.now) else { return };
        if it.guessable().is_none() {
            return;
        }
        let mut rows = self.records.load(it.keys());
        let loaded = world::step(request, rows.clone(), self.now, seed, self.service);
        let Some(row) = rows.validation.take() else { return };
        let guessed = it.guess(row, rows, self.now, Entropy::new([seed; 32]));
        match (guessed, loaded) {
            (Ok(guess), Step::Commit(it)) => assert_eq!(guess.write(), it.write(), "I16: a guess"),
            (Err(_), Step::Respond(_)) => {}
            (guessed, loaded) => panic!("I16: guessed {guessed:?}, loaded {loaded:?}"),
        }
    }

    /// A guess with the row before its latest write leads to a conflict or to nothing, and so back
    /// to the load.
    pub(super) fn guess_wrong(
        &self,
        cause: Cause<'_>,
        it: Loading<'static>,
        seed: u8,
    ) -> Loading<'static> {
        let Some(row) = self.old.clone().filter(|_| it.guessable().is_some()) else { return it };
        let beside = it.beside().map_or_else(Rows::default, |keys| self.records.load(&keys));
        let guessed = it.guess(row, beside, self.now, Entropy::new([seed; 32]));
        let mut step = guessed.map_or_else(Step::Load, Step::Commit);
        self.auditor.guessed(cause, &self.auditor.glimpse(cause), &step, self.now);
        if let Step::Commit(it) = step {
            assert_eq!(
                self.records.clone().commit(it.write()),
                Commit::Conflict,
                "I10: an old row"
            );
            step = it.conflict();
            self.auditor.contradicted(&step);
        }
        let Step::Load(it) = step else { panic!("I16: a wrong guess leads to {step:?}") };
        it
    }
}
