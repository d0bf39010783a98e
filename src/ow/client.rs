//! The HTTP client of the polls: key, timeouts, size limits, retries, and redirects within OW's own origin
//! only.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode, Url, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::common::backoff::{self, FailedAttempt, RetryAfter};
use crate::common::failure::{Failure, root_cause};
use crate::common::redact::{describe_json_error, redact};
use crate::common::{clock::Clock, time::Timestamp};
use crate::common::{http_client, response_body};
use crate::config::base_url::BaseUrl;
use crate::model::{consent_intervals::Interval, patient::OwUser};
use crate::ow::runs::{self, SyncEvent, SyncRun};
use crate::ow::{connection::ProviderConnection, error::OwError};
use crate::telemetry::metrics::{Peer, RequestTimer};

const KEY_HEADER: HeaderName = HeaderName::from_static("x-open-wearables-api-key");
/// Bytes of one response. A page of 1000 records has 225 kB.
const LARGEST_RESPONSE: usize = 16 * 1024 * 1024;
/// Samples per page in newer versions of OW; older ones name their own limit in a 400.
pub(crate) const LARGEST_PAGE: u32 = 1000;
/// Events per page, in every version so far.
const LARGEST_EVENT_PAGE: u32 = 100;
/// Days of a summary per page, in every version so far.
const LARGEST_SUMMARY_PAGE: u32 = 400;
const MOST_REDIRECTS: usize = 3;
/// Time after which OW is asked again for a series type that it did not know: its operator may have updated it.
const ASK_AGAIN: Duration = Duration::from_hours(1);
/// A page without samples.
const EMPTY_PAGE: &[u8] = br#"{"data":[]}"#;
/// No sleep and no workout lasts longer. OW selects events by their end, so a request reaches this far beyond
/// its range.
pub const LONGEST_EVENT: Duration = Duration::from_hours(72);
/// A local date begins up to 14 hours before or after its day in UTC, and OW excludes the end of a range.
const DAY: Duration = Duration::from_hours(24);
/// Sync runs per request: those of a busy OW's minute, a quarter of a megabyte.
const MOST_RUNS: u32 = 500;
/// Sync events per request: as many as OW stores for a user.
const MOST_EVENTS: u32 = 200;
/// Characters of an error text that is passed on.
const ERROR_CHARS: usize = 200;

#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    base: BaseUrl,
    /// Redacted in OW's error texts.
    key: SecretString,
    limits: OwLimits,
    clock: Clock,
}

/// The limits that OW was found to have. All clients of one OW share them, so that those of an older version are
/// negotiated once.
#[derive(Debug, Clone)]
pub struct OwLimits(Arc<Limits>);

#[derive(Debug)]
struct Limits {
    /// The page size that each endpoint accepts.
    page_sizes: [AtomicU32; 4],
    /// Series types that OW does not know, and when it said so.
    unknown_types: Mutex<BTreeMap<&'static str, Timestamp>>,
}

impl Default for OwLimits {
    fn default() -> Self {
        let sizes = [LARGEST_PAGE, LARGEST_EVENT_PAGE, LARGEST_EVENT_PAGE, LARGEST_SUMMARY_PAGE];
        let page_sizes = sizes.map(AtomicU32::new);
        Self(Arc::new(Limits { page_sizes, unknown_types: Mutex::default() }))
    }
}

impl OwLimits {
    fn page_size(&self, feed: &Feed) -> &AtomicU32 {
        let [timeseries, sleep, workouts, activity] = &self.0.page_sizes;
        match feed {
            Feed::Timeseries(_) => timeseries,
            Feed::Sleep => sleep,
            Feed::Workouts => workouts,
            Feed::Activity => activity,
        }
    }

