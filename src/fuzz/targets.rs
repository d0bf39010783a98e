//! Any bytes where others' bytes are read: an entry point per kind of input, for `fuzz/` and `tests/bad_input/`.
//!
//! Each reads as the daemon does, and panics where something that was read breaks a promise of its reader. Nothing here
//! runs in the daemon.

use std::fmt::Debug;

use jiff::tz::TimeZone;

use crate::app::invite;
use crate::common::time::{Timestamp, ZoneOffset, parse_duration, parse_moment, show_duration};
use crate::config::base_url::BaseUrl;
use crate::config::settings;
use crate::fuzz::jhe_answers;
use crate::jhe::invitation::InvitationCode;
use crate::model::catalog::endpoint::ENDPOINTS;
use crate::model::catalog::series::SERIES;
use crate::model::catalog::series_type::{Origin, Series};
use crate::model::catalog::{endpoint, series};
use crate::model::consent_intervals::Interval;
use crate::model::observation::{Observation, StreamInfo};
use crate::model::patient::{parse_email, parse_name, parse_zone};
use crate::model::sample::Sample;
use crate::omh::render;
use crate::ow::page;
use crate::poll::collect;
use crate::poll::collect::{BATCH, Collector};
use crate::poll::patient_turn::Cursors;
use crate::raw::body::Body;
use crate::raw::body_error::BodyError;
use crate::secrets::token::Token;
use crate::store::samples::commit::Part;

/// What reads any bytes.
pub type Target = fn(&[u8]);

/// The targets by name.
pub const TARGETS: &[(&str, Target)] = &[
    ("ow_page", ow_page),
    ("raw_payload", raw_payload),
    ("config", config),
    ("invitation_code", invitation_code),
    ("cursor", cursor),
    ("jhe_answer", jhe_answer),
];

/// The zone of the patient whose records these are: one with two changes a year.
const ZONE: &str = "Europe/Berlin";
/// Inputs up to this length are read once more, byte by byte.
const BY_BYTES: usize = 4096;

/// A page of OW's, of samples, events or days: through the converter to what would be kept, and to its documents.
///
/// # Panics
/// Where a broken promise shows.
pub fn ow_page(body: &[u8]) {
    let zone = zone();
    let of = |origin: fn(Origin) -> bool| -> Vec<&'static Series> {
        SERIES.iter().filter(|series| origin(series.origin)).collect()
    };
    if let Ok(page) = page::parse(body) {
        let mut collector = Collector::new(&of(|origin| matches!(origin, Origin::Timeseries(_))), &zone);
        collector.add(&page);
        check(&collector.take(true).0, "ow:normalized");
    }
    let always = Interval { from: Timestamp::MIN, until: Timestamp::MAX };
    if let Ok(page) = page::parse_events(body) {
        for series in [
            of(|origin| matches!(origin, Origin::Sleep)),
            of(|origin| matches!(origin, Origin::Workouts)),
            of(|origin| matches!(origin, Origin::Activity)),
        ] {
            let mut collector = Collector::new(&series, &zone);
            collector.add_events(&page, always);
            check(&collector.take(true).0, "ow:normalized");
        }
    }
}

/// An object of the bucket, plain or packed: its records are the same however its bytes come.
///
/// # Panics
/// Where a broken promise shows.
pub fn raw_payload(body: &[u8]) {
    let mut first = Vec::new();
    let (whole, _) = read_payload(body, body.len().max(1), &mut |record| {
        if first.len() < 16 {
            first.push(record.to_vec());
        }
        Ok(())
    });
    let like = endpoint::endpoint_like(first.iter().map(Vec::as_slice));
    let endpoint = like.unwrap_or(&ENDPOINTS[body.len() % ENDPOINTS.len()]);
    let series: Vec<&'static Series> =
        endpoint.series.iter().filter_map(|name| series::series(name)).collect();
    let origin = collect::Origin { endpoint, series: &series, stored: Some(Timestamp::MAX) };
    let mut collector = Collector::new(&series, &zone());
    let (_, object) = read_payload(body, body.len().max(1), &mut |record| {
        collector.add_raw(&origin, record)?;
        if collector.waiting() >= BATCH {
            check(&collector.take(false).0, "ow:raw");
        }
        Ok(())
    });
    if let Some(object) = object {
        // Whether it is JSON is told here.
        let _ = collector.add_raw(&origin, &object);
    }
    check(&collector.take(true).0, "ow:raw");
    if body.len() <= BY_BYTES {
        let (mut once, mut again) = (Vec::new(), Vec::new());
        let mut keep = |record: &[u8]| {
            once.push(record.to_vec());
            Ok(())
        };
        let _ = read_payload(body, body.len().max(1), &mut keep);
        let (by_bytes, _) = read_payload(body, 1, &mut |record| {
            again.push(record.to_vec());
            Ok(())
        });
        assert_eq!(whole.is_ok(), by_bytes.is_ok(), "{whole:?} and {by_bytes:?}");
        assert!(whole.is_err() || once == again, "other records byte by byte");
    }
}

/// Reads an object in pieces as a turn does.
fn read_payload(
    bytes: &[u8],
    most: usize,
    found: &mut impl FnMut(&[u8]) -> Result<(), BodyError>,
) -> (Result<bool, BodyError>, Option<Vec<u8>>) {
    let (mut body, mut rest) = (Body::new(), bytes);
    while !rest.is_empty() {
        let (step, after) = rest.split_at(body.step().min(most).min(rest.len()));
        let fed = body.feed(step);
        if let Err(error) = body.take().records().try_for_each(&mut *found).and(fed) {
            return (Err(error), None);
        }
        rest = after;
    }
    let ended = body.finish();
    let ended = body.take().records().try_for_each(found).and(ended);
    let object = if ended == Ok(false) { body.take_object() } else { None };
    (ended, object)
}

