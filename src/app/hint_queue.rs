//! Whose data may just have come to OW: a hint, so that they are read before the next tick. What is missed here, the
//! ticks and their sweeps read all the same. Pure, but for the lock around it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::common::time::Timestamp;
use crate::ow::runs::SyncRun;

/// Messages whose ids are remembered, so that one that comes twice is taken once: a busy OW's five minutes.
const REMEMBERED: usize = 5000;
/// Users who wait at most: whoever is beyond that is read by the next tick.
const MOST_WAITING: usize = 10_000;
/// Looks at a user that failed, after which it is left to the ticks: an OW that fails for longer is no matter of minutes.
const MOST_TRIES: u32 = 10;

/// What a message tells of a user's data, besides that something is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hint {
    /// How far back what has come reaches, where that is known.
    pub since: Option<Timestamp>,
    /// Runs of OW's that fetched the past: OW says how far each reached.
    pub runs: BTreeSet<String>,
}

/// Users who wait, with how often a look at each has failed.
pub type Waiting = BTreeMap<String, u32>;

/// Hints that wait, shared between who hears of them and who follows them.
#[derive(Debug, Clone, Default)]
pub struct Hints {
    state: Arc<Mutex<State>>,
    news: Arc<Notify>,
    owed: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    waiting: Waiting,
    /// What messages told of each user's past and nobody has noted yet.
    told: BTreeMap<String, Hint>,
    /// When each user was last looked at because of a hint.
    looked: BTreeMap<String, Timestamp>,
    /// The runs of the last list, with their last sign of life; none before the first.
    runs: Option<BTreeMap<String, String>>,
    /// Ids of webhooks, oldest first.
    heard: VecDeque<String>,
}

impl Hints {
    /// Takes OW's list of runs. The first one says nothing of what is new: what it speaks of was there before us, and the
    /// first tick reads it. How far back a run reached is no matter here.
    pub fn take_runs(&self, runs: &[SyncRun]) {
        let mut state = self.state.lock();
        let known = state
            .runs
            .replace(runs.iter().map(|run| (run.run_id.clone(), run.last_update.clone())).collect());
        let Some(known) = known else { return };
        let news = runs.iter().filter(|run| known.get(&run.run_id) != Some(&run.last_update));
        news.filter(|run| run.may_have_brought()).for_each(|run| state.add(&run.user_id, 0));
        drop(state);
        self.news.notify_one();
    }

    /// Takes a webhook's word; answers whether it is news.
    pub fn take_message(&self, id: &str, user: &str, hint: Hint) -> bool {
        let mut state = self.state.lock();
        if state.heard.iter().any(|heard| heard == id) {
            return false;
        }
        if state.heard.len() >= REMEMBERED {
            state.heard.pop_front();
        }
        state.heard.push_back(id.to_owned());
        state.add(user, 0);
        state.tell(user, hint);
        drop(state);
        self.news.notify_one();
        true
    }

    /// Takes out who is to be looked at now: whoever was within `pause` waits until that is over.
    pub fn take_due(&self, pause: Duration, now: Timestamp) -> Waiting {
        let mut state = self.state.lock();
        // One that is to come was noted by a clock that was ahead.
        state.looked.retain(|_, at| *at <= now && at.plus(pause) > now);
        let all = std::mem::take(&mut state.waiting);
        let (later, due): (Waiting, Waiting) =
            all.into_iter().partition(|(user, _)| state.looked.contains_key(user));
        state.waiting = later;
        state.looked.extend(due.keys().map(|user| (user.clone(), now)));
        due
    }

    /// Puts back who could not be looked at.
    pub fn put_back(&self, due: &Waiting) {
        let mut state = self.state.lock();
        for (user, tries) in due {
            state.looked.remove(user);
            state.add(user, *tries);
        }
    }

    /// Puts back whom a look did not help: it is tried again after the pause, some times.
    pub fn put_back_failed<'a>(&self, due: impl Iterator<Item = (&'a String, &'a u32)>) {
        let mut state = self.state.lock();
        due.filter(|(_, tries)| **tries + 1 < MOST_TRIES)
            .for_each(|(user, tries)| state.add(user, tries + 1));
    }

    /// Takes out what messages told of the past.
    pub fn take_told(&self) -> BTreeMap<String, Hint> {
        std::mem::take(&mut self.state.lock().told)
    }

    /// Puts back what could not be noted.
    pub fn put_back_told(&self, told: BTreeMap<String, Hint>) {
        let mut state = self.state.lock();
        for (user, hint) in told {
            state.tell(&user, hint);
        }
    }

    /// Whether anybody waits.
    pub fn is_waiting(&self) -> bool {
        !self.state.lock().waiting.is_empty()
    }

    /// Waits for news.
    pub async fn news(&self) {
        self.news.notified().await;
    }

    /// Says that a past is owed that was not before.
    pub fn is_owed(&self) {
        self.owed.notify_one();
    }

    /// Waits until another past is owed.
    pub async fn owed(&self) {
        self.owed.notified().await;
    }
}

