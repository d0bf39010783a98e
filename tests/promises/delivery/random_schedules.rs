//! In any order of crashes, lost answers, rejections, withdrawals and corrections, JHE gets each value once and the
//! stored value last, a patient is never in two concurrent batches, and nothing is sent without consent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jhe_ow::common::clock::Clock;
use jhe_ow::common::time::Timestamp;
use jhe_ow::config::base_url::BaseUrl;
use jhe_ow::export::exporter::{ExportProgress, Exporter};
use jhe_ow::jhe::client::{Caller, Jhe};
use jhe_ow::model::account::VisibleTo;
use jhe_ow::model::patient::{OwUser, PatientId, PatientRef};
use jhe_ow::model::sample::Sample;
use jhe_ow::model::stream_key::{StreamKey, StreamOwner};
use jhe_ow::store::engine::setting;
use jhe_ow::store::engine::store::Store;
use jhe_ow::store::error::StoreError;
use jhe_ow::store::operations::tick_lock;
use jhe_ow::store::operations::tick_lock::{LockOwner, RunKind};
use jhe_ow::store::outbox::enqueue;
use jhe_ow::store::people::patient::{NewPatient, Relink};
use jhe_ow::store::people::{jhe_consent, patient};
use jhe_ow::store::samples::commit::{Batch, StreamSamples};
use jhe_ow::store::samples::observation::ObservationFilter;
use jhe_ow::store::samples::{code, commit, observation};
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use crate::support::fake_jhe::*;
use crate::support::harness::*;
use crate::support::running_daemon::wait_for;

const PATIENTS: &[i64] = &[40001, 40002];
const MINUTE: Duration = Duration::from_mins(1);

/// A step of a random schedule.
#[derive(Debug, Clone)]
enum Event {
    /// Stores new samples of one patient.
    Ingest { who: usize, count: u16 },
    /// OW changes a value, possibly back to the first one.
    Change { who: usize, which: prop::sample::Index, to: u8 },
    /// Queues everything again.
    Everything,
    /// Drains the outbox.
    Export,
    /// The process dies while draining, just after JHE received this many batches.
    Crash(usize),
    /// Adds a fault for the next batch.
    Fault(Fault),
    /// JHE starts or stops crashing on this patient's next value.
    Poison(bool),
    /// A patient withdraws or grants consent at JHE.
    Consent { who: usize, consents: bool },
    /// JHE invalidates every token.
    Forget,
    /// Advances the clock.
    Pass(u64),
}

fn event() -> impl Strategy<Value = Event> {
    let who = 0..PATIENTS.len();
    let fault = prop_oneof![
        Just(Fault::Lost),
        Just(Fault::Status(500)),
        Just(Fault::Status(400)),
        Just(Fault::Status(502)),
        Just(Fault::Status(403)),
        Just(Fault::Busy("90")),
    ];
    prop_oneof![
        4 => (who.clone(), 1..250_u16).prop_map(|(who, count)| Event::Ingest { who, count }),
        9 => (who.clone(), any::<prop::sample::Index>(), 0..3_u8)
            .prop_map(|(who, which, to)| Event::Change { who, which, to }),
        2 => Just(Event::Everything),
        4 => Just(Event::Export),
        3 => (1..4_usize).prop_map(Event::Crash),
        3 => fault.prop_map(Event::Fault),
        1 => any::<bool>().prop_map(Event::Poison),
        2 => (who, any::<bool>()).prop_map(|(who, consents)| Event::Consent { who, consents }),
        1 => Just(Event::Forget),
        3 => (1..180_u64).prop_map(Event::Pass),
        3 => (300..500_u64).prop_map(Event::Pass),
    ]
}

/// Returns a sample's first value.
fn first_value(instant: Timestamp) -> f64 {
    f64::from(u16::try_from(40 + instant.micros() / 1_000_000 % 100).unwrap())
}

struct Scene {
    jhe: FakeJhe,
    store: Store,
    directory: tempfile::TempDir,
    clock: Clock,
    now: Timestamp,
    patients: Vec<(PatientId, i64, OwUser)>,
    next: i64,
}

impl Scene {
    async fn new() -> Self {
        let now = at("2026-11-21T12:00:00Z");
        let (clock, jhe) = (Clock::fixed(now), FakeJhe::start());
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        store.write(code::seed).await.unwrap();
        // One batch at a time, so that a crashed process has sent nothing beyond the batches JHE received.
        store.write(|db| setting::set(db, "jhe.concurrency", "1")).await.unwrap();
        let mut scene = Self { jhe, store, directory, clock, now, patients: Vec::new(), next: 0 };
        for &jhe_id in PATIENTS {
            scene.add(jhe_id).await;
        }
        scene
    }

