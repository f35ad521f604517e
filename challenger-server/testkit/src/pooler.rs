//! A real PgBouncer in front of a cluster, gone with the test. All its clients share one pool.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Mutex;

use tempfile::TempDir;

use crate::{Cluster, send, wait_for};

/// A pooler, with its process.
pub struct Pooler<'a> {
    cluster: &'a Cluster,
    directory: TempDir,
    process: Mutex<Option<Child>>,
}

impl<'a> Pooler<'a> {
    /// A pooler in a mode; `more` are lines of its configuration.
    pub fn start(cluster: &'a Cluster, mode: &str, more: &str) -> Self {
        let directory = cluster.directory_for("challenger-pooler-");
        let pooler = Self { cluster, directory, process: Mutex::default() };
        pooler.run(mode, more);
        pooler
    }

    /// Ends it, and starts it in another mode.
    pub fn restart(&self, mode: &str, more: &str) {
        self.end();
        self.run(mode, more);
    }

    /// Changes its mode while it runs.
    pub fn reload(&self, mode: &str, more: &str) {
        self.configure(mode, more);
        let process = self.process.lock().unwrap().as_ref().unwrap().id();
        let said = self.said().len();
        assert!(send(process, "HUP"));
        wait_for("the pooler to reload", || self.said()[said..].contains("SIGHUP").then_some(()));
    }

    /// How to connect; more parameters may be added with `&`.
    pub fn uri(&self, database: &str) -> String {
        format!("postgres:///{database}?host={}&user=postgres", self.directory.path().display())
    }

    /// What it has logged.
    pub fn said(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    fn configure(&self, mode: &str, more: &str) {
        let own = self.directory.path().display();
        let settings = format!(
            "[databases]\n* = host={cluster} port=5432 user=postgres\n\
             [pgbouncer]\npool_mode = {mode}\nauth_type = any\nlisten_port = 5432\n\
             unix_socket_dir = {own}\nmax_client_conn = 200\n{more}\n",
            cluster = self.cluster.sockets().display(),
        );
        fs::write(self.path("settings"), settings).unwrap();
    }

    fn run(&self, mode: &str, more: &str) {
        self.configure(mode, more);
        let mut command = self.cluster.command_at(&find_program());
        let log = File::options().create(true).append(true).open(self.path("log")).unwrap();
        command.arg(self.path("settings")).stdout(Stdio::null()).stderr(log);
        let mut process = command.spawn().unwrap();
        wait_for("the pooler", || {
            assert!(process.try_wait().unwrap().is_none(), "{}", self.said());
            self.path(".s.PGSQL.5432").exists().then_some(())
        });
        *self.process.lock().unwrap() = Some(process);
    }

    fn end(&self) {
        if let Some(mut process) = self.process.lock().unwrap().take() {
            send(process.id(), "TERM");
            let _ = process.wait();
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Drop for Pooler<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

/// Where Debian installs it, which is not in everybody's path.
fn find_program() -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain([Path::new("/usr/sbin").to_path_buf()]);
    let found = folders.map(|it| it.join("pgbouncer")).find(|it| it.is_file());
    found.expect("PgBouncer is not installed; Debian's package is \"pgbouncer\"")
}
