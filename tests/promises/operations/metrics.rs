//! Prometheus metrics match the recorded work and identify nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;

use jhe_ow::model::silence::SilenceCause;
use jhe_ow::simulator::fault::Fault;

use crate::support::connected_world::Scene;
use crate::support::fake_jhe::State;
use crate::support::harness::*;
use crate::support::running_daemon::*;

/// The permitted labels.
const LABELS: &[&str] = &["cause", "kind", "le", "of", "outcome", "peer", "state", "status", "type"];
const ALERTS: &str = include_str!("../../../packaging/alerts.yaml");
const DASHBOARD: &str = include_str!("../../../packaging/grafana-dashboard.json");

/// A strictly parsed scrape: each sample by name and labels.
#[derive(Debug)]
struct Scrape {
    samples: BTreeMap<(String, Vec<(String, String)>), f64>,
}

impl Scrape {
    fn of(port: u16) -> Self {
        let answer = Visitor::new(&format!("http://127.0.0.1:{port}")).get("/metrics");
        assert_eq!((answer.status, answer.headers["content-type"].to_str().unwrap()), (200, CONTENT_TYPE));
        Self::parse(&answer.body)
    }

    /// Parses the text format 0.0.4 strictly.
    fn parse(text: &str) -> Self {
        assert!(text.ends_with('\n') && !text.contains("\n\n"), "{text}");
        let (mut samples, mut families) = (BTreeMap::new(), BTreeSet::new());
        let (mut helped, mut family) = (String::new(), (String::new(), String::new()));
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap();
                assert!(help.ends_with('.') && is_name(name), "{line}");
                name.clone_into(&mut helped);
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert!(["counter", "gauge", "histogram"].contains(&kind) && name == helped, "{line}");
                assert!(kind != "counter" || name.ends_with("_total"), "{line}");
                assert!(families.insert(name.to_owned()), "duplicate metadata: {line}");
                family = (name.to_owned(), kind.to_owned());
            } else {
                let (name, labels, value) = sample(line);
                let suffix = name
                    .strip_prefix(&family.0)
                    .unwrap_or_else(|| panic!("sample outside its family: {line}"));
                let is_of_histogram = ["_bucket", "_sum", "_count"].contains(&suffix);
                assert!(if family.1 == "histogram" { is_of_histogram } else { suffix.is_empty() }, "{line}");
                assert!(family.1 == "gauge" || value >= 0.0, "{line}");
                assert!(samples.insert((name, labels), value).is_none(), "duplicate sample: {line}");
            }
        }
        let scrape = Self { samples };
        scrape.check_histograms();
        scrape
    }

    /// Checks that buckets are cumulative and the last one equals the count.
    fn check_histograms(&self) {
        for ((name, labels), count) in &self.samples {
            let Some(base) = name.strip_suffix("_count") else { continue };
            let bucket = format!("{base}_bucket");
            let steps = self.samples.iter().filter_map(|((name, own), value)| {
                let rest: Vec<_> = own.iter().filter(|(label, _)| label != "le").cloned().collect();
                let le = own.iter().find(|(label, _)| label == "le");
                (*name == bucket && rest == *labels)
                    .then(|| (le.unwrap().1.replace("+Inf", "inf").parse::<f64>().unwrap(), *value))
            });
            let mut steps: Vec<(f64, f64)> = steps.collect();
            steps.sort_by(|a, b| a.0.total_cmp(&b.0));
            assert!(steps.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{base}: {steps:?}");
            let last = steps.last().unwrap();
            assert!(last.0.is_infinite() && (last.1 - count).abs() < 0.5, "{base}: {steps:?}");
        }
    }

    /// Returns the value of a sample.
    #[track_caller]
    fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let value = self.samples.get(&(name.to_owned(), labels));
        *value.unwrap_or_else(|| panic!("no sample {name} in {:#?}", self.samples.keys()))
    }

    /// Returns the value of a sample that is a whole number.
    #[track_caller]
    fn whole(&self, name: &str, labels: &[(&str, &str)]) -> i64 {
        format!("{}", self.value(name, labels)).parse().unwrap()
    }

    fn names(&self) -> BTreeSet<&str> {
        self.samples.keys().map(|(name, _)| name.as_str()).collect()
    }
}

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

fn sample(line: &str) -> (String, Vec<(String, String)>, f64) {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let value = value.parse().unwrap_or_else(|_| panic!("the value is not a number: {line}"));
    let (name, labels) = match series.split_once('{') {
        Some((name, rest)) => (name, rest.strip_suffix('}').unwrap()),
        None => (series, ""),
    };
    assert!(is_name(name), "{line}");
    let labels = labels.split(',').filter(|label| !label.is_empty()).map(|label| {
        let (name, value) = label.split_once('=').unwrap();
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap();
        assert!(is_name(name) && !value.contains(['"', '\\']), "{line}");
        (name.to_owned(), value.to_owned())
    });
    (name.to_owned(), labels.collect(), value)
}

