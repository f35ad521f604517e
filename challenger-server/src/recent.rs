//! The validations that this server wrote or read last, so that most requests which change one need
//! not load it first.
//!
//! A row may have been changed or deleted by others since. That costs a commit in vain and nothing
//! else, because no answer rests on a row that is only remembered ([`Loading::guess`]).
//!
//! The rows are in two generations. The older one is forgotten when the younger one is full, or has
//! lasted for a minute, and takes its place.
//!
//! [`Loading::guess`]: challenger_proto::Loading::guess

use std::collections::BTreeMap;
use std::fmt;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use challenger_proto::address::Address;
use challenger_proto::machine::{Earlier, Validation};
use challenger_proto::secret::NonceDigest;
use challenger_proto::store::{Keys, Rows, Write};

/// How long a generation lasts. A person takes about a minute to read a message and enter its code.
const GENERATION: Duration = Duration::from_secs(60);

/// How much memory a generation may take: that of several thousand rows, or of fifty that are as
/// large as requests can make them.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// What an entry of a map takes besides its content, about: its part of a node, and of the heap.
const ROW_OVERHEAD: usize = 128;

/// The rows that are remembered.
#[derive(Default)]
pub struct Recent(Mutex<Memory>);

/// Without the rows.
impl fmt::Debug for Recent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recent")
    }
}

impl Recent {
    /// The row as it was when it was last written or read here.
    pub(crate) fn find(&self, id: &NonceDigest) -> Option<Validation> {
        self.lock().find(id, Instant::now()).cloned()
    }

    /// Learns from a load: a row that is not there any more is forgotten.
    pub(crate) fn loaded(&self, keys: &Keys, rows: &Rows) {
        let Some(id) = &keys.validation else { return };
        match &rows.validation {
            Some(row) => self.lock().keep(row.clone(), Instant::now()),
            None => self.lock().forget(id),
        }
    }

    /// Learns from a commit that is done.
    pub(crate) fn written(&self, write: &Write) {
        if let Some(row) = write.row_after() {
            self.lock().keep(row, Instant::now());
        }
    }

    /// Learns that the row of a write is another one, or may be.
    pub(crate) fn disproved(&self, write: &Write) {
        if let Some(row) = write.row() {
            self.lock().forget(&row.id);
        }
    }

    /// Also after a thread panicked with it: the worst that can be wrong is a row.
    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
struct Memory {
    young: Generation,
    old: Generation,
}

#[derive(Default)]
struct Generation {
    /// When its first row came.
    begun: Option<Instant>,
    bytes: usize,
    rows: BTreeMap<NonceDigest, Box<Validation>>,
}

impl Memory {
    fn find(&mut self, id: &NonceDigest, now: Instant) -> Option<&Validation> {
        self.age(now);
        self.young.rows.get(id).or_else(|| self.old.rows.get(id)).map(|row| &**row)
    }

    /// Keeps a row, unless a later version is known.
    fn keep(&mut self, row: Validation, now: Instant) {
        if self.find(&row.id, now).is_some_and(|known| known.version > row.version) {
            return;
        }
        self.forget(&row.id);
        if self.young.bytes.saturating_add(bytes_of(&row)) > BYTES_MAX {
            self.old = mem::take(&mut self.young);
        }
        self.young.begun.get_or_insert(now);
        self.young.bytes += bytes_of(&row);
        self.young.rows.insert(row.id, Box::new(row));
    }

    fn forget(&mut self, id: &NonceDigest) {
        for generation in [&mut self.young, &mut self.old] {
            if let Some(row) = generation.rows.remove(id) {
                generation.bytes = generation.bytes.saturating_sub(bytes_of(&row));
            }
        }
    }

    /// Lets time pass: rows are forgotten one to two minutes after they came, by the next request
    /// that looks.
    fn age(&mut self, now: Instant) {
        let has_lasted = |begun: Instant, time| now.saturating_duration_since(begun) >= time;
        if self.young.begun.is_some_and(|begun| has_lasted(begun, GENERATION)) {
            self.old = mem::take(&mut self.young);
        }
        if self.old.begun.is_some_and(|begun| has_lasted(begun, 2 * GENERATION)) {
            self.old = Generation::default();
        }
    }
}

/// How much memory a row takes, with all that it points to.
fn bytes_of(row: &Validation) -> usize {
    let address = |it: &Address| {
        it.fields().map(|(name, value)| ROW_OVERHEAD + name.len() + value.len()).sum::<usize>()
    };
    let addresses = row.prefill.iter().chain(row.address()).map(address).sum::<usize>();
    let request = row.authorization.as_ref().map_or(0, |it| {
        let texts = [it.state.as_deref(), it.scope.as_deref()];
        let challenge = it.code_challenge.as_ref().map_or(0, |it| it.value().len());
        texts.into_iter().flatten().map(str::len).sum::<usize>() + challenge
    });
    size_of::<Validation>()
        + ROW_OVERHEAD
        + row.redirect_uri.as_str().len()
        + addresses
        + request
        + row.earlier.capacity() * size_of::<Earlier>()
}

#[cfg(test)]
mod tests {
    use challenger_proto::machine::{Progress, RowVersion};
    use challenger_proto::oauth::{AuthorizationRequest, ClientId, RedirectUri};
    use challenger_proto::{Span, Timestamp};

