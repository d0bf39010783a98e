//! One fuzz target per kind of foreign input. Each parses the input as the daemon does, and panics if a
//! parsed value breaks a promise of its parser.

use std::fmt::Debug;

use jiff::tz::TimeZone;

use crate::app::invite;
use crate::common::time::{Timestamp, ZoneOffset, format_duration, parse_duration, parse_instant};
use crate::config::{base_url::BaseUrl, settings};
use crate::fuzz::jhe_answers;
use crate::jhe::invitation::InvitationCode;
use crate::model::catalog::endpoint::{self, ENDPOINTS};
use crate::model::catalog::series::{self, SERIES};
use crate::model::catalog::series_type::{OwEndpoint, SeriesType};
use crate::model::observation::{Observation, StreamInfo};
use crate::model::patient::{normalize_time_zone, parse_email, parse_name};
use crate::model::{consent_intervals::Interval, sample::Sample};
use crate::omh::{render, vitals};
use crate::ow::page;
use crate::poll::collect::{self, BATCH, Collector};
use crate::poll::patient_turn::CursorTracker;
use crate::raw::{body::PayloadDecoder, body_error::BodyError};
use crate::secrets::token::Token;
use crate::store::samples::commit::StreamSamples;

pub type Target = fn(&[u8]);

pub const TARGETS: &[(&str, Target)] = &[
    ("ow_page", ow_page),
    ("raw_payload", raw_payload),
    ("config", config),
    ("invitation_code", invitation_code),
    ("cursor", cursor),
    ("jhe_answer", jhe_answer),
];

/// The patient's time zone, with two changes of the clocks a year.
const ZONE: &str = "Europe/Berlin";
/// Payloads up to this length are read once more, byte by byte.
const LONGEST_BY_BYTES: usize = 4096;
/// Records that the endpoint of a payload is guessed from.
const GUESSED_FROM: usize = 16;

/// Converts a page of OW, of samples, events or days, and renders its samples.
pub fn ow_page(body: &[u8]) {
    let zone = zone();
    let rows = |endpoint: OwEndpoint| -> Vec<&'static SeriesType> {
        SERIES.iter().filter(|series| series.origin.shares_request(endpoint)).collect()
    };
    if let Ok(page) = page::parse_timeseries(body) {
        let mut collector = Collector::new(&rows(OwEndpoint::Timeseries(&[])), &zone, Timestamp::MAX);
        collector.add(&page);
        check(&collector.take_batch(true).0, "ow:normalized");
    }
    let always = Interval { from: Timestamp::MIN, until: Timestamp::MAX };
    if let Ok(page) = page::parse_events(body) {
        for endpoint in [OwEndpoint::Sleep, OwEndpoint::Workouts, OwEndpoint::Activity] {
            let mut collector = Collector::new(&rows(endpoint), &zone, Timestamp::MAX);
            collector.add_events(&page, always);
            check(&collector.take_batch(true).0, "ow:normalized");
        }
    }
}

/// Converts an object of the bucket, plain or compressed. Its records must not depend on the sizes of the
/// chunks.
pub fn raw_payload(body: &[u8]) {
    let by_bytes = body.len() <= LONGEST_BY_BYTES;
    let mut records = Vec::new();
    let (whole, _) = read_payload(body, body.len().max(1), &mut |record| {
        if by_bytes || records.len() < GUESSED_FROM {
            records.push(record.to_vec());
        }
        Ok(())
    });
    let guessed = endpoint::guess_from_records(records.iter().take(GUESSED_FROM).map(Vec::as_slice));
    let endpoint = guessed.unwrap_or(&ENDPOINTS[body.len() % ENDPOINTS.len()]);
    let series: Vec<&'static SeriesType> =
        endpoint.series.iter().filter_map(|name| series::find(name)).collect();
    let origin = collect::PayloadOrigin { endpoint, series: &series, stored: Some(Timestamp::MAX) };
    let mut collector = Collector::new(&series, &zone(), Timestamp::MAX);
    let (_, object) = read_payload(body, body.len().max(1), &mut |record| {
        collector.add_raw(&origin, record)?;
        if collector.pending() >= BATCH {
            check(&collector.take_batch(false).0, "ow:raw");
        }
        Ok(())
    });
    if let Some(object) = object {
        // The scanner has not checked that the object is JSON.
        let _ = collector.add_raw(&origin, &object);
    }
    check(&collector.take_batch(true).0, "ow:raw");
    if by_bytes {
        let mut again = Vec::new();
        let (end, _) = read_payload(body, 1, &mut |record| {
            again.push(record.to_vec());
            Ok(())
        });
        assert_eq!(whole.is_ok(), end.is_ok(), "{whole:?} and {end:?}");
        assert!(whole.is_err() || records == again, "other records byte by byte");
    }
}

/// Reads an object in chunks as the poll does. Returns if it has a list of records, and the object if it is
/// one record.
fn read_payload(
    bytes: &[u8],
    longest_chunk: usize,
    found: &mut impl FnMut(&[u8]) -> Result<(), BodyError>,
) -> (Result<bool, BodyError>, Option<Vec<u8>>) {
    let (mut decoder, mut rest) = (PayloadDecoder::new(), bytes);
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(decoder.step().min(longest_chunk).min(rest.len()));
        let fed = decoder.feed(chunk);
        if let Err(error) = decoder.take_records().records().try_for_each(&mut *found).and(fed) {
            return (Err(error), None);
        }
        rest = after;
    }
    let end = decoder.finish();
    let end = decoder.take_records().records().try_for_each(found).and(end);
    let object = if end == Ok(false) { decoder.take_object() } else { None };
    (end, object)
}

