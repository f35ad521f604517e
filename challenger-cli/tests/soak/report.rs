//! The report of a run: a line every minute, and a document at the end.

use std::collections::BTreeMap;
use std::time::Duration;

use super::figures::{FLOW, Minute, Summary, ms};
use super::processes::Series;
use super::world::World;

/// The limit for 99 of 100 validations, in microseconds, and for each of their requests.
const P99_MAX: u64 = 1_000_000;
/// Fewer samples than this in a minute are not judged.
const FEW: usize = 100;

/// Prints each minute that is over.
pub fn tell_minutes(world: &World) {
    println!("| minute | flows (fault-free) | p50 | p99 | max ms | all: p99 | errors | broken |");
    println!("|---|---|---|---|---|---|---|---|");
    let mut errors_before = 0;
    for number in 0.. {
        if !world.sleep(Duration::from_secs(60)) {
            return;
        }
        let Minute { clean: [clean, _], all: [all, _], .. } =
            world.figures.minute(world.begun, number);
        let errors = errors(world).values().map(|[clean, fault]| clean + fault).sum::<u64>();
        println!(
            "| {number}{} | {} ({}) | {} | {} | {} | {} | {} | {} |",
            if world.had_outage(number) { " (outage)" } else { "" },
            all.count,
            clean.count,
            ms(clean.median),
            ms(clean.p99),
            ms(clean.max),
            ms(all.p99),
            errors - errors_before,
            world.ledger.broken().len(),
        );
        errors_before = errors;
    }
}

/// By kind: how many errors without a fault, and how many with one.
fn errors(world: &World) -> BTreeMap<String, [u64; 2]> {
    let mut errors: BTreeMap<String, [u64; 2]> = BTreeMap::new();
    for (name, count) in world.ledger.counts("error|") {
        let (what, when) = name.rsplit_once('|').unwrap();
        let entry = errors.entry(what.replace('|', " | ")).or_default();
        entry[usize::from(when == "fault")] += count;
    }
    errors
}

/// Prints everything, and returns whether all demands hold.
pub fn tell_all(world: &World, series: &[Series]) -> bool {
    let settings = &world.settings;
    println!("\n# A soak of {} seconds\n", settings.duration.as_secs());
    println!(
        "{} people per second on four servers, {} processors, {} build, seed {}.\n",
        settings.rate,
        std::thread::available_parallelism().map_or(0, usize::from),
        if cfg!(debug_assertions) { "debug" } else { "release" },
        settings.seed
    );
    tell_times(world);
    let times_hold = tell_worst_minutes(world);
    tell_counts(world);
    tell_errors(world);
    let memory_holds = tell_processes(world, series);
    let broken = world.ledger.broken();
    println!("\n## Rules\n");
    for (rule, (count, case)) in &broken {
        println!("- BROKEN {count} times: {rule}; first: {case}");
    }
    if broken.is_empty() {
        println!("All held.");
    }
    let demands_hold = times_hold && memory_holds;
    if settings.is_demanding() {
        println!("\nThe demands on time and memory {}.", verdict(demands_hold));
    } else {
        println!("\nTimes and memory are not judged in a run as short as this.");
    }
    broken.is_empty() && (demands_hold || !settings.is_demanding())
}

const fn verdict(holds: bool) -> &'static str {
    if holds { "hold" } else { "DO NOT HOLD" }
}

fn cells(summary: &Summary) -> String {
    let Summary { count, median, p99, max } = *summary;
    format!("{count} | {} | {} | {}", ms(median), ms(p99), ms(max))
}

fn tell_times(world: &World) {
    println!("## Times of people, in milliseconds\n");
    println!("| store | request | fault-free | p50 | p99 | max | all | p50 | p99 | max |");
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for ((pair, kind), [clean, all]) in world.figures.by_kind() {
        println!("| {pair} | {kind} | {} | {} |", cells(&clean), cells(&all));
    }
}

