//! The bucket of raw payloads: whether an object of it can be listed and read.

use std::time::Duration;

use tokio::time::timeout;

use crate::common::clock::Clock;
use crate::config::load::Config;
use crate::config::settings::Snapshot;
use crate::doctor::finding::{Finding, is_raw};
use crate::raw::access::Access;
use crate::raw::client::Bucket;

/// How long it may take, tries included.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn look(config: &Config, settings: Option<&Snapshot>, clock: &Clock) -> Vec<Finding> {
    let finding = match settings {
        None => Finding::skipped("bucket.mode", "without a store there are no settings that name a bucket"),
        Some(settings) if !is_raw(settings) => {
            Finding::skipped("bucket.mode", "no bucket is read (ow.ingest_mode = normalized)")
        }
        Some(settings) => read(config, settings, clock).await,
    };
    vec![finding]
}

async fn read(config: &Config, settings: &Snapshot, clock: &Clock) -> Finding {
    let opened = Access::of(settings, config.secret_key.as_ref(), config.ow_timeout)
        .and_then(|access| Bucket::new(&access, clock));
    let bucket = match opened {
        Ok(bucket) => bucket,
        Err(failure) => return Finding::stops("bucket.settings", failure.what, failure.next),
    };
    let next = "see that S3 runs, and that the key may list the bucket (s3:ListBucket) and read its objects (s3:GetObject)";
    match timeout(PATIENCE, bucket.examine()).await {
        Ok(Ok(true)) => {
            Finding::ok("bucket.read", format!("an object of {} was listed and read", bucket.place()))
        }
        Ok(Ok(false)) => Finding::warning(
            "bucket.read",
            format!("{} can be listed, and nothing is there", bucket.place()),
            "have OW keep its raw payloads in this bucket, and see that ow.s3.key_prefix is where it puts them",
        ),
        Ok(Err(error)) => match error.to_string().rsplit_once(": see ") {
            Some((what, settings)) => Finding::stops(
                "bucket.read",
                what,
                format!("see {settings}; jhe-ow settings list shows them"),
            ),
            None => Finding::stops("bucket.read", error.to_string(), next),
        },
        Err(_) => Finding::stops(
            "bucket.read",
            format!("{} was not listed within {} s", bucket.place(), PATIENCE.as_secs()),
            "see that ow.s3.endpoint_url is the address of S3 as this machine reaches it",
        ),
    }
}
