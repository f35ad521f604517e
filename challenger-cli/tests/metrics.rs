//! Health and metrics of the real server, on both stores: off until they are wanted, on a listener
//! of their own, and true.

#![cfg(all(feature = "metrics", feature = "postgres", feature = "sqlite"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod scrape;
mod site;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use challenger_testkit::{Cluster, End, Place, at_once, request, wait_for};
use scrape::{Monitor, OPEN_METRICS};
use site::{SECRET, Site, free_port, stderr};

/// Connections of strangers: as many as there may be.
const CROWD: usize = 500;

/// A site on a cluster that is its own.
fn on_postgres(options: &str) -> (Cluster, String, Site) {
    let cluster = Cluster::durable();
    let name = cluster.create_database();
    let site = Site::on_postgres(options, &cluster.uri(&name));
    (cluster, name, site)
}

#[test]
fn nothing_is_told_unless_it_is_wanted() {
    let mut site = Site::new("");
    site.start();
    site.stop();
    let listeners = |site: &Site| site.log().matches(" INFO serving").count();
    assert_eq!(listeners(&site), 1, "{}", site.log());
    let monitor = Monitor::of(&site);
    site.start();
    assert_eq!(monitor.get("healthz").status, 200);
    // Never where everybody comes.
    for path in ["healthz", "readyz", "metrics"] {
        assert_eq!(site.get(path, &[]).status, 404, "{path}");
    }
    site.stop();
    assert_eq!(listeners(&site), 3, "{}", site.log());
}

#[test]
fn three_paths_can_be_read() {
    let mut site = Site::new("");
    let monitor = Monitor::of(&site);
    site.start();
    let plain = "text/plain; charset=utf-8";
    let text = "text/plain; version=0.0.4; charset=utf-8";
    let open = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let prometheus = format!("{OPEN_METRICS},text/plain;version=0.0.4;q=0.5,*/*;q=0.1");
    for (path, accept, status, media_type) in [
        ("healthz", "*/*", 200, plain),
        ("readyz", "*/*", 200, plain),
        ("metrics", "*/*", 200, text),
        ("metrics", "text/plain", 200, text),
        ("metrics?a=b", "application/openmetrics-textile", 200, text),
        ("metrics", OPEN_METRICS, 200, open),
        ("metrics", &prometheus, 200, open),
        ("metrics/", "*/*", 404, plain),
        ("config", "*/*", 404, plain),
        ("", "*/*", 404, plain),
    ] {
        for method in ["GET", "HEAD"] {
            let reply = monitor.ask(method, path, &[("Accept", accept)]);
            assert_eq!(reply.status, status, "{method} {path}");
            assert_eq!(reply.header("Content-Type"), Some(media_type), "{method} {path}");
            assert_eq!(reply.header("Cache-Control"), Some("no-store"));
            assert_eq!(reply.body.is_empty(), method == "HEAD", "{method} {path}");
            let is_whole = reply.body.ends_with("# EOF\n");
            assert_eq!(is_whole, method == "GET" && media_type == open, "{}", reply.body);
        }
        for method in ["POST", "DELETE", "OPTIONS"] {
            let reply = monitor.ask(method, path, &[]);
            let expected = if status == 404 { (404, None) } else { (405, Some("GET, HEAD")) };
            assert_eq!((reply.status, reply.header("Allow")), expected, "{method} {path}");
        }
    }
    let mut peer = challenger_testkit::Peer::new(monitor.0.connect().unwrap());
    peer.send("nonsense\r\n\r\n");
    assert_eq!(peer.reply().unwrap().status, 400);
    site.stop();
}

#[test]
fn it_can_be_read_over_a_unix_socket() {
    let mut site = Site::new("[challenger-metrics]\nSERVE = unix");
    let mut server = site.server();
    server.env("TMPDIR", site.directory.path());
    site.start_as(server);
    site.wait_for_server();
    let path = site.directory.path().join("challenger-runtime/metrics.sock");
    let monitor = Monitor(Place::Unix(path.clone()));
    assert_eq!(monitor.get("readyz").body, "ready\n");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o660);
    site.stop();
    assert!(!path.exists());
}

