//! The accept loop: timeouts, a limit on connections, and an end that does not wait for ever.

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{App, routes};

/// A client that has not sent its headers by then is not going to.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections at one time; further ones wait in the kernel's queue. Far more than people look at a
/// status page, far fewer than file descriptors.
const CONNECTIONS: usize = 256;
/// How long answers that are under way may take once the daemon is to stop.
const DRAIN: Duration = Duration::from_secs(2);
/// How long the loop rests when the system gives no connection, for want of file descriptors, say.
const REST: Duration = Duration::from_millis(100);

/// Serves until `cancel`, then lets answers that are under way come to their end.
pub async fn serve(listener: TcpListener, app: App, cancel: CancellationToken) {
    let service = TowerToHyperService::new(warp::service(routes::routes(app)));
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            () = cancel.cancelled() => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        let Some((stream, slot)) = accepted else { continue };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service.clone());
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!("a connection ended badly: {error}");
            }
            drop(slot);
        });
    }
    // Whoever is slower than that is cut off.
    let _ = tokio::time::timeout(DRAIN, graceful.shutdown()).await;
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, slot)),
        Err(error) => {
            tracing::warn!("no connection could be accepted: {error}");
            tokio::time::sleep(REST).await;
            None
        }
    }
}
