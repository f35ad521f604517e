//! The limits of the front, as operators set them, at the real server.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod site;

use std::fs;
use std::io::ErrorKind;
use std::process::{Command, Stdio};
use std::time::Duration;

use challenger_server::config::{Config, Environment};
use challenger_server::front::{Limits, Network};
use challenger_server::places;
use challenger_server::settings::Settings;
use challenger_testkit::{Peer, request, wait_for};
use site::{Site, stderr};

fn started(options: &str) -> Site {
    let mut site = Site::new(options);
    site.start();
    site
}

/// Whether the server has ended the connection without a word.
fn is_over(peer: &Peer) -> bool {
    let stream = peer.stream();
    stream.set_nonblocking(true).unwrap();
    let ended = match stream.peek(&mut [0]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    };
    stream.set_nonblocking(false).unwrap();
    ended
}

#[test]
fn no_more_connections_than_there_may_be() {
    let mut site = started("MAX_CONNECTIONS = 4\nMAX_CONNECTIONS_PER_PEER = 1\nHELPERS_MAX = 1");
    // Not fewer, from this machine: four that wait are left alone.
    let mut crowd: Vec<Peer> = (0..4).map(|_| site.connect()).collect();
    for peer in &mut crowd {
        assert!(peer.send(request("GET", "config", &[], b"")));
        assert_eq!(peer.reply().unwrap().status, 200);
    }
    assert!(!crowd.iter().any(is_over));
    // Not more: each that comes takes the place of one.
    crowd.extend((0..4).map(|_| site.connect()));
    for peer in &mut crowd[..4] {
        assert_eq!(peer.rest(), "");
    }
    assert!(!crowd[4..].iter().any(is_over));
    drop(crowd);
    wait_for("a place", || (site.get("config", &[]).status == 200).then_some(()));
    site.stop();
    assert!(site.log().contains("WARNING too many connections ended=1"), "{}", site.log());
}

#[test]
fn each_option_is_a_limit_of_its_own() {
    let read = |options: &str| {
        let text = format!(
            "[challenger]\nSERVE = tcp\nPORT = 1\nADDRESS_TYPE = email\nAUTH_COMMAND = true\n\
             DB = sqlite\n{options}\n[challengerdb-sqlite]\nFILENAME = /none\n"
        );
        let config = Config::from_text(&text, &Environment::default()).unwrap();
        Settings::read(&config, None).unwrap()
    };
    let validations = |options| read(options).service.limits.client_validations;
    assert_eq!(validations(""), Some(100_000));
    assert_eq!(validations("CLIENT_VALIDATIONS_MAX = 7"), Some(7));
    assert_eq!(validations("CLIENT_VALIDATIONS_MAX = 0"), None);
    let read = |options| {
        let settings = read(options);
        (settings.limits, settings.places)
    };
    assert_eq!(read(""), (Limits::default(), places::Limits::default()));
    assert_eq!(read("MAX_CONNECTIONS = 50").0.connections_per_peer, 50);
    let options = "MAX_CONNECTIONS = 9\nMAX_CONNECTIONS_PER_PEER = 8\nHELPERS_MAX = 7\n\
                   HELPERS_WAIT = 2 s\nHEAD_TIMEOUT = 1 ms\nBODY_TIMEOUT = 2500 ms\n\
                   IDLE_TIMEOUT = 1 day\n\
                   TRUSTED_PROXIES = 10.0.0.5\t10.1.0.0/16  2001:db8::/32";
    let networks = ["10.0.0.5", "10.1.0.0/16", "2001:db8::/32"];
    let limits = Limits {
        connections: 9,
        connections_per_peer: 8,
        trusted_proxies: networks.map(|it| Network::parse(it).unwrap()).to_vec(),
        head: Duration::from_millis(1),
        body: Duration::from_millis(2500),
        idle: Duration::from_secs(86_400),
        ..Limits::default()
    };
    let patience = Duration::from_secs(2);
    assert_eq!(read(options), (limits, places::Limits { helpers: 7, waiting: 0, patience }));
    assert_eq!(read("HELPERS_WAIT = 0").1.patience, Duration::ZERO);
}

