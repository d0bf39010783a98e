//! Whose data may just have come to OW: a hint, so that they are read before the next tick. What is missed here, the
//! ticks and their sweeps read all the same. Pure, but for the lock around it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::ow::SyncRun;
use crate::time::Timestamp;

/// Messages whose ids are remembered, so that one that comes twice is taken once: a busy OW's five minutes.
const REMEMBERED: usize = 5000;
/// Users who wait at most: whoever is beyond that is read by the next tick.
const MOST_WAITING: usize = 10_000;

/// Why a user's data are worth a look: with nothing in it, since something new is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hint {
    /// How far back what has come reaches, where that is known.
    pub since: Option<Timestamp>,
    /// Runs of OW's that fetched the past: OW says how far each reached.
    pub runs: BTreeSet<String>,
}

/// Hints that wait, shared between who hears of them and who follows them.
#[derive(Debug, Clone, Default)]
pub struct Hints {
    state: Arc<Mutex<State>>,
    news: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    waiting: BTreeMap<String, Hint>,
    /// When each user was last looked at because of a hint.
    looked: BTreeMap<String, Timestamp>,
    /// The runs of the last list, with their last sign of life; none before the first.
    runs: Option<BTreeMap<String, String>>,
    /// Ids of webhooks, oldest first.
    heard: VecDeque<String>,
}

impl Hints {
    /// Takes OW's list of runs. The first one says nothing: what it speaks of was there before us, and the first tick
    /// reads it.
    pub fn take_runs(&self, runs: &[SyncRun]) {
        let mut state = self.state();
        let known = state
            .runs
            .replace(runs.iter().map(|run| (run.run_id.clone(), run.last_update.clone())).collect());
        let Some(known) = known else { return };
        let news = runs.iter().filter(|run| known.get(&run.run_id) != Some(&run.last_update));
        for run in news.filter(|run| run.may_have_brought()) {
            let runs = run.is_of_the_past().then(|| run.run_id.clone()).into_iter().collect();
            state.add(&run.user_id, Hint { since: None, runs });
        }
        drop(state);
        self.news.notify_one();
    }

    /// Takes a webhook's word; answers whether it is news.
    pub fn take_message(&self, id: &str, user: &str, hint: Hint) -> bool {
        let mut state = self.state();
        if state.heard.iter().any(|heard| heard == id) {
            return false;
        }
        if state.heard.len() >= REMEMBERED {
            state.heard.pop_front();
        }
        state.heard.push_back(id.to_owned());
        state.add(user, hint);
        drop(state);
        self.news.notify_one();
        true
    }

    /// Takes out who is to be looked at now: whoever was within `pause` waits until that is over.
    pub fn take_due(&self, pause: Duration, now: Timestamp) -> BTreeMap<String, Hint> {
        let mut state = self.state();
        state.looked.retain(|_, at| at.plus(pause) > now);
        let all = std::mem::take(&mut state.waiting);
        let (later, due): (BTreeMap<_, _>, BTreeMap<_, _>) =
            all.into_iter().partition(|(user, _)| state.looked.contains_key(user));
        state.waiting = later;
        state.looked.extend(due.keys().map(|user| (user.clone(), now)));
        due
    }

    /// Puts back who could not be looked at.
    pub fn put_back(&self, hints: &BTreeMap<String, Hint>) {
        let mut state = self.state();
        for (user, hint) in hints {
            state.looked.remove(user);
            state.add(user, hint.clone());
        }
    }

    /// Whether anybody waits.
    pub fn is_waiting(&self) -> bool {
        !self.state().waiting.is_empty()
    }

    /// Waits for news.
    pub async fn news(&self) {
        self.news.notified().await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Hints about one user are one.
    fn add(&mut self, user: &str, hint: Hint) {
        if self.waiting.len() >= MOST_WAITING && !self.waiting.contains_key(user) {
            return;
        }
        let known = self.waiting.entry(user.to_owned()).or_default();
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
    fn the_furthest_past_counts() {
        let hints = Hints::default();
        let since =
            |hours: u64| Hint { since: Some(now().minus(Duration::from_hours(hours))), ..Hint::default() };
        hints.take_message("1", "a", since(5));
        hints.take_message("2", "a", since(9));
        hints.take_message("3", "a", Hint::default());
        assert_eq!(hints.take_due(MINUTE, now())["a"], since(9));
        hints.take_runs(&[]);
        for id in ["r1", "r2"] {
            hints.take_runs(&[SyncRun { source: "backfill".into(), ..run(id, "b", "success", "x") }]);
        }
        let due = hints.take_due(MINUTE, now());
        assert_eq!(due["b"].runs, BTreeSet::from(["r1".to_owned(), "r2".to_owned()]));
    }
}
