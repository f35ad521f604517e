//! The two stores, the servers on them, and the times of their faults.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use challenger_testkit::{Cluster, Peer, Place, pin_in};

use super::caller::Call;
use super::figures::Figures;
use super::ledger::Ledger;
use super::site::{Site, write_script};

/// How long a run has to be for its figures to be demands. A shorter one judges no times.
const DEMANDING: Duration = Duration::from_secs(600);

/// The options that all services share, whatever their database. Rows live for minutes, so that an
/// hour sees many of them come and go.
const OPTIONS: &str = "BASE_URL = https://challenger.example/\nADDRESS_TYPE = email\n\
    AUTH_ADDRESS_FORMAT = plain\nAUTH_TIMEOUT = 4 s\nRETRANSMISSION_INTERVAL = 1 s\n\
    ADDRESS_PERIOD = 5 min\nVALIDATION_DURATION = 5 min\nCODE_DURATION = 3 min\n\
    TOKEN_DURATION = 5 min\n";

/// Appends the code to the file of the address, or does what the file `mode` says. It starts no
/// other program, because it runs often.
const DELIVER: &str = r#"#!/bin/sh
set -eu
here=${0%/*}
read -r mode < "$here/mode"
case $mode in
fails) echo "the line is dead"; exit 1 ;;
hangs) exec sleep 20 ;;
esac
while IFS= read -r line; do
    case $line in *[0-9][0-9][0-9][0-9]-[0-9][0-9][0-9][0-9]*) code=$line ;; esac
done
printf '%s\n' "$code" >> "$here/letters/$1"
[ "$mode" != doubts ]
"#;

/// The settings of a run: its length, its load, and its dice.
pub struct Settings {
    pub duration: Duration,
    /// Honest people per second, for all servers together.
    pub rate: u64,
    pub seed: u64,
}

impl Settings {
    pub fn is_demanding(&self) -> bool {
        self.duration >= DEMANDING
    }

    /// One of two, by whether there is much time.
    pub fn pace<T>(&self, short: T, long: T) -> T {
        if self.is_demanding() { long } else { short }
    }
}

/// Everything that a run consists of.
pub struct World {
    pub settings: Settings,
    pub pairs: [Pair; 2],
    pub begun: Instant,
    pub figures: Figures,
    pub ledger: Ledger,
    /// Whether everybody should come to an end.
    pub over: AtomicBool,
}

/// A store with two servers.
pub struct Pair {
    pub name: &'static str,
    pub servers: [Server; 2],
    pub cluster: Option<Cluster>,
    folder: PathBuf,
    windows: Mutex<Vec<Window>>,
}

pub struct Server {
    pub name: String,
    pub place: Place,
    pub root: PathBuf,
    pub site: Mutex<Site>,
    /// Its process, or 0 while there is none.
    pub process: AtomicU32,
    /// The size of all its logs.
    pub log_bytes: AtomicU64,
}

/// A time in which requests may fail.
struct Window {
    begin: Instant,
    /// `None` until it is over.
    end: Option<Instant>,
    is_outage: bool,
}

impl World {
    pub fn build(settings: Settings) -> Self {
        let pairs = [Pair::on_postgresql(), Pair::on_sqlite()];
        Self {
            settings,
            pairs,
            begun: Instant::now(),
            figures: Figures::default(),
            ledger: Ledger::default(),
            over: AtomicBool::new(false),
        }
    }

    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Sleeps, and returns early with `false` when everything is over.
    pub fn sleep(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        while !self.is_over() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(Duration::from_millis(100)));
        }
        false
    }

    /// Whether some database was away in this minute.
    pub fn had_outage(&self, minute: u64) -> bool {
        let begin = self.begun + Duration::from_secs(60 * minute);
        let end = begin + Duration::from_secs(60);
        self.pairs.iter().any(|pair| pair.overlaps(begin, end, |window| window.is_outage))
    }
}

impl Pair {
    fn on_postgresql() -> Self {
        let cluster = Cluster::durable();
        let uri = cluster.uri(&cluster.create_database());
        let database = |_: &Path| format!("[challengerdb-postgres]\nCONFIG = {uri}\n");
        Self::build("PostgreSQL", "DB = postgres", database, Some(cluster))
    }

    fn on_sqlite() -> Self {
        let database = |folder: &Path| {
            format!("[challengerdb-sqlite]\nFILENAME = {}/data/soak.sqlite\n", folder.display())
        };
        Self::build("SQLite", "DB = sqlite", database, None)
    }

    fn build(
        name: &'static str,
        kind: &str,
        database: impl Fn(&Path) -> String,
        cluster: Option<Cluster>,
    ) -> Self {
        let sites = [Site::bare(""), Site::bare("")];
        let folder = sites[0].directory.path().to_path_buf();
        fs::create_dir(folder.join("letters")).unwrap();
        write_script(&folder.join("deliver.sh"), DELIVER);
        let common = format!(
            "{kind}\n{OPTIONS}AUTH_COMMAND = {}/deliver.sh\n{}",
            folder.display(),
            database(&folder)
        );
        // The first server lives as long as the run, and the second is troubled: one of each pair
        // is on TCP, and not the same one.
        let servers = sites.into_iter().enumerate().map(|(index, site)| {
            let is_tcp = (index == 0) == cluster.is_some();
            Server::build(name, is_tcp, site, &common)
        });
        let servers: Vec<Server> = servers.collect();
        let Ok(servers) = servers.try_into() else { panic!("there are two") };
        let pair = Self { name, servers, cluster, folder, windows: Mutex::default() };
        pair.set_helper("delivers");
        let site = pair.servers[0].site.lock().unwrap();
        site.initialize();
        drop(site);
        for server in &pair.servers {
            server.start(&mut server.site.lock().unwrap());
        }
        pair
    }

    /// Changes the helper from now on: it `delivers`, `fails`, `hangs`, or delivers and `doubts`.
    pub fn set_helper(&self, mode: &str) {
        let new = self.folder.join("mode.new");
        fs::write(&new, format!("{mode}\n")).unwrap();
        fs::rename(new, self.folder.join("mode")).unwrap();
    }

    /// From now on requests may fail, until [`Self::close_window`].
    pub fn open_window(&self, is_outage: bool) {
        let window = Window { begin: Instant::now(), end: None, is_outage };
        self.windows.lock().unwrap().push(window);
    }

    /// From this time on they must not.
    pub fn close_window(&self, end: Instant) {
        self.windows.lock().unwrap().last_mut().unwrap().end = Some(end);
    }

    /// Whether there was a fault in this time.
    pub fn was_troubled(&self, begin: Instant, end: Instant) -> bool {
        self.overlaps(begin, end, |_| true)
    }

    fn overlaps(&self, begin: Instant, end: Instant, counts: impl Fn(&Window) -> bool) -> bool {
        let windows = self.windows.lock().unwrap();
        let mut all = windows.iter().filter(|window| counts(window));
        all.any(|window| window.begin <= end && window.end.is_none_or(|it| it >= begin))
    }

    /// The code in the latest letter to an address.
    pub fn code_for(&self, address: &str) -> Option<String> {
        let text = fs::read_to_string(self.letter_box(address)).ok()?;
        pin_in(text.lines().last()?)
    }

    /// How many letters an address got.
    pub fn letters_for(&self, address: &str) -> usize {
        fs::read_to_string(self.letter_box(address)).map_or(0, |text| text.lines().count())
    }

    /// The addresses whose letters are there.
    pub fn letter_boxes(&self) -> Vec<String> {
        let all = fs::read_dir(self.folder.join("letters")).unwrap();
        all.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    pub fn letter_box(&self, address: &str) -> PathBuf {
        self.folder.join("letters").join(address)
    }
}

impl Server {
    fn build(store: &str, is_tcp: bool, site: Site, common: &str) -> Self {
        let root = site.directory.path().to_path_buf();
        let socket = root.join("run/socket");
        let (place, serve, kind) = if is_tcp {
            let serve = format!("SERVE = tcp\nBIND_TO = 127.0.0.1\nPORT = {}\n", site.port);
            (Place::Tcp(site.port), serve, "TCP")
        } else {
            let serve =
                format!("SERVE = unix\nUNIXPATH = {}\nUNIXPATH_MODE = 600\n", socket.display());
            (Place::Unix(socket), serve, "UNIX")
        };
        fs::write(site.config(), format!("[challenger]\n{serve}{common}")).unwrap();
        Self {
            name: format!("{store}, {kind}"),
            place,
            root,
            site: Mutex::new(site),
            process: AtomicU32::new(0),
            log_bytes: AtomicU64::new(0),
        }
    }

    pub fn connect(&self) -> io::Result<Peer> {
        self.place.connect().map(Peer::new)
    }

    /// Starts it and waits until it answers.
    pub fn start(&self, site: &mut Site) {
        let mut command = site.command("challenger-httpd");
        command.args(["-L", "INFO", "-l"]).arg(self.log()).stdin(Stdio::null());
        site.start_as(command);
        site.wait_until(|| self.answers());
        self.process.store(site.process(), Ordering::SeqCst);
    }

    fn answers(&self) -> bool {
        let config =
            Call { kind: "config", method: "GET", target: "config", headers: &[], body: "" };
        let reply = self.connect().and_then(|mut peer| config.ask(&mut peer, false));
        reply.is_ok_and(|(reply, _)| reply.status == 200)
    }

    /// Ends it, and returns its exit code.
    pub fn end(&self, site: &mut Site, signal: &str) -> Option<i32> {
        self.process.store(0, Ordering::SeqCst);
        site.signal(signal);
        site.wait()
    }

    pub fn log(&self) -> PathBuf {
        self.root.join("httpd.log")
    }
}