    fn client(&self) -> Jhe {
        Jhe::new(&BaseUrl::parse(&self.jhe.url()).unwrap(), &KEY.into()).unwrap()
    }

    async fn add(&mut self, jhe_id: i64) {
        self.jhe.add_patient(jhe_id, jhe_id - 30000, self.now.minus(DAY));
        let seen = self.client().fetch_consents(Caller::Daemon, jhe_id, &self.clock).await.unwrap();
        let user: OwUser = format!("00000000-0000-4000-8000-{jhe_id:012}").parse().unwrap();
        let (linked, now) = (user.clone(), self.now);
        let add = move |db: &_| {
            let new = NewPatient { name: "A".into(), email: None, time_zone: None };
            let id = patient::insert_from_jhe(db, &new, jhe_id, &jhe_id.to_string(), now)?;
            patient::link(db, &patient::find(db, PatientRef::Own(id))?, &linked, Relink::Unspecified, now)?;
            jhe_consent::apply(db, id, &seen)?;
            let link = db.query_row("SELECT id FROM links WHERE patient_id = ?", [id], |row| row.get(0))?;
            Ok((id, link))
        };
        let (id, link): (PatientId, i64) = self.store.write(add).await.unwrap();
        self.patients.push((id, link, user));
    }

    /// Stores new samples as a tick does.
    async fn ingest(&mut self, who: usize, count: u16) {
        let first = self.next;
        self.next += i64::from(count);
        let sample = |number: i64| {
            let instant = self.now.minus(DAY).plus(Duration::from_secs(number.unsigned_abs()));
            Sample { instant, value: first_value(instant), zone: None, context: None, details: None }
        };
        self.commit(who, (first..self.next).map(sample).collect()).await;
    }

    /// Stores another value of a known sample: the first one, 76, or 77 (which may be poison).
    async fn change(&self, who: usize, which: prop::sample::Index, to: u8) {
        // Only the first two samples, so that they change several times.
        let kept: Vec<Timestamp> = self.kept(who).await.into_keys().take(2).collect();
        if !kept.is_empty() {
            let instant = *which.get(&kept);
            let value = if to == 0 { first_value(instant) } else { f64::from(75 + to) };
            self.commit(who, vec![Sample { instant, value, zone: None, context: None, details: None }]).await;
        }
    }

    /// Commits OW's samples of one patient; stores none without a local consent.
    async fn commit(&self, who: usize, samples: Vec<Sample>) {
        let (patient, link, user) = self.patients[who].clone();
        let key = StreamKey {
            series_type: "heart_rate",
            provider: "oura".into(),
            source: "oura".into(),
            device: String::new(),
            daily_total: false,
        };
        let batch = Batch {
            zone: jiff::tz::TimeZone::UTC,
            deleted: Vec::new(),
            insert_only: false,
            census: None,
            owner: StreamOwner { patient, subject: user.as_str().to_owned(), system: "ow:normalized" },
            link,
            mode: "normalized",
            streams: vec![StreamSamples { key, samples }],
            rejected: Vec::new(),
            marks: Vec::new(),
        };
        let (directory, now) = (self.directory.path().to_owned(), self.now);
        let write = move |db: &_| {
            let hold = LockOwner::prepare(&directory)?;
            tick_lock::take(db, &directory, hold.token(), RunKind::Tick, now)?;
            let kept = commit::commit(db, &batch, hold.token(), now);
            tick_lock::release(db, hold.token())?;
            kept
        };
        match self.store.write(write).await {
            Ok(_) | Err(StoreError::ConsentEnded) => {}
            Err(error) => panic!("{error}"),
        }
    }

    async fn everything(&self) {
        for (patient, ..) in self.patients.clone() {
            let now = self.now;
            self.store.write(move |db| enqueue::requeue_all(db, patient, now)).await.unwrap();
        }
    }

    async fn export(&self) {
        let (store, clock) = (self.store.clone(), self.clock.clone());
        let exporter =
            Exporter { store, clock, jhe: Arc::new(self.client()), cancel: CancellationToken::new() };
        exporter.refresh_missing_consents().await.unwrap();
        // A process just forked by another test holds the lock too, until it calls exec.
        while exporter.drain(None, &ExportProgress::default()).await.unwrap().is_none() {
            tokio::task::yield_now().await;
        }
    }