    /// Lists the series types that OW did not know when it was last asked for them.
    pub fn unknown_types(&self) -> Vec<&'static str> {
        self.0.unknown_types.lock().keys().copied().collect()
    }

    /// Returns the feed without the types that OW does not know. After [`ASK_AGAIN`] they are asked for again.
    fn known_part(&self, feed: &Feed, now: Timestamp) -> Feed {
        let Feed::Timeseries(types) = feed else { return feed.clone() };
        let mut unknown = self.0.unknown_types.lock();
        unknown.retain(|_, since| now.since(*since) < ASK_AGAIN);
        Feed::Timeseries(types.iter().copied().filter(|name| !unknown.contains_key(name)).collect())
    }

    /// Records the types of a refused feed that are not among `known`; returns false if there are none.
    fn record_unknown_types(&self, feed: &Feed, known: &[String], now: Timestamp) -> bool {
        let Feed::Timeseries(types) = feed else { return false };
        let unknown = types.iter().filter(|name| !known.iter().any(|known| known == *name));
        let mut all = self.0.unknown_types.lock();
        unknown.map(|name| all.insert(name, now)).count() > 0
    }
}

/// An endpoint that is read page by page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Feed {
    /// `/timeseries`, restricted to these series types.
    Timeseries(Vec<&'static str>),
    /// `/events/sleep`: nights and naps.
    Sleep,
    /// `/events/workouts`.
    Workouts,
    /// `/summaries/activity`: one record per day.
    Activity,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest<'a> {
    pub user: &'a OwUser,
    pub feed: &'a Feed,
    /// Includes its start and excludes its end. Pages of events may reach beyond it: see
    /// [`Client::fetch_page`].
    pub range: Interval,
    /// `None` for the first page.
    pub cursor: Option<&'a str>,
}

/// The number of samples that OW has of a user, by series type and by provider.
#[derive(Debug, Clone, Deserialize)]
pub struct SampleCounts {
    /// The OW user that was counted.
    #[serde(default)]
    user_id: Option<String>,
    #[serde(default)]
    series_type_counts: HashMap<String, i64>,
    #[serde(default)]
    by_provider: Vec<ProviderCounts>,
}

#[derive(Debug, Clone, Deserialize)]
struct ProviderCounts {
    provider: String,
    #[serde(default)]
    series_counts: HashMap<String, i64>,
}

impl SampleCounts {
    pub fn total(&self, series_type: &str) -> i64 {
        self.series_type_counts.get(series_type).copied().unwrap_or_default()
    }

    pub fn from_provider(&self, provider: &str, series_type: &str) -> i64 {
        let all = self.by_provider.iter().filter(|one| one.provider == provider);
        all.filter_map(|one| one.series_counts.get(series_type)).sum()
    }
}

impl Client {
    /// Returns a client of the OW at `base`, without calling it.
    pub fn new(
        base: &BaseUrl,
        key: &SecretString,
        timeout: Duration,
        limits: OwLimits,
        clock: &Clock,
    ) -> Result<Self, Failure> {
        let within_origin = redirect::Policy::custom(follow_within_origin);
        let http = http_client::build(client_with_key(base, key, timeout)?.redirect(within_origin))?;
        Ok(Self { http, base: base.clone(), key: key.clone(), limits, clock: clock.clone() })
    }

    /// Fetches the text of one page.
    ///
    /// OW returns an event if it starts at or after the start of the range and ends before its end, and a
    /// summary by its bare date. The request therefore covers more than the range, and the reader drops the
    /// records outside of it.
    pub async fn fetch_page(&self, request: &PageRequest<'_>) -> Result<Vec<u8>, OwError> {
        let page_size = self.limits.page_size(request.feed);
        loop {
            let size = page_size.load(Ordering::Relaxed);
            let feed = self.limits.known_part(request.feed, self.clock.now());
            // No type at all would mean all types.
            if feed == Feed::Timeseries(Vec::new()) {
                return Ok(EMPTY_PAGE.to_vec());
            }
            let request = PageRequest { feed: &feed, ..request.clone() };
            match self.call(Method::GET, self.page_url(&request, size)?).await {
                Err(OwError::UnknownTypes(known)) => {
                    if !self.limits.record_unknown_types(&feed, &known, self.clock.now()) {
                        return Err(OwError::Permanent(OwError::UnknownTypes(known).to_string()));
                    }
                }
                Err(OwError::Permanent(message)) => match parse_page_limit(&message, size) {
                    Some(limit) => page_size.store(limit, Ordering::Relaxed),
                    None => return Err(OwError::Permanent(message)),
                },
                result => return result,
            }
        }
    }

