//! `GET /users/{id}/timeseries`, with OW's own rules and words.

use std::fmt::Write;
use std::ops::Bound;

use uuid::Uuid;

use crate::common::time::Timestamp;
use crate::simulator::query::{Cursor, Moment, Pairs, Tail, around, cursor_time, cut, limit};
use crate::simulator::series;
use crate::simulator::user::{Record, User};

/// A row's place in OW's order: its time, and the number of its kind, which is what its id is made of.
type Place = (i64, u32);

/// A request, understood.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Query {
    types: Vec<String>,
    from: Moment,
    until: Moment,
    limit: usize,
    cursor: Option<Cursor<Place>>,
}

impl Query {
    /// Understands a query, or says what OW says in its 400.
    pub(crate) fn parse(pairs: &Pairs, cap: usize) -> Result<Self, String> {
        let from = Moment::required(pairs, "start_time");
        let until = Moment::required(pairs, "end_time");
        let types: Vec<_> =
            pairs.iter().filter(|(key, _)| key == "types").map(|(_, value)| value.clone()).collect();
        if types.iter().any(|name| series::unit_of(name).is_none()) {
            return Err(series::refusal());
        }
        let limit = limit(pairs, cap)?;
        let cursor = Cursor::parse(pairs, 2, |fields| {
            let at = Moment::parse(fields[0]).ok()?.at;
            Some((at.micros(), Uuid::try_parse(fields[1]).ok()?.as_fields().0))
        })?;
        Ok(Self { types, from: from?, until: until?, limit, cursor })
    }

    /// The page, as OW writes it.
    pub(crate) fn answer(&self, user: &User) -> String {
        let (first, end) = ((self.from.at.micros(), 0), (self.until.as_end_of_range().micros(), 0));
        let wanted =
            |kind: u32| self.types.is_empty() || self.types.iter().any(|name| user.is_type(kind, name));
        // From the first to the end; `BTreeMap::range` panics where they are the wrong way round.
        let range = |start: Place, is_behind: bool, end: Place| {
            let low = if is_behind { Bound::Excluded(start) } else { Bound::Included(start) };
            let rows = (start < end).then(|| user.records.range((low, Bound::Excluded(end))));
            rows.into_iter().flatten().filter(|((_, kind), _)| wanted(*kind))
        };
        let total = range(first, false, end).count();
        let mut page: Vec<_> = match self.cursor {
            Some(Cursor::After(place)) if place >= first => {
                range(place, true, end).take(self.limit + 1).collect()
            }
            Some(Cursor::Before(place)) => {
                range(first, false, place.min(end)).rev().take(self.limit + 1).collect()
            }
            _ => range(first, false, end).take(self.limit + 1).collect(),
        };
        if self.cursor.as_ref().is_some_and(Cursor::is_backward) {
            page.reverse();
        }
        let has_more = cut(&mut page, self.limit, self.cursor.as_ref());
        let (next, previous) = around(&page, has_more, self.cursor.as_ref(), |((at, kind), _)| {
            format!("{}|{}", cursor_time(Timestamp::from_micros(*at)), row_id(*kind))
        });
        let mut text = String::with_capacity(128 + page.len() * 230);
        text.push_str("{\"data\":[");
        for (index, ((at, kind), record)) in page.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            write_record(&mut text, user, Timestamp::from_micros(*at), *kind, record);
        }
        let (from, until) = (self.from, self.until);
        Tail { next, previous, has_more, total: Some(total), from, until }.write(&mut text, page.len());
        text
    }
}

fn row_id(kind: u32) -> Uuid {
    Uuid::from_fields(kind, 0, 0x4000, &[0x80, 0, 0, 0, 0, 0, 0, 0])
}

fn write_record(text: &mut String, user: &User, at: Timestamp, kind: u32, record: &Record) {
    let (value, zone, daily_total, unit) = match record {
        Record::Verbatim(json) => return text.push_str(json),
        Record::Sample { value, zone, daily_total, unit } => (value, zone, daily_total, unit),
    };
    let Some(kind) = user.kind(kind) else { return };
    let zone = zone.as_ref().map_or_else(|| "null".to_owned(), |zone| format!("\"{zone}\""));
    let _ = write!(
        text,
        "{{\"timestamp\":\"{at}\",\"zone_offset\":{zone},\"type\":\"{}\",\"value\":{value:?},\"unit\":\"{}\",\
         \"source\":",
        kind.series_type,
        unit.as_ref().unwrap_or(&kind.unit),
    );
    kind.source.write(text);
    let daily_total = daily_total.map_or("null", |is_one| if is_one { "true" } else { "false" });
    let _ = write!(text, ",\"is_daily_total\":{daily_total}}}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::samples_table::Row;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    /// Two days at five minutes, as in the measurements.
    fn user() -> User {
        let mut user = User::default();
        for step in 0..576 {
            let at = at("2026-11-21T00:00:00Z").plus(std::time::Duration::from_mins(5 * step));
            user.put(Row::heart_rate(at, 60.0));
        }
        user
    }

    fn ask(pairs: &[(&str, &str)]) -> Result<serde_json::Value, String> {
        let pairs: Vec<_> =
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Query::parse(&pairs, 100).map(|query| serde_json::from_str(&query.answer(&user())).unwrap())
    }

    fn total(end: &str) -> i64 {
        ask(&[("start_time", "2026-11-21T00:00:00Z"), ("end_time", end)]).unwrap()["pagination"]["total_count"]
            .as_i64()
            .unwrap()
    }

    #[test]
    fn an_end_at_midnight_adds_a_day_as_it_does_there() {
        assert_eq!(total("2026-11-22T00:00:00Z"), 576);
        assert_eq!(total("1795305600"), 576);
        assert_eq!(total("2026-11-22T01:00:00+01:00"), 288);
        assert_eq!(total("2026-11-21T23:59:59.999999Z"), 288);
        assert_eq!(total("2026-11-22T00:00:00.000001Z"), 289);
    }

    #[test]
    fn pages_follow_each_other_until_nothing_is_left() {
        let mut cursor = String::new();
        let mut sizes = Vec::new();
        loop {
            let mut pairs = vec![
                ("start_time", "2026-11-21T00:00:00Z"),
                ("end_time", "2026-11-21T23:59:59Z"),
                ("limit", "100"),
            ];
            if !cursor.is_empty() {
                pairs.push(("cursor", &cursor));
            }
            let page = ask(&pairs).unwrap();
            sizes.push(page["data"].as_array().unwrap().len());
            match page["pagination"]["next_cursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(sizes, [100, 100, 88]);
    }

    #[test]
    fn wrong_requests_get_the_real_sentences() {
        let both = [("start_time", "2026-11-21T00:00:00Z"), ("end_time", "2026-11-21T12:00:00Z")];
        assert_eq!(ask(&both[..1]).unwrap_err(), "Field required");
        let with = |pair| ask(&[both[0], both[1], pair]).unwrap_err();
        assert_eq!(with(("limit", "101")), "Input should be less than or equal to 100");
        assert_eq!(with(("cursor", "garbage")), "Invalid cursor format: 'garbage'. Expected 'timestamp|id'.");
        assert!(with(("types", "heart_rate,steps")).starts_with("Input should be"));
        assert!(
            ask(&[both[0], ("end_time", "2026-11-22T01:00:00 01:00")]).is_err(),
            "a plus that became a space"
        );
    }
}
