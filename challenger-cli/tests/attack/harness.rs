//! The sites of attacks, the people who go on meanwhile, and the checks afterwards.

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use challenger_testkit::{Raise, try_for, wait_for};

use crate::holdings::{Holdings, at_rest};
use crate::site::Site;

/// The time limits of a server that has no patience. Nobody honest needs a hundredth of them.
pub const HASTY: &str = "HEAD_TIMEOUT = 3 s\nBODY_TIMEOUT = 3 s\nIDLE_TIMEOUT = 5 s\n";

/// How much more memory the server may have after an attack than before, in KiB: the allocator
/// keeps some of what was given back.
const KEPT_MAX: u64 = 32 * 1024;
/// How much more it may have in the meantime: some 100 KiB for each of its connections.
const PEAK_MAX: u64 = 96 * 1024;

/// How long people pause between two proofs: they do not mean to keep the server busy.
const PAUSE: Duration = Duration::from_millis(100);

/// Numbers the people.
static PEOPLE: AtomicUsize = AtomicUsize::new(0);

/// The line of the log with this text, as soon as it is there: an answer may arrive before it.
pub fn logged(site: &Site, text: &str) -> String {
    wait_for(&format!("a line with {text}"), || {
        site.log().lines().find(|line| line.contains(text)).map(str::to_owned)
    })
}

/// Has something happen on a server at a port, and on another one at a UNIX socket. `options` are
/// lines of the section [challenger].
pub fn everywhere(options: &str, happens: impl Fn(&Site) + Sync) {
    everywhere_with(options, Site::server, happens);
}

/// Like [`everywhere`], with servers that are started in a way of their own.
pub fn everywhere_with(
    options: &str,
    server: impl Fn(&Site) -> Command + Sync,
    happens: impl Fn(&Site) + Sync,
) {
    thread::scope(|scope| {
        for name in ["tcp", "unix"] {
            let (server, happens) = (&server, &happens);
            let happen = move || {
                let mut site =
                    if name == "tcp" { Site::new(options) } else { Site::at_socket(options) };
                site.start_as(server(&site));
                site.wait_for_server();
                happens(&site);
                site.stop();
                is_faultless(&site.log());
            };
            thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, happen).unwrap();
        }
    });
}

/// Has something happen in the same way while nobody reads the servers' logs, until it drops what
/// it gets.
pub fn everywhere_with_unread_log(options: &str, happens: impl Fn(&Site, Sender<()>)) {
    for mut site in [Site::new(options), Site::at_socket(options)] {
        let unread = site.start_unread(site.server());
        site.wait_for_server();
        happens(&site, unread);
        site.stop();
    }
}

/// No line reports a fault of the server, and every line is its own.
fn is_faultless(log: &str) {
    assert_eq!(log.lines().find(|line| !line.starts_with("20")), None, "a line without a date");
    let bad = |line: &&str| ["panicked", " bug ", " ERROR "].iter().any(|word| line.contains(word));
    assert_eq!(log.lines().find(bad), None);
}

/// An attack while honest people go on: what it returns is held until somebody who came after all
/// of it was there has proved an address. Then the server has to become what it was before.
pub fn under<T>(site: &Site, attack: impl FnOnce() -> T) {
    warm_up(site);
    let before = Footprint::of(site);
    // From here on, the peak is that of the attack.
    fs::write(format!("/proc/{}/clear_refs", site.process()), "5").unwrap();
    let (proofs, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let _at_the_end = Raise(&over);
        let people = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                prove(site);
                proofs.fetch_add(1, Ordering::Relaxed);
                thread::sleep(PAUSE);
            }
        });
        let held = attack();
        // The next may have begun before.
        let enough = proofs.load(Ordering::Relaxed) + 2;
        wait_for("people to prove their addresses", || {
            let proved = proofs.load(Ordering::Relaxed) >= enough;
            (proved || people.is_finished()).then_some(())
        });
        drop(held);
    });
    before.comes_back(site);
}

/// Lets the server allocate everything that it allocates only once.
pub fn warm_up(site: &Site) {
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| prove(site));
        }
    });
}

/// Somebody proves an address, from the client's first request to its last.
pub fn prove(site: &Site) {
    let email = format!("person{}@example.com", PEOPLE.fetch_add(1, Ordering::Relaxed));
    let nonce = site.prove(&email);
    let page = site.get(&authorize(&nonce), &[("Accept", "text/html")]);
    assert_eq!(page.status, 200, "it is already done");
}

/// The path of a client's authorization request.
pub fn authorize(nonce: &str) -> String {
    format!("authorize/{nonce}?response_type=code&client_id=1")
}

/// The resources that a server holds, and its memory.
pub struct Footprint {
    holdings: Holdings,
    resident: u64,
}

impl Footprint {
    pub fn of(site: &Site) -> Self {
        Self { holdings: at_rest(site), resident: memory(site, "VmRSS") }
    }

    pub fn comes_back(&self, site: &Site) {
        let peak = memory(site, "VmHWM");
        assert!(peak <= self.resident + PEAK_MAX, "{} KiB became {peak} KiB", self.resident);
        let mut now = None;
        let is_back = || {
            let holdings = Holdings::of(site.process());
            let resident = memory(site, "VmRSS");
            let back = holdings == self.holdings && resident <= self.resident + KEPT_MAX;
            now = Some((holdings, resident));
            back.then_some(())
        };
        if try_for(is_back).is_none() {
            panic!("{:?}, {} KiB became {now:?}", self.holdings, self.resident);
        }
    }
}

/// A line of the status of the server's process, in KiB.
fn memory(site: &Site, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", site.process())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_matches(|it: char| !it.is_ascii_digit()).parse().unwrap()
}
