//! The files of docs/monitoring and the chapter about them, tried with promtool and a Prometheus of
//! their own, at a real server.

#![cfg(all(feature = "metrics", feature = "sqlite"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod markdown;
mod scrape;
mod site;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use challenger_testkit::{escape, wait_for};
use markdown::{blocks, read, root, section};
use scrape::{Monitor, Scrape};
use serde_json::Value;
use site::{Site, free_port, stderr, stdout};

/// A service that has seen all kinds of events, and its place.
fn busy_site() -> (Site, Monitor) {
    let mut site = Site::new("SERVICE_MESSAGES = 100");
    let monitor = Monitor::of(&site);
    site.start();
    site.prove("ada@example.com");
    (site, monitor)
}

fn promtool(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new("promtool");
    command.args(arguments).current_dir(root().join("docs/monitoring"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// The names of metrics in a text, without the endings of a histogram's samples.
fn names_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|it: char| !(it.is_ascii_alphanumeric() || it == '_'));
    let ours = |it: &&str| it.starts_with("challenger_") || it.starts_with("process_");
    words.filter(ours).map(family).collect()
}

fn family(sample: &str) -> String {
    let endings = ["_bucket", "_count", "_sum"].iter();
    let name = endings.filter_map(|it| sample.strip_suffix(it)).find(|it| it.ends_with("_seconds"));
    name.unwrap_or(sample).to_owned()
}

#[test]
fn alerts_fire_when_they_should() {
    for arguments in [["check", "rules", "alerts.yaml"], ["test", "rules", "alerts-test.yaml"]] {
        let output = promtool(&arguments, "");
        assert!(output.status.success(), "{} {}", stdout(&output), stderr(&output));
    }
    let names = |file: &str, key: &str| -> BTreeSet<String> {
        let text = read(&format!("docs/monitoring/{file}"));
        let after = text.split(key).skip(1);
        after.map(|rest| rest.split(['\n', '"']).next().unwrap().to_owned()).collect()
    };
    let all = names("alerts.yaml", "- alert: ");
    assert_eq!(names("alerts-test.yaml", "{alertname=\""), all, "each is tried");
}

#[test]
fn a_scrape_is_as_prometheus_wants_it() {
    let (mut site, monitor) = busy_site();
    let text = monitor.scrape().text;
    let output = promtool(&["check", "metrics"], &text);
    assert!(output.status.success(), "{} {}", stdout(&output), stderr(&output));
    // It finds what is wrong.
    let output = promtool(&["check", "metrics"], &text.replace("_sent_total", "_sent"));
    assert!(!output.status.success());
    site.stop();
}

/// The names of labels, by the metric.
fn labels(scrape: &Scrape) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in scrape.text.lines().filter(|line| !line.starts_with('#')) {
        let (sample, _) = line.rsplit_once(' ').unwrap();
        let (name, rest) = sample.split_once('{').unwrap_or((sample, ""));
        let names = rest.split("=\"").map(|it| it.rsplit([',', '{']).next().unwrap());
        let names = names.filter(|it| !it.is_empty() && !it.contains(['"', '}']) && *it != "le");
        found.entry(family(name)).or_default().extend(names.map(str::to_owned));
    }
    found
}

#[test]
fn the_chapter_has_every_metric_and_no_other() {
    let (mut site, monitor) = busy_site();
    let scrape = monitor.scrape();
    let labels = labels(&scrape);
    let told: BTreeSet<(String, String, BTreeSet<String>)> = scrape
        .types
        .iter()
        .map(|(name, kind)| (name.clone(), kind.clone(), labels[name].clone()))
        .collect();
    assert!(told.len() > 20, "{told:?}");
    let chapter = read("docs/monitor.md");
    let rows = section(&chapter, "## Metrics").lines().filter(|line| line.starts_with("| `"));
    let code = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    let documented: BTreeSet<_> = rows
        .map(|row| {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let names: Vec<String> = code(cells[1]);
            assert_eq!(names.len(), 1, "{row}");
            (names[0].clone(), cells[2].to_owned(), code(cells[3]).into_iter().collect())
        })
        .collect();
    assert_eq!(documented, told);

    for file in ["alerts.yaml", "alerts-test.yaml", "dashboard.json"] {
        let used = names_in(&read(&format!("docs/monitoring/{file}")));
        assert!(used.len() > 10, "{file}: {used:?}");
        for name in used {
            assert!(scrape.types.contains_key(&name), "{file}: {name}");
        }
    }
    site.stop();
}

/// The dashboard, as Grafana imports it.
fn dashboard() -> Value {
    serde_json::from_str(&read("docs/monitoring/dashboard.json")).unwrap()
}

