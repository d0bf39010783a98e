//! Signals: the first SIGINT or SIGTERM starts an orderly end, the second ends the process at once.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::common::failure::Failure;

/// The exit code after a second signal: 128 + SIGINT, as shells report it.
const EXIT_SIGNAL: i32 = 130;

/// Returns a token that the first SIGINT or SIGTERM cancels.
pub(crate) fn cancel_on_signal() -> Result<CancellationToken, Failure> {
    let (mut interrupts, mut terminations) =
        (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    let cancel = CancellationToken::new();
    let cancelled = cancel.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupts.recv() => {}
                _ = terminations.recv() => {}
            }
            if cancelled.is_cancelled() {
                std::process::exit(EXIT_SIGNAL);
            }
            tracing::info!("stopping; a second signal ends it at once");
            cancelled.cancel();
        }
    });
    Ok(cancel)
}

/// Returns the SIGHUPs of this process, which ask for the configuration to be read again.
pub(crate) fn reloads() -> Result<Signal, Failure> {
    listen(SignalKind::hangup())
}

fn listen(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| {
        Failure::failed(format!("signals cannot be listened to: {error}"), "report it with this text")
    })
}