/// Parses the configuration file, settings, and what people type. An accepted value must parse to itself.
pub fn config(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    if let Ok(config) = crate::config::load::load_text(text) {
        assert_eq!(config.bind.to_string().parse(), Ok(config.bind));
        for url in [&config.public_url, &config.ow_api_url, &config.jhe_base_url].into_iter().flatten() {
            assert_parses_to_itself(url.as_str(), BaseUrl::parse);
        }
    }
    for setting in settings::SETTINGS {
        if let Ok(value) = setting.normalize(text) {
            assert_parses_to_itself(&value, |value| setting.normalize(value));
        }
    }
    if let Ok(length) = parse_duration(text)
        && length.subsec_nanos() == 0
    {
        assert_eq!(parse_duration(&format_duration(length)), Ok(length));
    }
    if let Ok(at) = parse_instant(text, &zone()) {
        check_instant(at);
    }
    for parse in [parse_name, parse_email, normalize_time_zone] {
        if let Ok(value) = parse(text) {
            assert_parses_to_itself(&value, parse);
        }
    }
}

/// Parses an invitation code, ours or JHE's, and a link with one.
pub fn invitation_code(text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    if let Some(code) = InvitationCode::parse(&text) {
        assert_eq!(code.expose(), text);
        let other = "https://another.example.org";
        let is_accepted = BaseUrl::parse(other).is_ok_and(|base| code.is_of(&base));
        let host = code.host().to_lowercase();
        let port = host.strip_prefix("another.example.org");
        let names_other = port.is_some_and(|port| {
            ["", ":"].contains(&port)
                || port.strip_prefix(':').is_some_and(|port| port.parse() == Ok(443_u16))
        });
        assert!(names_other || !is_accepted, "{host}");
    }
    if let Some(token) = Token::parse(&text) {
        assert_eq!(token.expose(), text);
        assert!(!token.is_csrf_token(&text) && token.is_oauth_state(&token.oauth_state()));
    }
    invite::hash_code_in(&text);
}

/// Parses a cursor of OW, or the address of JHE's next page. It must return to its sender unchanged, and only
/// once.
pub fn cursor(text: &[u8]) {
    let text = String::from_utf8_lossy(text).into_owned();
    let page = serde_json::json!({ "data": [], "pagination": { "next_cursor": text, "has_more": true } });
    let parsed = page::parse_timeseries(page.to_string().as_bytes()).map(|page| page.next_cursor);
    assert_eq!(parsed, Ok(Some(text.clone())));
    let mut cursors = CursorTracker::default();
    assert_eq!(cursors.accept(Some(text.clone())), Ok(true));
    assert_eq!(cursors.current(), Some(text.as_str()));
    assert!(cursors.accept(Some(text.clone())).is_err(), "in circles");
    let query: String = form_urlencoded::Serializer::new(String::new()).append_pair("cursor", &text).finish();
    assert!(form_urlencoded::parse(query.as_bytes()).eq([("cursor".into(), text.as_str().into())]));
    let page =
        serde_json::json!({ "type": "searchset", "total": 0, "link": [{ "relation": "next", "url": text }] });
    jhe_answers::parse_any(page.to_string().as_bytes());
}

/// Parses a response of JHE, as each of its types.
pub fn jhe_answer(body: &[u8]) {
    jhe_answers::parse_any(body);
}

#[track_caller]
fn assert_parses_to_itself<T: ToString, E: Debug>(value: &str, parse: impl Fn(&str) -> Result<T, E>) {
    assert_eq!(parse(value).map(|value| value.to_string()).ok().as_deref(), Some(value));
}

fn zone() -> TimeZone {
    TimeZone::get(ZONE).unwrap_or(TimeZone::UTC)
}

/// Checks samples that are ready for a commit: sorted by time, representable, and rendered as a document.
fn check(streams: &[StreamSamples], system: &str) {
    for stream in streams {
        assert!(stream.samples.is_sorted_by_key(|sample| sample.instant), "out of order");
        for sample in &stream.samples {
            check_sample(stream, sample, system);
        }
    }
}

fn check_sample(stream: &StreamSamples, sample: &Sample, system: &str) {
    assert!(sample.value.is_finite());
    check_instant(sample.instant);
    if let Some(zone) = sample.zone {
        let local = sample.instant.local(Some(zone)).to_string();
        assert_eq!(Timestamp::parse(&local), Ok(sample.instant), "{local}");
        assert!(zone == ZoneOffset::UTC || ZoneOffset::from_date_time(&local) == Some(zone), "{local}");
    }
    let frame = sample.frame();
    assert!(frame.is_none_or(|frame| frame.end > frame.start), "{frame:?} at {}", sample.instant);
    let info = StreamInfo::unstored(&stream.key, "550e8400-e29b-41d4-a716-446655440000", system);
    let observation = Observation::from(sample.clone());
    let document = render::omh_document(&info, &observation);
    let document = document.unwrap_or_else(|error| panic!("{}: {error}", stream.key.series_type));
    assert!(
        document.is_ascii() && serde_json::from_str::<serde_json::Value>(&document).is_ok(),
        "{document}"
    );
    assert!(render::csv_record(&info, &observation, &[]).is_ok());
    assert!(vitals::fhir_vital_signs(&info, &observation, &[], None, None).is_ok());
}

fn check_instant(at: Timestamp) {
    let text = at.to_string();
    assert_eq!(Timestamp::parse(&text), Ok(at), "{text}");
}