/// Creates a world with one patient whose hour of samples is delivered and one for whom OW answers garbage; returns the
/// scrape after the first tick.
fn scraped(look: impl FnOnce(&Scrape, &Scene, &[String], &Served)) {
    let mut scene = Scene::new();
    let (well, first) = scene.patient(40001);
    let (ill, second) = scene.patient(40002);
    // The last samples of this patient, delivered.
    scene.world.sim.put(&ill, scene.world.now.minus(FIVE_MINUTES), 60.0);
    assert_eq!(scene.world.created(), 1);
    assert!(scene.export().stdout.contains("Delivered 1 "));
    scene.world.pass(DAY * 2);
    scene.fill(&well, 1);
    scene.world.sim.set_fault(&ill, Some(Fault::Garbage));
    let port = free_port();
    let bind = format!("127.0.0.1:{port}");
    let served = Served::with(&scene.world, &[("JHE_OW_METRICS_BIND", &bind)]);
    let delivered = [("outcome", "delivered")];
    // Gauges may be five seconds old; counters are current.
    until("all observations are delivered", || {
        get(port, "/metrics", &[]).is_some()
            && Scrape::of(port).whole("jhe_ow_exported_total", &delivered) == 12
    });
    until("the scrape is newer than the delivery", || {
        let scrape = Scrape::of(port);
        scrape.whole("jhe_ow_outbox", &[("state", "pending")]) == 0
            && scrape.whole("jhe_ow_patients_in_error", &[]) == 1
            && scrape.value("jhe_ow_backup_last_timestamp_seconds", &[]) > 0.0
    });
    look(&Scrape::of(port), &scene, &[well, first, ill, second], &served);
    served.stop("TERM");
}

#[test]
fn metrics_match_the_recorded_work() {
    scraped(|scrape, scene, _, _| {
        for (name, labels, value) in [
            ("jhe_ow_ticks_total", vec![("outcome", "partial")], 1),
            ("jhe_ow_ticks_total", vec![("outcome", "complete")], 0),
            ("jhe_ow_tick_duration_seconds_count", vec![], 1),
            ("jhe_ow_samples_total", vec![("type", "heart_rate"), ("outcome", "created")], 12),
            ("jhe_ow_samples_total", vec![("type", "weight"), ("outcome", "created")], 0),
            ("jhe_ow_links", vec![("state", "active")], 2),
            ("jhe_ow_links", vec![("state", "needs_relink")], 0),
            ("jhe_ow_newest_sample_age_seconds", vec![("of", "oldest")], 2 * 86_400 + 300),
            ("jhe_ow_newest_sample_age_seconds", vec![("of", "median")], 300),
            ("jhe_ow_silent_patients", vec![("cause", "ow_down")], 1),
            ("jhe_ow_silent_patients", vec![("cause", "consent_withdrawn")], 0),
            ("jhe_ow_tick_under_way", vec![], 0),
            ("jhe_ow_errors_total", vec![("kind", "ow_answer")], 1),
            ("jhe_ow_errors_total", vec![("kind", "jhe")], 0),
            ("jhe_ow_outbox", vec![("state", "dead")], 0),
            ("jhe_ow_outbox_oldest_age_seconds", vec![], 0),
            ("jhe_ow_upstream_requests_total", vec![("peer", "s3"), ("status", "2xx")], 0),
            ("jhe_ow_tick_interval_seconds", vec![], 900),
            ("jhe_ow_ready", vec![], 1),
            ("jhe_ow_build_info", vec![("version", env!("CARGO_PKG_VERSION"))], 1),
        ] {
            assert_eq!(scrape.whole(name, &labels), value, "{name} {labels:?}");
        }
        for &cause in SilenceCause::ALL {
            scrape.value("jhe_ow_silent_patients", &[("cause", cause.as_str())]);
        }
        let now = scene.world.now.micros() / 1_000_000;
        for name in ["jhe_ow_tick_last_end_timestamp_seconds", "jhe_ow_backup_last_timestamp_seconds"] {
            assert_eq!(scrape.whole(name, &[]), now, "{name}");
        }
        let ow = scrape.value("jhe_ow_upstream_requests_total", &[("peer", "ow"), ("status", "2xx")]);
        let timed = scrape.value("jhe_ow_upstream_request_duration_seconds_count", &[("peer", "ow")]);
        assert!(ow >= 3.0 && timed >= ow, "{ow} {timed}");
        assert!(scrape.value("jhe_ow_upstream_requests_total", &[("peer", "jhe"), ("status", "2xx")]) >= 2.0);
        let pages = std::fs::metadata(scene.world.database()).unwrap().len();
        assert!(scrape.value("jhe_ow_database_bytes", &[]) >= 4096.0 && pages >= 4096);
        assert!(scrape.value("process_resident_memory_bytes", &[]) > 1e6);
        assert!(scrape.value("process_start_time_seconds", &[]) > 1.7e9);
    });
}

