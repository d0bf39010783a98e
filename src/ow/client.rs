//! The HTTP client: key, timeouts, size limits, retries, and no redirect to strangers.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode, Url, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::common::backoff;
use crate::common::backoff::{Failed, RetryAfter};
use crate::common::clock::Clock;
use crate::common::failure::{Failure, deepest_cause};
use crate::common::redact::{quote, unreadable};
use crate::common::time::Timestamp;
use crate::config::base_url::BaseUrl;
use crate::model::consent_intervals::Interval;
use crate::model::patient::OwUser;
use crate::ow::connection::Connection;
use crate::ow::error::OwError;
use crate::ow::runs;
use crate::ow::runs::{SyncEvent, SyncRun};
use crate::telemetry::metrics::{Asked, Peer};

/// The header in which OW takes its key.
const KEY_HEADER: HeaderName = HeaderName::from_static("x-open-wearables-api-key");
/// A connection that is not up by then will not come up: OW is in the same data centre or on this machine.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of one answer. A page of 1000 records is 225 kB; far more than that is not a page.
const LARGEST_ANSWER: usize = 16 * 1024 * 1024;
/// Samples per page that newer versions of OW give; older ones say in a 400 how many they do.
const LARGEST_PAGE: u32 = 1000;
/// Events per page, in every version so far.
const LARGEST_EVENT_PAGE: u32 = 100;
/// Days of a summary per page, in every version so far.
const LARGEST_SUMMARY_PAGE: u32 = 400;
/// Redirects that are followed, all within OW's own origin.
const REDIRECTS: usize = 3;
/// No sleep and no workout lasts longer. Events are asked for by their end, so far behind the end of the range.
pub const LONGEST_EVENT: Duration = Duration::from_hours(72);
/// A date may begin up to 14 hours before and after its day in UTC, and the end of a range is not in it.
const DAY: Duration = Duration::from_hours(24);
/// Runs that are asked for: those of a busy OW's minute, and a quarter of a megabyte.
const MOST_RUNS: u32 = 500;
/// What a user's runs noted of late: as much as OW keeps.
const MOST_EVENTS: u32 = 200;
/// Characters of an error's text that are passed on.
const ERROR_CHARS: usize = 200;

/// A client of one OW.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    base: BaseUrl,
    /// What OW's words must not repeat.
    key: SecretString,
    page_size: PageSize,
    clock: Clock,
}

/// How many records per page an OW was found to give at each of its endpoints; shared by the clients of one OW.
#[derive(Debug, Clone)]
pub struct PageSize(Arc<[AtomicU32; 4]>);

impl Default for PageSize {
    fn default() -> Self {
        let sizes = [LARGEST_PAGE, LARGEST_EVENT_PAGE, LARGEST_EVENT_PAGE, LARGEST_SUMMARY_PAGE];
        Self(Arc::new(sizes.map(AtomicU32::new)))
    }
}

impl PageSize {
    fn of(&self, feed: &Feed) -> &AtomicU32 {
        let [timeseries, sleep, workouts, activity] = &*self.0;
        match feed {
            Feed::Timeseries(_) => timeseries,
            Feed::Sleep => sleep,
            Feed::Workouts => workouts,
            Feed::Activity => activity,
        }
    }
}

/// What a page is asked of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Feed {
    /// The timeseries of these types.
    Timeseries(Vec<&'static str>),
    /// The nights and naps.
    Sleep,
    /// The workouts.
    Workouts,
    /// The activity of each day.
    Activity,
}

/// What a page is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest<'a> {
    /// Whose samples.
    pub user: &'a OwUser,
    /// Of what.
    pub feed: &'a Feed,
    /// Of which time; the start is in it, the end is not. Of events more may come: see [`Client::page`].
    pub range: Interval,
    /// From where on; none for the first page.
    pub cursor: Option<&'a str>,
}

/// How many samples OW has of a user, by series type.
#[derive(Debug, Clone, Deserialize)]
pub struct Counts {
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

impl Counts {
    /// Samples of a series type, from whichever provider.
    pub fn of_all(&self, series_type: &str) -> i64 {
        self.series_type_counts.get(series_type).copied().unwrap_or_default()
    }