    /// Fails with [`OwError::UnknownUser`] if OW does not have the user: its data endpoints answer with an
    /// empty page for a deleted one.
    pub async fn check_user(&self, user: &OwUser) -> Result<(), OwError> {
        let url = self.url(&["users", user.as_str()])?;
        self.call(Method::GET, url).await.map(drop)
    }

    pub async fn list_connections(&self, user: &OwUser) -> Result<Vec<ProviderConnection>, OwError> {
        let found: Vec<ProviderConnection> =
            self.get(self.url(&["users", user.as_str(), "connections"])?).await?;
        if found.iter().any(|one| one.is_of_another(user)) {
            return Err(OwError::Permanent("OW answered with the connections of another user".to_owned()));
        }
        Ok(found)
    }

    /// Asks OW to read the last `days` from a provider again. OW does so later, on its own.
    pub async fn request_historical_sync(
        &self,
        provider: &str,
        user: &OwUser,
        days: u32,
    ) -> Result<(), OwError> {
        let mut url = self.url(&["providers", provider, "users", user.as_str(), "sync", "historical"])?;
        url.query_pairs_mut().append_pair("days", &days.to_string());
        self.call(Method::POST, url).await.map(drop)
    }

    /// Lists the latest [`MOST_RUNS`] sync runs of all users, newest first, optionally of one source only.
    pub async fn list_sync_runs(&self, source: Option<&str>) -> Result<Vec<SyncRun>, OwError> {
        let mut url = self.url(&["sync", "runs"])?;
        url.query_pairs_mut().append_pair("limit", &MOST_RUNS.to_string());
        if let Some(source) = source {
            url.query_pairs_mut().append_pair("source", source);
        }
        self.get(url).await
    }

    /// Finds the start of the range that a user's sync run read.
    pub async fn find_sync_start(&self, user: &str, run: &str) -> Result<Option<Timestamp>, OwError> {
        let mut url = self.url(&["users", user, "sync", "recent"])?;
        url.query_pairs_mut().append_pair("limit", &MOST_EVENTS.to_string());
        let events: Vec<SyncEvent> = self.get(url).await?;
        Ok(runs::sync_start(&events, run))
    }

    /// Counts a user's samples in `range`, which should begin and end at midnight UTC.
    pub async fn count_samples(&self, user: &OwUser, range: Interval) -> Result<SampleCounts, OwError> {
        let mut url = self.url(&["users", user.as_str(), "summaries", "data"])?;
        url.query_pairs_mut()
            .append_pair("start_date", &range.from.to_string())
            .append_pair("end_date", &range.until.as_range_end().to_string());
        let counts: SampleCounts = self.get(url).await?;
        if counts.user_id.as_deref().is_some_and(|id| !id.eq_ignore_ascii_case(user.as_str())) {
            return Err(OwError::Permanent("OW answered with the counts of another user".to_owned()));
        }
        Ok(counts)
    }

