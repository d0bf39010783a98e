//! What is counted in this process, for Prometheus. Labels come from fixed sets; nothing tells of any one person.
//!
//! Counters are the process's own and begin at nothing with it. What is true of the store is set from [`Facts`] with
//! each scrape.

use std::sync::LazyLock;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant, SystemTime};

use prometheus_client::encoding::prometheus_text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};
use reqwest::StatusCode;

use crate::common::time::Timestamp;
use crate::model::commit_counts::Committed;
use crate::model::error_kind::Kind;
use crate::model::metric_values::Figures;
use crate::model::silence::Cause;

/// What an answer with the metrics says it is.
pub use prometheus_client::encoding::prometheus_text::CONTENT_TYPE;

/// Seconds between the steps of how long ticks take: most take seconds, a first one may take hours.
const TICK_STEPS: &[f64] = &[0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0];
/// Seconds between the steps of how long others take to answer: up to their time limit of a minute.
const ANSWER_STEPS: &[f64] = &[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0];

/// A fixed name with a value from a fixed set.
type Label = (&'static str, &'static str);
type Counters<const LABELS: usize> = Family<[Label; LABELS], Counter>;
type Gauges = Family<[Label; 1], Gauge>;
/// Seconds, or bytes, which may be too many for a whole number of either.
type Fraction = Gauge<f64, AtomicU64>;

static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);

/// How a tick ended, as the metrics call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TickOutcome {
    /// Every patient was read.
    Complete,
    /// Patients were in error.
    Partial,
    /// It could not run, or not to its end.
    Failed,
    /// There was a reason not to run.
    Skipped,
    /// The daemon was told to end.
    Stopped,
}

impl TickOutcome {
    const ALL: &[Self] = &[Self::Complete, Self::Partial, Self::Failed, Self::Skipped, Self::Stopped];

    /// The word for it, in metrics and log lines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Stopped => "stopped",
        }
    }
}

/// Whom we ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// Open Wearables.
    Ow,
    /// `JupyterHealth` Exchange.
    Jhe,
    /// Where the payloads are.
    S3,
}

impl Peer {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ow => "ow",
            Self::Jhe => "jhe",
            Self::S3 => "s3",
        }
    }
}

/// A request that is under way. One that is dropped before it was answered counts as unanswered.
#[derive(Debug)]
pub struct Asked {
    peer: Peer,
    began: Instant,
    status: &'static str,
}

impl Asked {
    /// A request that begins now.
    pub fn of(peer: Peer) -> Self {
        Self { peer, began: Instant::now(), status: "none" }
    }

    /// Its answer has arrived.
    pub fn answered(mut self, status: StatusCode) {
        self.status = class(status);
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let (peer, seconds) = (("peer", self.peer.as_str()), self.began.elapsed().as_secs_f64());
        METRICS.requests.get_or_create(&[peer, ("status", self.status)]).inc();
        METRICS.request_seconds.get_or_create(&[peer]).observe(seconds);
    }
}

fn class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}

/// What is true at the moment of a scrape, beside what is counted.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The moment.
    pub now: Timestamp,
    /// What the store says.
    pub figures: Figures,
    /// Bytes of the database, and of its write-ahead log.
    pub bytes: (u64, u64),
    /// When the newest backup was begun; none where there is none.
    pub backup: Option<Timestamp>,
    /// Time from one backup to the next; none where the daemon makes none.
    pub backup_interval: Option<Duration>,
    /// When the last tick ended, or when the daemon started where none has.
    pub last_tick: Timestamp,
    /// Time from one tick to the next.
    pub tick_interval: Duration,
    /// Whether a tick is under way and shows that it goes on.
    pub is_ticking: bool,
    /// Whether the daemon does its work.
    pub is_ready: bool,
    /// Bytes of memory that the process has, where the system tells.
    pub resident: Option<u64>,
}

struct Metrics {
    registry: Registry,
    ticks: Counters<1>,
    tick_seconds: Histogram,
    samples: Counters<2>,
    errors: Counters<1>,
    exported: Counters<1>,
    requests: Counters<2>,
    request_seconds: Family<[Label; 1], Histogram, fn() -> Histogram>,
    pages: Counters<1>,
    set: Set,
}

/// What is set with each scrape.
#[derive(Default)]
struct Set {
    links: Gauges,
    newest: Gauges,
    silent: Gauges,
    in_error: Gauge,
    outbox: Gauges,
    oldest: Gauge,
    database: Fraction,
    wal: Fraction,
    backup: Fraction,
    backup_interval: Fraction,
    last_tick: Fraction,
    tick_interval: Fraction,
    ticking: Gauge,
    ready: Gauge,
    resident: Fraction,
}

