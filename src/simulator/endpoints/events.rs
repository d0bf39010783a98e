//! `GET /users/{id}/events/{sleep,workouts}`: newest first, each with OW's id.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use uuid::Uuid;

use crate::common::time::Timestamp;
use crate::simulator::event::{Event, EventDetails};
use crate::simulator::query::{
    Cursor, PageRange, QueryPairs, TimeBound, page_cursors, parameter, trim_page, with_offset,
};
use crate::simulator::{samples_table::SourceRank, user::SimulatedUser};

/// Events per page at most; the limit for samples does not apply.
const CAP: usize = 100;

#[derive(Debug)]
pub(crate) struct EventsQuery {
    is_sleep: bool,
    best_source_only: bool,
    sport: Option<String>,
    range: PageRange,
    cursor: Option<Cursor<(Timestamp, Uuid)>>,
}

impl EventsQuery {
    /// Parses a query for sleep or for workouts.
    pub(crate) fn parse(pairs: &QueryPairs, is_sleep: bool) -> Result<Self, String> {
        let range = PageRange::parse(pairs, "start_date", "end_date", CAP)?;
        let cursor = Cursor::parse(pairs, 2, |fields| {
            Some((TimeBound::parse(fields[0]).ok()?.at, Uuid::try_parse(fields[1]).ok()?))
        })?;
        let best_source_only = match parameter(pairs, "filter_by_priority").filter(|_| is_sleep) {
            None | Some("false" | "0") => false,
            Some("true" | "1") => true,
            Some(_) => return Err("Input should be a valid boolean, unable to interpret input".into()),
        };
        let sport = parameter(pairs, "record_type").filter(|_| !is_sleep).map(str::to_lowercase);
        Ok(Self { is_sleep, best_source_only, sport, range, cursor })
    }

    /// Renders the page. The bounds are a start and an *end*, so an event that crosses either of them is not
    /// in it.
    pub(crate) fn render_page(&self, user: &SimulatedUser) -> String {
        let mut page: Vec<(Timestamp, Uuid, &Event)> = user
            .events
            .iter()
            .filter(|(_, event)| self.matches(event))
            .filter(|(_, event)| event.start >= self.range.from.at && event.end < self.range.until.at)
            .map(|(id, event)| (event.start, *id, event))
            .collect();
        if self.best_source_only {
            let mut best: BTreeMap<String, SourceRank> = BTreeMap::new();
            for (_, _, event) in &page {
                let rank = event.source.rank();
                let known = best.entry(event.end_date()).or_insert_with(|| rank.clone());
                *known = rank.min(known.clone());
            }
            page.retain(|(_, _, event)| best.get(&event.end_date()) == Some(&event.source.rank()));
        }
        page.sort_by_key(|(start, id, _)| Reverse((*start, *id)));
        let total = page.len();
        match self.cursor {
            Some(Cursor::After(key)) => page.retain(|(start, id, _)| (*start, *id) < key),
            Some(Cursor::Before(key)) => {
                page.retain(|(start, id, _)| (*start, *id) > key);
                page.drain(..page.len().saturating_sub(self.range.limit + 1));
            }
            None => {}
        }
        let has_more = trim_page(&mut page, self.range.limit, self.cursor.as_ref());
        let cursors = page_cursors(&page, has_more, self.cursor.as_ref(), |(start, id, _)| {
            format!("{}|{id}", with_offset(*start))
        });
        let records: Vec<String> = page.iter().map(|(_, id, event)| event.render(*id)).collect();
        self.range.render_page(&records, &cursors, has_more, Some(total))
    }

    fn matches(&self, event: &Event) -> bool {
        match &event.details {
            EventDetails::Sleep(_) => self.is_sleep,
            EventDetails::Workout(workout) => {
                !self.is_sleep && self.sport.as_ref().is_none_or(|sport| workout.sport.contains(sport))
            }
        }
    }
}
