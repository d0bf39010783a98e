//! Calls to S3: lists objects, and fetches their metadata and bytes.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Response;
use reqwest::header::LOCATION;
use s3::command::{Command, HttpMethod};
use s3::creds::Credentials;
use s3::request::Request as _;
use s3::request::tokio_backend::ReqwestRequest;
use s3::serde_types::ListBucketResult;
use secrecy::{ExposeSecret, SecretString};

use crate::common::backoff::{self, FailedAttempt, RetryAfter};
use crate::common::{clock::Clock, failure::Failure, time::Timestamp};
use crate::common::{http_client, response_body};
use crate::raw::access::BucketAccess;
use crate::raw::error::{RawError, S3CallError};
use crate::raw::key::{KeyLayout, KeyPrefix};
use crate::telemetry::metrics::{Peer, RequestTimer};

/// Keys per page of a listing: the most that S3 gives.
const PAGE_SIZE: usize = 1000;
/// Bytes of one page of a listing: a thousand keys of the longest that S3 allows (1 KiB), with their
/// metadata.
const LARGEST_PAGE: usize = 4 * 1024 * 1024;
/// Bytes of an error response that are read.
const LARGEST_ERROR: usize = 16 * 1024;
/// Time for one call with its response: an object of 10 MiB over a slow line.
const TIMEOUT: Duration = Duration::from_mins(1);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The metadata in which OW stores the provider's endpoint.
const ENDPOINT_HEADER: &str = "x-amz-meta-trace_id";
/// The metadata in which OW stores the time of storing.
const STORED_AT_HEADER: &str = "x-amz-meta-timestamp";

/// A bucket of payloads.
///
/// rust-s3 signs the requests and reqwest sends them, because rust-s3 follows redirects and hides
/// `Retry-After`.
pub struct S3Bucket {
    s3: Box<s3::Bucket>,
    http: reqwest::Client,
    address: String,
    /// Redacted in the server's error texts.
    secrets: [SecretString; 2],
    clock: Clock,
    pub layout: KeyLayout,
}

/// An object in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedObject {
    pub key: String,
    /// The time of storing as the server writes it. Its order as text is the order of time.
    pub stored: String,
    /// Changes with the content. Size and time replace it where the server lists none.
    pub etag: String,
}

/// A page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectListing {
    /// By key, in the order of bytes.
    pub objects: Vec<ListedObject>,
    /// The continuation token; none on the last page.
    pub next: Option<String>,
}

/// The bytes of an object, as a stream.
#[derive(Debug)]
pub struct ObjectBody {
    response: Response,
    address: String,
}

impl S3Bucket {
    /// Returns a client of the bucket, without calling it.
    pub fn new(access: &BucketAccess, clock: &Clock) -> Result<Self, Failure> {
        let failure = |error: String| {
            Failure::failed(
                format!("no client for S3: {error}"),
                "see that this machine has root certificates (Debian: ca-certificates)",
            )
        };
        let (id, secret) = (access.key_id.expose_secret(), access.secret.expose_secret());
        let credentials = Credentials::new(Some(id), Some(secret), None, None, None)
            .map_err(|error| failure(error.to_string()))?;
        let address = access.endpoint.as_str().to_owned();
        let region = s3::Region::Custom { region: access.region.clone(), endpoint: address.clone() };
        let mut bucket = s3::Bucket::new(&access.bucket, region, credentials)
            .map_err(|error| failure(error.to_string()))?;
        // Only AWS has a host name for each bucket.
        if !access.endpoint.host().is_some_and(|host| host.ends_with(".amazonaws.com")) {
            bucket.set_path_style();
        }
        let http = http_client::builder(access.endpoint.as_str(), TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT.min(access.read_timeout))
            .read_timeout(access.read_timeout);
        let http = http_client::build(http)?;
        let secrets = [access.key_id.clone(), access.secret.clone()];
        Ok(Self { s3: bucket, http, address, secrets, layout: access.layout.clone(), clock: clock.clone() })
    }

    /// Lists a page of the objects below a prefix. `next` is the continuation token of the page before.
    pub async fn list_objects(
        &self,
        prefix: &KeyPrefix,
        next: Option<&str>,
    ) -> Result<ObjectListing, RawError> {
        self.list_page(&prefix.prefix, next, PAGE_SIZE).await
    }

    /// Checks that the objects can be listed and one of them read; returns false if there is none.
    pub async fn check_access(&self) -> Result<bool, RawError> {
        let listing = self.list_page(self.layout.prefix(), None, 1).await?;
        match listing.objects.first() {
            Some(object) => self.fetch_endpoint(&object.key).await.map(|_| true),
            None => Ok(false),
        }
    }

    /// Returns the name of the bucket and its prefix, for a sentence.
    pub fn describe(&self) -> String {
        format!("the bucket '{}' below '{}'", self.s3.name(), self.layout.prefix())
    }

