//! Signals: the first SIGINT or SIGTERM starts an orderly end, the second ends the process at once.

use futures_util::StreamExt;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook_tokio::Signals;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::common::failure::Failure;

/// The exit code after a second signal: 128 + SIGINT, as shells report it.
const EXIT_SIGNAL: i32 = 130;

/// Returns a token that the first SIGINT or SIGTERM cancels.
pub(crate) fn cancel_on_signal() -> Result<CancellationToken, Failure> {
    let cancel = CancellationToken::new();
    listen(&cancel, &[SIGINT, SIGTERM])?;
    Ok(cancel)
}

/// Cancels `cancel` at the first SIGINT or SIGTERM, and forwards each SIGHUP.
pub(crate) fn cancel_and_reload(cancel: &CancellationToken) -> Result<mpsc::Receiver<()>, Failure> {
    listen(cancel, &[SIGINT, SIGTERM, SIGHUP])
}

fn listen(cancel: &CancellationToken, which: &[i32]) -> Result<mpsc::Receiver<()>, Failure> {
    let mut signals = Signals::new(which).map_err(|error| {
        Failure::failed(format!("signals cannot be listened to: {error}"), "report it with this text")
    })?;
    let (reload, reloads) = mpsc::channel(1);
    let cancel = cancel.clone();
    tokio::spawn(async move {
        while let Some(signal) = signals.next().await {
            match signal {
                // A reload that is already waiting is enough.
                SIGHUP => drop(reload.try_send(())),
                _ if cancel.is_cancelled() => std::process::exit(EXIT_SIGNAL),
                _ => {
                    tracing::info!("stopping; a second signal ends it at once");
                    cancel.cancel();
                }
            }
        }
    });
    Ok(reloads)
}
