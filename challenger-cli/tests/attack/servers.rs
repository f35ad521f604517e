//! Budgets that several servers share, and what of them survives when a server is killed in the
//! middle of a message, or when their rows are spoiled.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use challenger_testkit::{Cluster, at_once, request, wait_for};

use crate::budgets::{EXTREME, extremes_work};
use crate::harness::logged;
use crate::site::{DELIVER, Site, stderr, stdout};

const ADA: &str = "ada@example.com";
/// How the helper of a server waits that is about to be killed.
const WAIT: &str = "here=$(dirname \"$0\")\necho >>\"$here/begun\"\n\
                    while [ ! -e \"$here/go\" ]; do sleep 0.02; done\n";

/// The database of several servers.
struct Shared {
    cluster: Arc<Cluster>,
    database: String,
}

impl Shared {
    fn new() -> Self {
        let cluster = Cluster::shared();
        let database = cluster.create_database();
        Self { cluster, database }
    }

    /// Servers that are running.
    fn servers<const N: usize>(&self, options: [&str; N]) -> [Site; N] {
        let uri = self.cluster.uri(&self.database);
        let mut is_first = true;
        options.map(|options| {
            let mut site = Site::bare(options);
            site.use_postgres(&uri);
            if is_first {
                site.initialize();
            }
            is_first = false;
            site.start();
            site
        })
    }

    fn sql(&self, sql: &str) -> String {
        self.cluster.psql(&self.database, sql)
    }
}

/// Whether a new validation gets its message at this address.
fn is_sent(site: &Site, email: &str) -> bool {
    let reply = site.challenge(&site.setup(), email);
    let sent = reply.status == 200;
    assert!(sent || reply.refusal() == (429, 9757), "{}: {}", reply.status, reply.body);
    sent
}

/// Kills the server while its helper has a message, and starts it again.
fn kill_while_sending(site: &mut Site, email: &str) {
    let directory = site.directory.path().to_owned();
    let (begun, go) = (directory.join("begun"), directory.join("go"));
    let _ = fs::remove_file(&begun);
    site.set_helper(&format!("{DELIVER}{WAIT}"));
    let nonce = site.setup();
    let body = format!("CONTACT_EMAIL={}", email.replace('@', "%40"));
    let mut peer = site.connect();
    assert!(peer.send(request("POST", &format!("challenge/{nonce}"), &[], body.as_bytes())));
    wait_for("the helper to begin", || begun.exists().then_some(()));
    site.signal("KILL");
    assert_eq!(site.wait(), None);
    fs::write(&go, "").unwrap();
    site.set_helper(DELIVER);
    site.start();
    fs::remove_file(&go).unwrap();
}

fn killing_the_server_gives_no_message_back(mut site: Site) {
    site.start();
    assert!(is_sent(&site, ADA));
    for _ in 0..2 {
        kill_while_sending(&mut site, ADA);
    }
    assert!(is_sent(&site, "Ada%2Bx@example.com"));
    assert!(!is_sent(&site, ADA), "four were charged");
    assert_eq!(site.messages().len(), 4);
    site.stop();
}

#[test]
fn killing_the_server_gives_no_message_back_on_sqlite() {
    killing_the_server_gives_no_message_back(Site::new("ADDRESS_MESSAGES = 4"));
}

#[test]
fn killing_the_server_gives_no_message_back_on_postgresql() {
    let shared = Shared::new();
    let uri = shared.cluster.uri(&shared.database);
    let site = Site::on_postgres("ADDRESS_MESSAGES = 4\nSERVICE_MESSAGES = 1000", &uri);
    killing_the_server_gives_no_message_back(site);
}

