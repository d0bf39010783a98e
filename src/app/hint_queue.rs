//! Queue of hints that OW has new data for a user, from webhooks and from OW's list of sync runs. The daemon
//! reads these users before the next tick. A lost hint only delays the data: ticks and sweeps read all data
//! anyway.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::common::time::Timestamp;
use crate::ow::runs::SyncRun;

/// Webhook ids kept to detect a redelivery: those of five minutes of a busy OW.
const MAX_MESSAGE_IDS: usize = 5000;
/// Maximum number of users in the queue; the next tick reads the others.
const MAX_WAITING: usize = 10_000;
/// Failed reads after which a user leaves the queue and only ticks read the user. So many failures mean a
/// long outage of OW.
const MAX_TRIES: u32 = 10;

/// New historical data of a user, as a webhook announces them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hint {
    /// The oldest new sample, if the webhook names it.
    pub since: Option<Timestamp>,
    /// The ids of OW's historical sync runs; OW reports how far back each run reached.
    pub runs: BTreeSet<String>,
}

/// OW users in the queue, each with the number of failed reads.
pub type WaitingUsers = BTreeMap<String, u32>;

/// The queue, shared by the webhook, the list of sync runs, and the loops that read.
#[derive(Debug, Clone, Default)]
pub struct HintQueue {
    state: Arc<Mutex<QueuedHints>>,
    added: Arc<Notify>,
    historical_read_scheduled: Arc<Notify>,
}

#[derive(Debug, Default)]
struct QueuedHints {
    waiting: WaitingUsers,
    /// Hints about historical data that are not stored in the database yet.
    historical: BTreeMap<String, Hint>,
    /// The time of each user's last read that a hint caused.
    last_reads: BTreeMap<String, Timestamp>,
    /// The sync runs of the last list with their last activity; none before the first list.
    runs: Option<BTreeMap<String, String>>,
    /// The ids of webhooks, oldest first.
    message_ids: VecDeque<String>,
}

impl HintQueue {
    /// Adds the users of sync runs that are new or have changed since the last list. The first list adds
    /// nobody: its runs precede the daemon's start, and the first tick reads their data.
    pub fn add_runs(&self, runs: &[SyncRun]) {
        let mut state = self.state.lock();
        let known = state
            .runs
            .replace(runs.iter().map(|run| (run.run_id.clone(), run.last_update.clone())).collect());
        let Some(known) = known else { return };
        let changed = runs.iter().filter(|run| known.get(&run.run_id) != Some(&run.last_update));
        changed.filter(|run| run.may_have_stored_data()).for_each(|run| state.add(&run.user_id, 0));
        drop(state);
        self.added.notify_one();
    }

    /// Adds the user of a webhook. Returns false if a message with this id came before.
    pub fn add_message(&self, id: &str, user: &str, hint: Hint) -> bool {
        let mut state = self.state.lock();
        if state.message_ids.iter().any(|known| known == id) {
            return false;
        }
        if state.message_ids.len() >= MAX_MESSAGE_IDS {
            state.message_ids.pop_front();
        }
        state.message_ids.push_back(id.to_owned());
        state.add(user, 0);
        state.add_historical(user, hint);
        drop(state);
        self.added.notify_one();
        true
    }

    /// Takes the users to read now. A user who was read less than `pause` ago stays in the queue.
    pub fn take_due(&self, pause: Duration, now: Timestamp) -> WaitingUsers {
        let mut state = self.state.lock();
        // A time in the future comes from a clock that ran ahead; it must not delay anybody.
        state.last_reads.retain(|_, at| *at <= now && at.plus(pause) > now);
        let all = std::mem::take(&mut state.waiting);
        let (later, due): (WaitingUsers, WaitingUsers) =
            all.into_iter().partition(|(user, _)| state.last_reads.contains_key(user));
        state.waiting = later;
        state.last_reads.extend(due.keys().map(|user| (user.clone(), now)));
        due
    }

    /// Puts back users whose read could not begin; they are due at once.
    pub fn put_back(&self, due: &WaitingUsers) {
        let mut state = self.state.lock();
        for (user, tries) in due {
            state.last_reads.remove(user);
            state.add(user, *tries);
        }
    }

    /// Puts back users whose read failed; they are due after the pause, up to [`MAX_TRIES`] times.
    pub fn put_back_failed<'a>(&self, due: impl Iterator<Item = (&'a String, &'a u32)>) {
        let mut state = self.state.lock();
        due.filter(|(_, tries)| **tries + 1 < MAX_TRIES).for_each(|(user, tries)| state.add(user, tries + 1));
    }

    /// Takes the hints about historical data.
    pub fn take_historical(&self) -> BTreeMap<String, Hint> {
        std::mem::take(&mut self.state.lock().historical)
    }

    /// Puts back hints that could not be stored.
    pub fn put_back_historical(&self, hints: BTreeMap<String, Hint>) {
        let mut state = self.state.lock();
        for (user, hint) in hints {
            state.add_historical(&user, hint);
        }
    }

    pub fn has_waiting(&self) -> bool {
        !self.state.lock().waiting.is_empty()
    }

    pub async fn wait_for_hint(&self) {
        self.added.notified().await;
    }

    /// Wakes [`Self::wait_for_historical_read`] after a historical read was stored in the database.
    pub fn notify_historical_read(&self) {
        self.historical_read_scheduled.notify_one();
    }

    pub async fn wait_for_historical_read(&self) {
        self.historical_read_scheduled.notified().await;
    }
}

