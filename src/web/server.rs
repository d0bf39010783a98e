//! The accept loop: timeouts, a limit on connections, and an end that does not wait for ever.

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::door::Door;
use super::routes;

/// A client that has not sent its headers by then is not going to.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections at one time; further ones wait in the kernel's queue. Far more than people look at
/// pages, far fewer than file descriptors.
const CONNECTIONS: usize = 256;
/// How long answers that are under way may take once the daemon is to stop.
const DRAIN: Duration = Duration::from_secs(2);
/// How long the loop rests when the system gives no connection, for want of file descriptors, say.
const REST: Duration = Duration::from_millis(100);

/// Serves the pages until `cancel`, then lets answers that are under way come to their end.
pub async fn serve(listener: TcpListener, door: Door, cancel: CancellationToken) {
    run(listener, TowerToHyperService::new(warp::service(routes::routes(door))), cancel).await;
}

/// Serves whatever answers, in the same way.
pub(super) async fn run<S, B>(listener: TcpListener, service: S, cancel: CancellationToken)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            () = cancel.cancelled() => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        let Some((stream, peer, slot)) = accepted else { continue };
        let service = service.clone();
        let from_peer = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            service.call(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .serve_connection(TokioIo::new(stream), from_peer);
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
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => {
            // Else the end of a page waits until its beginning is acknowledged: 40 ms.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!("a connection holds back its last piece: {error}");
            }
            Some((stream, peer, slot))
        }
        Err(error) => {
            tracing::warn!("no connection could be accepted: {error}");
            tokio::time::sleep(REST).await;
            None
        }
    }
}