/// Prints the worst minutes, and returns whether they are good enough.
fn tell_worst_minutes(world: &World) -> bool {
    let minutes = world.figures.minutes(world.begun);
    let worst = |of: &dyn Fn(&Minute) -> Summary, counts: &dyn Fn(&Minute) -> bool| {
        let counted = minutes.iter().filter(|it| counts(it) && of(it).count >= FEW);
        let worst = counted.max_by_key(|minute| of(minute).p99);
        worst.map(|minute| (minute.number, of(minute).p99))
    };
    let say = |worst: Option<(u64, u64)>| match worst {
        Some((number, p99)) => format!("{} (minute {number})", ms(p99)),
        None => format!("no minute had {FEW}"),
    };
    let outage = |minute: &Minute| world.had_outage(minute.number);
    let calm = |minute: &Minute| !outage(minute);
    println!("\n## The p99 of the worst minute, in milliseconds\n");
    println!("| what | fault-free | all, minutes without an outage | all, minutes with one |");
    println!("|---|---|---|---|");
    let mut holds = true;
    for (index, what) in [FLOW, "requests"].into_iter().enumerate() {
        let clean = worst(&|minute| minute.clean[index], &|_| true);
        holds &= clean.is_some_and(|(_, p99)| p99 < P99_MAX);
        let all = |minute: &Minute| minute.all[index];
        let (calm, outage) = (worst(&all, &calm), worst(&all, &outage));
        println!("| {what} | {} | {} | {} |", say(clean), say(calm), say(outage));
    }
    println!(
        "\nAn outage is one of the PostgreSQL database. Fault-free: under {} ms.",
        P99_MAX / 1000
    );
    holds
}

fn tell_counts(world: &World) {
    for (title, beginning) in [
        ("Faults", "fault|"),
        ("Validations, by whether a fault fell into them", "flow|"),
        ("People who gave up", "gave up|"),
        ("Validations begun anew after an error", "start over|"),
        ("Strangers", "stranger|"),
        ("Proofs looked at again", "audit|"),
        ("Deleted after their time", "cleaned|"),
        ("Upkeep", "upkeep|"),
        ("Lines in the logs", "log|"),
    ] {
        println!("\n## {title}\n");
        let counts = world.ledger.counts(beginning);
        if counts.is_empty() {
            println!("None.");
        }
        for (name, count) in counts {
            println!("- {}: {count}", name.replace('|', ", "));
        }
    }
}

fn tell_errors(world: &World) {
    println!("\n## Errors that clients saw\n");
    println!("| store | request | status/code | fault-free | during faults |");
    println!("|---|---|---|---|---|");
    for (what, [clean, fault]) in errors(world) {
        println!("| {what} | {clean} | {fault} |");
    }
}

/// Prints the processes, and returns whether no server that lived long took more and more.
fn tell_processes(world: &World, series: &[Series]) -> bool {
    println!("\n## What the servers took\n");
    println!("First (warm), last and most; the slope is by least squares over the warm part.\n");
    println!(
        "| server | process | from–to s | RSS KiB | slope KiB/min | RSS 2nd, 4th quarter | \
         threads | descriptors | flat |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let mut holds = true;
    for one in series {
        let (Some(first), Some(last)) = (one.points.first(), one.points.last()) else { continue };
        let is_long = 2 * (last.seconds - first.seconds) > world.settings.duration.as_secs();
        let three = |[first, last, most]: [u64; 3]| format!("{first}, {last}, {most}");
        let (quarters, flat) = match (one.memory(), one.gives_back()) {
            (Some((earlier, later, is_flat)), Some(gives_back))
                if is_long && world.settings.is_demanding() =>
            {
                holds &= is_flat && gives_back;
                (format!("{earlier}, {later}"), verdict(is_flat && gives_back))
            }
            _ => (String::new(), "not judged"),
        };
        println!(
            "| {} | {} | {}–{} | {} | {} | {quarters} | {} | {} | {flat} |",
            one.server,
            one.process,
            first.seconds,
            last.seconds,
            three(one.ends(|it| it.rss_kib)),
            one.slope(),
            three(one.ends(|it| it.threads)),
            three(one.ends(|it| it.descriptors)),
        );
    }
    println!(
        "\nJudged are, in a long run, processes that lived for half of it. Flat: mean RSS of the \
         last quarter at most 10 % + 2 MiB above the second quarter's, least threads and \
         descriptors at most 24."
    );
    holds
}