impl State {
    /// Hints about one user are one; a new one begins to count the failures anew.
    fn add(&mut self, user: &str, tries: u32) {
        if self.waiting.len() >= MOST_WAITING && !self.waiting.contains_key(user) {
            return;
        }
        let known = self.waiting.entry(user.to_owned()).or_insert(tries);
        *known = tries.min(*known);
    }

    /// What is told of one user's past is one.
    fn tell(&mut self, user: &str, hint: Hint) {
        let is_full = self.told.len() >= MOST_WAITING && !self.told.contains_key(user);
        if hint == Hint::default() || is_full {
            return;
        }
        let known = self.told.entry(user.to_owned()).or_default();
        known.since = [known.since, hint.since].into_iter().flatten().min();
        known.runs.extend(hint.runs);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn now() -> Timestamp {
        Timestamp::parse("2026-11-21T12:00:00Z").unwrap()
    }

    fn run(id: &str, user: &str, status: &str, last_update: &str) -> SyncRun {
        SyncRun {
            run_id: id.into(),
            user_id: user.into(),
            source: "pull".into(),
            status: status.into(),
            items_processed: Some(1),
            last_update: last_update.into(),
        }
    }

    fn users(hints: &Hints, at: Timestamp) -> Vec<String> {
        hints.take_due(MINUTE, at).into_keys().collect()
    }

    #[test]
    fn a_run_is_a_hint_once_when_it_is_over() {
        let hints = Hints::default();
        hints.take_runs(&[run("1", "a", "success", "x")]);
        assert!(users(&hints, now()).is_empty(), "it was there before");
        let begun = [run("1", "a", "success", "x"), run("2", "b", "in_progress", "y")];
        hints.take_runs(&begun);
        assert!(users(&hints, now()).is_empty());
        let over = [run("1", "a", "success", "x"), run("2", "b", "partial", "z")];
        hints.take_runs(&over);
        hints.take_runs(&over);
        assert_eq!(users(&hints, now()), ["b"]);
        assert!(users(&hints, now().plus(MINUTE)).is_empty());
    }

    #[test]
    fn a_run_that_brought_nothing_is_no_hint() {
        let hints = Hints::default();
        hints.take_runs(&[]);
        hints.take_runs(&[SyncRun { items_processed: Some(0), ..run("1", "a", "success", "x") }]);
        assert!(!hints.is_waiting());
    }

    #[test]
    fn a_burst_about_one_user_is_folded() {
        let hints = Hints::default();
        for id in 0..100 {
            assert!(hints.take_message(&id.to_string(), "a", Hint::default()));
        }
        assert_eq!(users(&hints, now()), ["a"]);
        hints.take_message("later", "a", Hint::default());
        assert!(users(&hints, now().plus(MINUTE / 2)).is_empty(), "looked at half a minute ago");
        assert_eq!(users(&hints, now().plus(MINUTE)), ["a"]);
    }

    #[test]
    fn a_message_counts_once() {
        let hints = Hints::default();
        assert!(hints.take_message("1", "a", Hint::default()));
        users(&hints, now());
        assert!(!hints.take_message("1", "a", Hint::default()));
        assert!(!hints.is_waiting());
    }

    #[test]
    fn who_could_not_be_looked_at_waits_on() {
        let hints = Hints::default();
        hints.take_message("1", "a", Hint::default());
        let due = hints.take_due(MINUTE, now());
        hints.put_back(&due);
        assert_eq!(users(&hints, now()), ["a"]);
    }

    #[test]
    fn whom_a_look_did_not_help_is_looked_at_again_after_the_pause_and_not_for_ever() {
        let hints = Hints::default();
        hints.take_message("1", "a", Hint::default());
        let mut looks = 0;
        for minute in 0..20 {
            let at = now().plus(MINUTE * minute);
            let due = hints.take_due(MINUTE, at);
            looks += due.len();
            hints.put_back_failed(due.iter());
            assert!(users(&hints, at.plus(MINUTE / 2)).is_empty(), "not at once");
        }
        assert_eq!((looks, hints.is_waiting()), (10, false));
        // News begins anew.
        hints.take_message("2", "a", Hint::default());
        let due = hints.take_due(MINUTE, now().plus(MINUTE * 30));
        assert_eq!(due["a"], 0);
    }

    #[test]
    fn the_furthest_past_counts() {
        let hints = Hints::default();
        let since =
            |hours: u64| Hint { since: Some(now().minus(Duration::from_hours(hours))), ..Hint::default() };
        let of = |run: &str| Hint { runs: BTreeSet::from([run.to_owned()]), ..Hint::default() };
        hints.take_message("1", "a", since(5));
        hints.take_message("2", "a", since(9));
        hints.take_message("3", "a", Hint::default());
        hints.take_message("4", "b", of("r1"));
        hints.take_message("5", "b", of("r2"));
        let told = hints.take_told();
        assert_eq!((told["a"].clone(), told["b"].runs.len()), (since(9), 2));
        assert!(hints.take_told().is_empty());
        hints.put_back_told(told.clone());
        assert_eq!(hints.take_told(), told);
    }
}