    /// Advances the clock; JHE's workers finish their requests first.
    async fn pass(&mut self, time: Duration) {
        self.jhe.wait_until_idle().await;
        self.now = self.now.plus(time);
        self.clock.set(self.now);
    }

    async fn happen(&mut self, event: &Event) {
        match event {
            Event::Ingest { who, count } => self.ingest(*who, *count).await,
            Event::Change { who, which, to } => self.change(*who, *which, *to).await,
            Event::Everything => self.everything().await,
            Event::Export => self.export().await,
            Event::Crash(batch) => {
                self.jhe.state().latency = Duration::from_millis(25);
                let sent = self.jhe.state().batches.len();
                tokio::select! {
                    biased;
                    () = self.jhe.begun(sent + batch) => {}
                    () = self.export() => {}
                }
                self.jhe.state().latency = Duration::ZERO;
            }
            Event::Fault(fault) => self.jhe.state().faults.push_back(*fault),
            Event::Poison(on) => self.jhe.state().poison = if *on { vec![77.0] } else { Vec::new() },
            Event::Consent { who, consents } => {
                // An answer is cached for a minute; wait longer, so that the change cannot be missed.
                self.pass(MINUTE + Duration::from_secs(1)).await;
                self.jhe.consent(PATIENTS[*who], *consents, self.now);
            }
            Event::Forget => self.jhe.forget_tokens(),
            Event::Pass(minutes) => self.pass(MINUTE * u32::try_from(*minutes).unwrap()).await,
        }
    }

    /// Removes all faults and lets enough time pass.
    async fn heal(&mut self) {
        self.jhe.state().faults.clear();
        self.jhe.state().poison.clear();
        self.pass(MINUTE * 2).await;
        for &jhe_id in PATIENTS {
            self.jhe.consent(jhe_id, true, self.now);
        }
        let now = self.now;
        self.store
            .write(move |db| jhe_ow::store::outbox::outbox::retry_refused(db, None, Timestamp::MIN, now))
            .await
            .unwrap();
        for _ in 0..8 {
            self.pass(HOUR * 2).await;
            self.export().await;
        }
    }

    async fn kept(&self, who: usize) -> BTreeMap<Timestamp, f64> {
        let filter =
            ObservationFilter { patient: Some(self.patients[who].0), ..ObservationFilter::default() };
        let read = move |db: &_| {
            let mut kept = BTreeMap::new();
            for stream in observation::list_streams(db, VisibleTo::Everybody, &filter)? {
                let mut after = None;
                loop {
                    let step = observation::list_page(db, stream.id, after, &filter)?;
                    let Some(last) = step.last() else { break };
                    after = Some(last.instant);
                    kept.extend(step.iter().map(|one| (one.instant, one.value)));
                }
            }
            Ok(kept)
        };
        self.store.read(read).await.unwrap()
    }

    /// Returns JHE's newest value of each instant.
    fn newest(&self, jhe_id: i64) -> BTreeMap<Timestamp, f64> {
        let state = self.jhe.state();
        let of_patient = state.kept.iter().filter(|kept| kept.patient == jhe_id);
        of_patient.map(|kept| (kept.instant(), kept.value())).collect()
    }
}

/// Returns true if a batch of one entry may fail as a whole: it is then unknown whether JHE stored the entry.
fn leaves_doubt(event: &Event) -> bool {
    matches!(event, Event::Poison(true) | Event::Fault(Fault::Status(400 | 500)) | Event::Everything)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_value_is_delivered_once_and_the_stored_one_last_whatever_happens(
        events in prop::collection::vec(event(), 1..40)
    ) {
        wait_for(async {
            let mut scene = Scene::new().await;
            for event in &events {
                scene.happen(event).await;
            }
            scene.heal().await;
            for (who, jhe_id) in PATIENTS.iter().copied().enumerate() {
                assert_eq!(scene.newest(jhe_id), scene.kept(who).await, "patient {jhe_id}");
            }
            let state = scene.jhe.state();
            assert_eq!((state.overlaps, state.unconsented), (0, 0));
            let names: BTreeSet<_> = state.kept.iter().map(|kept| &kept.identifier).collect();
            assert_eq!(names.len(), state.kept.len());
            if !events.iter().any(leaves_doubt) {
                let mut last = BTreeMap::new();
                for kept in &state.kept {
                    let before = last.insert((kept.patient, kept.instant()), kept.value());
                    assert_ne!(before, Some(kept.value()), "the same value was sent twice in a row");
                }
            }
        });
    }
}