/// Every kind of event, one after the other, each with what it changes.
fn each_event_is_counted(mut site: Site) {
    let monitor = Monitor::of(&site);
    site.start();
    let mut latest = monitor.scrape();
    let mut changes = || {
        let now = monitor.scrape();
        let changes = now.since(&std::mem::replace(&mut latest, now.clone()));
        // How often the database is asked is the stores' affair, and connections end when they
        // like.
        let others = ["challenger_store_", "challenger_connections "];
        let is_ours = |it: &String| !others.iter().any(|other| it.starts_with(other));
        changes.into_iter().filter(is_ours).collect::<Vec<_>>()
    };
    let request = |labels: &str, route: &str| {
        [
            format!("challenger_request_duration_seconds_count{{route=\"{route}\"}} +1"),
            format!("challenger_requests_total{{{labels}}} +1"),
        ]
    };

    site.get("config", &[]);
    assert_eq!(changes(), request("route=\"/config\",status=\"200\"", "/config"));
    site.get("no/such/path", &[]);
    let unknown = "refusal=\"EndpointUnknown\",route=\"-\",status=\"404\"";
    assert_eq!(changes(), request(unknown, "-"));

    let nonce = site.setup();
    let opened = "challenger_validations_total{client=\"1\",milestone=\"opened\"} +1".to_owned();
    let route = "/setup/$CLIENT_ID";
    let asked = request(&format!("route=\"{route}\",status=\"200\""), route);
    assert_eq!(changes(), [&asked[..], &[opened]].concat());

    assert_eq!(site.challenge(&nonce, "ada@example.com").status, 200);
    let found = changes();
    for expected in [
        "challenger_message_duration_seconds_count +1",
        "challenger_messages_sent_total +1",
        "challenger_budget_max_messages{account=\"service\"} +100",
    ] {
        assert!(found.contains(&expected.to_owned()), "{expected}: {found:?}");
    }
    let spent = latest_spent(&monitor);
    assert!((1.0..=2.0).contains(&spent), "a message, or two that were set aside: {spent}");

    let wrong = challenger_testkit::wrong(&site.pin("ada@example.com"));
    assert_eq!(site.solve(&nonce, &wrong).status, 403);
    let route = "/solve/$NONCE";
    let labels = format!("refusal=\"PinInvalid\",route=\"{route}\",status=\"403\"");
    assert_eq!(changes(), request(&labels, route));

    let reply = site.solve(&nonce, &site.pin("ada@example.com"));
    assert_eq!(reply.status, 200);
    let proved = "challenger_validations_total{client=\"1\",milestone=\"proved\"} +1".to_owned();
    let asked = request(&format!("route=\"{route}\",status=\"200\""), route);
    assert_eq!(changes(), [&asked[..], &[proved]].concat());

    let code = challenger_testkit::code_of(reply.json()["redirect_url"].as_str().unwrap());
    assert_eq!(site.token(&code).status, 200);
    let redeemed = "challenger_validations_total{client=\"1\",milestone=\"redeemed\"} +1";
    let asked = request("route=\"/token\",status=\"200\"", "/token");
    assert_eq!(changes(), [&asked[..], &[redeemed.to_owned()]].concat());

    for (exit, kind) in [(67, "address"), (78, "configuration"), (75, "later"), (1, "unknown")] {
        site.set_helper(&format!("#!/bin/sh\nexit {exit}\n"));
        let nonce = site.setup();
        site.challenge(&nonce, &format!("bob{exit}@example.com"));
        let failed = format!("challenger_messages_failed_total{{kind=\"{kind}\"}} +1");
        let found = changes();
        assert!(found.contains(&failed), "{failed}: {found:?}");
        assert!(!found.iter().any(|it| it.contains("sent_total")), "{found:?}");
    }
    let text = monitor.scrape().text;
    for private in ["example.com", &nonce, &code, SECRET, "ada", "bob"] {
        assert!(!text.contains(private), "{private}: {text}");
    }
    site.stop();
}