    /// Samples of a series type from one provider.
    pub fn of_provider(&self, provider: &str, series_type: &str) -> i64 {
        let all = self.by_provider.iter().filter(|one| one.provider == provider);
        all.filter_map(|one| one.series_counts.get(series_type)).sum()
    }
}

#[derive(Deserialize)]
struct Problem {
    detail: String,
}

impl Client {
    /// A client of the OW at `base`. Calls nothing yet.
    ///
    /// # Errors
    /// Where the key cannot stand in a header, or this machine has no root certificates for https.
    pub fn new(
        base: &BaseUrl,
        key: &SecretString,
        timeout: Duration,
        page_size: PageSize,
        clock: &Clock,
    ) -> Result<Self, Failure> {
        let http = client_builder(base, key, timeout, redirect::Policy::custom(stay_home))?;
        Ok(Self { http, base: base.clone(), key: key.clone(), page_size, clock: clock.clone() })
    }

    /// The text of one page, at most 16 MiB.
    ///
    /// OW takes an event where it begins from the start on and *ends* before the end, and a day by its bare date: so more
    /// than the range is asked for there, and whoever reads it looks which are of the range.
    ///
    ///
    /// # Errors
    /// As [`OwError`] says.
    pub async fn page(&self, request: &PageRequest<'_>) -> Result<Vec<u8>, OwError> {
        let page_size = self.page_size.of(request.feed);
        loop {
            let size = page_size.load(Ordering::Relaxed);
            let url = self.page_url(request, size)?;
            match self.call(Method::GET, url).await {
                Err(OwError::Wrong(what)) => match smaller_page(&what, size) {
                    Some(smaller) => page_size.store(smaller, Ordering::Relaxed),
                    None => return Err(OwError::Wrong(what)),
                },
                answer => return answer,
            }
        }
    }

    /// Asks whether OW knows the user: its data endpoints answer "nothing" for one that is gone.
    ///
    /// # Errors
    /// [`OwError::UnknownUser`] where it does not.
    pub async fn require_user(&self, user: &OwUser) -> Result<(), OwError> {
        let url = self.url(&["users", user.as_str()])?;
        self.call(Method::GET, url).await.map(drop)
    }

    /// A user's connections to providers.
    ///
    /// # Errors
    /// As [`OwError`] says.
    pub async fn connections(&self, user: &OwUser) -> Result<Vec<Connection>, OwError> {
        let url = self.url(&["users", user.as_str(), "connections"])?;
        read(&self.call(Method::GET, url).await?)
    }

    /// Has OW fetch the last `days` from a provider again; OW does so later, by itself.
    ///
    /// # Errors
    /// As [`OwError`] says.
    pub async fn historical_sync(&self, provider: &str, user: &OwUser, days: u32) -> Result<(), OwError> {
        let mut url = self.url(&["providers", provider, "users", user.as_str(), "sync", "historical"])?;
        url.query_pairs_mut().append_pair("days", &days.to_string());
        self.call(Method::POST, url).await.map(drop)
    }

    /// What OW has fetched of late, of all users, newest first, at most [`MOST_RUNS`]; of one source only, where one is
    /// given.
    ///
    /// # Errors
    /// As [`OwError`] says.
    pub async fn sync_runs(&self, source: Option<&str>) -> Result<Vec<SyncRun>, OwError> {
        let mut url = self.url(&["sync", "runs"])?;
        url.query_pairs_mut().append_pair("limit", &MOST_RUNS.to_string());
        if let Some(source) = source {
            url.query_pairs_mut().append_pair("source", source);
        }
        read(&self.call(Method::GET, url).await?)
    }

    /// From when on a run of a user's fetched, where OW says.
    ///
    /// # Errors
    /// As [`OwError`] says.
    pub async fn fetched_from(&self, user: &str, run: &str) -> Result<Option<Timestamp>, OwError> {
        let mut url = self.url(&["users", user, "sync", "recent"])?;
        url.query_pairs_mut().append_pair("limit", &MOST_EVENTS.to_string());
        let events: Vec<SyncEvent> = read(&self.call(Method::GET, url).await?)?;
        Ok(runs::fetched_from(&events, run))
    }

