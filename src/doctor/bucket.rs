//! Checks that an object in the bucket of raw payloads can be listed and read.

use std::time::Duration;

use tokio::time::timeout;

use crate::common::clock::Clock;
use crate::config::{load::Config, settings::Settings};
use crate::doctor::finding::{Finding, is_raw_mode};
use crate::model::catalog::endpoint::{self, ENDPOINTS};
use crate::model::catalog::series;
use crate::model::catalog::source::{DATA_SOURCES, DataSource};
use crate::raw::{access::BucketAccess, client::S3Bucket};

/// The limit for all tries together.
const TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) async fn check(config: &Config, settings: Option<&Settings>, clock: &Clock) -> Vec<Finding> {
    match settings {
        None => {
            vec![Finding::skipped("bucket.mode", "there is no store, so there are no settings of a bucket")]
        }
        Some(settings) if !is_raw_mode(settings) => {
            vec![Finding::skipped("bucket.mode", "no bucket is read (ow.ingest_mode = normalized)")]
        }
        Some(settings) => vec![check_access(config, settings, clock).await, list_missing_types()],
    }
}

/// Lists the data types that OW has of a provider with payloads and raw mode does not read.
fn list_missing_types() -> Finding {
    let has_payloads = |source: &&DataSource| {
        ENDPOINTS.iter().any(|endpoint| endpoint.provider.eq_ignore_ascii_case(source.name))
    };
    let delivered = DATA_SOURCES.iter().filter(has_payloads).flat_map(|source| source.series);
    let is_missing = |name: &&&str| endpoint::list_for_series(name).next().is_none();
    let names = delivered.filter(is_missing).filter_map(|name| Some(series::find(name)?.name));
    let names = names.collect::<Vec<_>>().join(", ");
    Finding::ok(
        "bucket.types",
        format!("raw mode does not read these; ow.ingest_mode normalized does: {names}"),
    )
}

async fn check_access(config: &Config, settings: &Settings, clock: &Clock) -> Finding {
    let opened = BucketAccess::from_settings(settings, config.secret_key.as_ref(), config.ow_timeout)
        .and_then(|access| S3Bucket::new(&access, clock));
    let bucket = match opened {
        Ok(bucket) => bucket,
        Err(failure) => return Finding::failed("bucket.settings", failure),
    };
    let remedy = "check that S3 runs, and that the key may list the bucket (s3:ListBucket) and read its \
        objects (s3:GetObject)";
    match timeout(TIMEOUT, bucket.check_access()).await {
        Ok(Ok(true)) => {
            Finding::ok("bucket.read", format!("an object of {} was listed and read", bucket.describe()))
        }
        Ok(Ok(false)) => Finding::warning(
            "bucket.read",
            format!("{} can be listed and is empty", bucket.describe()),
            "make OW store its raw payloads in this bucket, and check that ow.s3.key_prefix is the prefix it \
             uses",
        ),
        // Errors of S3 that a setting causes end with the setting's name.
        Ok(Err(error)) => match error.to_string().rsplit_once(": see ") {
            Some((message, settings)) => Finding::stops(
                "bucket.read",
                message,
                format!("see {settings}; jhe-ow settings list shows them"),
            ),
            None => Finding::stops("bucket.read", error.to_string(), remedy),
        },
        Err(_) => Finding::stops(
            "bucket.read",
            format!("{} was not listed within {} s", bucket.describe(), TIMEOUT.as_secs()),
            "check that ow.s3.endpoint_url is the address at which this machine reaches S3",
        ),
    }
}
