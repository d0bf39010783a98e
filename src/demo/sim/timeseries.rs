//! `GET /users/{id}/timeseries`, with OW's own rules and words.

use std::fmt::Write;
use std::ops::Bound;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;

use super::rows::{Record, User};
use crate::time::{Timestamp, ZoneOffset};

/// Records per page where the request does not say.
const DEFAULT_LIMIT: usize = 50;
const DAY: std::time::Duration = std::time::Duration::from_hours(24);

/// A request, understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Query {
    types: Vec<String>,
    from: Timestamp,
    until: Timestamp,
    limit: usize,
    after: Option<(i64, u32)>,
}

impl Query {
    /// Understands a query, or says what OW says in its 400.
    pub(super) fn parse(pairs: &[(String, String)], cap: usize) -> Result<Self, String> {
        let last =
            |name: &str| pairs.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let from = last("start_time").ok_or("Field required")?;
        let until = last("end_time").ok_or("Field required")?;
        let types: Vec<_> =
            pairs.iter().filter(|(key, _)| key == "types").map(|(_, value)| value.clone()).collect();
        if types.iter().any(|name| name.contains(',')) {
            return Err("Input should be 'heart_rate', 'resting_heart_rate' or another series type".into());
        }
        let limit = match last("limit").map(str::parse::<usize>) {
            None => DEFAULT_LIMIT,
            Some(Ok(0)) => return Err("Input should be greater than or equal to 1".into()),
            Some(Ok(limit)) if limit <= cap => limit,
            Some(Ok(_)) => return Err(format!("Input should be less than or equal to {cap}")),
            Some(Err(_)) => return Err("Input should be a valid integer".into()),
        };
        let after = last("cursor").map(read_cursor).transpose()?;
        Ok(Self { types, from: instant(from)?.0, until: range_end(until)?, limit, after })
    }

    /// The page, as OW writes it.
    pub(super) fn answer(&self, user: &User) -> String {
        let start = Bound::Included((self.from.micros(), 0));
        let wanted =
            |kind: u32| self.types.is_empty() || self.types.iter().any(|name| user.is_type(kind, name));
        let range = |start| {
            let end = Bound::Excluded((self.until.micros(), 0));
            let empty = self.from >= self.until;
            let rows = (!empty).then(|| user.records.range((start, end)));
            rows.into_iter().flatten().filter(|((_, kind), _)| wanted(*kind))
        };
        let total = range(start).count();
        let start = self.after.filter(|after| after.0 >= self.from.micros()).map_or(start, Bound::Excluded);
        let mut page: Vec<_> = if self.after.is_some_and(|after| after.0 >= self.until.micros()) {
            Vec::new()
        } else {
            range(start).take(self.limit + 1).collect()
        };
        let has_more = page.len() > self.limit;
        page.truncate(self.limit);
        self.write(user, &page, has_more, total)
    }

    fn write(&self, user: &User, page: &[(&(i64, u32), &Record)], has_more: bool, total: usize) -> String {
        let mut text = String::with_capacity(128 + page.len() * 230);
        text.push_str("{\"data\":[");
        for (index, ((at, kind), record)) in page.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            write_record(&mut text, user, Timestamp::from_micros(*at), *kind, record);
        }
        let cursor = |entry: Option<&(&(i64, u32), &Record)>, prefix: &str| {
            entry.map_or_else(|| "null".to_owned(), |(key, _)| format!("\"{}\"", write_cursor(**key, prefix)))
        };
        let next = if has_more { cursor(page.last(), "") } else { "null".to_owned() };
        let previous = if self.after.is_some() { cursor(page.first(), "prev_") } else { "null".to_owned() };
        let _ = write!(
            text,
            "],\"pagination\":{{\"next_cursor\":{next},\"previous_cursor\":{previous},\"has_more\":{has_more},\
             \"total_count\":{total}}},\"metadata\":{{\"resolution\":null,\"sample_count\":{},\
             \"start_time\":\"{}\",\"end_time\":\"{}\"}}}}",
            page.len(),
            self.from,
            self.until
        );
        text
    }
}

fn write_record(text: &mut String, user: &User, at: Timestamp, kind: u32, record: &Record) {
    let (value, zone) = match record {
        Record::Verbatim(json) => return text.push_str(json),
        Record::Sample { value, zone } => (value, zone),
    };
    let Some(kind) = user.kind(kind) else { return };
    let quoted = |part: &Option<String>| {
        part.as_ref()
            .map_or_else(|| "null".to_owned(), |part| serde_json::Value::from(part.as_str()).to_string())
    };
    let _ = write!(
        text,
        "{{\"timestamp\":\"{at}\",\"zone_offset\":{},\"type\":\"{}\",\"value\":{value:?},\"unit\":\"{}\",\
         \"source\":{{\"provider\":\"{}\",\"source\":\"{}\",\"device\":{},\"device_type\":null,\
         \"device_name\":null}},\"is_daily_total\":null}}",
        quoted(zone),
        kind.series_type,
        kind.unit,
        kind.provider,
        kind.provider,
        quoted(&kind.device)
    );
}

/// OW's cursor: the time and the row id, where rows are told apart by their kind.
fn write_cursor((at, kind): (i64, u32), prefix: &str) -> String {
    let at = Timestamp::from_micros(at).to_string().replace('Z', "+00:00");
    URL_SAFE.encode(format!("{prefix}{at}|{kind:08x}-0000-4000-8000-000000000000"))
}

fn read_cursor(text: &str) -> Result<(i64, u32), String> {
    let invalid = || format!("Invalid cursor format: '{text}'. Expected 'timestamp|id'.");
    let bytes = URL_SAFE.decode(text).map_err(|_| invalid())?;
    let plain = String::from_utf8(bytes).map_err(|_| invalid())?;
    let (at, row) = plain.split_once('|').ok_or_else(invalid)?;
    let at = Timestamp::parse(at).map_err(|_| invalid())?;
    let kind = u32::from_str_radix(row.get(..8).ok_or_else(invalid)?, 16).map_err(|_| invalid())?;
    Ok((at.micros(), kind))
}

/// The trap: an end whose own clock reads exactly midnight means the end of that day.
fn range_end(text: &str) -> Result<Timestamp, String> {
    let (at, offset) = instant(text)?;
    let local_midnight =
        at.local(Some(offset)).to_string().contains("T00:00:00") && at.micros() % 1_000_000 == 0;
    Ok(if local_midnight { at.plus(DAY) } else { at })
}

/// An instant, and the offset it was written in: ISO 8601, where none means UTC, or Unix seconds.
fn instant(text: &str) -> Result<(Timestamp, ZoneOffset), String> {
    if let Ok(seconds) = text.parse::<i64>() {
        return Ok((Timestamp::from_micros(seconds.saturating_mul(1_000_000)), ZoneOffset::UTC));
    }
    let wrong = || format!("Invalid datetime format: {text}");
    let offset = text.get(19..).and_then(|rest| rest.find(['+', '-']).map(|at| &rest[at..]));
    let naive = offset.is_none() && !text.ends_with('Z');
    let at = if naive { Timestamp::parse(&format!("{text}Z")) } else { Timestamp::parse(text) };
    Ok((at.map_err(|_| wrong())?, offset.and_then(ZoneOffset::parse).unwrap_or(ZoneOffset::UTC)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::sim::Row;

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
