//! The resources that the servers take, as `/proc` reports them.

use std::fs;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::world::World;

/// How many KiB of memory the later quarter may have more than the earlier one, beside a tenth.
const SLACK_KIB: u64 = 2048;
/// How many descriptors or threads it may have more: a pool grows to 16 connections when it likes.
const SLACK: u64 = 24;

/// The resources that a process took at one time.
#[derive(Clone, Copy)]
pub struct Point {
    pub seconds: u64,
    pub rss_kib: u64,
    pub threads: u64,
    pub descriptors: u64,
}

/// One process from its beginning to its end.
pub struct Series {
    pub server: String,
    pub process: u32,
    pub points: Vec<Point>,
}

impl Series {
    /// Without its first tenth, or minute, in which it warms up.
    fn warm(&self) -> &[Point] {
        let Some(first) = self.points.first() else { return &[] };
        let span = self.points.last().map_or(0, |last| last.seconds - first.seconds);
        let warm = first.seconds + (span / 10).min(60);
        let at = self.points.partition_point(|point| point.seconds < warm);
        &self.points[at..]
    }

    /// First, last and most of something, once it is warm.
    pub fn ends(&self, what: impl Fn(&Point) -> u64) -> [u64; 3] {
        let warm = self.warm();
        let of = |point: Option<&Point>| point.map_or(0, &what);
        let most = warm.iter().map(&what).max().unwrap_or(0);
        [of(warm.first()), of(warm.last()), most]
    }

    /// How fast its memory grows, in KiB per minute, by least squares.
    pub fn slope(&self) -> String {
        let points = self.warm().iter();
        let points: Vec<(i128, i128)> =
            points.map(|it| (i128::from(it.seconds), i128::from(it.rss_kib))).collect();
        let count = i128::try_from(points.len()).unwrap();
        let sum = |term: fn(&(i128, i128)) -> i128| points.iter().map(term).sum::<i128>();
        let (x, y) = (sum(|it| it.0), sum(|it| it.1));
        let below = count * sum(|it| it.0 * it.0) - x * x;
        let above = count * sum(|it| it.0 * it.1) - x * y;
        // In hundredths, because it should be close to nothing.
        let hundredths = if below == 0 { 0 } else { 60 * 100 * above / below };
        let sign = if hundredths < 0 { "-" } else { "" };
        let size = hundredths.abs();
        format!("{sign}{}.{:02}", size / 100, size % 100)
    }

    /// The second and the last quarter of its life.
    fn quarters(&self) -> Option<[&[Point]; 2]> {
        let length = self.points.len() / 4;
        let from = |at: usize| self.points.get(at..at + length).filter(|it| !it.is_empty());
        Some([from(length)?, from(self.points.len() - length)?])
    }

    /// The mean memory in the second quarter of its life, in the last, and whether that counts as
    /// the same.
    pub fn memory(&self) -> Option<(u64, u64, bool)> {
        let [earlier, later] = self.quarters()?.map(|points| {
            points.iter().map(|point| point.rss_kib).sum::<u64>() / points.len() as u64
        });
        Some((earlier, later, later <= earlier + earlier / 10 + SLACK_KIB))
    }

    /// Whether its threads and descriptors go back to where they were. A leak is never given back,
    /// so the least of each quarter shows it.
    pub fn gives_back(&self) -> Option<bool> {
        let quarters = self.quarters()?;
        let keeps_to = |what: fn(&Point) -> u64| {
            let [earlier, later] = quarters.map(|points| points.iter().map(what).min());
            later <= earlier.map(|least| least + SLACK)
        };
        Some(keeps_to(|it| it.threads) && keeps_to(|it| it.descriptors))
    }
}

/// Looks at all servers from time to time.
pub fn watch(world: &World) -> Vec<Series> {
    let mut all: Vec<Series> = Vec::new();
    let pause = Duration::from_secs(world.settings.pace(1, 10));
    loop {
        for server in world.pairs.iter().flat_map(|pair| &pair.servers) {
            let process = server.process.load(Ordering::SeqCst);
            if process == 0 {
                continue;
            }
            let Some(point) = look(process, world.begun.elapsed().as_secs()) else {
                if server.process.load(Ordering::SeqCst) == process && !world.is_over() {
                    world.ledger.break_rule("no server ends by itself", &server.name);
                }
                continue;
            };
            match all.iter_mut().find(|series| series.process == process) {
                Some(series) => series.points.push(point),
                None => {
                    let server = server.name.clone();
                    all.push(Series { server, process, points: vec![point] });
                }
            }
        }
        if !world.sleep(pause) {
            return all;
        }
    }
}

fn look(process: u32, seconds: u64) -> Option<Point> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let number = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let descriptors = fs::read_dir(format!("/proc/{process}/fd")).ok()?.count() as u64;
    Some(Point { seconds, rss_kib: number("VmRSS:")?, threads: number("Threads:")?, descriptors })
}