fn latest_spent(monitor: &Monitor) -> f64 {
    monitor.scrape().value("challenger_budget_spent_messages{account=\"service\"}")
}

#[test]
fn each_event_is_counted_on_sqlite() {
    each_event_is_counted(Site::new("SERVICE_MESSAGES = 100"));
}

#[test]
fn each_event_is_counted_on_postgres() {
    let cluster: Arc<Cluster> = Cluster::shared();
    let uri = cluster.uri(&cluster.create_database());
    each_event_is_counted(Site::on_postgres("SERVICE_MESSAGES = 100", &uri));
}

/// Budgets that are used up, without the name of anybody whose they are.
fn budgets_are_told(mut site: Site) {
    let monitor = Monitor::of(&site);
    site.start();
    for person in 0..5 {
        let nonce = site.setup();
        assert_eq!(site.challenge(&nonce, &format!("p{person}@example.com")).status, 200);
    }
    let nonce = site.setup();
    assert_eq!(site.challenge(&nonce, "p9@example.com").status, 429);
    let now = monitor.scrape();
    assert_eq!(now.value("challenger_budget_spent_messages{account=\"service\"}"), 5.0);
    assert_eq!(now.value("challenger_budget_max_messages{account=\"service\"}"), 5.0);
    let alerts = |account: &str, alert: &str| {
        let labels = format!("account=\"{account}\",alert=\"{alert}\"");
        now.value(&format!("challenger_budget_alerts_total{{{labels}}}"))
    };
    assert_eq!(alerts("service", "exhausted"), 1.0, "{}", now.text);
    assert_eq!(alerts("service", "nearly_exhausted"), 1.0);
    assert_eq!(alerts("destination", "exhausted"), 1.0);
    assert_eq!(alerts("address", "exhausted"), 5.0, "one message each");
    assert!(!now.text.contains("example.com"), "{}", now.text);
    let refused = "challenger_requests_total{refusal=\"OverBudget\",route=\"/challenge/$NONCE\",\
        status=\"429\"}";
    assert_eq!(now.value(refused), 1.0);
    site.stop();
}

const BUDGETS: &str = "SERVICE_MESSAGES = 5\nADDRESS_MESSAGES = 1\n\
    [challenger-destination-ours]\nDOMAIN = example.com\nMESSAGES = 5";

#[test]
fn budgets_are_told_on_sqlite() {
    budgets_are_told(Site::new(BUDGETS));
}

#[test]
fn budgets_are_told_on_postgres() {
    let cluster = Cluster::shared();
    let uri = cluster.uri(&cluster.create_database());
    budgets_are_told(Site::on_postgres(BUDGETS, &uri));
}

#[test]
fn no_stranger_makes_a_label() {
    let mut site = Site::new("");
    let monitor = Monitor::of(&site);
    site.start();
    let methods = ["GET", "BREW", "PROPFIND", "get", "X-1"];
    let attack = |round: &str| {
        for (number, method) in (0..60).zip(methods.iter().cycle()) {
            for path in [
                format!("{round}{number}"),
                format!("solve/{round}{number}"),
                format!("setup/{number}?{round}"),
                format!("authorize/{round}{number}?client_id={round}"),
                format!("%{number}/\"}} {round}"),
            ] {
                let mut peer = site.connect();
                let header = [("Accept", round), ("User-Agent", round)];
                peer.send(request(method, &path, &header, round.as_bytes()));
                peer.reply_to(method).unwrap();
            }
        }
        monitor.scrape()
    };
    let first = attack("evil");
    let second = attack("worse");
    let names = |it: &scrape::Scrape| it.samples.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&first), names(&second));
    assert!(!second.text.contains("evil") && !second.text.contains("BREW"), "{}", second.text);
    site.stop();
}