#[test]
fn limits_that_cannot_be_meant_are_refused() {
    let time = "expected a time from 1 ms to 1 day, such as \"10 s\"";
    let number = "expected a number from 1 to 65535";
    for (option, expected) in [
        ("MAX_CONNECTIONS = 0", number),
        ("MAX_CONNECTIONS = 65536", number),
        ("MAX_CONNECTIONS_PER_PEER = 0", number),
        ("HELPERS_MAX = 0", number),
        ("HELPERS_MAX = -1", number),
        ("HELPERS_WAIT = forever", "expected a time from 0 to 1 day, such as \"10 s\""),
        ("CLIENT_VALIDATIONS_MAX = -1", "expected a number from 0 to 4294967295"),
        ("CLIENT_VALIDATIONS_MAX = many", "expected a number from 0 to 4294967295"),
        ("HEAD_TIMEOUT = 0", time),
        ("HEAD_TIMEOUT = 10", time),
        ("BODY_TIMEOUT = forever", time),
        ("IDLE_TIMEOUT = 2 days", time),
        ("IDLE_TIMEOUT = soon", "expected a length of time like"),
        ("TRUSTED_PROXIES = proxy.example", "and not \"proxy.example\""),
        ("TRUSTED_PROXIES = 10.0.0.5, 10.0.0.6", "and not \"10.0.0.5,\""),
        ("TRUSTED_PROXIES = ::1 10.1.2.3/16", "the network 10.1.0.0/16 or the address 10.1.2.3"),
        ("TRUSTED_PROXIES = 10.0.0.0/33", "a number from 0 to 32 behind 10.0.0.0/"),
    ] {
        let site = Site::bare(option);
        let output = site.run("challenger-httpd", &["--check"]);
        let said = stderr(&output);
        let complaint = format!("[challenger] {} = ", option.split(' ').next().unwrap());
        let is_it = |line: &&str| line.contains(&complaint) && line.contains(expected);
        assert_eq!(said.lines().filter(is_it).count(), 1, "{option}: {said}");
        assert_eq!(output.status.code(), Some(6));
    }
}

#[test]
fn limits_that_may_not_be_meant_are_warned_about() {
    let check = |options: &str| {
        let output = Site::new(options).run("challenger-httpd", &["--check"]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        stderr(&output)
    };
    let proxies = "TRUSTED_PROXIES = 10.0.0.5  10.1.0.0/16 2001:db8::/32\n";
    let times = "HEAD_TIMEOUT = 500 ms\nBODY_TIMEOUT = 1 s 5 ms\nIDLE_TIMEOUT = 1 day\n";
    let numbers = "MAX_CONNECTIONS = 65\nMAX_CONNECTIONS_PER_PEER = 65\nHELPERS_MAX = 64";
    assert_eq!(check(&format!("{proxies}{times}{numbers}")), "");
    assert_eq!(check("TRUSTED_PROXIES ="), "");
    let peers = "warning: [challenger] MAX_CONNECTIONS_PER_PEER is 64, more than MAX_CONNECTIONS, \
                 which is 63: one address may take all of them\n";
    assert_eq!(check("MAX_CONNECTIONS = 63\nMAX_CONNECTIONS_PER_PEER = 64"), peers);
    assert_eq!(check("MAX_CONNECTIONS = 63"), "", "nobody set the other");
    for everybody in ["0.0.0.0/0", "::/0"] {
        let expected = format!(
            "warning: [challenger] TRUSTED_PROXIES has {everybody}, which is everybody: \
             MAX_CONNECTIONS_PER_PEER holds for none of them\n"
        );
        assert_eq!(check(&format!("TRUSTED_PROXIES = 10.0.0.5 {everybody}")), expected);
    }
    let helpers = "warning: [challenger] HELPERS_MAX is 512, not less than MAX_CONNECTIONS, which \
                   is 512: nobody else is served while people wait for as many messages\n";
    assert_eq!(check("HELPERS_MAX = 512"), helpers);
}

#[test]
fn too_few_file_descriptors_are_told_at_the_start() {
    let mut site = Site::new("MAX_CONNECTIONS = 1000\nHELPERS_MAX = 10");
    let server = site.server();
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 1024 && exec \"$0\" \"$@\""]).arg(server.get_program());
    limited.args(server.get_args()).stdin(Stdio::null());
    limited.envs(server.get_envs().filter_map(|(name, value)| Some((name, value?))));
    site.start_as(limited);
    let told = "this process may open 1024 files, and should be allowed 1400";
    wait_for("the warning", || site.log().contains(told).then_some(()));
    site.wait_for_server();
    site.stop();
}

/// The memory of the server, in bytes.
fn memory(site: &Site) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", site.process())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
}

#[test]
fn slow_readers_share_a_document() {
    const SIZE: usize = 2 * 1024 * 1024;
    const READERS: usize = 60;
    let mut site = Site::new("TERMS_ETAG = v1\nTERMS_DIR = $CHALLENGER_TERMS");
    let terms = site.directory.path().join("terms/en");
    fs::create_dir_all(&terms).unwrap();
    let text: String = (0..SIZE / 8).map(|number| format!("{number:07}\n")).collect();
    fs::write(terms.join("v1.txt"), &text).unwrap();
    let mut server = site.server();
    server.env("CHALLENGER_TERMS", site.directory.path().join("terms"));
    site.start_as(server);
    site.wait_for_server();
    let ask = |_| {
        let mut peer = site.connect();
        assert!(peer.send(request("GET", "terms", &[("Connection", "close")], b"")));
        peer.read_byte();
        peer
    };
    // The cost of the first answer alone is not counted.
    drop(ask(0));
    let before = memory(&site);
    let mut readers: Vec<Peer> = (0..READERS).map(ask).collect();
    let more = memory(&site).saturating_sub(before);
    assert!(more < READERS * SIZE / 3, "{more} bytes for {READERS} readers");
    for number in [0, READERS - 1] {
        let answer = readers[number].rest();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("TTP/1.1 200 OK\r\n"), "{head}");
        assert!(body == text, "{} bytes of {SIZE}", body.len());
    }
    readers.clear();
    site.stop();
}
