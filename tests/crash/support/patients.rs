//! Patients with all kinds of data, and the observations that must be stored and delivered.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jhe_ow::common::time::Timestamp;
use jhe_ow::simulator::event::{Event, SleepStage};
use jhe_ow::simulator::samples_table::Row;
use serde_json::Value;
use uuid::Uuid;

use crate::support::bucket::*;
use crate::support::fake_jhe::*;
use crate::support::harness::*;
use crate::support::running_daemon::wait_for;

const MINUTE: Duration = Duration::from_mins(1);
const CODES: &[&str] = &[
    HEART_RATE,
    "omh:blood-pressure:4.0",
    "omh:step-count:3.0",
    "omh:sleep-duration:2.0",
    "omh:sleep-episode:1.1",
    "ieee:sleep-stage-summary:1.0",
];
/// The series of a sleep.
const NIGHT: &[&str] = &["sleep_duration", "sleep_episode", "sleep_stage_summary"];
/// Longer than any value must stay unchanged before it is sent, even with a clock that was an hour and a half ahead.
const STILL: Duration = Duration::from_hours(51);
/// The longest absence of a patient from JHE after which all data are still delivered.
const AWAY: Duration = Duration::from_hours(24);
/// The look-back of every tick, plus an hour.
const HOT: Duration = Duration::from_hours(5);

/// A seeded random generator.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns a number below `sides` (splitmix).
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % sides
    }

    pub fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.roll(of.len() as u64)).unwrap()].clone()
    }

    fn value(&mut self) -> f64 {
        f64::from(u32::try_from(40 + self.roll(120)).unwrap())
    }
}

/// The key of an expected observation: series and start.
type Key = (String, Timestamp);

/// A patient with the expected observations.
pub struct Member {
    jhe: i64,
    pub user: String,
    number: String,
    /// The observations that must be stored, by key.
    model: BTreeMap<Key, f64>,
    newest: Timestamp,
    enrolled: Timestamp,
    /// The last night, as long as OW may still merge it.
    night: Option<(Uuid, Timestamp, Timestamp)>,
    last_night: Timestamp,
    is_withdrawn: bool,
    /// Times of new consents; samples measured just before them are not expected.
    returned: Vec<Timestamp>,
}

/// The patients of the drill, with OW, JHE and the store.
pub struct Cohort {
    pub world: World,
    pub jhe: FakeJhe,
    /// The bucket with the payloads (heart rates only), in raw mode.
    pub bucket: Option<Bucket>,
    pub all: Vec<Member>,
    marks: BTreeMap<(i64, String), i64>,
}

impl Cohort {
    pub fn new(count: i64) -> Self {
        Self::of(count, World::new(), None)
    }

    /// Creates a cohort in raw mode.
    pub fn raw(count: i64) -> Self {
        let (world, bucket) = raw_world();
        Self::of(count, world, Some(bucket))
    }

    fn of(count: i64, mut world: World, bucket: Option<Bucket>) -> Self {
        let jhe = FakeJhe::start();
        world.set("JHE_BASE_URL", &jhe.url());
        world.set("JHE_CLIENT_KEY", KEY);
        world.set("JHE_OW_OW_TIMEOUT", "1s");
        world.setting("ow.poll_interval", "1s");
        let mut cohort = Self { world, jhe, bucket, all: Vec::new(), marks: BTreeMap::new() };
        for id in 40001..40001 + count {
            cohort.admit(id);
        }
        cohort.world.pass(MINUTE * 10);
        cohort
    }

    /// Adds a JHE patient who consents to everything.
    pub fn admit(&mut self, jhe: i64) {
        let now = self.world.now;
        self.jhe.add_patient(jhe, jhe - 30000, now.minus(DAY));
        for &code in CODES {
            self.jhe.consent_to(jhe, code, true, now.minus(DAY));
        }
        let user = self.world.sim.add_user();
        let ran = self.world.run(&["patient", "add", "--jhe-patient", &jhe.to_string(), "--ow-user", &user]);
        assert_eq!(ran.code, 0, "{ran:?}");
        let number = ran.stdout.trim().to_owned();
        let night = now.minus(DAY);
        self.all.push(Member {
            jhe,
            user,
            number,
            model: BTreeMap::new(),
            newest: now.minus(HOUR),
            enrolled: now.minus(HOUR),
            night: None,
            last_night: night,
            is_withdrawn: false,
            returned: Vec::new(),
        });
    }

