//! How the bucket of the provider's payloads was last found, shared between who looks after it and the pages.

use crate::app::bucket_status::Examined;
use crate::app::state::App;
use crate::common::failure::Failure;
use crate::config::settings::{IngestMode, Snapshot};
use crate::raw::access::Access;
use crate::raw::client::Bucket;

/// Looks whether the bucket can be listed and read, in raw mode, and logs what of that is news.
pub(crate) async fn examine(app: &App) {
    let settings = app.store.settings().await.unwrap_or_default();
    if settings.ingest_mode() != Ok(IngestMode::Raw) {
        app.payloads.note(None);
        return;
    }
    let trouble = match look(app, &settings).await {
        Ok(()) => None,
        Err(failure) => Some(failure.what),
    };
    let before = app.payloads.last();
    match (&trouble, before.as_ref().map(|before| &before.trouble)) {
        (now, Some(before)) if now == before => {}
        (Some(trouble), _) => tracing::warn!("raw payloads: {trouble}"),
        (None, _) => tracing::info!("raw payloads: the bucket can be listed and read"),
    }
    app.payloads.note(Some(Examined { at: app.clock.now(), trouble }));
}

async fn look(app: &App, settings: &Snapshot) -> Result<(), Failure> {
    let config = app.live.config();
    let access = Access::of(settings, config.secret_key.as_ref(), config.ow_timeout)?;
    let examined = Bucket::new(&access, &app.clock)?.examine().await;
    examined.map(drop).map_err(|error| Failure::failed(error.to_string(), ""))
}
