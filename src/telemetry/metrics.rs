//! Metrics for Prometheus. Labels come from fixed sets, so that no metric identifies a person.
//!
//! Counters count events of this process and start at zero. Gauges of the store are set from [`ScrapeValues`]
//! at each scrape.

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
use crate::model::{catalog::series::SERIES, commit_counts::CommitCountsByType, error_kind::ErrorKind};
use crate::model::{metric_values::MetricValues, silence::SilenceCause};

pub(crate) use prometheus_client::encoding::prometheus_text::CONTENT_TYPE;

/// Histogram buckets of tick durations in seconds: most ticks take seconds, a first one may take hours.
const TICK_BUCKETS: &[f64] = &[0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0];
/// Histogram buckets of remote calls in seconds, up to the time limit of a minute.
const REQUEST_BUCKETS: &[f64] = &[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0];

type Label = (&'static str, &'static str);
type Counters<const LABELS: usize> = Family<[Label; LABELS], Counter>;
type Gauges = Family<[Label; 1], Gauge>;
type FloatGauge = Gauge<f64, AtomicU64>;

static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);

/// The result of a tick, for metrics and log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TickOutcome {
    Complete,
    /// Some patients ended in error.
    Partial,
    /// The tick could not start or did not reach its end.
    Failed,
    /// `module.ow` was false, or another tick held the lock.
    Skipped,
    /// The daemon shut down during the tick.
    Stopped,
}

impl TickOutcome {
    const ALL: &[Self] = &[Self::Complete, Self::Partial, Self::Failed, Self::Skipped, Self::Stopped];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Stopped => "stopped",
        }
    }
}

/// A remote service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Ow,
    Jhe,
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

/// Measures one remote call. A timer that is dropped before [`Self::finish`] counts the call as unanswered.
#[derive(Debug)]
pub(crate) struct RequestTimer {
    peer: Peer,
    began: Instant,
    status: &'static str,
}

impl RequestTimer {
    pub(crate) fn start(peer: Peer) -> Self {
        Self { peer, began: Instant::now(), status: "none" }
    }

    pub(crate) fn finish(mut self, status: StatusCode) {
        self.status = status_class(status);
    }
}

impl Drop for RequestTimer {
    fn drop(&mut self) {
        let (peer, seconds) = (("peer", self.peer.as_str()), self.began.elapsed().as_secs_f64());
        METRICS.requests.get_or_create(&[peer, ("status", self.status)]).inc();
        METRICS.request_seconds.get_or_create(&[peer]).observe(seconds);
    }
}

fn status_class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}

/// Values of the gauges at the time of a scrape.
#[derive(Debug, Clone)]
pub(crate) struct ScrapeValues {
    pub(crate) now: Timestamp,
    pub(crate) store: MetricValues,
    /// Bytes of the database and of its write-ahead log.
    pub(crate) bytes: (u64, u64),
    /// Start of the newest backup.
    pub(crate) backup: Option<Timestamp>,
    /// None if the daemon makes no backups.
    pub(crate) backup_interval: Option<Duration>,
    /// End of the last tick; before the first one, the start of the daemon.
    pub(crate) last_tick: Timestamp,
    pub(crate) tick_interval: Duration,
    /// True while a tick runs and makes progress.
    pub(crate) is_ticking: bool,
    pub(crate) is_ready: bool,
    /// Resident memory in bytes.
    pub(crate) resident: Option<u64>,
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
    gauges: ScrapeGauges,
}

/// The gauges that each scrape sets.
#[derive(Default)]
struct ScrapeGauges {
    links: Gauges,
    newest: Gauges,
    silent: Gauges,
    in_error: Gauge,
    orphans: Gauge,
    outbox: Gauges,
    oldest_sendable: Gauge,
    database: FloatGauge,
    wal: FloatGauge,
    backup: FloatGauge,
    backup_interval: FloatGauge,
    last_tick: FloatGauge,
    tick_interval: FloatGauge,
    ticking: Gauge,
    ready: Gauge,
    resident: FloatGauge,
}

