//! Messages and their budgets at the real server, with real helpers: how many run at the same time,
//! the fate of the others, and the cost of a failure.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod site;

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use challenger_testkit::{Reply, wait_for};
use site::Site;

/// Says that it has begun, and waits until it may go on.
const SLOW: &str = "#!/bin/sh\ncd \"$(dirname \"$0\")\"\ncat >/dev/null\necho >>begun\n\
                    while [ -e begun ] && [ ! -e go ]; do sleep 0.01; done\n";

fn started(options: &str, helper: &str) -> Site {
    let mut site = Site::new(options);
    site.set_helper(helper);
    site.start();
    site
}

fn send(site: &Site, nonce: &str) -> Reply {
    site.challenge(nonce, "ada@example.com")
}

/// How many helpers have begun.
fn begun(site: &Site) -> usize {
    let text = fs::read_to_string(site.directory.path().join("begun")).unwrap_or_default();
    text.lines().count()
}

/// The remaining budget of a validation: addresses, messages to this one, and guesses. It costs a
/// guess.
fn left(site: &Site, nonce: &str) -> [u64; 3] {
    let reply = site.solve(nonce, "00000000");
    assert_eq!(reply.status, 403, "{}", reply.body);
    ["addresses_left", "pin_transmissions_left", "auth_attempts_left"]
        .map(|name| reply.json()[name].as_u64().unwrap())
}

fn is_busy(reply: &Reply) -> bool {
    let busy = reply.status == 503;
    assert!(!busy || reply.refusal() == (503, 9752), "{}", reply.body);
    let retry_after = reply.header("Retry-After").and_then(|it| it.parse::<u32>().ok());
    assert!(!busy || retry_after.is_some_and(|it| (3..=9).contains(&it)), "{reply:?}");
    busy
}

#[test]
fn who_finds_no_helper_is_charged_nothing_and_others_go_on() {
    let mut site = started("HELPERS_MAX = 2\nHELPERS_WAIT = 0\nAUTH_TIMEOUT = 5 min", SLOW);
    let nonces: Vec<String> = (0..3).map(|_| site.setup()).collect();
    thread::scope(|scope| {
        let sending = nonces[..2].iter().map(|nonce| scope.spawn(|| send(&site, nonce)));
        let sending: Vec<_> = sending.collect();
        wait_for("both helpers", || (begun(&site) == 2).then_some(()));
        for _ in 0..5 {
            assert!(is_busy(&send(&site, &nonces[2])));
        }
        // A request that needs no helper need not wait for one: all of this while they are at work.
        assert_eq!(site.get("config", &[]).status, 200);
        let nonce = site.setup();
        let authorize = format!("authorize/{nonce}?response_type=code&client_id=1");
        assert_eq!(site.get(&authorize, &[]).status, 200);
        assert_eq!(site.solve(&nonce, "00000000").status, 403);
        assert_eq!(site.token("no-such-code").status, 401);
        assert_eq!(site.info("no-such-token").status, 403);
        assert_eq!(begun(&site), 2);
        fs::write(site.directory.path().join("go"), "").unwrap();
        for sending in sending {
            assert_eq!(sending.join().unwrap().json()["transmitted"], true);
        }
    });
    // A person who was turned away has as much as everybody else.
    assert_eq!(send(&site, &nonces[2]).json()["transmitted"], true);
    let [first, last] = [0, 2].map(|number| left(&site, &nonces[number]));
    assert_eq!((first, last), ([2, 2, 2], [2, 2, 2]));
    site.stop();
}

#[test]
fn all_helpers_can_be_had_again_however_they_ended() {
    let mut site = started("HELPERS_MAX = 2\nAUTH_TIMEOUT = 2 s", "#!/bin/sh\nexec sleep 1000\n");
    let both = |site: &Site| -> Vec<Reply> {
        let nonces = [site.setup(), site.setup()];
        thread::scope(|scope| {
            let sending = nonces.each_ref().map(|nonce| scope.spawn(|| send(site, nonce)));
            sending.map(|sending| sending.join().unwrap()).into()
        })
    };
    for helper in
        ["exec sleep 1000", "exit 1", "kill -KILL $$", "exec yes", "exec /no/such/program"]
    {
        site.set_helper(&format!("#!/bin/sh\n{helper}\n"));
        for reply in both(&site) {
            assert_eq!(reply.refusal(), (502, 9752), "{helper}");
        }
    }
    fs::remove_file(site.directory.path().join("deliver.sh")).unwrap();
    assert!(both(&site).iter().all(|reply| reply.refusal() == (502, 9752)));
    site.stop();
    // A helper that ends only when another runs beside it.
    let config = fs::read_to_string(site.config()).unwrap();
    fs::write(site.config(), config.replace("AUTH_TIMEOUT = 2 s", "")).unwrap();
    site.set_helper(
        "#!/bin/sh\ncd \"$(dirname \"$0\")\"\necho >>begun\n\
         while [ \"$(wc -l <begun)\" -lt 2 ]; do sleep 0.01; done\n",
    );
    site.start();
    for _ in 0..3 {
        assert!(both(&site).iter().all(|reply| reply.json()["transmitted"] == true));
        fs::remove_file(site.directory.path().join("begun")).unwrap();
    }
    site.stop();
}