    /// Adds new samples for every patient and corrects some earlier ones.
    pub fn live(&mut self, dice: &mut Dice) {
        let (world, now) = (&self.world, self.world.now);
        for member in &mut self.all {
            let rates = member.hearts(dice, now);
            if let Some(bucket) = &self.bucket {
                member.store(bucket, dice, now, &rates);
                continue;
            }
            for (at, value) in rates {
                world.sim.put(&member.user, at, value);
            }
            member.steps(world, dice, now);
            member.pressure(world, dice, now);
            member.sleep(world, dice, now);
        }
    }

    /// Adds an invalid sample, which must not affect any other sample.
    #[cfg(debug_assertions)]
    pub fn spoil(&self) {
        let row = Row::of("heart_rate", self.world.now.minus(MINUTE * 2), 60.0).with_unit("furlong");
        self.world.sim.put_row(&self.all[0].user, row.with_device("broken"));
    }

    /// Withdraws or grants a patient's consent between two reads, so that the expected samples are known.
    pub fn change_consent(&mut self, place: usize) {
        let now = self.world.now;
        let member = &mut self.all[place];
        member.is_withdrawn = !member.is_withdrawn;
        if !member.is_withdrawn {
            member.returned.push(now);
        }
        self.jhe.consent_to(member.jhe, HEART_RATE, !member.is_withdrawn, now);
    }

    /// Grants every patient's consent again.
    pub fn consent_all(&mut self) {
        for place in 0..self.all.len() {
            if self.all[place].is_withdrawn {
                self.change_consent(place);
            }
        }
    }