#[test]
fn a_crowd_on_two_servers_of_which_one_is_killed_overdraws_nothing() {
    let options = "ADDRESS_MESSAGES = 3\nSERVICE_MESSAGES = 300\n\
                   [challenger-destination-ours]\nDOMAIN = example.com\nMESSAGES = 200";
    let shared = Shared::new();
    let [mut first, second] = shared.servers([options; 2]);
    let number = AtomicUsize::new(0);
    let crowd = |sites: [&Site; 2], asked: usize| {
        let sent = at_once(8, || {
            (0..asked)
                .filter(|_| {
                    let number = number.fetch_add(1, Ordering::SeqCst);
                    let domain =
                        if number.is_multiple_of(3) { "example.org" } else { "mail.example.com" };
                    // Three addresses share a mailbox.
                    let mailbox = number / 12;
                    is_sent(sites[number % 2], &format!("p{mailbox}%2B{number}@{domain}"))
                })
                .count()
        });
        sent.iter().sum::<usize>()
    };
    let mut sent = crowd([&first, &second], 8);
    kill_while_sending(&mut first, "last@example.com");
    sent += 1 + crowd([&first, &second], 8);
    sent += crowd([&second, &second], 8);
    let delivered = first.messages().len() + second.messages().len();
    assert_eq!(delivered, sent);
    let kept = |account: &str| -> usize {
        let sql = format!("SELECT spent FROM challenger.ledger WHERE account = '{account}'");
        shared.sql(&sql).trim().parse().unwrap()
    };
    assert!(kept("service") >= delivered && delivered <= 300);
    // To the end: no more than the budgets, and all but what the killed server had set aside.
    let to =
        |domain: &str| (0..400).filter(|it| is_sent(&second, &format!("q{it}@{domain}"))).count();
    let (com, org) = (to("example.com"), to("example.org"));
    let all = delivered + com + org;
    assert!((300 - 2 * 16..=300).contains(&all), "{delivered} {com} {org}");
    for mut site in [first, second] {
        site.stop();
    }
    // What a server had set aside it gives back when it stops, and no more.
    assert!((all..=300).contains(&kept("service")), "{}", kept("service"));
    assert!((com..=200).contains(&kept("domain:example.com")));
}

#[test]
fn servers_that_disagree_about_a_budget_keep_to_the_smaller_one_while_it_lasts() {
    let shared = Shared::new();
    let [mut strict, mut lax] = shared.servers(["ADDRESS_MESSAGES = 2", "ADDRESS_MESSAGES = 4"]);
    let sent = |site: &Site| (0..6).filter(|_| is_sent(site, ADA)).count();
    assert_eq!(sent(&strict), 2);
    assert_eq!(sent(&lax), 2, "up to four in all");
    assert_eq!((sent(&strict), sent(&lax)), (0, 0));
    for site in [&mut strict, &mut lax] {
        site.stop();
    }
}

#[test]
fn spoiled_rows_of_the_ledger_give_nothing_away_and_harm_only_themselves() {
    let shared = Shared::new();
    let [mut site] = shared.servers(["ADDRESS_MESSAGES = 2\nSERVICE_MESSAGES = 100"]);
    assert!(is_sent(&site, ADA));
    let day = 86_400;
    for account in ["SERVICE", "nonsense", "client:0", "address:short", "prefix:x", "country:ZZ"] {
        shared.sql(&format!(
            "INSERT INTO challenger.ledger VALUES ('{account}', 1, 0, 2, {day}, \
             extract(epoch FROM now())::bigint + 100)"
        ));
    }
    // They are nobody's.
    assert!(is_sent(&site, ADA));
    assert!(!is_sent(&site, ADA));
    let output = site.run("challenger-admin", &["--budgets"]);
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
    assert!(stderr(&output).contains("ledger.account"), "{}", stderr(&output));
    shared.sql(
        "UPDATE challenger.ledger SET ends = 1 WHERE length(account) < 20 AND account <> 'service'",
    );
    let output = site.run("challenger-dbinit", &["--garbagecollect"]);
    assert!(stdout(&output).contains("6 balances"), "{}", stdout(&output));
    assert!(site.run("challenger-admin", &["--budgets"]).status.success());
    // A count that cannot be is no budget: nobody gets a message on its account.
    shared.sql("UPDATE challenger.ledger SET spent = -5 WHERE account LIKE 'address:%'");
    assert_eq!(site.challenge(&site.setup(), ADA).status, 500);
    assert!(is_sent(&site, "bob@example.com"));
    logged(&site, "ledger.spent");
    site.stop();
}

#[test]
fn budgets_of_any_size_work_on_postgresql() {
    let shared = Shared::new();
    let [mut site] = shared.servers([EXTREME]);
    extremes_work(&site);
    site.stop();
}
