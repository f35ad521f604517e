//! Statistics add up, by day and client.

use challenger_proto::oauth::ClientId;
use challenger_proto::{Span, Timestamp};
use challenger_server::store::{Counts, DAYS_KEPT, Day, OpenMode, Registry, Statistic, Store};

use super::database::{TestDatabase, served};
use super::{NOW, register};

fn statistic(client: ClientId, at: Timestamp, opened: u64) -> Statistic {
    let counts =
        Counts { opened, messages: opened + 1, failed: 1, proved: opened, redeemed: opened };
    Statistic { day: Day::of(at), client, counts }
}

/// What several servers count is added up; that of clients that are deleted goes with them.
pub(crate) fn statistics_of_servers_add_up<D: TestDatabase>() {
    let (it, store) = served::<D>();
    let another = it.open(OpenMode::Serve).unwrap();
    let uris = ["https://kept.example/cb", "https://deleted.example/cb"];
    let [kept, deleted] = uris.map(|uri| register(&store, uri, "x").id);
    let tomorrow = NOW.plus(Span::days(1));
    let of = |client, at, opened| statistic(client, at, opened);
    store.add_to_statistics(&[of(kept, NOW, 2), of(kept, tomorrow, 1)]).unwrap();
    let second = [of(deleted, NOW, 7), of(kept, NOW, 3), of(ClientId::new(9).unwrap(), NOW, 1)];
    another.add_to_statistics(&second).unwrap();
    store.add_to_statistics(&[]).unwrap();

    let mut sum = of(kept, NOW, 2);
    sum.counts.add(&of(kept, NOW, 3).counts);
    assert_eq!((sum.counts.messages, sum.counts.failed), (7, 2));
    let all = [sum, of(deleted, NOW, 7), of(kept, tomorrow, 1)];
    assert_eq!(store.statistics(Day::of(NOW)).unwrap(), all);
    assert_eq!(store.statistics(Day::of(tomorrow)).unwrap(), all[2..]);

    assert_eq!(store.delete_client(deleted), Ok(true));
    assert_eq!(store.statistics(Day::of(NOW)).unwrap(), [all[0], all[2]]);
}

/// The garbage collection deletes what is older than a year and a month.
pub(crate) fn statistics_are_kept_for_so_many_days<D: TestDatabase>() {
    let (_it, store) = served::<D>();
    let client = register(&store, "https://client.example/cb", "x").id;
    let kept = statistic(client, NOW, 1);
    let old = statistic(client, Timestamp::from_seconds(NOW.seconds() - 86_400), 1);
    store.add_to_statistics(&[old, kept]).unwrap();
    store.collect_garbage(NOW.plus(Span::days(DAYS_KEPT))).unwrap();
    assert_eq!(store.statistics(old.day).unwrap(), [kept]);
}
