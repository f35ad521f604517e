//! A site on either database.

use std::path::PathBuf;
use std::sync::Arc;

use challenger_testkit::Cluster;

use crate::site::Site;

/// A site, and the cluster and the database that live as long.
pub(crate) struct Place {
    pub(crate) site: Site,
    pub(crate) postgres: Option<(Arc<Cluster>, String)>,
}

impl Place {
    pub(crate) fn on_sqlite(options: &str) -> Self {
        Self { site: Site::new(options), postgres: None }
    }

    pub(crate) fn on_postgres(options: &str) -> Self {
        let cluster = Cluster::shared();
        let database = cluster.create_database();
        let site = Site::on_postgres(options, &cluster.uri(&database));
        Self { site, postgres: Some((cluster, database)) }
    }

    /// The file of SQLite's database.
    pub(crate) fn file(&self) -> PathBuf {
        self.site.directory.path().join("data/challenger.sqlite")
    }
}