/// All queries of the dashboard, with these values of its variables.
fn queries(dashboard: &Value, job: &str) -> Vec<String> {
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let queries = targets.map(|target| target["expr"].as_str().unwrap());
    queries
        .map(|query| {
            let query = query.replace("$job", job).replace("$instance", ".*");
            query.replace("$__rate_interval", "1m")
        })
        .collect()
}

#[test]
fn the_dashboard_can_be_imported() {
    let dashboard = dashboard();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let names: Vec<&str> = variables.iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["datasource", "job", "instance"]);
    assert_eq!(variables[0]["type"], "datasource");
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels.iter().map(|it| it["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "no number twice");
    let mut taken = BTreeSet::new();
    for panel in panels {
        let place = |side: &str| panel["gridPos"][side].as_u64().unwrap();
        assert!(place("x") + place("w") <= 24, "{panel}");
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(taken.insert((x, y)), "panels lie on each other: {panel}");
            }
        }
        if panel["type"] == "row" {
            continue;
        }
        assert_eq!(panel["datasource"]["uid"], "${datasource}");
        assert!(!panel["title"].as_str().unwrap().is_empty());
        for target in panel["targets"].as_array().unwrap() {
            assert_eq!(target["datasource"]["uid"], "${datasource}");
        }
    }
}

/// A Prometheus with this configuration, gone with the test.
struct Prometheus {
    child: Child,
    port: u16,
}

impl Prometheus {
    fn start(folder: &Path, config: &str) -> Self {
        let file = folder.join("prometheus.yml");
        fs::write(&file, config).unwrap();
        let port = free_port();
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.join("data").display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        command.arg("--log.level=error").current_dir(folder);
        let child = command.stdin(Stdio::null()).spawn().unwrap();
        Self { child, port }
    }

    /// The data that it has at a path, once it answers.
    fn ask(&self, path: &str) -> Option<Value> {
        let url = format!("http://127.0.0.1:{}/api/v1/{path}", self.port);
        // Before it has begun, it says 503.
        let text = ureq::get(url).call().ok()?.body_mut().read_to_string().unwrap();
        let json: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["status"], "success", "{path}: {json}");
        Some(json["data"].clone())
    }

    fn query(&self, query: &str) -> Option<Value> {
        self.ask(&format!("query?query={}", escape(query)))
    }

    /// The only value of a query, if there is one.
    fn value(&self, query: &str) -> Option<f64> {
        self.query(query)?["result"][0]["value"][1].as_str()?.parse().ok()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_prometheus_reads_it_as_the_chapter_says() {
    let (mut site, monitor) = busy_site();
    let chapter = read("docs/monitor.md");
    let config = blocks(section(&chapter, "## Prometheus"), "yaml").remove(0);
    let installed = "/usr/share/doc/challenger/docs/monitoring/alerts.yaml";
    let here = root().join("docs/monitoring/alerts.yaml");
    for told in [installed, "127.0.0.1:9968"] {
        assert!(config.contains(told), "{config}");
    }
    let config = config.replace(installed, here.to_str().unwrap());
    let config = config.replace("127.0.0.1:9968", &format!("127.0.0.1:{}", monitor.port()));
    let often = "global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\n";
    let folder = tempfile::tempdir().unwrap();
    let prometheus = Prometheus::start(folder.path(), &format!("{often}{config}"));
    let up = wait_for("a scrape", || prometheus.value("up{job=\"challenger\"}"));
    assert_eq!(up, 1.0);
    let proved = "sum(challenger_validations_total{client=\"1\",milestone=\"proved\"})";
    assert_eq!(prometheus.value(proved), Some(1.0));
    site.prove("bob@example.com");
    wait_for("the next", || (prometheus.value(proved) == Some(2.0)).then_some(()));

    // It asks for OpenMetrics, and complains about nothing.
    let targets = prometheus.ask("targets").unwrap();
    assert_eq!(targets["activeTargets"][0]["lastError"], "", "{targets}");
    assert_eq!(targets["activeTargets"][0]["health"], "up");
    let kind = prometheus.ask("metadata?metric=challenger_build").unwrap();
    assert_eq!(kind["challenger_build"][0]["type"], "info", "{kind}");
    let rules = || {
        let rules = prometheus.ask("rules")?;
        let rules = rules["groups"][0]["rules"].as_array()?.clone();
        rules.iter().all(|rule| rule["health"] == "ok").then_some(rules)
    };
    let rules = wait_for("all rules to be judged", rules);
    assert!(rules.iter().all(|rule| rule["state"] != "firing"), "{rules:?}");
    for query in queries(&dashboard(), "challenger") {
        let answer = prometheus.query(&query).unwrap();
        let is_rare = query.contains('>') || query.contains("refusal!=");
        assert!(is_rare || !answer["result"][0].is_null(), "{query} finds nothing");
    }
    drop(prometheus);
    site.stop();
}