#[test]
fn the_exit_status_says_what_a_failure_means() {
    let mut site = started("AUTH_TIMEOUT = 2 s", "");
    let helper = site.directory.path().join("deliver.sh");
    let refused = "the address does not exist or cannot be reached";
    let later = "the delivery may succeed later";
    let configuration = "the service is not configured correctly";
    let unknown = "the delivery failed";
    for (script, kind, words, how) in [
        ("exit 67", "address", refused, "status 67"),
        ("exit 68", "address", refused, "status 68"),
        ("exit 75", "later", later, "status 75"),
        ("exit 78", "configuration", configuration, "status 78"),
        ("exit 1", "unknown", unknown, "status 1"),
        ("exit 66", "unknown", unknown, "status 66"),
        ("kill -KILL $$", "unknown", unknown, "signal 9"),
        ("exec sleep 1000", "unknown", unknown, "timed out after 2s"),
        ("", "configuration", configuration, "could not be started: "),
    ] {
        match script {
            "" => fs::remove_file(&helper).unwrap(),
            script => site.set_helper(&format!("#!/bin/sh\necho a word\n{script}\n")),
        }
        let lines = || -> Vec<String> {
            let log = site.log();
            let lines = log.lines().filter(|line| line.contains(" WARNING message "));
            lines.map(str::to_owned).collect()
        };
        let before = lines().len();
        let reply = send(&site, &site.setup());
        assert_eq!(reply.refusal(), (502, 9752), "{script}");
        let detail = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.starts_with(&format!("{words}: {how}")), "{script}: {detail}");
        let line = wait_for("a line about the message", || lines().into_iter().nth(before));
        assert!(line.contains(&format!(" failure={kind} error=\"{how}")), "{script}: {line}");
        assert_eq!(line.contains(" said=\"a word\""), !script.is_empty(), "{line}");
        // On the page are neither the words of the helper nor its status.
        let accept = [("Accept", "text/html"), ("Accept-Language", "en")];
        let nonce = site.setup();
        let form = "CONTACT_EMAIL=ada%40example.com";
        let page = site.post(&format!("challenge/{nonce}"), &accept, form);
        wait_for("another line", || lines().into_iter().nth(before + 1));
        assert_eq!(page.status, 502, "{script}");
        assert!(page.body.contains(">ada@example.com<"), "{}", page.body);
        assert!(!page.body.contains(how) && !page.body.contains("a word"), "{}", page.body);
    }
    site.stop();
}

#[test]
fn three_failures_are_given_back_and_no_more() {
    let try_out = |script: Option<&str>| {
        let mut site = started("AUTH_TIMEOUT = 2 s\nRETRANSMISSION_INTERVAL = 1 day", "");
        let helper = site.directory.path().join("deliver.sh");
        match script {
            Some(script) => site.set_helper(&format!("#!/bin/sh\n{script}\n")),
            None => fs::remove_file(&helper).unwrap(),
        }
        let nonce = site.setup();
        // Each of these is due at once, the fourth as well: only it stays charged.
        for _ in 0..4 {
            assert_eq!(send(&site, &nonce).refusal(), (502, 9752), "{script:?}");
        }
        let reply = send(&site, &nonce);
        assert_eq!(
            (reply.status, &reply.json()["transmitted"]),
            (200, &false.into()),
            "{script:?}"
        );
        assert_eq!(left(&site, &nonce), [2, 2, 2], "{script:?}");
        // Another address has messages of its own, but none that are given back.
        let bob = || site.challenge(&nonce, "bob@example.com");
        assert_eq!(bob().refusal(), (502, 9752), "{script:?}");
        assert_eq!(bob().json()["transmitted"], false, "{script:?}");
        assert_eq!(left(&site, &nonce), [1, 2, 2], "{script:?}");
        site.stop();
        let ran = site.log().lines().filter(|line| line.contains(" WARNING message ")).count();
        assert_eq!(ran, 5, "{script:?}: {}", site.log());
    };
    let scripts = [
        Some("exit 75"),
        Some("kill -SEGV $$"),
        Some("exec sleep 1000"),
        Some("exec yes"),
        Some("sleep 1000 & wait"),
        Some("exec <&-; exit 1"),
        None,
    ];
    thread::scope(|scope| {
        let tried = scripts.map(|script| scope.spawn(move || try_out(script)));
        tried.into_iter().for_each(|tried| tried.join().unwrap());
    });
}

#[test]
fn one_message_takes_one_helper_however_often_it_is_asked_for() {
    const AT_ONCE: usize = 60;
    let mut site = started("HELPERS_MAX = 1\nAUTH_TIMEOUT = 5 min", SLOW);
    for round in 1..=3 {
        let nonce = site.setup();
        let answered = AtomicUsize::new(0);
        let replies: Vec<Reply> = thread::scope(|scope| {
            let work = || {
                let reply = send(&site, &nonce);
                answered.fetch_add(1, Ordering::SeqCst);
                reply
            };
            let sending: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
            // Only one of them has anything to wait for.
            wait_for("the others", || {
                (answered.load(Ordering::SeqCst) == AT_ONCE - 1).then_some(())
            });
            fs::write(site.directory.path().join("go"), "").unwrap();
            sending.into_iter().map(|sending| sending.join().unwrap()).collect()
        });
        fs::remove_file(site.directory.path().join("go")).unwrap();
        assert!(replies.iter().all(|reply| reply.status == 200), "{}", site.log());
        let sent = replies.iter().filter(|reply| reply.json()["transmitted"] == true).count();
        assert_eq!((sent, begun(&site)), (1, round));
        assert_eq!(left(&site, &nonce), [2, 2, 2]);
    }
    site.stop();
}