#[test]
fn a_service_without_its_database_is_not_ready() {
    let (cluster, name, mut site) = on_postgres("");
    let monitor = Monitor::of(&site);
    site.start();
    assert_eq!(monitor.obstacles(), [""; 0]);
    let database = || monitor.scrape().value("challenger_ready{part=\"database\"}");
    assert_eq!(database(), 1.0);

    cluster.end(End::Fast);
    let refused = wait_for("the end to be noticed", || monitor.obstacles().pop());
    assert!(refused.starts_with("database: ") && refused.contains(&name), "{refused}");
    assert!(refused.contains("cannot connect") || refused.contains("No such file"), "{refused}");
    assert_eq!(database(), 0.0);
    assert_eq!(monitor.get("healthz").body, "alive\n", "a start would not help");
    cluster.start();
    wait_for("the database", || monitor.obstacles().is_empty().then_some(()));
    assert_eq!(database(), 1.0);

    // One that hangs is asked once, and nobody waits for it.
    cluster.pause();
    wait_for("the pause to be noticed", || (!monitor.obstacles().is_empty()).then_some(()));
    let late = ["database: has not answered within 1s"];
    let all = at_once(12, || monitor.obstacles());
    assert!(all.iter().all(|it| *it == late), "{all:?}");
    let threads = fs::read_dir(format!("/proc/{}/task", site.process())).unwrap();
    // One may end meanwhile.
    let names = threads.filter_map(|it| fs::read_to_string(it.ok()?.path().join("comm")).ok());
    assert_eq!(names.filter(|name| name == "inquiry\n").count(), 1);
    cluster.resume();
    wait_for("the database", || monitor.obstacles().is_empty().then_some(()));

    // A newer schema is that of a server which is being upgraded, and an older one is too old.
    let newest = "SELECT max(version) FROM challenger.migrations";
    let newer = format!("INSERT INTO challenger.migrations (version) VALUES (({newest}) + 1)");
    cluster.psql(&name, &newer);
    assert_eq!(at_rest(&monitor), [""; 0]);
    for _ in 0..2 {
        let older = format!("DELETE FROM challenger.migrations WHERE version = ({newest})");
        cluster.psql(&name, &older);
    }
    let told = at_rest(&monitor);
    assert!(told[0].contains("run challenger-dbinit"), "{told:?}");
    site.stop();
}

/// What is in the way, as of now.
fn at_rest(monitor: &Monitor) -> Vec<String> {
    // Longer than an answer counts.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    monitor.obstacles()
}

#[test]
fn a_service_without_its_file_or_helper_is_not_ready() {
    let mut site = Site::new("");
    let monitor = Monitor::of(&site);
    site.start();
    assert_eq!(monitor.obstacles(), [""; 0]);
    let helper = site.directory.path().join("deliver.sh");
    fs::remove_file(&helper).unwrap();
    let missing = monitor.obstacles();
    assert_eq!(missing.len(), 1, "{missing:?}");
    assert!(missing[0].starts_with("helper: [challenger] AUTH_COMMAND: "), "{missing:?}");
    let ready =
        |part: &str| monitor.scrape().value(&format!("challenger_ready{{part=\"{part}\"}}"));
    assert_eq!(["database", "helper", "service"].map(ready), [1.0, 0.0, 1.0]);
    let data = site.directory.path().join("data");
    fs::rename(&data, site.directory.path().join("aside")).unwrap();
    let missing = at_rest(&monitor);
    assert_eq!(missing.len(), 2, "{missing:?}");
    assert!(missing[0].contains("was deleted while it was in use"), "{missing:?}");
    assert_eq!(["database", "helper", "service"].map(ready), [0.0, 0.0, 1.0]);
    fs::rename(site.directory.path().join("aside"), data).unwrap();
    site.set_helper(site::DELIVER);
    assert_eq!(at_rest(&monitor), [""; 0]);
    site.stop();
}

