//! A standby of a cluster, which can be promoted.

use super::{Cluster, SUPERUSER, send};
use crate::wait_for;

/// What is said of the standby.
const STATE: &str = "SELECT string_agg(sync_state, ' ') FROM pg_stat_replication";

impl Cluster {
    /// A standby. From now on, each commit waits until it is on the disk of both.
    pub fn with_standby(&self) -> Self {
        let standby = Self::empty(self.fsync, None);
        let mut copy = self.command("pg_basebackup");
        copy.args(["-c", "fast", "-R", "-C", "-S", "standby", "-U", SUPERUSER, "-h"]);
        copy.arg(self.sockets()).arg("-D").arg(standby.data());
        let output = copy.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        standby.start();
        let state = |state: &str| {
            wait_for(state, || (self.psql("postgres", STATE) == state).then_some(()));
        };
        state("async");
        self.psql("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'");
        self.psql("postgres", "SELECT pg_reload_conf()");
        state("sync");
        standby
    }

    /// Cuts the way to the standby, which knows nothing of what is written from now on.
    pub fn cut_standby(&self) {
        let sender = self.psql("postgres", "SELECT pid FROM pg_stat_replication");
        assert!(send(sender.parse().unwrap(), "STOP"));
    }

    /// Makes a standby the primary, and waits until it is.
    pub fn promote(&self) {
        assert_eq!(self.psql("postgres", "SELECT pg_promote(true, 60)"), "t");
    }

    /// How to connect to the first of several clusters that takes writes.
    pub fn uri_of_all(clusters: &[&Self], database: &str) -> String {
        let hosts: Vec<_> = clusters.iter().map(|it| it.sockets().display().to_string()).collect();
        format!("dbname={database} user={SUPERUSER} host={}", hosts.join(","))
    }
}