/// Notes how a tick ended.
pub fn tick_ended(outcome: TickOutcome, length: Duration) {
    METRICS.ticks.get_or_create(&[("outcome", outcome.as_str())]).inc();
    METRICS.tick_seconds.observe(length.as_secs_f64());
}

/// Notes what was kept.
pub fn kept(committed: &Committed) {
    for (series_type, tally) in &committed.by_type {
        for (outcome, samples) in [
            ("created", tally.created),
            ("revised", tally.revised),
            ("unchanged", tally.unchanged),
            ("rejected", tally.rejected),
            ("withheld", tally.withheld),
        ] {
            if samples > 0 {
                let labels = [("type", *series_type), ("outcome", outcome)];
                METRICS.samples.get_or_create(&labels).inc_by(samples);
            }
        }
    }
}

/// Notes that something went wrong.
pub fn failed(kind: Kind) {
    METRICS.errors.get_or_create(&[("kind", kind.as_str())]).inc();
}

/// Notes what an export came to.
pub fn exported(delivered: u64, parked: u64, dead: u64, retried: u64) {
    for (outcome, count) in [("delivered", delivered), ("parked", parked), ("dead", dead), ("again", retried)]
    {
        METRICS.exported.get_or_create(&[("outcome", outcome)]).inc_by(count);
    }
}

/// Notes that a request of a browser was answered.
pub fn page(status: StatusCode) {
    METRICS.pages.get_or_create(&[("status", class(status))]).inc();
}

/// All of it, as Prometheus reads it.
pub fn expose(facts: &Facts) -> String {
    METRICS.set.take(facts);
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = prometheus_text::encode(&mut text, &METRICS.registry);
    text
}