    fn page_url(&self, request: &PageRequest<'_>, size: u32) -> Result<Url, OwError> {
        let Interval { from, until } = request.range;
        let dates = |before: Duration, after: Duration| {
            [("start_date", from.minus(before).to_string()), ("end_date", until.plus(after).to_string())]
        };
        let times = [("start_time", from.to_string()), ("end_time", until.as_range_end().to_string())];
        let (path, range): (&[&str], _) = match request.feed {
            Feed::Timeseries(_) => (&["timeseries"], times),
            Feed::Sleep => (&["events", "sleep"], dates(Duration::ZERO, LONGEST_EVENT)),
            Feed::Workouts => (&["events", "workouts"], dates(Duration::ZERO, LONGEST_EVENT)),
            Feed::Activity => (&["summaries", "activity"], dates(DAY, 2 * DAY)),
        };
        let mut url = self.url(&[&["users", request.user.as_str()][..], path].concat())?;
        let mut query = url.query_pairs_mut();
        if let Feed::Timeseries(types) = request.feed {
            query.extend_pairs(types.iter().map(|series_type| ("types", series_type)));
        }
        query.extend_pairs(range);
        query.append_pair("limit", &size.to_string());
        query.extend_pairs(request.cursor.map(|cursor| ("cursor", cursor)));
        drop(query);
        Ok(url)
    }

    fn url(&self, path: &[&str]) -> Result<Url, OwError> {
        api_url(&self.base, path)
            .ok_or_else(|| OwError::Permanent(format!("{} cannot be called", self.base.as_str())))
    }

    async fn get<T: DeserializeOwned>(&self, url: Url) -> Result<T, OwError> {
        serde_json::from_slice(&self.call(Method::GET, url).await?).map_err(|error| {
            OwError::Permanent(format!("OW's answer cannot be read ({})", describe_json_error(&error)))
        })
    }

    /// Makes a call, and makes it again after a failure that may pass within this tick.
    async fn call(&self, method: Method, url: Url) -> Result<Vec<u8>, OwError> {
        backoff::retry_within_tick(&self.clock, || self.attempt(method.clone(), url.clone())).await
    }

    async fn attempt(&self, method: Method, url: Url) -> Result<Vec<u8>, FailedAttempt<OwError>> {
        let timer = RequestTimer::start(Peer::Ow);
        let mut response = self.http.request(method, url).send().await.map_err(transport_error)?;
        let status = response.status();
        let retry_after = RetryAfter::from_headers(response.headers());
        let body = response_body::read(&mut response, LARGEST_RESPONSE).await.map_err(transport_error)?;
        let Some(body) = body else {
            let message = format!("OW's answer is larger than {} MiB", LARGEST_RESPONSE / 1024 / 1024);
            return Err(failed(OwError::Permanent(message), None));
        };
        timer.finish(status);
        if status.is_success() {
            return Ok(body);
        }
        let describe =
            || format!("OW answered {}: {}", status.as_u16(), error_text(&body, [self.key.expose_secret()]));
        let error = match status {
            StatusCode::UNAUTHORIZED => OwError::Unauthorized,
            StatusCode::NOT_FOUND => classify_not_found(&body),
            // OW throttles the key, not this one call: the other calls would be refused as well.
            StatusCode::TOO_MANY_REQUESTS => OwError::Unavailable(describe()),
            StatusCode::BAD_REQUEST if let Some(known) = parse_known_types(&body) => {
                OwError::UnknownTypes(known)
            }
            _ if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
                OwError::Transient(describe())
            }
            _ => OwError::Permanent(describe()),
        };
        Err(failed(error, retry_after))
    }
}

/// Returns a builder of an HTTP client that sends the key with each call.
pub(crate) fn client_with_key(
    base: &BaseUrl,
    key: &SecretString,
    timeout: Duration,
) -> Result<reqwest::ClientBuilder, Failure> {
    let mut key = HeaderValue::from_str(key.expose_secret()).map_err(|_| {
        Failure::usage(
            "OW_API_KEY holds characters that no key has",
            "copy the key again; it begins with sk-",
        )
    })?;
    key.set_sensitive(true);
    let headers = HeaderMap::from_iter([(KEY_HEADER, key)]);
    Ok(http_client::builder(base.as_str(), timeout).default_headers(headers))
}

