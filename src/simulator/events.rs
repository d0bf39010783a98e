//! `GET /users/{id}/events/{sleep,workouts}`: newest first, each with an id of OW's own.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::common::time::Timestamp;
use crate::simulator::event::{Event, What};
use crate::simulator::query::{Cursor, Moment, Pairs, Tail, around, cursor_time, cut, last, limit};
use crate::simulator::samples_table::Rank;
use crate::simulator::user::User;

/// Events per page at most, whatever a page of samples may have.
const CAP: usize = 100;

impl User {
    /// Stores an event in place of the one of the same source, start and end; answers with its id.
    pub(crate) fn put_event(&mut self, id: Uuid, event: Event) -> Uuid {
        let known = self.events.iter().find(|(_, known)| known.is_same(&event)).map(|(id, _)| *id);
        let id = known.unwrap_or(id);
        self.events.insert(id, event);
        id
    }
}

/// A request, understood.
#[derive(Debug)]
pub(crate) struct Query {
    is_sleep: bool,
    only_best: bool,
    sport: Option<String>,
    from: Moment,
    until: Moment,
    limit: usize,
    cursor: Option<Cursor<(Timestamp, Uuid)>>,
}

impl Query {
    /// Understands a query for sleep, or for workouts, or says what OW says in its 400.
    pub(crate) fn parse(pairs: &Pairs, is_sleep: bool) -> Result<Self, String> {
        let (from, until) = (Moment::required(pairs, "start_date"), Moment::required(pairs, "end_date"));
        let limit = limit(pairs, CAP)?;
        let cursor = Cursor::parse(pairs, 2, |fields| {
            Some((Moment::parse(fields[0]).ok()?.at, Uuid::try_parse(fields[1]).ok()?))
        })?;
        let only_best = match last(pairs, "filter_by_priority").filter(|_| is_sleep) {
            None | Some("false" | "0") => false,
            Some("true" | "1") => true,
            Some(_) => return Err("Input should be a valid boolean, unable to interpret input".into()),
        };
        let sport = last(pairs, "record_type").filter(|_| !is_sleep).map(str::to_lowercase);
        Ok(Self { is_sleep, only_best, sport, from: from?, until: until?, limit, cursor })
    }

    /// The page, as OW writes it: the bounds are a start and an *end*, so what crosses either is not in it.
    pub(crate) fn answer(&self, user: &User) -> String {
        let mut all: Vec<(Timestamp, Uuid, &Event)> = user
            .events
            .iter()
            .filter(|(_, event)| self.is_wanted(event))
            .filter(|(_, event)| event.start >= self.from.at && event.end < self.until.at)
            .map(|(id, event)| (event.start, *id, event))
            .collect();
        if self.only_best {
            let mut best: BTreeMap<String, Rank> = BTreeMap::new();
            for (_, _, event) in &all {
                let rank = event.source.rank();
                let known = best.entry(event.end_date()).or_insert_with(|| rank.clone());
                *known = rank.min(known.clone());
            }
            all.retain(|(_, _, event)| best.get(&event.end_date()) == Some(&event.source.rank()));
        }
        all.sort_by_key(|(start, id, _)| std::cmp::Reverse((*start, *id)));
        let total = all.len();
        match self.cursor {
            Some(Cursor::After(place)) => all.retain(|(start, id, _)| (*start, *id) < place),
            Some(Cursor::Before(place)) => {
                all.retain(|(start, id, _)| (*start, *id) > place);
                all.drain(..all.len().saturating_sub(self.limit + 1));
            }
            None => {}
        }
        let has_more = cut(&mut all, self.limit, self.cursor.as_ref());
        let (next, previous) = around(&all, has_more, self.cursor.as_ref(), |(start, id, _)| {
            format!("{}|{id}", cursor_time(*start))
        });
        let records: Vec<String> = all.iter().map(|(_, id, event)| event.describe(*id)).collect();
        let mut text = format!("{{\"data\":[{}", records.join(","));
        let (from, until) = (self.from, self.until);
        Tail { next, previous, has_more, total: Some(total), from, until }.write(&mut text, records.len());
        text
    }

    fn is_wanted(&self, event: &Event) -> bool {
        match &event.what {
            What::Sleep(_) => self.is_sleep,
            What::Workout(workout) => {
                !self.is_sleep && self.sport.as_ref().is_none_or(|sport| workout.sport.contains(sport))
            }
        }
    }
}
