//! What is listed at a place of the bucket and has to be read, in the order of its storing: what was stored later
//! corrects what was stored before, and the names say nothing of that.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use crate::model::catalog::endpoint;
use crate::poll::raw::reading::{InOrder, Reading, Wanted, When};
use crate::poll::turn_error::TurnError;
use crate::poll::windows::Reach;
use crate::raw::client::Listed;
use crate::raw::error::RawError;
use crate::raw::key::Place;
use crate::store::samples::raw_object;
use crate::store::samples::raw_object::{Note, Object, State};

/// More pages than the objects of a day fill in a thousand years: past it the listing goes round in circles.
const MOST_PAGES: usize = 10_000;

impl Reading<'_> {
    /// Lists a place page by page, and takes out what has to be read next: however many keys there are, a thousand are
    /// held, and of these no more than may be read.
    pub(crate) async fn list_place(&mut self, place: &Place) -> Result<InOrder, TurnError> {
        let mut in_order = InOrder::new();
        let (mut next, mut after) = (None, None);
        for _ in 0..MOST_PAGES {
            let page = self.bucket.list(place, next.as_deref()).await?;
            let last = page.objects.last().map(|object| place.name(&object.key)).or(after.clone());
            let until = if page.next.is_some() { last.clone() } else { None };
            let (link, day, names) = (self.due.link, place.day, place.names.clone());
            let known =
                move |db: &_| raw_object::known(db, link, day, &names, after.as_deref(), until.as_deref());
            let known = self.context.poller.store.read(known).await?;
            // A page without keys that goes on says nothing of what is gone.
            let is_told = page.next.is_none() || last.is_some();
            let listed = page.objects.into_iter().map(|object| (place.name(&object.key), object)).collect();
            self.take_page(place, listed, &known, is_told, &mut in_order);
            self.write_notes().await?;
            match page.next {
                None => return Ok(in_order),
                Some(token) if next.as_ref() == Some(&token) => break,
                Some(token) => (next, after) = (Some(token), last),
            }
        }
        Err(RawError::Patient(format!("the listing of {} goes round in circles", place.prefix)).into())
    }

    fn take_page(
        &mut self,
        place: &Place,
        listed: Vec<(String, Listed)>,
        known: &[Object],
        is_told: bool,
        in_order: &mut InOrder,
    ) {
        let names: HashSet<&str> = listed.iter().map(|(name, _)| name.as_str()).collect();
        for gone in known.iter().filter(|object| is_told && !names.contains(object.name.as_str())) {
            self.forget(gone);
        }
        drop(names);
        let by_name: HashMap<&str, &Object> =
            known.iter().map(|object| (object.name.as_str(), object)).collect();
        for (name, Listed { key, stored, etag }) in listed {
            let before = by_name.get(name.as_str()).copied();
            if before.is_some_and(|object| !self.is_wanted(object, &etag)) {
                continue;
            }
            let is_late =
                self.newest_day > Some(place.day) || before.is_some_and(|before| before.etag == etag);
            let when = if is_late { When::Late(Reverse(stored)) } else { When::InOrder(stored) };
            in_order.insert((when, key), Wanted { name, etag, before: before.cloned() });
            if in_order.len() > self.budget.left {
                in_order.pop_last();
                self.turn.is_unfinished = true;
            }
        }
    }

    /// Whether an object that is known has to be read all the same: its content has changed, it failed and that is
    /// some time ago, nothing of its endpoint was consented to, or something of it was withheld and the consent is
    /// another one now.
    fn is_wanted(&self, known: &Object, etag: &str) -> bool {
        let endpoint = || known.endpoint.as_deref().and_then(endpoint::endpoint);
        known.etag != etag
            || match known.state {
                State::Read => known.error.as_deref().is_some_and(|noted| {
                    endpoint().is_some_and(|endpoint| self.consented(endpoint).is_other_than(noted))
                }),
                State::Other => endpoint().is_some_and(|endpoint| !self.consented(endpoint).is_empty()),
                State::Failed => match self.reach {
                    // Somebody asked for it, and it was not tried since.
                    Reach::Asked(_) => known.noted < self.context.started,
                    Reach::Recent { .. } => known.is_due(self.context.started),
                },
                State::Lost => true,
            }
    }

    /// What the bucket does not list any more is forgotten, but not without a word where it was never read.
    fn forget(&mut self, gone: &Object) {
        match gone.state {
            State::Read | State::Other => self.notes.push(Note::Forget(gone.day, gone.name.clone())),
            State::Failed => self.lose(gone),
            State::Lost => {}
        }
    }

    /// Notes that an object that failed cannot be read any more. Where the settings name another bucket than it was
    /// in, that is why: so the sentence says where it is not.
    pub(crate) fn lose(&mut self, gone: &Object) {
        let before = gone.error.as_deref().unwrap_or("it could not be read");
        let error =
            format!("{before}; since then it has gone: it is not in {} any more", self.bucket.place());
        let key = self.bucket.layout.key(gone.day, &self.due.ow_user, &gone.name);
        self.turn.told.lost(&key, &error);
        let noted = self.context.poller.clock.now();
        self.notes.push(Note::Put(Object { state: State::Lost, error: Some(error), noted, ..gone.clone() }));
    }
}
