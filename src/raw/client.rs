//! The calls: a page of a listing, what an object is, its bytes.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::LOCATION;
use reqwest::{Response, redirect};
use s3::command::{Command, HttpMethod};
use s3::creds::Credentials;
use s3::request::Request as _;
use s3::request::tokio_backend::ReqwestRequest;
use s3::serde_types::ListBucketResult;
use secrecy::{ExposeSecret, SecretString};

use crate::common::backoff;
use crate::common::backoff::{Failed, RetryAfter};
use crate::common::clock::Clock;
use crate::common::failure::Failure;
use crate::common::time::Timestamp;
use crate::raw::access::Access;
use crate::raw::error::{RawError, Trouble};
use crate::raw::key::{Layout, Place};
use crate::telemetry::metrics::{Asked, Peer};

/// Keys of one page of a listing: the most that S3 gives.
const KEYS: usize = 1000;
/// Bytes of one page of a listing: a thousand keys of the longest that S3 allows (1 KiB), each with what is said of it.
const LARGEST_PAGE: usize = 4 * 1024 * 1024;
/// Bytes of an error that are looked at.
const LARGEST_ERROR: usize = 16 * 1024;
/// Time for one call with its answer: an object of 10 MiB over a slow line.
const TIMEOUT: Duration = Duration::from_mins(1);
/// Time for the connection alone.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The metadata in which OW notes the provider's endpoint.
const TRACE_ID: &str = "x-amz-meta-trace_id";

/// The metadata in which OW notes when it stored the payload.
const STORED: &str = "x-amz-meta-timestamp";

/// A bucket of payloads. S3's client library signs the calls; they are made here, so that nobody is sent elsewhere,
/// and what the server says of when to come back is heard.
pub struct Bucket {
    s3: Box<s3::Bucket>,
    http: reqwest::Client,
    address: String,
    /// What the server's words must not repeat.
    secrets: [SecretString; 2],
    clock: Clock,
    /// How its keys are built.
    pub layout: Layout,
}

/// An object that a listing names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// When it was stored, as the server writes it: in the order of text.
    pub stored: String,
    /// Names its content: another content, another tag. Where the server lists none, its size and time stand for it.
    pub etag: String,
}

/// A page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Its objects, by their keys in the order of bytes.
    pub objects: Vec<Listed>,
    /// Where the next page begins, where there is one.
    pub next: Option<String>,
}

/// The bytes of an object as they come.
#[derive(Debug)]
pub struct Payload {
    response: Response,
    address: String,
}

