//! A real PostgreSQL in a private directory, gone with the test. It is reachable over a Unix socket
//! only, unless a test asks for TLS.

mod standby;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use std::{env, thread};

use tempfile::TempDir;

/// How often to look for something that takes its time, and how many times at most.
const LOOK: Duration = Duration::from_millis(20);
const LOOKS: usize = 3000;

/// The superuser of each cluster, which lets this user in without a password.
const SUPERUSER: &str = "postgres";

/// How a database ends.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// In good order, after ending all connections.
    Fast,
    /// At once; the next start recovers.
    Immediate,
    /// Killed, without notice.
    Killed,
    /// All of its processes are killed at once, as when its machine is lost.
    Lost,
}

/// A database server with its files, and its process while it runs.
pub struct Cluster {
    programs: PathBuf,
    directory: TempDir,
    /// The user to run as, if we are the superuser: PostgreSQL refuses to run as root.
    user: Option<(u32, u32)>,
    fsync: bool,
    /// Its port on this machine, if it speaks TLS.
    tls_port: Option<u16>,
    postmaster: Mutex<Option<Child>>,
    databases: AtomicUsize,
}

impl Cluster {
    /// A cluster that keeps acknowledged commits even if the power fails.
    pub fn durable() -> Self {
        Self::new(true, None)
    }

    /// A cluster that demands TLS and a password over TCP. Its certificate is for `localhost` and
    /// issued by the authority `ca`; there is another authority, `other`.
    pub fn with_tls() -> Self {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        Self::new(false, Some(port.port()))
    }