/// Returns the address of an endpoint below OW's `/api/v1`.
pub(crate) fn api_url(base: &BaseUrl, path: &[&str]) -> Option<Url> {
    let mut url = Url::parse(base.as_str()).ok()?;
    url.path_segments_mut().ok()?.pop_if_empty().extend(["api", "v1"]).extend(path);
    Some(url)
}

/// Follows redirects within one origin only: the key must not reach another server.
fn follow_within_origin(attempt: redirect::Attempt) -> redirect::Action {
    let home = attempt.previous().first().map(Url::origin);
    if home.as_ref() != Some(&attempt.url().origin()) {
        let target = attempt.url().origin().ascii_serialization();
        return attempt.error(format!("it redirects to {target}, which is not the configured OW"));
    }
    if attempt.previous().len() > MOST_REDIRECTS {
        attempt.error("it redirects for ever")
    } else {
        attempt.follow()
    }
}

fn failed(error: OwError, retry_after: Option<RetryAfter>) -> FailedAttempt<OwError> {
    let is_transient = matches!(error, OwError::Unavailable(_) | OwError::Transient(_));
    FailedAttempt { error, is_transient, retry_after }
}

fn transport_error(error: reqwest::Error) -> FailedAttempt<OwError> {
    let error = error.without_url();
    let cause = root_cause(&error);
    let error = if error.is_redirect() {
        OwError::Permanent(format!("OW's answer was refused: {cause}"))
    } else if error.is_timeout() && error.is_connect() {
        OwError::Unavailable("OW did not answer in time".to_owned())
    } else if error.is_timeout() {
        OwError::Transient("OW did not answer in time".to_owned())
    } else if error.is_connect() {
        OwError::Unavailable(format!("OW cannot be reached ({cause})"))
    } else {
        OwError::Transient(format!("the connection to OW broke ({cause})"))
    };
    failed(error, None)
}

/// Tells apart the two meanings of a 404: about a user, the user is gone; about a path, the server is not an
/// OW.
fn classify_not_found(body: &[u8]) -> OwError {
    if parse_detail(body).is_some_and(|detail| detail.starts_with("User ")) {
        return OwError::UnknownUser;
    }
    OwError::Permanent("404: the address in OW_API_URL is not an OW's (no /api/v1 there)".to_owned())
}

fn parse_detail(body: &[u8]) -> Option<String> {
    serde_json::from_slice::<Value>(body).ok()?["detail"].as_str().map(str::to_owned)
}

/// Reads the series types that OW knows from its refusal of another one: `Input should be 'a', 'b' or 'c'`.
pub(crate) fn parse_known_types(body: &[u8]) -> Option<Vec<String>> {
    let detail = parse_detail(body)?;
    let list = detail.strip_prefix("Input should be '")?;
    // Every second part between the quotation marks is a name.
    let known: Vec<String> = list.split('\'').step_by(2).map(str::to_owned).collect();
    // OW says the same of other parameters, with other words.
    known.iter().any(|name| name == "heart_rate").then_some(known)
}

/// Returns the text of OW's error response, with `secrets` redacted.
pub(crate) fn error_text<'a>(body: &[u8], secrets: impl IntoIterator<Item = &'a str>) -> String {
    let text = parse_detail(body).unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
    redact(&text, ERROR_CHARS, secrets)
}

/// Reads the page limit of an older OW from the error `message` with which it refused a page of `size`
/// records.
pub(crate) fn parse_page_limit(message: &str, size: u32) -> Option<u32> {
    let (_, limit) = message.split_once("less than or equal to ")?;
    let digits = limit.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok().filter(|limit| (1..size).contains(limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_limit_of_an_older_ow_is_read_from_its_refusal() {
        let refusal = "OW answered 400: Input should be less than or equal to 100";
        assert_eq!(parse_page_limit(refusal, 1000), Some(100));
        assert_eq!(
            parse_page_limit(refusal, 100),
            None,
            "a page within the limit was refused for another reason"
        );
        assert_eq!(parse_page_limit("OW answered 400: Field required", 1000), None);
    }
}
