//! The CPU time and the memory of processes, as `/proc` reports them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// The length of a tick of `/proc`: Linux has reported the same to programs since 2.6, whatever its
/// own is.
const TICK_MICROS: u64 = 10_000;

/// The fields of `/proc/PID/stat` that matter here.
struct Stat {
    parent: u32,
    own_ticks: u64,
    /// Of children that have ended and were waited for.
    children_ticks: u64,
}

fn stat(process: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name before may contain anything, spaces and brackets included.
    let (_, rest) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let number = |field: usize| fields.get(field)?.parse::<u64>().ok();
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        own_ticks: number(11)? + number(12)?,
        children_ticks: number(13)? + number(14)?,
    })
}

/// The CPU time of a process so far, in microseconds, without its children.
pub fn cpu_micros(process: u32) -> u64 {
    stat(process).map_or(0, |it| it.own_ticks * TICK_MICROS)
}

/// The CPU time of a process with all of its children, those that have ended included.
pub fn family_cpu_micros(process: u32) -> u64 {
    let family = family(process);
    let ticks = family.iter().filter_map(|it| stat(*it));
    ticks.map(|it| (it.own_ticks + it.children_ticks) * TICK_MICROS).sum()
}

fn family(root: u32) -> BTreeSet<u32> {
    let mut children = BTreeMap::<u32, Vec<u32>>::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let process = entry.file_name().to_str().and_then(|name| name.parse().ok());
        if let Some((process, stat)) = process.and_then(|it| Some((it, stat(it)?))) {
            children.entry(stat.parent).or_default().push(process);
        }
    }
    let mut family = BTreeSet::new();
    let mut next = vec![root];
    while let Some(process) = next.pop() {
        if family.insert(process) {
            next.extend(children.get(&process).into_iter().flatten());
        }
    }
    family
}

/// The memory of a process that is in RAM, in KiB, and the most there ever was.
pub fn memory_kib(process: u32) -> Option<(u64, u64)> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let number = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    Some((number("VmRSS:")?, number("VmHWM:")?))
}