    /// Checks the invariants that hold at any time: the file is intact, and no high-water mark moved back.
    pub fn check_file(&mut self) {
        let db = rusqlite::Connection::open(self.world.database()).unwrap();
        db.busy_timeout(Duration::from_secs(10)).unwrap();
        let whole: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(whole, "ok");
        let numberless = "SELECT count(*) FROM (SELECT commit_number FROM observations UNION ALL
                                                SELECT commit_number FROM revisions)
                          WHERE commit_number NOT IN (SELECT number FROM commits)";
        let numberless: i64 = db.query_row(numberless, [], |row| row.get(0)).unwrap();
        assert_eq!(numberless, 0, "rows whose commit number is missing in commits");
        let mut query = db.prepare("SELECT link_id, series_type, instant FROM high_water_marks").unwrap();
        let marks = query.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?))).unwrap();
        let marks: BTreeMap<(i64, String), i64> = marks.map(Result::unwrap).collect();
        for (of, before) in &self.marks {
            assert!(
                marks.get(of).is_some_and(|now| now >= before),
                "the high-water mark of {of:?} moved back from {before}"
            );
        }
        self.marks = marks;
        let state = self.jhe.state();
        assert_eq!(
            (state.overlaps, state.unconsented),
            (0, 0),
            "overlapping batches of a patient, entries without consent"
        );
        let named = || state.kept.iter().filter(|kept| !kept.identifier.1.is_empty());
        let names: BTreeSet<_> = named().map(|kept| &kept.identifier).collect();
        assert_eq!(names.len(), named().count(), "JHE has an identifier twice");
    }

    /// Runs an undisturbed tick: it gets the lock at once, and afterwards the store equals OW's data.
    pub fn recover(&mut self) {
        let ran = self.world.poll();
        assert!(
            ran.code == 0 && !ran.stdout.contains("skipped"),
            "the tick must get the lock at once: {ran:?}"
        );
        let dead = names(&self.world.data_dir()).into_iter().filter(|name| name.starts_with("tick-"));
        assert_eq!(dead.collect::<Vec<_>>(), [""; 0], "killed processes left files behind");
        self.check_file();
        for member in &self.all {
            let kept: Vec<(Key, f64)> = self
                .world
                .table(&member.number)
                .into_iter()
                .map(|line| ((line.series, line.start), line.value))
                .collect();
            let unique: BTreeMap<Key, f64> = kept.iter().cloned().collect();
            assert_eq!(kept.len(), unique.len(), "patient {}: an observation is stored twice", member.number);
            let lost: Vec<_> =
                member.model.iter().filter(|(key, value)| unique.get(key) != Some(value)).collect();
            let added: Vec<_> = unique.iter().filter(|(key, _)| !member.model.contains_key(key)).collect();
            let (patient, now) = (&member.number, self.world.now);
            assert!(
                lost.is_empty() && added.is_empty(),
                "patient {patient}, {now}, raw {}, enrolled {}: lost {lost:?}, stored instead {:?}, added {added:?}, revisions {:?}",
                self.bucket.is_some(),
                member.enrolled,
                lost.iter().map(|(key, _)| unique.get(key)).collect::<Vec<_>>(),
                self.revisions(),
            );
        }
    }

    /// Makes a backup; returns its path.
    pub fn back_up(&self) -> std::path::PathBuf {
        let file = self.world.directory.path().join("backup.sqlite3");
        let ran = self.world.run(&["backup", file.to_str().unwrap(), "--force"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        file
    }

    /// Restores an older backup, including its older high-water marks.
    pub fn restore(&mut self, file: &std::path::Path) {
        self.wait_until_idle();
        let ran = self.world.run(&["restore", file.to_str().unwrap(), "--force"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        for name in names(&self.world.data_dir()).iter().filter(|name| name.contains(".replaced-")) {
            std::fs::remove_file(self.world.data_dir().join(name)).unwrap();
        }
        self.marks.clear();
    }

    /// Waits until JHE is idle.
    pub fn wait_until_idle(&self) {
        wait_for(async {
            for _ in 0..2 {
                self.jhe.wait_until_idle().await;
                tokio::time::sleep(MINUTE / 3000).await;
            }
        });
    }

    /// Lets every delay pass, then checks that JHE has each stored observation once.
    pub fn deliver(&mut self) {
        self.wait_until_idle();
        self.world.pass(STILL);
        self.recover();
        let ran = self.world.run(&["export"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        let again = self.world.run(&["export"]);
        assert!(again.stdout.contains("Delivered 0 "), "{again:?}");
        self.check_file();
        for member in &self.all {
            self.check_delivered(member);
        }
    }

    fn check_delivered(&self, member: &Member) {
        let mut at_jhe: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        let mut identifiers: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for kept in self.jhe.state().kept.iter().filter(|kept| kept.patient == member.jhe) {
            // An observation of a killed worker has no identifier; its document has the same UUID.
            let uuid = kept.document["header"]["uuid"].as_str().unwrap();
            let name = uuid.split('#').next().unwrap().to_owned();
            identifiers.entry(name.clone()).or_default().push(kept.identifier.1.clone());
            at_jhe.entry(name).or_default().push(kept.document["body"].clone());
        }
        let here: BTreeMap<String, Value> = self
            .world
            .documents(&member.number)
            .into_iter()
            .map(|document| {
                let name = document["header"]["uuid"].as_str().unwrap();
                (name.split('#').next().unwrap().to_owned(), document["body"].clone())
            })
            .collect();
        let of_jhe = |name: &&String| is_sent(&here[*name]);
        for name in here.keys().filter(of_jhe) {
            let there = at_jhe.get(name).map(Vec::as_slice).unwrap_or_default();
            assert_eq!(
                there.last(),
                Some(&here[name]),
                "{name} of patient {}, {}, raw {}: {there:?}; {:#?}",
                member.number,
                self.world.now,
                self.bucket.is_some(),
                self.outbox_rows()
            );
            let is_twice = there.windows(2).any(|pair| pair[0] == pair[1]);
            assert!(!is_twice, "JHE got the same value twice in a row: {there:?} as {:?}", identifiers[name]);
        }
        assert!(
            at_jhe.keys().all(|name| here.contains_key(name)),
            "JHE has an observation that is not stored here"
        );
    }

    /// Returns the latest replaced values, for failure messages.
    fn revisions(&self) -> Vec<String> {
        let db = rusqlite::Connection::open(self.world.database()).unwrap();
        let mut query = db
            .prepare(
                "SELECT concat_ws(' ', patient_id, series_type, instant, revision, value, replaced_at)
                 FROM revisions JOIN streams ON streams.id = stream_id ORDER BY replaced_at DESC, instant DESC
                 LIMIT 20",
            )
            .unwrap();
        query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    /// Returns the rows left in the outbox, for failure messages.
    fn outbox_rows(&self) -> Vec<String> {
        let db = rusqlite::Connection::open(self.world.database()).unwrap();
        let mut query = db
            .prepare(
                "SELECT concat_ws(' ', patient_id, series_type, instant, revision, state, due_at, attempts, ambiguous,
                                  reason)
                 FROM outbox JOIN streams ON streams.id = stream_id LIMIT 50",
            )
            .unwrap();
        query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    /// Counts the expected observations.
    pub fn samples(&self) -> usize {
        self.all.iter().map(|member| member.model.len()).sum()
    }
}

/// Returns false for sleep stage summaries, which are not sent to JHE.
fn is_sent(body: &Value) -> bool {
    body.get("sleep_stage_summary").is_none()
}

impl Member {
    /// Returns the heart rates since the last call; some are late, some are corrections.
    fn hearts(&mut self, dice: &mut Dice, now: Timestamp) -> Vec<(Timestamp, f64)> {
        let mut rates = Vec::new();
        let mut at = self.newest.max(now.minus(AWAY)).plus(FIVE_MINUTES);
        while at < now {
            let value = dice.value();
            rates.push((at, value));
            if !self.is_withdrawn {
                self.model.insert(("heart_rate".to_owned(), at), value);
            }
            (self.newest, at) = (at, at.plus(FIVE_MINUTES));
        }
        if self.is_withdrawn {
            return rates;
        }
        // Within a tick's look-back, some samples arrive late, and some are corrected.
        let recent: Vec<Timestamp> = self
            .model
            .keys()
            .filter(|(series, at)| {
                series == "heart_rate" && *at > self.enrolled && at.plus(HOT) > self.newest
            })
            .map(|(_, at)| *at)
            .collect();
        for _ in 0..dice.roll(3) {
            let (at, value) = (dice.pick(&recent), dice.value());
            rates.push((at, value));
            self.model.insert(("heart_rate".to_owned(), at), value);
            let (late, value) = (at.minus(MINUTE / 2), dice.value());
            rates.push((late, value));
            if !self.returned.iter().any(|returned| late < *returned && *returned <= at) {
                self.model.insert(("heart_rate".to_owned(), late), value);
            }
        }
        rates
    }

    /// Stores heart rates in one or two objects; if both contain an instant, the later object counts.
    fn store(&self, bucket: &Bucket, dice: &mut Dice, now: Timestamp, rates: &[(Timestamp, f64)]) {
        let day = now.to_string()[..10].to_owned();
        let parts = rates.split_at(rates.len() / 2);
        for (part, stored) in [(parts.0, now.minus(MINUTE)), (parts.1, now)] {
            let record = |(at, value): &(Timestamp, f64)| (at.to_string(), *value);
            let texts: Vec<(String, f64)> = part.iter().map(record).collect();
            let rates: Vec<(&str, f64, &str)> =
                texts.iter().map(|(at, value)| (at.as_str(), *value, "awake")).collect();
            let key = Bucket::key(&day, &self.user, &format!("{:012x}", dice.roll(1 << 48)));
            bucket.put_heart_rates(&key, &rates);
            bucket.stored(&key, stored);
        }
    }

    /// Adds the growing total of the day.
    fn steps(&mut self, world: &World, dice: &mut Dice, now: Timestamp) {
        let day = now.midnight();
        let stamp = day.plus(HOUR * 4);
        if stamp >= now {
            return;
        }
        let key = ("steps".to_owned(), day);
        let steps = self.model.get(&key).copied().unwrap_or(0.0) + dice.value();
        world
            .sim
            .put_row(&self.user, Row::of("steps", stamp, steps).with_zone("+00:00").with_daily_total(true));
        self.model.insert(key, steps);
    }

    fn pressure(&mut self, world: &World, dice: &mut Dice, now: Timestamp) {
        let at = now.minus(MINUTE * 3);
        let (high, low) = (dice.value() + 60.0, dice.value());
        world.sim.put_row(&self.user, Row::of("blood_pressure_systolic", at, high));
        world.sim.put_row(&self.user, Row::of("blood_pressure_diastolic", at, low));
        self.model.insert(("blood_pressure".to_owned(), at), high);
    }

    /// Adds a sleep, or the second part of the last one.
    fn sleep(&mut self, world: &World, dice: &mut Dice, now: Timestamp) {
        if let Some((id, start, end)) = self.night.take() {
            let longer = end.plus(MINUTE * 20);
            world.sim.replace_events(&self.user, &[id], asleep(start.minus(MINUTE * 10), longer));
            for &series in NIGHT {
                self.model.remove(&(series.to_owned(), start));
            }
            self.expect_night(start.minus(MINUTE * 10), longer);
        } else if now.since(self.last_night) > HOUR * 8 && dice.roll(2) == 0 {
            let (start, end) = (now.minus(HOUR * 3), now.minus(HOUR));
            let id = world.sim.put_event(&self.user, asleep(start, end));
            self.expect_night(start, end);
            (self.night, self.last_night) = (Some((id, start, end)), now);
        }
    }

    fn expect_night(&mut self, start: Timestamp, end: Timestamp) {
        #[expect(clippy::cast_precision_loss, reason = "seconds of a night")]
        let seconds = end.since(start).as_secs() as f64;
        for &series in NIGHT {
            self.model.insert((series.to_owned(), start), seconds);
        }
    }
}

fn asleep(start: Timestamp, end: Timestamp) -> Event {
    let stage = SleepStage { stage: "light".to_owned(), start, end };
    Event::night(start, end, vec![stage]).with_zone(Some("+00:00"))
}
