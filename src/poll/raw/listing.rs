//! Lists the objects under a key prefix and picks those to read, in the order of storage: an object that was
//! stored later corrects earlier ones, and the names do not show the order.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use crate::model::catalog::endpoint;
use crate::poll::raw::reading::{ObjectOrder, ObjectReader, PendingObject, PendingObjects};
use crate::poll::{turn_error::TurnError, windows::ReadRange};
use crate::raw::{client::ListedObject, error::RawError, key::KeyPrefix};
use crate::store::samples::raw_object::{self, ObjectState, ObjectUpdate, RawObject};

/// More pages than the objects of one day fill in a thousand years. After that many the listing must be
/// repeating.
const MAX_PAGES: usize = 10_000;

impl ObjectReader<'_> {
    /// Lists a prefix page by page and returns the objects to read. However many keys there are, memory holds
    /// one page and at most as many objects as the budget allows to read.
    pub(crate) async fn list_prefix(&mut self, prefix: &KeyPrefix) -> Result<PendingObjects, TurnError> {
        let mut pending = PendingObjects::new();
        let (mut next, mut after) = (None, None);
        for _ in 0..MAX_PAGES {
            let page = self.bucket.list_objects(prefix, next.as_deref()).await?;
            let last = page.objects.last().map(|object| prefix.name(&object.key)).or(after.clone());
            let until = if page.next.is_some() { last.clone() } else { None };
            let (link, day, names) = (self.plan.link, prefix.day, prefix.names.clone());
            let list =
                move |db: &_| raw_object::list(db, link, day, &names, after.as_deref(), until.as_deref());
            let known = self.context.poller.store.read(list).await?;
            let listed: Vec<(String, ListedObject)> =
                page.objects.into_iter().map(|object| (prefix.name(&object.key), object)).collect();
            // An empty page with a successor covers no range of names, so nothing can be missing from it.
            if page.next.is_none() || last.is_some() {
                self.remove_missing(&listed, &known);
            }
            self.add_page(prefix, listed, &known, &mut pending);
            self.write_updates().await?;
            match page.next {
                None => return Ok(pending),
                Some(token) if next.as_ref() == Some(&token) => break,
                Some(token) => (next, after) = (Some(token), last),
            }
        }
        Err(RawError::Patient(format!("the listing of {} goes round in circles", prefix.prefix)).into())
    }

    fn remove_missing(&mut self, listed: &[(String, ListedObject)], known: &[RawObject]) {
        let names: HashSet<&str> = listed.iter().map(|(name, _)| name.as_str()).collect();
        for object in known.iter().filter(|object| !names.contains(object.name.as_str())) {
            match object.state {
                ObjectState::Read | ObjectState::Other => {
                    self.updates.push(ObjectUpdate::Delete(object.day, object.name.clone()));
                }
                ObjectState::Failed => self.record_lost(object),
                ObjectState::Lost => {}
            }
        }
    }

    fn add_page(
        &mut self,
        prefix: &KeyPrefix,
        listed: Vec<(String, ListedObject)>,
        known: &[RawObject],
        pending: &mut PendingObjects,
    ) {
        let by_name: HashMap<&str, &RawObject> =
            known.iter().map(|object| (object.name.as_str(), object)).collect();
        for (name, ListedObject { key, stored, etag }) in listed {
            let before = by_name.get(name.as_str()).copied();
            if before.is_some_and(|object| !self.must_read_again(object, &etag)) {
                continue;
            }
            let is_late =
                self.newest_day > Some(prefix.day) || before.is_some_and(|before| before.etag == etag);
            let order =
                if is_late { ObjectOrder::Late(Reverse(stored)) } else { ObjectOrder::InOrder(stored) };
            pending.insert((order, key), PendingObject { name, etag, before: before.cloned() });
            if pending.len() > self.budget.left {
                pending.pop_last();
                self.turn.is_unfinished = true;
            }
        }
    }

    /// Returns whether a known object must be read again: its content has changed, the time to retry a
    /// failure has come, or the consent has changed since some of it was withheld.
    fn must_read_again(&self, known: &RawObject, etag: &str) -> bool {
        let endpoint = || known.endpoint.as_deref().and_then(endpoint::find);
        known.etag != etag
            || match known.state {
                ObjectState::Read => known.error.as_deref().is_some_and(|withheld| {
                    endpoint().is_some_and(|endpoint| self.consented(endpoint).has_changed_since(withheld))
                }),
                ObjectState::Other => endpoint().is_some_and(|endpoint| !self.consented(endpoint).is_empty()),
                ObjectState::Failed => match self.range {
                    // A backfill retries each failed object once, without regard to the retry schedule.
                    ReadRange::Requested(_) => known.checked < self.context.started,
                    ReadRange::Recent { .. } => known.is_due(self.context.started),
                },
                ObjectState::Lost => true,
            }
    }

    /// Records that a failed object has left the bucket.
    pub(crate) fn record_lost(&mut self, object: &RawObject) {
        let before = object.error.as_deref().unwrap_or("it could not be read");
        // The sentence names the bucket: the object may be missing because the settings now name another one.
        let error =
            format!("{before}; since then it has gone: it is not in {} any more", self.bucket.describe());
        self.turn.unread_objects.lost.add(&self.key_of(object), &error);
        let checked = self.context.poller.clock.now();
        let lost = RawObject { state: ObjectState::Lost, error: Some(error), checked, ..object.clone() };
        self.updates.push(ObjectUpdate::Upsert(lost));
    }
}