    /// How many samples of each series type OW has of a user in `range`, which should begin and end at
    /// midnight UTC.
    ///
    /// # Errors
    /// As [`OwError`] says.
    pub async fn counts(&self, user: &OwUser, range: Interval) -> Result<Counts, OwError> {
        let mut url = self.url(&["users", user.as_str(), "summaries", "data"])?;
        url.query_pairs_mut()
            .append_pair("start_date", &range.from.to_string())
            .append_pair("end_date", &range.until.as_range_end().to_string());
        read(&self.call(Method::GET, url).await?)
    }

    fn page_url(&self, request: &PageRequest<'_>, size: u32) -> Result<Url, OwError> {
        let Interval { from, until } = request.range;
        let (kind, name) = match request.feed {
            Feed::Timeseries(_) => ("timeseries", None),
            Feed::Sleep => ("events", Some("sleep")),
            Feed::Workouts => ("events", Some("workouts")),
            Feed::Activity => ("summaries", Some("activity")),
        };
        let path: Vec<&str> = ["users", request.user.as_str(), kind].into_iter().chain(name).collect();
        let mut url = self.url(&path)?;
        let mut query = url.query_pairs_mut();
        match request.feed {
            Feed::Timeseries(types) => {
                for series_type in types {
                    query.append_pair("types", series_type);
                }
                query
                    .append_pair("start_time", &from.to_string())
                    .append_pair("end_time", &until.as_range_end().to_string());
            }
            Feed::Sleep | Feed::Workouts => {
                query
                    .append_pair("start_date", &from.to_string())
                    .append_pair("end_date", &until.plus(LONGEST_EVENT).to_string());
            }
            Feed::Activity => {
                query
                    .append_pair("start_date", &from.minus(DAY).to_string())
                    .append_pair("end_date", &until.plus(2 * DAY).to_string());
            }
        }
        query.append_pair("limit", &size.to_string());
        if let Some(cursor) = request.cursor {
            query.append_pair("cursor", cursor);
        }
        drop(query);
        Ok(url)
    }

    fn url(&self, path: &[&str]) -> Result<Url, OwError> {
        api_url(&self.base, path)
            .ok_or_else(|| OwError::Wrong(format!("{} cannot be called", self.base.as_str())))
    }

    /// Makes a call, several times where that may help.
    async fn call(&self, method: Method, url: Url) -> Result<Vec<u8>, OwError> {
        backoff::within_tick(&self.clock, || self.attempt(method.clone(), url.clone())).await
    }

    async fn attempt(&self, method: Method, url: Url) -> Result<Vec<u8>, Failed<OwError>> {
        let asked = Asked::of(Peer::Ow);
        let mut response = self.http.request(method, url).send().await.map_err(trouble)?;
        let status = response.status();
        let retry_after = RetryAfter::of(response.headers());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(trouble)? {
            if body.len() + chunk.len() > LARGEST_ANSWER {
                let what = format!("OW's answer is larger than {} MiB", LARGEST_ANSWER / 1024 / 1024);
                return Err(failed(OwError::Wrong(what), None));
            }
            body.extend_from_slice(&chunk);
        }
        asked.answered(status);
        match status {
            status if status.is_success() => Ok(body),
            StatusCode::UNAUTHORIZED => Err(OwError::Unauthorized),
            StatusCode::NOT_FOUND => Err(not_found(&body)),
            // The whole of OW wants to be left alone, not this call only.
            StatusCode::TOO_MANY_REQUESTS => Err(OwError::Away(self.describe(status, &body))),
            status if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
                Err(OwError::Later(self.describe(status, &body)))
            }
            status => Err(OwError::Wrong(self.describe(status, &body))),
        }
        .map_err(|error| failed(error, retry_after))
    }

    fn describe(&self, status: StatusCode, body: &[u8]) -> String {
        format!("OW answered {}: {}", status.as_u16(), detail(body, [self.key.expose_secret()]))
    }
}

/// An HTTP client that shows the key with each call.
pub(crate) fn client_builder(
    base: &BaseUrl,
    key: &SecretString,
    timeout: Duration,
    redirects: redirect::Policy,
) -> Result<reqwest::Client, Failure> {
    let mut key = HeaderValue::from_str(key.expose_secret()).map_err(|_| {
        Failure::usage(
            "OW_API_KEY holds characters that no key has",
            "copy the key again; it begins with sk-",
        )
    })?;
    key.set_sensitive(true);
    build(base, HeaderMap::from_iter([(KEY_HEADER, key)]), timeout, redirects)
}