/// The configuration file, the settings, and what people type: what is accepted reads the same once more.
///
/// # Panics
/// Where a broken promise shows.
pub fn config(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    if let Ok(config) = crate::config::load::load_text(text) {
        assert_eq!(config.bind.to_string().parse(), Ok(config.bind));
        for url in [&config.public_url, &config.ow_api_url, &config.jhe_base_url].into_iter().flatten() {
            again(url.as_str(), BaseUrl::parse);
        }
    }
    for setting in settings::ALL {
        if let Ok(value) = setting.check(text) {
            again(&value, |value| setting.check(value));
        }
    }
    if let Ok(length) = parse_duration(text)
        && length.subsec_nanos() == 0
    {
        assert_eq!(parse_duration(&show_duration(length)), Ok(length));
    }
    if let Ok(at) = parse_moment(text, &zone()) {
        instant(at);
    }
    for parse in [parse_name, parse_email, parse_zone] {
        if let Ok(value) = parse(text) {
            again(&value, parse);
        }
    }
}

/// An invitation's code, ours or JHE's, and a link that holds one.
///
/// # Panics
/// Where a broken promise shows.
pub fn invitation_code(text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    if let Some(code) = InvitationCode::parse(&text) {
        assert_eq!(code.expose(), text);
        let other = "https://another.example.org";
        let is_other = BaseUrl::parse(other).is_ok_and(|base| code.is_of(&base));
        let named = code.host().to_lowercase();
        let port = named.strip_prefix("another.example.org");
        let is_said = port.is_some_and(|port| {
            ["", ":"].contains(&port)
                || port.strip_prefix(':').is_some_and(|port| port.parse() == Ok(443_u16))
        });
        assert!(is_said || !is_other, "{named}");
    }
    if let Some(token) = Token::parse(&text) {
        assert_eq!(token.expose(), text);
        assert!(!token.is_form_token(&text) && token.is_state(&token.state()));
    }
    invite::code_of(&text);
}

/// A cursor of OW's or an address of JHE's next page: it comes back to its giver as it was, and never twice.
///
/// # Panics
/// Where a broken promise shows.
pub fn cursor(text: &[u8]) {
    let text = String::from_utf8_lossy(text).into_owned();
    let page = serde_json::json!({ "data": [], "pagination": { "next_cursor": text, "has_more": true } });
    let given = page::parse(page.to_string().as_bytes()).map(|page| page.next_cursor);
    assert_eq!(given, Ok(Some(text.clone())));
    let mut cursors = Cursors::default();
    assert_eq!(cursors.accept(Some(text.clone())), Ok(true));
    assert_eq!(cursors.current(), Some(text.as_str()));
    assert!(cursors.accept(Some(text.clone())).is_err(), "in circles");
    let query: String = form_urlencoded::Serializer::new(String::new()).append_pair("cursor", &text).finish();
    assert!(form_urlencoded::parse(query.as_bytes()).eq([("cursor".into(), text.as_str().into())]));
    let page =
        serde_json::json!({ "type": "searchset", "total": 0, "link": [{ "relation": "next", "url": text }] });
    jhe_answers::read_any(page.to_string().as_bytes());
}

/// An answer of JHE's, whichever was asked for.
///
/// # Panics
/// Where a broken promise shows.
pub fn jhe_answer(body: &[u8]) {
    jhe_answers::read_any(body);
}

/// What was taken once is taken again, as the same.
#[track_caller]
fn again<T: ToString, E: Debug>(value: &str, parse: impl Fn(&str) -> Result<T, E>) {
    assert_eq!(parse(value).map(|value| value.to_string()).ok().as_deref(), Some(value));
}

fn zone() -> TimeZone {
    TimeZone::get(ZONE).unwrap_or(TimeZone::UTC)
}

/// What would be kept: in the order of time, expressible, and a document.
fn check(parts: &[Part], system: &str) {
    for part in parts {
        assert!(part.samples.is_sorted_by_key(|sample| sample.instant), "out of order");
        for sample in &part.samples {
            check_sample(part, sample, system);
        }
    }
}

fn check_sample(part: &Part, sample: &Sample, system: &str) {
    assert!(sample.value.is_finite());
    instant(sample.instant);
    if let Some(zone) = sample.zone {
        let local = sample.instant.local(Some(zone)).to_string();
        assert_eq!(Timestamp::parse(&local), Ok(sample.instant), "{local}");
        assert!(zone == ZoneOffset::UTC || ZoneOffset::of(&local) == Some(zone), "{local}");
    }
    let frame = sample.frame();
    assert!(frame.is_none_or(|frame| frame.end > frame.start), "{frame:?} at {}", sample.instant);
    let stream = StreamInfo::unstored(&part.key, "550e8400-e29b-41d4-a716-446655440000", system);
    let observation = Observation::from(sample.clone());
    let document = render::omh_document(&stream, &observation);
    let document = document.unwrap_or_else(|error| panic!("{}: {error}", part.key.series_type));
    assert!(
        document.is_ascii() && serde_json::from_str::<serde_json::Value>(&document).is_ok(),
        "{document}"
    );
    assert!(render::csv_record(&stream, &observation).is_ok());
}

fn instant(at: Timestamp) {
    let text = at.to_string();
    assert_eq!(Timestamp::parse(&text), Ok(at), "{text}");
}
