//! Checks in raw mode that the bucket with the providers' payloads can be listed and read.

use crate::app::{bucket_status::BucketCheck, state::App};
use crate::common::failure::Failure;
use crate::config::settings::{IngestMode, Settings};
use crate::raw::{access::BucketAccess, client::S3Bucket};

/// Checks the bucket, records the result, and logs it if it differs from the last one.
pub(crate) async fn check_bucket(app: &App) {
    let settings = app.store.settings().await.unwrap_or_default();
    if settings.ingest_mode() != Ok(IngestMode::Raw) {
        app.bucket_status.record_check(None);
        return;
    }
    let error = read_bucket(app, &settings).await.err().map(|failure| failure.message);
    if app.bucket_status.last_check().is_none_or(|last| last.error != error) {
        if let Some(error) = &error {
            tracing::warn!("raw payloads: {error}");
        } else {
            tracing::info!("raw payloads: the bucket can be listed and read");
        }
    }
    app.bucket_status.record_check(Some(BucketCheck { at: app.clock.now(), error }));
}

async fn read_bucket(app: &App, settings: &Settings) -> Result<(), Failure> {
    let config = app.live.config();
    let access = BucketAccess::from_settings(settings, config.secret_key.as_ref(), config.ow_timeout)?;
    let checked = S3Bucket::new(&access, &app.clock)?.check_access().await;
    checked.map(drop).map_err(|error| Failure::failed(error.to_string(), ""))
}