impl QueuedHints {
    /// Adds a user once. A new hint resets the number of failed reads.
    fn add(&mut self, user: &str, tries: u32) {
        if self.waiting.len() >= MAX_WAITING && !self.waiting.contains_key(user) {
            return;
        }
        let known = self.waiting.entry(user.to_owned()).or_insert(tries);
        *known = tries.min(*known);
    }

    /// Merges a hint into the user's earlier one. The earliest `since` wins.
    fn add_historical(&mut self, user: &str, hint: Hint) {
        let is_full = self.historical.len() >= MAX_WAITING && !self.historical.contains_key(user);
        if hint == Hint::default() || is_full {
            return;
        }
        let known = self.historical.entry(user.to_owned()).or_default();
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

    fn users(hints: &HintQueue, at: Timestamp) -> Vec<String> {
        hints.take_due(MINUTE, at).into_keys().collect()
    }

    #[test]
    fn a_run_is_a_hint_once_after_its_end() {
        let hints = HintQueue::default();
        hints.add_runs(&[run("1", "a", "success", "x")]);
        assert!(users(&hints, now()).is_empty(), "it precedes the first list");
        let begun = [run("1", "a", "success", "x"), run("2", "b", "in_progress", "y")];
        hints.add_runs(&begun);
        assert!(users(&hints, now()).is_empty());
        let over = [run("1", "a", "success", "x"), run("2", "b", "partial", "z")];
        hints.add_runs(&over);
        hints.add_runs(&over);
        assert_eq!(users(&hints, now()), ["b"]);
        assert!(users(&hints, now().plus(MINUTE)).is_empty());
    }

    #[test]
    fn a_run_that_brought_nothing_is_no_hint() {
        let hints = HintQueue::default();
        hints.add_runs(&[]);
        hints.add_runs(&[SyncRun { items_processed: Some(0), ..run("1", "a", "success", "x") }]);
        assert!(!hints.has_waiting());
    }

    #[test]
    fn many_hints_about_one_user_are_one() {
        let hints = HintQueue::default();
        for id in 0..100 {
            assert!(hints.add_message(&id.to_string(), "a", Hint::default()));
        }
        assert_eq!(users(&hints, now()), ["a"]);
        hints.add_message("later", "a", Hint::default());
        assert!(users(&hints, now().plus(MINUTE / 2)).is_empty(), "read half a minute ago");
        assert_eq!(users(&hints, now().plus(MINUTE)), ["a"]);
    }

    #[test]
    fn a_message_counts_once() {
        let hints = HintQueue::default();
        assert!(hints.add_message("1", "a", Hint::default()));
        users(&hints, now());
        assert!(!hints.add_message("1", "a", Hint::default()));
        assert!(!hints.has_waiting());
    }

    #[test]
    fn a_user_whose_read_could_not_begin_is_due_at_once() {
        let hints = HintQueue::default();
        hints.add_message("1", "a", Hint::default());
        let due = hints.take_due(MINUTE, now());
        hints.put_back(&due);
        assert_eq!(users(&hints, now()), ["a"]);
    }

    #[test]
    fn a_failed_read_is_tried_again_after_the_pause_up_to_ten_times() {
        let hints = HintQueue::default();
        hints.add_message("1", "a", Hint::default());
        let mut reads = 0;
        for minute in 0..20 {
            let at = now().plus(MINUTE * minute);
            let due = hints.take_due(MINUTE, at);
            reads += due.len();
            hints.put_back_failed(due.iter());
            assert!(users(&hints, at.plus(MINUTE / 2)).is_empty(), "not at once");
        }
        assert_eq!((reads, hints.has_waiting()), (10, false));
        // A new hint resets the count.
        hints.add_message("2", "a", Hint::default());
        let due = hints.take_due(MINUTE, now().plus(MINUTE * 30));
        assert_eq!(due["a"], 0);
    }

    #[test]
    fn the_furthest_past_counts() {
        let hints = HintQueue::default();
        let since =
            |hours: u64| Hint { since: Some(now().minus(Duration::from_hours(hours))), ..Hint::default() };
        let of = |run: &str| Hint { runs: BTreeSet::from([run.to_owned()]), ..Hint::default() };
        hints.add_message("1", "a", since(5));
        hints.add_message("2", "a", since(9));
        hints.add_message("3", "a", Hint::default());
        hints.add_message("4", "b", of("r1"));
        hints.add_message("5", "b", of("r2"));
        let taken = hints.take_historical();
        assert_eq!((taken["a"].clone(), taken["b"].runs.len()), (since(9), 2));
        assert!(hints.take_historical().is_empty());
        hints.put_back_historical(taken.clone());
        assert_eq!(hints.take_historical(), taken);
    }
}