impl Bucket {
    /// Makes what reaches the bucket. Calls nothing yet.
    ///
    /// # Errors
    /// Where this machine cannot make an HTTPS client.
    pub fn new(access: &Access, clock: &Clock) -> Result<Self, Failure> {
        let wrong = |error: String| {
            Failure::failed(
                format!("no client for S3: {error}"),
                "see that this machine has root certificates (Debian: ca-certificates)",
            )
        };
        let (id, secret) = (access.key_id.expose_secret(), access.secret.expose_secret());
        let credentials = Credentials::new(Some(id), Some(secret), None, None, None)
            .map_err(|error| wrong(error.to_string()))?;
        let endpoint = access.endpoint.as_str().to_owned();
        let region = s3::Region::Custom { region: access.region.clone(), endpoint };
        let mut bucket =
            s3::Bucket::new(&access.bucket, region, credentials).map_err(|error| wrong(error.to_string()))?;
        // Only AWS has a name for each bucket.
        if !access.endpoint.host().is_some_and(|host| host.ends_with(".amazonaws.com")) {
            bucket.set_path_style();
        }
        let http = reqwest::Client::builder()
            .user_agent(concat!("jhe-ow/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT.min(access.silence))
            .read_timeout(access.silence)
            .timeout(TIMEOUT)
            .redirect(redirect::Policy::none())
            // Without https there is no need of root certificates, which a bare machine may not have.
            .tls_built_in_native_certs(access.endpoint.as_str().starts_with("https:"))
            .build()
            .map_err(|error| wrong(error.to_string()))?;
        let address = access.endpoint.as_str().to_owned();
        let secrets = [access.key_id.clone(), access.secret.clone()];
        Ok(Self { s3: bucket, http, address, secrets, layout: access.layout.clone(), clock: clock.clone() })
    }

    /// A page of a listing; `next` is where the page before says that it begins.
    ///
    /// # Errors
    /// [`RawError::Everybody`] and [`RawError::Patient`].
    pub async fn list(&self, place: &Place, next: Option<&str>) -> Result<Listing, RawError> {
        self.list_below(&place.prefix, next, KEYS).await
    }

    /// Whether what is below the prefix can be listed, and one of it read: for whoever sets up the bucket. Answers
    /// whether there is anything.
    ///
    /// # Errors
    /// Why not.
    pub async fn examine(&self) -> Result<bool, RawError> {
        let listing = self.list_below(self.layout.prefix(), None, 1).await?;
        match listing.objects.first() {
            Some(object) => self.endpoint(&object.key).await.map(|_| true),
            None => Ok(false),
        }
    }

    /// The bucket and where in it objects are looked for, for a sentence.
    pub fn place(&self) -> String {
        format!("the bucket '{}' below '{}'", self.s3.name(), self.layout.prefix())
    }

    async fn list_below(&self, prefix: &str, next: Option<&str>, keys: usize) -> Result<Listing, RawError> {
        let command = Command::ListObjectsV2 {
            prefix: prefix.to_owned(),
            delimiter: None,
            continuation_token: next.map(str::to_owned),
            start_after: None,
            max_keys: Some(keys),
        };
        let page = self.page(command).await;
        let page = page.map_err(|trouble| trouble.of_listing(&self.s3.name(), &self.address))?;
        // A key that ends so is a folder that somebody has made by hand.
        let objects = page.contents.into_iter().filter(|object| !object.key.ends_with('/'));
        let objects = objects.map(|object| {
            let etag = match object.e_tag {
                Some(etag) => etag.trim_matches('"').to_owned(),
                None => format!("{} bytes of {}", object.size, object.last_modified),
            };
            Listed { key: object.key, stored: object.last_modified, etag }
        });
        let next = page.next_continuation_token.filter(|_| page.is_truncated);
        if page.is_truncated && next.is_none() {
            let what = "its listing goes on, and does not say where".to_owned();
            return Err(Trouble::Garbled(what).of_listing(&self.s3.name(), &self.address));
        }
        Ok(Listing { objects: objects.collect(), next })
    }

    async fn page(&self, command: Command<'_>) -> Result<ListBucketResult, Trouble> {
        let mut response = self.call("/", command).await?;
        let mut page = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if page.len() + chunk.len() > LARGEST_PAGE {
                return Err(Trouble::Garbled("its listing has no end".to_owned()));
            }
            page.extend_from_slice(&chunk);
        }
        quick_xml::de::from_reader(page.as_slice()).map_err(|error| Trouble::garbled(&error.to_string()))
    }

    /// The provider's endpoint that an object is of, where OW has noted it.
    ///
    /// # Errors
    /// As [`RawError`] says.
    pub async fn endpoint(&self, key: &str) -> Result<Option<String>, RawError> {
        let answer = self.call(key, Command::HeadObject).await;
        let head = answer.map_err(|trouble| trouble.of_object(&self.address))?;
        let endpoint = head.headers().get(TRACE_ID).and_then(|value| value.to_str().ok());
        Ok(endpoint.filter(|endpoint| !endpoint.is_empty()).map(str::to_owned))
    }

    /// The bytes of an object.
    ///
    /// # Errors
    /// As [`RawError`] says.
    pub async fn get(&self, key: &str) -> Result<Payload, RawError> {
        let answer = self.call(key, Command::GetObject).await;
        let response = answer.map_err(|trouble| trouble.of_object(&self.address))?;
        Ok(Payload { response, address: self.address.clone() })
    }

    /// Makes a call, several times where that may help.
    async fn call(&self, path: &str, command: Command<'_>) -> Result<Response, Trouble> {
        backoff::within_tick(&self.clock, || self.attempt(path, command.clone())).await
    }

    async fn attempt(&self, path: &str, command: Command<'_>) -> Result<Response, Failed<Trouble>> {
        let (error, retry_after) = match self.send(path, command).await {
            Ok(response) if response.status().is_success() => return Ok(response),
            Ok(response) => {
                let retry_after = RetryAfter::of(response.headers());
                (refusal(response, &self.secrets).await, retry_after)
            }
            Err(error) => (error, None),
        };
        Err(Failed { may_pass: error.may_pass(), error, retry_after })
    }

    async fn send(&self, path: &str, command: Command<'_>) -> Result<Response, Trouble> {
        let method = match command.http_verb() {
            HttpMethod::Head => reqwest::Method::HEAD,
            _ => reqwest::Method::GET,
        };
        let request = ReqwestRequest::new(&self.s3, path, command).await?;
        let (url, headers) = (request.url()?, request.headers().await?);
        let asked = Asked::of(Peer::S3);
        let response = self.http.request(method, url).headers(headers).send().await?;
        asked.answered(response.status());
        Ok(response)
    }
}

/// Reads what an answer that is no success says.
async fn refusal(mut response: Response, secrets: &[SecretString]) -> Trouble {
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > LARGEST_ERROR {
            break;
        }
    }
    let secrets: Vec<&str> = secrets.iter().map(ExposeSecret::expose_secret).collect();
    let (status, body) = (response.status().as_u16(), String::from_utf8_lossy(&body));
    Trouble::of_answer(status, &body, location.as_deref(), &secrets)
}

impl Payload {
    /// When OW stored the object, where it has noted that.
    pub fn stored(&self) -> Option<Timestamp> {
        let noted = self.response.headers().get(STORED)?.to_str().ok()?;
        Timestamp::parse(noted).ok()
    }

    /// The next bytes; none after the last.
    ///
    /// # Errors
    /// As [`RawError`] says.
    pub async fn next(&mut self) -> Result<Option<Bytes>, RawError> {
        self.response.chunk().await.map_err(|error| Trouble::from(error).of_object(&self.address))
    }
}

impl fmt::Debug for Bucket {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bucket({} at {})", self.s3.name(), self.address)
    }
}
