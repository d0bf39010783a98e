//! `GET /users/{id}/timeseries`.

use std::fmt::Write;
use std::ops::Bound;

use uuid::Uuid;

use crate::common::time::Timestamp;
use crate::simulator::query::{
    Cursor, PageRange, QueryPairs, TimeBound, page_cursors, trim_page, with_offset,
};
use crate::simulator::series_types;
use crate::simulator::user::{RowKey, SimulatedUser, StoredRecord};

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SamplesQuery {
    types: Vec<String>,
    range: PageRange,
    cursor: Option<Cursor<RowKey>>,
}

impl SamplesQuery {
    /// `missing` are series types that this version of OW does not know.
    pub(crate) fn parse(pairs: &QueryPairs, cap: usize, missing: &[String]) -> Result<Self, String> {
        let types: Vec<_> =
            pairs.iter().filter(|(name, _)| name == "types").map(|(_, value)| value.clone()).collect();
        if types.iter().any(|name| series_types::find_unit(name).is_none() || missing.contains(name)) {
            return Err(series_types::unknown_type_error(missing));
        }
        let range = PageRange::parse(pairs, "start_time", "end_time", cap)?;
        let cursor = Cursor::parse(pairs, 2, |fields| {
            let at = TimeBound::parse(fields[0]).ok()?.at;
            Some((at.micros(), Uuid::try_parse(fields[1]).ok()?.as_fields().0))
        })?;
        Ok(Self { types, range, cursor })
    }

    pub(crate) fn render_page(&self, user: &SimulatedUser) -> String {
        let (first, end) =
            ((self.range.from.at.micros(), 0), (self.range.until.as_end_of_range().micros(), 0));
        let matches =
            |series: u32| self.types.is_empty() || self.types.iter().any(|name| user.is_type(series, name));
        let range = |start: RowKey, is_exclusive: bool, end: RowKey| {
            let low = if is_exclusive { Bound::Excluded(start) } else { Bound::Included(start) };
            // `BTreeMap::range` panics where the end is before the start.
            let rows = (start < end).then(|| user.records.range((low, Bound::Excluded(end))));
            rows.into_iter().flatten().filter(|((_, series), _)| matches(*series))
        };
        let total = range(first, false, end).count();
        let mut page: Vec<_> = match self.cursor {
            Some(Cursor::After(key)) if key >= first => {
                range(key, true, end).take(self.range.limit + 1).collect()
            }
            Some(Cursor::Before(key)) => {
                range(first, false, key.min(end)).rev().take(self.range.limit + 1).collect()
            }
            _ => range(first, false, end).take(self.range.limit + 1).collect(),
        };
        if self.cursor.as_ref().is_some_and(Cursor::is_backward) {
            page.reverse();
        }
        let has_more = trim_page(&mut page, self.range.limit, self.cursor.as_ref());
        let cursors = page_cursors(&page, has_more, self.cursor.as_ref(), |((at, series), _)| {
            format!("{}|{}", with_offset(Timestamp::from_micros(*at)), row_id(*series))
        });
        // The benchmarks read many pages: records are written into one text, not collected as values.
        let mut text = String::with_capacity(128 + page.len() * 230);
        text.push_str("{\"data\":[");
        for (index, ((at, series), record)) in page.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            write_record(&mut text, user, Timestamp::from_micros(*at), *series, record);
        }
        self.range.append_end(&mut text, page.len(), &cursors, has_more, Some(total));
        text
    }
}

/// Makes an id whose first field is the index of the series, so that a cursor leads back to the row.
fn row_id(series: u32) -> Uuid {
    Uuid::from_fields(series, 0, 0x4000, &[0x80, 0, 0, 0, 0, 0, 0, 0])
}

fn write_record(text: &mut String, user: &SimulatedUser, at: Timestamp, series: u32, record: &StoredRecord) {
    let (value, zone, daily_total, unit) = match record {
        StoredRecord::Verbatim(json) => return text.push_str(json),
        StoredRecord::Sample { value, zone, daily_total, unit } => (value, zone, daily_total, unit),
    };
    let Some(series) = user.series(series) else { return };
    let zone = zone.as_ref().map_or_else(|| "null".to_owned(), |zone| format!("\"{zone}\""));
    let daily_total = daily_total.map_or_else(|| "null".to_owned(), |is_one| is_one.to_string());
    let _ = write!(
        text,
        "{{\"timestamp\":\"{at}\",\"zone_offset\":{zone},\"type\":\"{}\",\"value\":{value:?},\"unit\":\"{}\",\
         \"source\":{},\"is_daily_total\":{daily_total}}}",
        series.series_type,
        unit.as_ref().unwrap_or(&series.unit),
        serde_json::to_string(&series.source).unwrap_or_default(),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::samples_table::Row;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    /// Two days with a sample every five minutes.
    fn user() -> SimulatedUser {
        let mut user = SimulatedUser::default();
        for step in 0..576 {
            let at = at("2026-11-21T00:00:00Z").plus(std::time::Duration::from_mins(5 * step));
            user.put(Row::heart_rate(at, 60.0));
        }
        user
    }

    fn request(pairs: &[(&str, &str)]) -> Result<serde_json::Value, String> {
        let pairs: Vec<_> =
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        SamplesQuery::parse(&pairs, 100, &[])
            .map(|query| serde_json::from_str(&query.render_page(&user())).unwrap())
    }

    fn total(end: &str) -> i64 {
        let page = request(&[("start_time", "2026-11-21T00:00:00Z"), ("end_time", end)]).unwrap();
        page["pagination"]["total_count"].as_i64().unwrap()
    }

    #[test]
    fn an_end_at_midnight_adds_a_day_as_at_ow() {
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
            let page = request(&pairs).unwrap();
            sizes.push(page["data"].as_array().unwrap().len());
            match page["pagination"]["next_cursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(sizes, [100, 100, 88]);
    }

    #[test]
    fn invalid_requests_get_the_errors_of_a_real_ow() {
        let both = [("start_time", "2026-11-21T00:00:00Z"), ("end_time", "2026-11-21T12:00:00Z")];
        assert_eq!(request(&both[..1]).unwrap_err(), "Field required");
        let with = |pair| request(&[both[0], both[1], pair]).unwrap_err();
        assert_eq!(with(("limit", "101")), "Input should be less than or equal to 100");
        assert_eq!(with(("cursor", "garbage")), "Invalid cursor format: 'garbage'. Expected 'timestamp|id'.");
        assert!(with(("types", "heart_rate,steps")).starts_with("Input should be"));
        assert!(
            request(&[both[0], ("end_time", "2026-11-22T01:00:00 01:00")]).is_err(),
            "a plus that became a space"
        );
    }
}