    use super::*;

    fn id(number: u32) -> NonceDigest {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        NonceDigest::from_bytes(bytes)
    }

    fn row(number: u32, version: i64) -> Validation {
        Validation {
            id: id(number),
            client: ClientId::new(1).unwrap(),
            version: RowVersion(version),
            created: None,
            expires: Timestamp::EPOCH.plus(Span::days(1)),
            redirect_uri: RedirectUri::parse("https://client.example/cb").unwrap(),
            client_name: None,
            prefill: None,
            read_only: false,
            request_uri_until: None,
            authorization: None,
            addresses_left: 3,
            refunds_left: 3,
            last_failure: None,
            earlier: Vec::new(),
            progress: Progress::Open,
        }
    }

    impl Memory {
        fn version(&mut self, number: u32, now: Instant) -> Option<i64> {
            self.find(&id(number), now).map(|row| row.version.0)
        }

        /// Checks that the books are right, and within the bounds. Returns the number of rows.
        fn audited(&self) -> usize {
            for generation in [&self.young, &self.old] {
                let bytes: usize = generation.rows.values().map(|row| bytes_of(row)).sum();
                assert_eq!(generation.bytes, bytes);
                assert!(bytes <= BYTES_MAX, "{bytes}");
            }
            self.young.rows.len() + self.old.rows.len()
        }
    }

    #[test]
    fn the_latest_version_is_kept_once() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        for (version, kept) in [(2, 2), (3, 3), (2, 3), (3, 3), (4, 4)] {
            memory.keep(row(7, version), now);
            assert_eq!(memory.version(7, now), Some(kept));
        }
        assert_eq!(memory.version(8, now), None);
        memory.keep(row(7, 5), now + GENERATION);
        assert_eq!(memory.audited(), 1, "also across generations");
        memory.forget(&id(7));
        assert_eq!((memory.version(7, now + GENERATION), memory.audited()), (None, 0));
    }

    #[test]
    fn rows_last_a_minute_or_two() {
        let (mut memory, begin) = (Memory::default(), Instant::now());
        let second = Duration::from_secs(1);
        memory.keep(row(1, 1), begin);
        memory.keep(row(2, 1), begin + GENERATION - second);
        memory.keep(row(3, 1), begin + GENERATION);
        let late = begin + 2 * GENERATION - second;
        assert_eq!([1, 2, 3].map(|it| memory.version(it, late)), [Some(1); 3]);
        let later = begin + 2 * GENERATION;
        assert_eq!([1, 2, 3].map(|it| memory.version(it, later)), [None, None, Some(1)]);
        assert_eq!(memory.version(3, begin + 9 * GENERATION), None, "nobody asked for long");
        assert_eq!(memory.audited(), 0);
    }

    #[test]
    fn many_rows_and_large_rows_take_as_much_memory_as_few() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        let mut most = 0;
        for number in 0..40_000 {
            memory.keep(row(number, 1), now);
            if number % 500 == 0 {
                most = most.max(memory.audited());
            }
            assert_eq!(memory.version(number, now), Some(1));
        }
        assert!((4000..16_000).contains(&most), "{most} rows");
        for number in 0..1000 {
            let state = Some("s".repeat(8000));
            let authorization = Some(AuthorizationRequest { state, ..Default::default() });
            let prefill = Address::new([("NAME".to_owned(), "n".repeat(2000))]).ok();
            memory.keep(Validation { authorization, prefill, ..row(number, 2) }, now);
        }
        assert!((200..1000).contains(&memory.audited()));
    }

    #[test]
    fn loads_and_writes_teach_and_nothing_is_shown() {
        let recent = Recent::default();
        let keys = Keys { validation: Some(id(7)), ..Keys::default() };
        let loaded = |validation| Rows { validation, ..Rows::default() };
        recent.loaded(&Keys::default(), &loaded(None));
        recent.loaded(&keys, &loaded(Some(row(7, 3))));
        assert_eq!(recent.find(&id(7)), Some(row(7, 3)));
        recent.written(&Write::Update(row(7, 3), Vec::new()));
        assert_eq!(recent.find(&id(7)), Some(row(7, 4)));
        assert_eq!(format!("{recent:?}"), "Recent");
        recent.disproved(&Write::Update(row(7, 4), Vec::new()));
        assert_eq!(recent.find(&id(7)), None);
        recent.loaded(&keys, &loaded(Some(row(7, 5))));
        recent.loaded(&keys, &loaded(None));
        assert_eq!(recent.find(&id(7)), None, "it was deleted");
    }
}