#[test]
fn a_service_that_ends_is_not_ready() {
    let mut site = Site::new("");
    let monitor = Monitor::of(&site);
    site.set_helper("#!/bin/sh\nuntil [ -e \"$(dirname \"$0\")/go\" ]; do sleep 0.05; done\n");
    site.start();
    let nonce = site.setup();
    std::thread::scope(|scope| {
        let challenge = scope.spawn(|| site.challenge(&nonce, "ada@example.com"));
        let busy = || monitor.scrape().value("challenger_helpers_busy") == 1.0;
        wait_for("the helper", || busy().then_some(()));
        site.signal("TERM");
        let stopping = || monitor.obstacles() == ["stopping"];
        wait_for("the end to begin", || stopping().then_some(()));
        assert_eq!(monitor.get("healthz").status, 200);
        assert_eq!(monitor.scrape().value("challenger_ready{part=\"service\"}"), 0.0);
        fs::write(site.directory.path().join("go"), "").unwrap();
        assert_eq!(challenge.join().unwrap().status, 200);
    });
    assert_eq!(site.wait(), Some(0), "{}", site.log());
    assert!(monitor.0.connect().is_err());
}

#[test]
fn a_crowd_keeps_nobody_from_reading() {
    let mut site = Site::new(&format!("MAX_CONNECTIONS = {CROWD}"));
    let monitor = Monitor::of(&site);
    site.start();
    let mut crowd: Vec<_> = (0..CROWD).map(|_| site.connect()).collect();
    for peer in &mut crowd {
        peer.send("GET /config HTTP/1.1\r\n");
    }
    let open = || monitor.scrape().value("challenger_connections");
    wait_for("all of them", || (open() >= CROWD as f64).then_some(()));
    assert_eq!(monitor.scrape().value("challenger_connections_max"), CROWD as f64);
    assert_eq!(monitor.obstacles(), [""; 0]);
    crowd.extend((0..20).map(|_| site.connect()));
    let evicted = || monitor.scrape().value("challenger_connections_evicted_total");
    wait_for("some to make room", || (evicted() >= 20.0).then_some(()));
    site.stop();
}

#[test]
fn mistakes_are_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let long = format!("SERVE = unix\nUNIXPATH = /{}", "x".repeat(107));
    let free = free_port();
    let known = format!("SERVE = tcp\nPORT = {free}\n");
    for (lines, status, said) in [
        ("SERVE = systemd", 6, "[challenger-metrics] SERVE = \"systemd\": expected tcp or unix"),
        ("SERVE = tcp", 6, "[challenger-metrics] PORT"),
        ("SERVE = tcp\nPORT = 0", 6, "[challenger-metrics] PORT = \"0\": expected a number from 1"),
        (&long, 6, "[challenger-metrics] UNIXPATH: "),
        ("SERVE = unix\nUNIXPATH_MODE = rw", 6, "[challenger-metrics] UNIXPATH_MODE = \"rw\": "),
        (&format!("{known}PROT = 1"), 0, "[challenger-metrics] has no option PROT; ignored"),
        (
            &format!("{known}BIND_TO = 0.0.0.0"),
            0,
            "BIND_TO = 0.0.0.0: the metrics can be read from",
        ),
        (&format!("{known}BIND_TO = ::"), 0, "BIND_TO = ::: the metrics can be read from"),
        (&format!("{known}BIND_TO = ::1"), 0, "no errors"),
        (&format!("{known}BIND_TO = localhost"), 0, "no errors"),
        (&format!("PORT = {free}"), 0, "has no SERVE, so neither health nor metrics are served"),
    ] {
        let site = Site::new(&format!("[challenger-metrics]\n{lines}"));
        let checked = site.run("challenger-httpd", &["--check"]);
        let told = stderr(&checked);
        assert_eq!(checked.status.code(), Some(status), "{lines}: {told}");
        let is_fine = said == "no errors";
        assert!(told.contains(said) || (is_fine && !told.contains("metrics")), "{lines}: {told}");
    }
    let site = Site::new(&format!("[challenger-metrics]\nSERVE = tcp\nPORT = {port}"));
    let started = site.run("challenger-httpd", &[]);
    assert_eq!(started.status.code(), Some(1), "{}", stderr(&started));
    let complaint = format!("cannot listen on 127.0.0.1:{port}: ");
    assert!(stderr(&started).contains(&complaint), "{}", stderr(&started));
}