    async fn list_page(
        &self,
        prefix: &str,
        next: Option<&str>,
        size: usize,
    ) -> Result<ObjectListing, RawError> {
        let command = Command::ListObjectsV2 {
            prefix: prefix.to_owned(),
            delimiter: None,
            continuation_token: next.map(str::to_owned),
            start_after: None,
            max_keys: Some(size),
        };
        let listing = async {
            let page = self.fetch_page(command).await?;
            if page.is_truncated && page.next_continuation_token.is_none() {
                return Err(S3CallError::invalid("its listing goes on, and does not say where"));
            }
            Ok(page)
        };
        let page = listing.await.map_err(|error| error.of_listing(&self.s3.name(), &self.address))?;
        // A key with a slash at its end is a folder that somebody has made by hand.
        let objects = page.contents.into_iter().filter(|object| !object.key.ends_with('/'));
        let objects = objects.map(|object| {
            // Some servers list an empty tag, which would equal that of any later version.
            let etag = match object.e_tag.as_deref().map(|etag| etag.trim_matches('"')) {
                Some(etag) if !etag.is_empty() => etag.to_owned(),
                _ => format!("{} bytes of {}", object.size, object.last_modified),
            };
            ListedObject { key: object.key, stored: object.last_modified, etag }
        });
        let next = page.next_continuation_token.filter(|_| page.is_truncated);
        Ok(ObjectListing { objects: objects.collect(), next })
    }

    async fn fetch_page(&self, command: Command<'_>) -> Result<ListBucketResult, S3CallError> {
        let mut response = self.call("/", command).await?;
        let page = response_body::read(&mut response, LARGEST_PAGE).await?;
        let page = page.ok_or_else(|| S3CallError::invalid("its listing has no end"))?;
        quick_xml::de::from_reader(page.as_slice()).map_err(|error| S3CallError::invalid(&error.to_string()))
    }

    /// Fetches the provider's endpoint that an object comes from; none where OW has not stored it.
    pub async fn fetch_endpoint(&self, key: &str) -> Result<Option<String>, RawError> {
        let response = self.call(key, Command::HeadObject).await;
        let head = response.map_err(|error| error.of_object(&self.address))?;
        let endpoint = head.headers().get(ENDPOINT_HEADER).and_then(|value| value.to_str().ok());
        Ok(endpoint.filter(|endpoint| !endpoint.is_empty()).map(str::to_owned))
    }

    pub async fn fetch_object(&self, key: &str) -> Result<ObjectBody, RawError> {
        let response = self.call(key, Command::GetObject).await;
        let response = response.map_err(|error| error.of_object(&self.address))?;
        Ok(ObjectBody { response, address: self.address.clone() })
    }

    /// Makes a call, and makes it again after a failure that may pass within this tick.
    async fn call(&self, path: &str, command: Command<'_>) -> Result<Response, S3CallError> {
        backoff::retry_within_tick(&self.clock, || self.attempt(path, command.clone())).await
    }

    async fn attempt(
        &self,
        path: &str,
        command: Command<'_>,
    ) -> Result<Response, FailedAttempt<S3CallError>> {
        let (error, retry_after) = match self.send(path, command).await {
            Ok(response) if response.status().is_success() => return Ok(response),
            Ok(response) => {
                let retry_after = RetryAfter::from_headers(response.headers());
                (read_error(response, &self.secrets).await, retry_after)
            }
            Err(error) => (error, None),
        };
        Err(FailedAttempt { is_transient: error.is_transient(), error, retry_after })
    }

    async fn send(&self, path: &str, command: Command<'_>) -> Result<Response, S3CallError> {
        let method = match command.http_verb() {
            HttpMethod::Head => reqwest::Method::HEAD,
            _ => reqwest::Method::GET,
        };
        let request = ReqwestRequest::new(&self.s3, path, command).await?;
        let (url, headers) = (request.url()?, request.headers().await?);
        let timer = RequestTimer::start(Peer::S3);
        let response = self.http.request(method, url).headers(headers).send().await?;
        timer.finish(response.status());
        Ok(response)
    }
}

async fn read_error(mut response: Response, secrets: &[SecretString]) -> S3CallError {
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut body = Vec::new();
    // Keeps the beginning of a long or interrupted error text.
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > LARGEST_ERROR {
            break;
        }
    }
    let secrets: Vec<&str> = secrets.iter().map(ExposeSecret::expose_secret).collect();
    let (status, body) = (response.status().as_u16(), String::from_utf8_lossy(&body));
    S3CallError::from_response(status, &body, location.as_deref(), &secrets)
}

impl ObjectBody {
    /// Returns the time at which OW stored the object, where its metadata has it.
    pub fn stored_at(&self) -> Option<Timestamp> {
        Timestamp::parse(self.response.headers().get(STORED_AT_HEADER)?.to_str().ok()?).ok()
    }

    /// Returns the next bytes; none after the last.
    pub async fn next(&mut self) -> Result<Option<Bytes>, RawError> {
        self.response.chunk().await.map_err(|error| S3CallError::from(error).of_object(&self.address))
    }
}

impl fmt::Debug for S3Bucket {
    /// Omits the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S3Bucket({} at {})", self.s3.name(), self.address)
    }
}
