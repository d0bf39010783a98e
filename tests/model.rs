//! In any order of events, the store equals a model in memory: every sample measured under consent, once, with OW's
//! latest value.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jhe_ow::common::clock::Clock;
use jhe_ow::common::time::Timestamp;
use jhe_ow::config::base_url::BaseUrl;
use jhe_ow::config::load::{Config, LogFormat};
use jhe_ow::model::account::VisibleTo;
use jhe_ow::model::catalog::code::HEART_RATE;
use jhe_ow::model::patient::{PatientId, PatientRef};
use jhe_ow::ow::client::OwLimits;
use jhe_ow::poll::poller::{BackfillRequest, PollRequest, Poller};
use jhe_ow::poll::progress::PollProgress;
use jhe_ow::poll::tick::PollOutcome;
use jhe_ow::simulator::simulated_ow::SimulatedOw;
use jhe_ow::store::engine::setting;
use jhe_ow::store::engine::store::Store;
use jhe_ow::store::people::consent::{GrantBasis, WithdrawFrom};
use jhe_ow::store::people::patient::{NewPatient, Relink};
use jhe_ow::store::people::{consent, patient};
use jhe_ow::store::samples::observation::ObservationFilter;
use jhe_ow::store::samples::{code, observation};
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

const MINUTE: i64 = 60_000_000;
const START: i64 = 1_795_000_000_000_000;

/// A step of a random schedule.
#[derive(Debug, Clone)]
enum Event {
    /// Time passes; the ring measures and syncs at once.
    Arrive { minutes: u16, value: u8 },
    /// A sample of the given minutes ago syncs now.
    ArriveLate { minutes_ago: u16, value: u8 },
    /// OW changes a sample in place.
    Revise { which: prop::sample::Index, value: u8 },
    /// A tick.
    Poll,
    /// A tick whose process dies after this many pages.
    Crash { pages: usize },
    /// The patient withdraws.
    Withdraw,
    /// The patient consents again.
    Grant,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (1..300_u16, 40..180_u8).prop_map(|(minutes, value)| Event::Arrive { minutes, value }),
        // Within the look-back of a tick and the final read of everything.
        3 => (1..5000_u16, 40..180_u8).prop_map(|(minutes_ago, value)| Event::ArriveLate { minutes_ago, value }),
        2 => (any::<prop::sample::Index>(), 40..180_u8).prop_map(|(which, value)| Event::Revise { which, value }),
        3 => Just(Event::Poll),
        1 => (0..4_usize).prop_map(|pages| Event::Crash { pages }),
        1 => Just(Event::Withdraw),
        1 => Just(Event::Grant),
    ]
}

/// OW's samples and the times without consent; the expected store follows from both.
#[derive(Debug, Default)]
struct Model {
    shown: BTreeMap<i64, f64>,
    /// Samples that synced at once; ticks read them without a sweep.
    on_time: BTreeSet<i64>,
    /// Times without consent: from each withdrawal to the next grant.
    gaps: Vec<(i64, Option<i64>)>,
}

impl Model {
    fn is_withdrawn(&self) -> bool {
        self.gaps.last().is_some_and(|gap| gap.1.is_none())
    }

    fn expected(&self) -> Vec<(i64, f64)> {
        let out = |at: i64| {
            self.gaps.iter().any(|(from, until)| *from <= at && until.is_none_or(|until| at < until))
        };
        self.shown.iter().filter(|(at, _)| !out(**at)).map(|(at, value)| (*at, *value)).collect()
    }
}

/// The system under test: store, poller and a strict simulated OW.
struct World {
    sim: SimulatedOw,
    user: String,
    directory: tempfile::TempDir,
    store: Store,
    patient: PatientId,
    clock: Clock,
    now: i64,
}

impl World {
    async fn new() -> Self {
        let clock = Clock::fixed(Timestamp::from_micros(START));
        let sim = SimulatedOw::start(0, clock.clone()).unwrap();
        sim.set_page_cap(10);
        let user = sim.add_user();
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let link = user.parse().unwrap();
        let patient = store
            .write(move |db| {
                let now = Timestamp::from_micros(START);
                code::seed(db)?;
                setting::set(db, "module.ow", "true")?;
                let new = NewPatient { name: "A".into(), email: None, time_zone: None };
                let id = patient::insert(db, &new, now)?;
                let patient = patient::find(db, PatientRef::Own(id))?;
                patient::link(db, &patient, &link, Relink::Unspecified, now)?;
                consent::grant(db, id, HEART_RATE, GrantBasis::default(), now)?;
                Ok(id)
            })
            .await
            .unwrap();
        Self { sim, user, directory, store, patient, clock, now: START }
    }

    fn poller(&self) -> Poller {
        let config = Config {
            bind: ([127, 0, 0, 1], 0).into(),
            public_url: None,
            trusted_proxies: Vec::new(),
            client_address_header: None,
            data_dir: self.directory.path().to_owned(),
            backup_roots: Vec::new(),
            institution: None,
            security_contact: None,
            ow_api_url: BaseUrl::parse(&self.sim.url()).ok(),
            ow_api_key: Some(self.sim.key().into()),
            ow_timeout: Duration::from_secs(5),
            jhe_base_url: None,
            jhe_client_key: None,
            jhe_public_url: None,
            jhe_sign_in_client_id: None,
            secret_key: None,
            ow_webhook_secret: None,
            alerts: jhe_ow::config::alerts::Alerts::default(),
            metrics_bind: None,
            log_level: "off".into(),
            log_format: LogFormat::Auto,
        };
        Poller {
            store: self.store.clone(),
            clock: self.clock.clone(),
            config,
            jhe: None,
            cancel: CancellationToken::new(),
            ow_limits: OwLimits::default(),
        }
    }