pub(crate) fn record_tick(outcome: TickOutcome, length: Duration) {
    METRICS.ticks.get_or_create(&[("outcome", outcome.as_str())]).inc();
    METRICS.tick_seconds.observe(length.as_secs_f64());
}

pub(crate) fn count_samples(counts: &CommitCountsByType) {
    for (series_type, of_type) in &counts.by_type {
        for (outcome, samples) in [
            ("created", of_type.created),
            ("revised", of_type.revised),
            ("unchanged", of_type.unchanged),
            ("rejected", of_type.rejected),
            ("withheld", of_type.withheld),
        ] {
            if samples > 0 {
                let labels = [("type", *series_type), ("outcome", outcome)];
                METRICS.samples.get_or_create(&labels).inc_by(samples);
            }
        }
    }
}

pub(crate) fn count_error(kind: ErrorKind) {
    METRICS.errors.get_or_create(&[("kind", kind.as_str())]).inc();
}

pub(crate) fn count_exported(delivered: u64, parked: u64, dead: u64, retried: u64) {
    for (outcome, count) in [("delivered", delivered), ("parked", parked), ("dead", dead), ("again", retried)]
    {
        METRICS.exported.get_or_create(&[("outcome", outcome)]).inc_by(count);
    }
}

/// Counts an answered browser request.
pub(crate) fn count_page(status: StatusCode) {
    METRICS.pages.get_or_create(&[("status", status_class(status))]).inc();
}

/// Returns all metrics in the Prometheus text format.
pub(crate) fn render(values: &ScrapeValues) -> String {
    METRICS.gauges.set(values);
    let mut text = String::new();
    // Writing to a string never fails.
    let _ = prometheus_text::encode(&mut text, &METRICS.registry);
    text
}

