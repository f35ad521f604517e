//! The resources that the server holds: none may depend on earlier requests.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use challenger_testkit::wait_for;

use super::site::Site;

/// The resources of a process: descriptors and threads by their kinds, and its children.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Holdings {
    descriptors: BTreeMap<String, usize>,
    threads: BTreeMap<String, usize>,
    children: Vec<String>,
}

impl Holdings {
    pub(crate) fn of(process: u32) -> Self {
        let process = process.to_string();
        let folder = Path::new("/proc").join(&process);
        // A socket or pipe has a number behind its kind. An entry that vanishes meanwhile cannot be
        // read.
        let kind = |path: PathBuf| {
            let target = fs::read_link(path).ok()?.to_str().unwrap().to_owned();
            // The store opens its file as often as it needs it, up to some number.
            (!target.contains(".sqlite")).then(|| target.split(":[").next().unwrap().to_owned())
        };
        let name = |path: PathBuf| fs::read_to_string(path.join("comm")).ok();
        let child = |path: PathBuf| {
            let stat = fs::read_to_string(path.join("stat")).ok()?;
            let parent = stat.rsplit(") ").next()?.split(' ').nth(1)?.to_owned();
            (parent == process).then_some(stat)
        };
        Self {
            descriptors: counted(entries(&folder.join("fd")).into_iter().filter_map(kind)),
            threads: counted(entries(&folder.join("task")).into_iter().filter_map(name)),
            children: entries(Path::new("/proc")).into_iter().filter_map(child).collect(),
        }
    }
}

pub(crate) fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().filter_map(|entry| Some(entry.ok()?.path())).collect()
}

fn counted(kinds: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for kind in kinds {
        *counts.entry(kind).or_default() += 1;
    }
    counts
}

/// The resources of the server when there are no requests.
pub(crate) fn at_rest(site: &Site) -> Holdings {
    wait_for("the server to come to rest", || {
        let holdings = Holdings::of(site.process());
        let idle = !holdings.threads.contains_key("connection\n") && holdings.children.is_empty();
        idle.then_some(holdings)
    })
}
