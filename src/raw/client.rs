//! The calls: a page of a listing, what an object is, its bytes.

use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use s3::creds::Credentials;
use s3::error::S3Error;
use s3::request::ResponseDataStream;
use secrecy::ExposeSecret;

use super::error::{RawError, Trouble};
use super::{Access, Layout, Place};
use crate::failure::Failure;
use crate::retry::{self, Failed, random_fraction};

/// Keys of one page of a listing: the most that S3 gives.
const KEYS: usize = 1000;
/// Time for one call with its answer: an object of 10 MiB over a slow line.
const TIMEOUT: Duration = Duration::from_mins(1);
/// The metadata in which OW notes the provider's endpoint.
const TRACE_ID: &str = "trace_id";

/// A bucket of payloads.
pub struct Bucket {
    s3: Box<s3::Bucket>,
    address: String,
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
pub struct Payload {
    stream: ResponseDataStream,
    address: String,
}

impl Bucket {
    /// Makes what reaches the bucket. Calls nothing yet.
    ///
    /// # Errors
    /// Where this machine cannot make an HTTPS client.
    pub fn new(access: &Access) -> Result<Self, Failure> {
        // Its own would be hidden, and come on top of ours.
        s3::set_retries(0);
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
        bucket.set_request_timeout(Some(TIMEOUT));
        // Only AWS has a name for each bucket.
        if !access.endpoint.host().is_some_and(|host| host.ends_with(".amazonaws.com")) {
            bucket.set_path_style();
        }
        let address = access.endpoint.as_str().to_owned();
        Ok(Self { s3: bucket, address, layout: access.layout.clone() })
    }

    /// A page of a listing; `next` is where the page before says that it begins.
    ///
    /// # Errors
    /// [`RawError::Everybody`].
    pub async fn list(&self, place: &Place, next: Option<&str>) -> Result<Listing, RawError> {
        self.list_below(&place.prefix, next, KEYS).await
    }

    /// Whether anything can be listed below the prefix, and one of it read: for whoever sets up the bucket.
    ///
    /// # Errors
    /// Why not.
    pub async fn examine(&self) -> Result<(), RawError> {
        let listing = self.list_below(self.layout.prefix(), None, 1).await?;
        match listing.objects.first() {
            Some(object) => self.endpoint(&object.key).await.map(drop),
            None => Ok(()),
        }
    }

    async fn list_below(&self, prefix: &str, next: Option<&str>, keys: usize) -> Result<Listing, RawError> {
        let call = || {
            let (prefix, next) = (prefix.to_owned(), next.map(str::to_owned));
            self.s3.list_page(prefix, None, next, None, Some(keys))
        };
        let answer = tried(call).await;
        let (page, _) = answer.map_err(|trouble| trouble.of_listing(&self.s3.name(), &self.address))?;
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

    /// The provider's endpoint that an object is of, where OW has noted it.
    ///
    /// # Errors
    /// As [`RawError`] says.
    pub async fn endpoint(&self, key: &str) -> Result<Option<String>, RawError> {
        let answer = tried(|| self.s3.head_object(key)).await;
        let (head, _) = answer.map_err(|trouble| trouble.of_object(&self.address))?;
        let endpoint = head.metadata.and_then(|mut all| all.remove(TRACE_ID));
        Ok(endpoint.filter(|endpoint| !endpoint.is_empty()))
    }

    /// The bytes of an object.
    ///
    /// # Errors
    /// As [`RawError`] says.
    pub async fn get(&self, key: &str) -> Result<Payload, RawError> {
        let answer = tried(|| self.s3.get_object_stream(key)).await;
        let stream = answer.map_err(|trouble| trouble.of_object(&self.address))?;
        Ok(Payload { stream, address: self.address.clone() })
    }
}

impl Payload {
    /// The next bytes; none after the last.
    ///
    /// # Errors
    /// As [`RawError`] says.
    pub async fn next(&mut self) -> Result<Option<Bytes>, RawError> {
        let chunk = self.stream.bytes().next().await.transpose();
        chunk.map_err(|error| Trouble::from(error).of_object(&self.address))
    }
}

impl fmt::Debug for Bucket {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bucket({} at {})", self.s3.name(), self.address)
    }
}

/// Makes a call, several times where that may help.
async fn tried<T, F>(call: impl Fn() -> F) -> Result<T, Trouble>
where
    F: Future<Output = Result<T, S3Error>>,
{
    let began = Instant::now();
    let mut attempt = 1;
    loop {
        let trouble = match call().await {
            Ok(answer) => return Ok(answer),
            Err(error) => Trouble::from(error),
        };
        let failed = Failed { attempt, elapsed: began.elapsed(), retry_after: None };
        let pause = retry::pause(&failed, random_fraction()).filter(|_| trouble.may_pass());
        let Some(pause) = pause else { return Err(trouble) };
        tracing::debug!(attempt, ?pause, "S3: {trouble:?}; trying again");
        tokio::time::sleep(pause).await;
        attempt += 1;
    }
}