impl ScrapeGauges {
    fn set(&self, values: &ScrapeValues) {
        let MetricValues { links, outbox, oldest_sendable, newest, silent, in_error, orphans } =
            &values.store;
        for (state, count) in links {
            self.links.get_or_create(&[("state", state)]).set(*count);
        }
        for (state, count) in [
            ("pending", outbox.pending),
            ("consent", outbox.consent),
            ("configuration", outbox.configuration),
            ("suspect", outbox.suspect),
            ("dead", outbox.dead),
        ] {
            self.outbox.get_or_create(&[("state", state)]).set(count);
        }
        let age = |at: Option<Timestamp>| at.map_or(0, |at| whole_seconds(values.now.since(at)));
        self.newest.get_or_create(&[("of", "median")]).set(age(newest.median));
        self.newest.get_or_create(&[("of", "oldest")]).set(age(newest.oldest));
        for &cause in SilenceCause::ALL {
            let count = silent.get(&cause).copied().unwrap_or_default();
            let labels = [("cause", cause.as_str())];
            self.silent.get_or_create(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        self.in_error.set(*in_error);
        self.orphans.set(*orphans);
        self.oldest_sendable.set(age(*oldest_sendable));
        self.database.set(float(values.bytes.0));
        self.wal.set(float(values.bytes.1));
        self.backup.set(values.backup.map_or(0.0, unix_time));
        self.backup_interval.set(values.backup_interval.unwrap_or_default().as_secs_f64());
        self.last_tick.set(unix_time(values.last_tick));
        self.tick_interval.set(values.tick_interval.as_secs_f64());
        self.ticking.set(i64::from(values.is_ticking));
        self.ready.set(i64::from(values.is_ready));
        self.resident.set(float(values.resident.unwrap_or_default()));
    }
}

impl Metrics {
    fn new() -> Self {
        let request_histogram: fn() -> Histogram = || Histogram::new(REQUEST_BUCKETS.iter().copied());
        let all = Self {
            registry: Registry::default(),
            ticks: Family::default(),
            tick_seconds: Histogram::new(TICK_BUCKETS.iter().copied()),
            samples: Family::default(),
            errors: Family::default(),
            exported: Family::default(),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(request_histogram),
            pages: Family::default(),
            gauges: ScrapeGauges::default(),
        };
        // Counters start at zero, because Prometheus sees no increase from a missing counter to one.
        for &outcome in TickOutcome::ALL {
            drop(all.ticks.get_or_create(&[("outcome", outcome.as_str())]));
        }
        for &kind in ErrorKind::ALL {
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
        for series in SERIES {
            let created = [("type", series.series_type), ("outcome", "created")];
            drop(all.samples.get_or_create(&created));
        }
        let registry = all.register();
        Self { registry, ..all }
    }

    fn register(&self) -> Registry {
        let mut root = Registry::default();
        let (started, gauges) = (FloatGauge::default(), &self.gauges);
        started
            .set(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64());
        add(&mut root, "process_start_time_seconds", "Start of the process, in Unix time", &started);
        add(&mut root, "process_resident_memory_bytes", "Resident memory of the process", &gauges.resident);
        let ours = root.sub_registry_with_prefix("jhe_ow");
        ours.register("build", "The running version", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        add(ours, "ticks", "Ticks by result", &self.ticks);
        add(ours, "tick_duration_seconds", "Duration of ticks", &self.tick_seconds);
        add(ours, "samples", "Samples read, by series type and result", &self.samples);
        add(ours, "errors", "Errors in polls and exports, by the component that failed", &self.errors);
        add(ours, "exported", "Observations sent to JHE, by result", &self.exported);
        add(ours, "upstream_requests", "Requests to OW, JHE and S3, by status class", &self.requests);
        let seconds = "Duration of requests to OW, JHE and S3";
        add(ours, "upstream_request_duration_seconds", seconds, &self.request_seconds);
        add(ours, "pages", "Browser requests, by status class", &self.pages);
        gauges.register(ours);
        root
    }
}

impl ScrapeGauges {
    fn register(&self, ours: &mut Registry) {
        add(ours, "links", "Links of patients to OW, by state", &self.links);
        let newest = "Age of the newest sample of linked patients with a consent";
        add(ours, "newest_sample_age_seconds", newest, &self.newest);
        let silent = "Patients without a sample for longer than silence.after, by likely cause";
        add(ours, "silent_patients", silent, &self.silent);
        add(ours, "patients_in_error", "Linked patients whose last sync ended in an error", &self.in_error);
        let orphans = "Observations that JHE has without an identifier, from workers that were killed";
        add(ours, "delivered_without_identifier", orphans, &self.orphans);
        add(ours, "outbox", "Observations that JHE has not acknowledged, by state", &self.outbox);
        let oldest = "How long the oldest sendable observation has been due";
        add(ours, "outbox_oldest_age_seconds", oldest, &self.oldest_sendable);
        add(ours, "database_bytes", "Size of the database", &self.database);
        add(ours, "wal_bytes", "Size of the write-ahead log", &self.wal);
        let backup = "Start of the newest backup, in Unix time; 0 if there is none";
        add(ours, "backup_last_timestamp_seconds", backup, &self.backup);
        let interval = "Time from one backup to the next; 0 if backups are off";
        add(ours, "backup_interval_seconds", interval, &self.backup_interval);
        add(ours, "tick_last_end_timestamp_seconds", "End of the last tick, in Unix time", &self.last_tick);
        add(ours, "tick_interval_seconds", "Time from one tick to the next", &self.tick_interval);
        let ticking = "1 while a tick runs and makes progress";
        add(ours, "tick_under_way", ticking, &self.ticking);
        add(ours, "ready", "1 if the daemon is ready, as /readyz says", &self.ready);
    }
}

fn add(registry: &mut Registry, name: &str, help: &str, metric: &(impl Metric + Clone)) {
    registry.register(name, help, metric.clone());
}

fn unix_time(at: Timestamp) -> f64 {
    Duration::from_micros(u64::try_from(at.micros()).unwrap_or_default()).as_secs_f64()
}

fn whole_seconds(length: Duration) -> i64 {
    i64::try_from(length.as_secs()).unwrap_or(i64::MAX)
}

/// Converts a count of bytes; exact up to eight petabytes.
#[expect(clippy::cast_precision_loss, reason = "no file reaches eight petabytes")]
fn float(count: u64) -> f64 {
    count as f64
}