    /// A fast cluster for all tests that run at the same time; the last of them takes it down.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
        // A test that failed to start it must not make the others fail.
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let cluster = Arc::new(Self::new(false, None));
            *shared = Arc::downgrade(&cluster);
            cluster
        })
    }

    fn new(fsync: bool, tls_port: Option<u16>) -> Self {
        let cluster = Self::empty(fsync, tls_port);
        let mut initdb = cluster.command("initdb");
        initdb.args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C", "--username"]);
        let output = initdb.arg(SUPERUSER).arg("-D").arg(cluster.data()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        if tls_port.is_some() {
            cluster.make_certificates();
            let who = "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n";
            fs::write(cluster.data().join("pg_hba.conf"), who).unwrap();
        }
        cluster.start();
        cluster
    }

    /// A cluster without files, which does not run.
    fn empty(fsync: bool, tls_port: Option<u16>) -> Self {
        let programs = find_programs();
        let directory = tempfile::Builder::new().prefix("challenger-pg-").tempdir().unwrap();
        let user = unprivileged(directory.path());
        give(directory.path(), user);
        let (postmaster, databases) = (Mutex::new(None), AtomicUsize::new(0));
        Self { programs, directory, user, fsync, tls_port, postmaster, databases }
    }

    fn make_certificates(&self) {
        const NEW: &str = "req -newkey rsa:2048 -nodes";
        let extensions = self.directory.path().join("extensions");
        fs::write(extensions, "subjectAltName=DNS:localhost\n").unwrap();
        for authority in ["ca", "other"] {
            let files = format!("-keyout {authority}.key -out {authority}.pem");
            self.openssl(&format!("{NEW} -x509 -days 2 -subj /CN={authority} {files}"));
        }
        // It makes keys that nobody else can read, as PostgreSQL demands.
        self.openssl(&format!("{NEW} -subj /CN=localhost -keyout server.key -out server.csr"));
        let by = "-CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extensions";
        self.openssl(&format!("x509 -req -in server.csr {by} -out server.pem"));
    }

    fn openssl(&self, arguments: &str) {
        let mut command = self.command_at(Path::new("openssl"));
        let output = command.args(arguments.split(' ')).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// The certificate of an authority.
    pub fn certificate(&self, authority: &str) -> PathBuf {
        self.directory.path().join(format!("{authority}.pem"))
    }

    /// The port where it speaks TLS.
    pub fn tls_port(&self) -> u16 {
        self.tls_port.unwrap()
    }

    /// Starts the server and waits until it answers.
    pub fn start(&self) {
        let mut postmaster = self.postmaster.lock().unwrap();
        for _ in 0..LOOKS {
            let child = postmaster.get_or_insert_with(|| self.spawn());
            // After a sudden end it may have to wait for its predecessor's processes to vanish.
            if child.try_wait().unwrap().is_some() {
                *postmaster = None;
            } else if self.is_ready() {
                return;
            }
            thread::sleep(LOOK);
        }
        panic!("PostgreSQL does not start: {}", self.logged());
    }

    /// Ends the server and waits until it is gone.
    pub fn end(&self, end: End) {
        let mut child = self.postmaster.lock().unwrap().take().unwrap();
        let signal = match end {
            End::Fast => "INT",
            End::Immediate => "QUIT",
            End::Killed => "KILL",
            End::Lost => {
                // First stopped, so that it makes no others.
                assert!(send(child.id(), "STOP"));
                send_children(child.id(), "KILL");
                "KILL"
            }
        };
        assert!(send(child.id(), signal));
        child.wait().unwrap();
    }

    /// Stops all of its processes where they are, so that no client is answered and nothing is
    /// lost.
    pub fn pause(&self) {
        // First the one that makes the others.
        self.signal_all("STOP");
    }

    /// Lets them go on.
    pub fn resume(&self) {
        self.signal_all("CONT");
    }

    fn signal_all(&self, signal: &str) {
        let postmaster = self.postmaster.lock().unwrap().as_ref().unwrap().id();
        assert!(send(postmaster, signal));
        send_children(postmaster, signal);
    }

    /// The processes behind the connections of servers.
    pub fn backends(&self, database: &str) -> Vec<u32> {
        let pids = "SELECT pid FROM pg_stat_activity \
            WHERE application_name = 'challenger' AND datname = current_database()";
        self.psql(database, pids).lines().map(|pid| pid.parse().unwrap()).collect()
    }

    /// Ends all connections of servers.
    pub fn end_backends(&self, database: &str) {
        self.psql(
            database,
            "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity \
            WHERE application_name = 'challenger' AND datname = current_database()",
        );
    }

    /// From now on, an empty table is on a disk that is full. Returns how to get it back.
    pub fn fill_disk(&self, database: &str, table: &str) -> impl FnOnce() {
        let empty = self.psql(database, &format!("SELECT pg_relation_size('{table}')"));
        assert_eq!(empty, "0", "{table}");
        let file = self.psql(database, &format!("SELECT pg_relation_filepath('{table}')"));
        let (file, aside) = (self.data().join(&file), self.data().join(format!("{file}-aside")));
        fs::rename(&file, &aside).unwrap();
        symlink("/dev/full", &file).unwrap();
        // They may have it open.
        self.end_backends(database);
        move || fs::rename(&aside, &file).unwrap()
    }

    /// Creates a database, and returns its name.
    pub fn create_database(&self) -> String {
        let name = format!("db{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.psql("postgres", &format!("CREATE DATABASE {name}"));
        name
    }

    /// How to connect as the superuser; more parameters may be added with `&`.
    pub fn uri(&self, database: &str) -> String {
        self.uri_of(SUPERUSER, database)
    }

    /// How to connect as another user.
    pub fn uri_of(&self, user: &str, database: &str) -> String {
        format!("postgres:///{database}?host={}&user={user}", self.directory.path().display())
    }

    /// Runs SQL as the superuser, and returns what it prints, without decoration.
    pub fn psql(&self, database: &str, sql: &str) -> String {
        self.psql_as(SUPERUSER, database, sql).unwrap()
    }

    /// Runs SQL as another user.
    pub fn psql_as(&self, user: &str, database: &str, sql: &str) -> Result<String, String> {
        let options = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", user, "-c", sql];
        self.ask("psql", options.as_slice(), database)
    }

    /// Everything in a database, as SQL.
    pub fn dump(&self, database: &str) -> String {
        self.ask("pg_dump", &["-U", SUPERUSER], database).unwrap()
    }

    fn ask(&self, program: &str, options: &[&str], database: &str) -> Result<String, String> {
        let mut command = self.command(program);
        command.args(options).arg("-h").arg(self.directory.path()).args(["-d", database]);
        let output = command.output().unwrap();
        if output.status.success() {
            Ok(String::from_utf8(output.stdout).unwrap().trim_end().to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    fn spawn(&self) -> Child {
        let log = File::options().create(true).append(true).open(self.log()).unwrap();
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).arg("-k").arg(self.directory.path());
        command.args(["-c", "max_connections=200"]);
        match self.tls_port {
            None => {
                command.args(["-c", "listen_addresses="]);
            }
            Some(_) => {
                let (key, certificate) =
                    ("ssl_key_file=../server.key", "ssl_cert_file=../server.pem");
                command.args(["-c", "listen_addresses=127.0.0.1", "-c", "ssl=on"]);
                command.args(["-c", key, "-c", certificate]);
            }
        }
        command.args(["-c", if self.fsync { "fsync=on" } else { "fsync=off" }]);
        command.stdout(Stdio::null()).stderr(log).spawn().unwrap()
    }

    fn is_ready(&self) -> bool {
        let mut command = self.command("pg_isready");
        command.arg("-q").arg("-h").arg(self.directory.path()).status().unwrap().success()
    }

    /// One of PostgreSQL's programs, run by a user who may, and with nothing of our environment
    /// that could lead it elsewhere.
    fn command(&self, program: &str) -> Command {
        let mut command = self.command_at(&self.programs.join(program));
        if let Some(port) = self.tls_port {
            command.env("PGPORT", port.to_string());
        }
        command
    }

    /// A program, run by the same user.
    pub(crate) fn command_at(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C");
        command.current_dir(self.directory.path()).stdin(Stdio::null());
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }

    /// What PostgreSQL has logged.
    pub fn logged(&self) -> String {
        fs::read_to_string(self.log()).unwrap()
    }

    /// A new directory of the same user.
    pub(crate) fn directory_for(&self, prefix: &str) -> TempDir {
        let directory = tempfile::Builder::new().prefix(prefix).tempdir().unwrap();
        give(directory.path(), self.user);
        directory
    }

    /// Where it listens.
    pub(crate) fn sockets(&self) -> &Path {
        self.directory.path()
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let postmaster = self.postmaster.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(child) = postmaster {
            // In a failing test, a second panic would hide the first. It may be paused.
            send(child.id(), "CONT");
            send_children(child.id(), "CONT");
            send(child.id(), "QUIT");
            let _ = child.wait();
        }
    }
}

/// Makes a user the owner of a directory.
fn give(directory: &Path, user: Option<(u32, u32)>) {
    if let Some((user, group)) = user {
        chown(directory, Some(user), Some(group)).unwrap();
    }
}

/// Sends a signal to a process.
pub fn send(process: u32, signal: &str) -> bool {
    let process = process.to_string();
    let kill = Command::new("sh").args(["-c", "kill -$0 $1 2>&-", signal, &process]).status();
    kill.is_ok_and(|status| status.success())
}

/// Sends a signal to all children of a process. One may have ended meanwhile.
fn send_children(parent: u32, signal: &str) {
    let script = "ps -o pid= --ppid $1 | xargs -r kill -$0";
    let arguments = ["-c", script, signal, &parent.to_string()];
    Command::new("sh").args(arguments).stderr(Stdio::null()).status().unwrap();
}

/// Where its programs are: in the path, or where Debian keeps them, the newest version first.
fn find_programs() -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort();
    let installed = versions.into_iter().rev().map(|(_, programs)| programs);
    // Server and tools together: the path may have links to some of them only.
    let is_whole = |it: &PathBuf| ["initdb", "psql"].iter().all(|name| it.join(name).is_file());
    let found = env::split_paths(&path).chain(installed).find(is_whole);
    found.expect("PostgreSQL is not installed; Debian's package is \"postgresql\"")
}

/// The user to run PostgreSQL as, if we are the superuser.
fn unprivileged(own: &Path) -> Option<(u32, u32)> {
    if fs::metadata(own).unwrap().uid() != 0 {
        return None;
    }
    let id = |flag: &str, name: &str| {
        let output = Command::new("id").args([OsStr::new(flag), name.as_ref()]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().parse().ok()
    };
    let found =
        ["postgres", "nobody"].iter().find_map(|name| Some((id("-u", name)?, id("-g", name)?)));
    Some(found.expect("there is a user \"postgres\" or \"nobody\""))
}