    async fn poll(&self, ask: &PollRequest) {
        let outcome = self.poller().poll(ask, &Arc::new(PollProgress::default())).await.unwrap();
        match outcome {
            PollOutcome::Complete(summary) => assert!(summary.failed.is_empty(), "{summary:?}"),
            skipped @ (PollOutcome::Skipped(_) | PollOutcome::Held(_)) => panic!("{skipped:?}"),
        }
    }

    /// Runs a tick until this many pages were requested, then drops it with the lock still held.
    async fn crash(&self, pages: usize) {
        let (seen, died) = (Arc::new(AtomicUsize::new(0)), CancellationToken::new());
        let (count, deadly) = (Arc::clone(&seen), died.clone());
        self.sim.on_page(move |_, _| {
            if count.fetch_add(1, Ordering::SeqCst) >= pages {
                deadly.cancel();
            }
        });
        let poller = self.poller();
        let (ask, progress) = (PollRequest::default(), Arc::new(PollProgress::default()));
        tokio::select! {
            biased;
            () = died.cancelled() => {}
            _ = poller.poll(&ask, &progress) => {}
        }
        self.sim.on_page(|_, _| {});
    }

    fn pass(&mut self, minutes: i64) {
        self.now += minutes * MINUTE;
        self.clock.set(Timestamp::from_micros(self.now));
    }

    async fn consent(&self, grants: bool) {
        let (patient, now) = (self.patient, Timestamp::from_micros(self.now));
        let change = move |db: &_| {
            if grants {
                consent::grant(db, patient, HEART_RATE, GrantBasis::default(), now)
            } else {
                consent::withdraw(db, patient, HEART_RATE, WithdrawFrom::Everything, now)
            }
        };
        assert!(self.store.write(change).await.unwrap());
    }

    async fn happen(&mut self, event: &Event, model: &mut Model) {
        match event {
            Event::Arrive { minutes, value } => {
                self.pass(i64::from(*minutes));
                self.show(model, self.now - MINUTE, *value);
                model.on_time.insert(self.now - MINUTE);
            }
            Event::ArriveLate { minutes_ago, value } => {
                self.show(model, self.now - i64::from(*minutes_ago) * MINUTE, *value);
            }
            Event::Revise { which, value } => {
                let instants: Vec<i64> = model.shown.keys().copied().collect();
                if !instants.is_empty() {
                    self.show(model, *which.get(&instants), *value);
                }
            }
            Event::Poll => self.poll(&PollRequest::default()).await,
            Event::Crash { pages } => self.crash(*pages).await,
            Event::Withdraw if !model.is_withdrawn() => {
                self.consent(false).await;
                model.gaps.push((self.now, None));
                self.pass(1);
            }
            Event::Grant if model.is_withdrawn() => {
                self.consent(true).await;
                model.gaps.last_mut().unwrap().1 = Some(self.now);
            }
            Event::Withdraw | Event::Grant => {}
        }
    }

    /// A value that OW showed during a withdrawal, measured under consent, is read after the next grant. So every final
    /// value of OW counts.
    fn show(&self, model: &mut Model, at: i64, value: u8) {
        self.sim.put(&self.user, Timestamp::from_micros(at), f64::from(value));
        model.shown.insert(at, f64::from(value));
    }

    async fn kept(&self) -> Vec<(i64, f64)> {
        let read = |db: &_| {
            let filter = ObservationFilter::default();
            let mut kept = Vec::new();
            for stream in observation::list_streams(db, VisibleTo::Everybody, &filter)? {
                let mut after = None;
                loop {
                    let step = observation::list_page(db, stream.id, after, &filter)?;
                    let Some(last) = step.last() else { break };
                    after = Some(last.instant);
                    kept.extend(step.iter().map(|one| (one.instant.micros(), one.value)));
                }
            }
            Ok(kept)
        };
        self.store.read(read).await.unwrap()
    }
}

fn check(directory: &Path) {
    let db = rusqlite::Connection::open(directory.join("jhe-ow.sqlite3")).unwrap();
    let ok: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(ok, "ok");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_kept_is_what_the_model_says(events in prop::collection::vec(event(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (kept, expected) = runtime.block_on(async {
            let (mut world, mut model) = (World::new().await, Model::default());
            for event in &events {
                world.happen(event, &mut model).await;
            }
            if model.is_withdrawn() {
                world.happen(&Event::Grant, &mut model).await;
            }
            world.poll(&PollRequest::default()).await;
            let soon: BTreeSet<i64> = world.kept().await.iter().map(|(at, _)| *at).collect();
            let due = model.expected().into_iter().map(|(at, _)| at).filter(|at| model.on_time.contains(at));
            let missed: Vec<i64> = due.filter(|at| !soon.contains(at)).collect();
            assert!(missed.is_empty(), "ticks without a sweep must read {missed:?}");
            // Samples beyond a tick's look-back are left to a sweep: here, one over everything.
            let range = jhe_ow::model::consent_intervals::Interval {
                from: Timestamp::from_micros(START - 5000 * MINUTE),
                until: Timestamp::from_micros(world.now),
            };
            let past = Some(BackfillRequest { name: "everything".into(), range });
            world.poll(&PollRequest { backfill: past, ..PollRequest::default() }).await;
            check(world.directory.path());
            (world.kept().await, model.expected())
        });
        prop_assert_eq!(kept, expected);
    }
}