#[test]
fn labels_come_from_fixed_sets_and_identify_nobody() {
    scraped(|scrape, _, known, served| {
        for (name, labels) in scrape.samples.keys() {
            for (label, value) in labels.iter().filter(|_| name != "jhe_ow_build_info") {
                assert!(LABELS.contains(&label.as_str()), "{name} has the unknown label {label}");
                assert!(label == "le" || !known.contains(value), "{name} reveals {value}");
                let is_word = |byte: u8| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'1'..=b'5');
                assert!(label == "le" || value.bytes().all(is_word), "{name}: {value}");
            }
        }
        assert!(scrape.samples.len() < 250, "{} series are too many", scrape.samples.len());
        let (status, page) = get(served.port, "/metrics", &[]).unwrap();
        assert!(
            status == 404 && !page.contains("jhe_ow_ticks"),
            "the pages' port must not serve metrics: {page}"
        );
    });
}

/// Delivers an hour of samples to a faulty JHE; returns the outcomes by metric once this many are counted.
fn sent(outcome: &str, count: i64, hurt: impl FnOnce(&mut State)) {
    let scene = Scene::new();
    let (user, _) = scene.patient(40001);
    scene.fill(&user, 1);
    scene.world.sim.put(&user, scene.world.now.minus(HOUR * 2), 199.0);
    assert_eq!(scene.world.created(), 13);
    hurt(&mut scene.jhe.state());
    let port = free_port();
    let served = Served::with(&scene.world, &[("JHE_OW_METRICS_BIND", &format!("127.0.0.1:{port}"))]);
    let sent = |outcome: &str| Scrape::of(port).whole("jhe_ow_exported_total", &[("outcome", outcome)]);
    until("the daemon is listening", || get(port, "/metrics", &[]).is_some());
    until(outcome, || sent(outcome) >= count);
    served.stop("TERM");
}

#[test]
fn parked_and_retried_observations_are_counted() {
    sent("parked", 13, |jhe| jhe.has_just_lost_oura = true);
    sent("again", 1, |jhe| jhe.poison.push(199.0));
}

#[test]
fn every_metric_of_the_alert_rules_and_the_dashboard_exists() {
    scraped(|scrape, _, _, _| {
        let names = scrape.names();
        for text in [ALERTS, DASHBOARD] {
            let words = text.split(|byte: char| !byte.is_ascii_alphanumeric() && byte != '_');
            let asked: BTreeSet<&str> =
                words.filter(|word| word.starts_with("jhe_ow_") || word.starts_with("process_")).collect();
            assert!(asked.len() > 8, "{asked:?}");
            for name in asked {
                assert!(names.contains(name), "no metric has the name {name}");
            }
        }
        let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).unwrap();
        assert!(dashboard["panels"].as_array().unwrap().len() > 10);
    });
}

#[test]
fn a_metrics_port_in_use_disables_only_the_metrics() {
    let world = World::new();
    let (user, patient) = world.patient();
    world.sim.put(&user, world.now.minus(HOUR), 60.0);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let bind = taken.local_addr().unwrap().to_string();
    let served = Served::with(&world, &[("JHE_OW_METRICS_BIND", &bind)]);
    until("the sample is stored", || world.kept(&patient).len() == 1);
    let ran = served.stop("TERM");
    assert_eq!(ran.code, 0, "{ran:?}");
    let told = format!("no metrics: cannot listen on {bind}");
    assert!(ran.stderr.contains(&told) && ran.stderr.contains("JHE_OW_METRICS_BIND"), "{ran:?}");
}

#[test]
fn the_metrics_listener_answers_nothing_but_metrics() {
    let world = World::new();
    let port = free_port();
    let served = Served::with(&world, &[("JHE_OW_METRICS_BIND", &format!("127.0.0.1:{port}"))]);
    until("the daemon is listening", || get(port, "/metrics", &[]).is_some());
    let visitor = Visitor::new(&format!("http://127.0.0.1:{port}"));
    assert_eq!((visitor.get("/admin").status, visitor.get("/").status), (404, 404));
    assert_eq!(visitor.post("/metrics", &[]).status, 405);
    served.stop("TERM");
}