impl Set {
    fn take(&self, facts: &Facts) {
        let Figures { links, counts, oldest, newest, silent, in_error, .. } = &facts.figures;
        for (state, count) in links {
            self.links.get_or_create(&[("state", state)]).set(*count);
        }
        for (state, count) in [
            ("pending", counts.pending),
            ("consent", counts.consent),
            ("configuration", counts.configuration),
            ("dead", counts.dead),
        ] {
            self.outbox.get_or_create(&[("state", state)]).set(count);
        }
        let age = |at: Option<Timestamp>| at.map_or(0, |at| whole(facts.now.since(at)));
        self.newest.get_or_create(&[("of", "median")]).set(age(newest.median));
        self.newest.get_or_create(&[("of", "oldest")]).set(age(newest.oldest));
        for &cause in Cause::ALL {
            let count = silent.get(&cause).copied().unwrap_or_default();
            let labels = [("cause", cause.as_str())];
            self.silent.get_or_create(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        self.in_error.set(*in_error);
        self.oldest.set(age(*oldest));
        self.database.set(bytes(facts.bytes.0));
        self.wal.set(bytes(facts.bytes.1));
        self.backup.set(facts.backup.map_or(0.0, epoch));
        self.backup_interval.set(facts.backup_interval.unwrap_or_default().as_secs_f64());
        self.last_tick.set(epoch(facts.last_tick));
        self.tick_interval.set(facts.tick_interval.as_secs_f64());
        self.ticking.set(i64::from(facts.is_ticking));
        self.ready.set(i64::from(facts.is_ready));
        self.resident.set(bytes(facts.resident.unwrap_or_default()));
    }
}

impl Metrics {
    fn new() -> Self {
        let steps: fn() -> Histogram = || Histogram::new(ANSWER_STEPS.iter().copied());
        let all = Self {
            registry: Registry::default(),
            ticks: Family::default(),
            tick_seconds: Histogram::new(TICK_STEPS.iter().copied()),
            samples: Family::default(),
            errors: Family::default(),
            exported: Family::default(),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(steps),
            pages: Family::default(),
            set: Set::default(),
        };
        // What has not happened yet shows as nothing: only then is the first time an increase.
        for &outcome in TickOutcome::ALL {
            drop(all.ticks.get_or_create(&[("outcome", outcome.as_str())]));
        }
        for &kind in Kind::ALL {
            drop(all.errors.get_or_create(&[("kind", kind.as_str())]));
        }
        for outcome in ["delivered", "parked", "dead", "again"] {
            drop(all.exported.get_or_create(&[("outcome", outcome)]));
        }
        for peer in [Peer::Ow, Peer::Jhe, Peer::S3] {
            for status in ["2xx", "3xx", "4xx", "5xx", "none"] {
                drop(all.requests.get_or_create(&[("peer", peer.as_str()), ("status", status)]));
            }
            drop(all.request_seconds.get_or_create(&[("peer", peer.as_str())]));
        }
        for status in ["2xx", "3xx", "4xx", "5xx"] {
            drop(all.pages.get_or_create(&[("status", status)]));
        }
        for series in crate::model::catalog::series::SERIES {
            let created = [("type", series.series_type), ("outcome", "created")];
            drop(all.samples.get_or_create(&created));
        }
        let registry = all.register();
        Self { registry, ..all }
    }

    fn register(&self) -> Registry {
        let mut root = Registry::default();
        let (started, set) = (Fraction::default(), &self.set);
        started
            .set(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64());
        add(&mut root, "process_start_time_seconds", "When the process started, in Unix time", &started);
        add(&mut root, "process_resident_memory_bytes", "Memory that the process has", &set.resident);
        let ours = root.sub_registry_with_prefix("jhe_ow");
        ours.register("build", "The version that runs", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        add(ours, "ticks", "Ticks that ended, by how", &self.ticks);
        add(ours, "tick_duration_seconds", "How long ticks took", &self.tick_seconds);
        add(ours, "samples", "Samples that were read, by series type and what became of them", &self.samples);
        add(ours, "errors", "What went wrong in turns and exports, by whose part it was", &self.errors);
        add(ours, "exported", "Observations that were sent to JHE, by what became of them", &self.exported);
        add(
            ours,
            "upstream_requests",
            "Requests to OW, JHE and S3, by the class of the answer",
            &self.requests,
        );
        let seconds = "How long answers of OW, JHE and S3 took";
        add(ours, "upstream_request_duration_seconds", seconds, &self.request_seconds);
        add(ours, "pages", "Requests of browsers, by the class of the answer", &self.pages);
        set.register(ours);
        root
    }
}

impl Set {
    fn register(&self, ours: &mut Registry) {
        add(ours, "links", "Links of patients to OW, by state", &self.links);
        let newest = "How old the newest sample is, of linked patients who consent";
        add(ours, "newest_sample_age_seconds", newest, &self.newest);
        let silent = "Patients of whom nothing has come for longer than silence.after, by the likely cause";
        add(ours, "silent_patients", silent, &self.silent);
        add(ours, "patients_in_error", "Linked patients whose last turn ended in an error", &self.in_error);
        add(ours, "outbox", "Observations that JHE has not taken, by state", &self.outbox);
        let oldest = "How long what waits longest could have been sent";
        add(ours, "outbox_oldest_age_seconds", oldest, &self.oldest);
        add(ours, "database_bytes", "Size of the database", &self.database);
        add(ours, "wal_bytes", "Size of its write-ahead log", &self.wal);
        let backup = "When the newest backup was begun, in Unix time; 0 where there is none";
        add(ours, "backup_last_timestamp_seconds", backup, &self.backup);
        let interval = "Time from one backup to the next; 0 where the daemon makes none";
        add(ours, "backup_interval_seconds", interval, &self.backup_interval);
        add(
            ours,
            "tick_last_end_timestamp_seconds",
            "When the last tick ended, in Unix time",
            &self.last_tick,
        );
        add(ours, "tick_interval_seconds", "Time from one tick to the next", &self.tick_interval);
        let ticking = "Whether a tick is under way and shows that it goes on";
        add(ours, "tick_under_way", ticking, &self.ticking);
        add(ours, "ready", "Whether the daemon does its work, as /readyz says", &self.ready);
    }
}

fn add(registry: &mut Registry, name: &str, help: &str, metric: &(impl Metric + Clone)) {
    registry.register(name, help, metric.clone());
}

/// Seconds of Unix time.
fn epoch(at: Timestamp) -> f64 {
    Duration::from_micros(u64::try_from(at.micros()).unwrap_or_default()).as_secs_f64()
}

fn whole(length: Duration) -> i64 {
    i64::try_from(length.as_secs()).unwrap_or(i64::MAX)
}

/// A count of bytes, exact up to eight petabytes.
#[expect(clippy::cast_precision_loss, reason = "no file comes near to where bytes are lost")]
fn bytes(count: u64) -> f64 {
    count as f64
}