/// An HTTP client that shows nothing, as a stranger's.
pub(crate) fn client_builder_without_key(
    base: &BaseUrl,
    timeout: Duration,
) -> Result<reqwest::Client, Failure> {
    build(base, HeaderMap::new(), timeout, redirect::Policy::none())
}

fn build(
    base: &BaseUrl,
    headers: HeaderMap,
    timeout: Duration,
    redirects: redirect::Policy,
) -> Result<reqwest::Client, Failure> {
    let client = reqwest::Client::builder()
        .default_headers(headers)
        .user_agent(concat!("jhe-ow/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT.min(timeout))
        .timeout(timeout)
        .redirect(redirects)
        // Without https there is no need of root certificates, which a bare machine may not have.
        .tls_built_in_native_certs(base.as_str().starts_with("https:"))
        .build();
    client.map_err(|error| {
        let next = "install this machine's root certificates (Debian: ca-certificates)";
        Failure::failed(format!("no HTTPS client: {error}"), next)
    })
}

/// The address of an endpoint below OW's `/api/v1`.
pub(crate) fn api_url(base: &BaseUrl, path: &[&str]) -> Option<Url> {
    let mut url = Url::parse(base.as_str()).ok()?;
    url.path_segments_mut().ok()?.pop_if_empty().extend(["api", "v1"]).extend(path);
    Some(url)
}

/// Follows redirects within one origin only: the key must not travel to another.
fn stay_home(attempt: redirect::Attempt) -> redirect::Action {
    let home = attempt.previous().first().map(Url::origin);
    if home.as_ref() != Some(&attempt.url().origin()) {
        let target = attempt.url().origin().ascii_serialization();
        return attempt.error(format!("it redirects to {target}, which is not the configured OW"));
    }
    if attempt.previous().len() > REDIRECTS {
        attempt.error("it redirects for ever")
    } else {
        attempt.follow()
    }
}

fn failed(error: OwError, retry_after: Option<RetryAfter>) -> Failed<OwError> {
    let may_pass = matches!(error, OwError::Away(_) | OwError::Later(_));
    Failed { error, may_pass, retry_after }
}

fn trouble(error: reqwest::Error) -> Failed<OwError> {
    let error = error.without_url();
    let cause = deepest_cause(&error);
    if error.is_redirect() {
        return failed(OwError::Wrong(format!("OW's answer was refused: {cause}")), None);
    }
    let what = match () {
        () if error.is_timeout() => "OW did not answer in time".to_owned(),
        () if error.is_connect() => format!("OW cannot be reached ({cause})"),
        () => format!("the connection to OW broke ({cause})"),
    };
    failed(if error.is_connect() { OwError::Away(what) } else { OwError::Later(what) }, None)
}

/// A 404 about a user means that the user is gone; one about a path means that this is no OW.
fn not_found(body: &[u8]) -> OwError {
    match serde_json::from_slice::<Problem>(body) {
        Ok(problem) if problem.detail.starts_with("User ") => OwError::UnknownUser,
        _ => OwError::Wrong("404: the address in OW_API_URL is not an OW's (no /api/v1 there)".to_owned()),
    }
}

/// OW's own words about an error, without what it was sent.
pub(crate) fn detail<'a>(body: &[u8], secrets: impl IntoIterator<Item = &'a str>) -> String {
    let text = match serde_json::from_slice::<Problem>(body) {
        Ok(problem) => problem.detail,
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    quote(&text, ERROR_CHARS, secrets)
}

/// How many records per page this OW gives, where `what` is its refusal of `asked`.
pub(crate) fn smaller_page(what: &str, asked: u32) -> Option<u32> {
    let (_, most) = what.split_once("less than or equal to ")?;
    let digits = most.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok().filter(|most| (1..asked).contains(most))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, OwError> {
    serde_json::from_slice(body)
        .map_err(|error| OwError::Wrong(format!("OW's answer cannot be read ({})", unreadable(&error))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_ows_refusal_says_how_much_it_gives() {
        let refusal = "OW answered 400: Input should be less than or equal to 100";
        assert_eq!(smaller_page(refusal, 1000), Some(100));
        assert_eq!(smaller_page(refusal, 100), None, "asked within the limit, it is another trouble");
        assert_eq!(smaller_page("OW answered 400: Field required", 1000), None);
    }
}
