//! The accept loop: timeouts, limits on connections, and an end that does not wait for ever.

use std::collections::HashMap;
use std::convert::Infallible;
use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;

use crate::app::rate_limit::network;
use crate::web::gate::Door;
use crate::web::routes;

/// A client that has not sent its headers by then is not going to.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections at one time; further ones wait in the kernel's queue. Far more than people look at
/// pages, far fewer than file descriptors.
const CONNECTIONS: usize = 256;
/// Connections at one time from one address, or network of IPv6. A proxy that is trusted has no such limit.
const FROM_ONE: usize = CONNECTIONS / 2;
/// A client that takes nothing for so long is not going to.
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);
/// Whatever a connection does, it ends by then: also one that takes a byte now and again. Downloads of a patient's data
/// take seconds.
const LIFETIME: Duration = Duration::from_mins(10);
/// Bytes of the head of a request, and of what is read ahead of a body.
const BUFFER: usize = 32 * 1024;
/// How long answers that are under way may take once the daemon is to stop.
const DRAIN: Duration = Duration::from_secs(2);
/// How long the loop rests when the system gives no connection, for want of file descriptors, say.
const REST: Duration = Duration::from_millis(100);

/// Serves the pages until `cancel`, then lets answers that are under way come to their end.
pub async fn serve(listener: TcpListener, door: Door, cancel: CancellationToken) {
    let service = TowerToHyperService::new(warp::service(routes::routes(door.clone())));
    run(listener, service, move |peer| door.trusts(peer), cancel).await;
}

/// Serves whatever answers, in the same way. `trusts` says whose connections are not limited by address.
pub(crate) async fn run<S, B>(
    listener: TcpListener,
    service: S,
    trusts: impl Fn(IpAddr) -> bool,
    cancel: CancellationToken,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let (slots, crowd) = (Arc::new(Semaphore::new(CONNECTIONS)), Crowd::default());
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            () = cancel.cancelled() => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        let Some((stream, peer, slot)) = accepted else { continue };
        let limit = if trusts(peer.ip()) { CONNECTIONS } else { FROM_ONE };
        // What is over the limit is closed at once: to wait would be to keep a place.
        let Some(place) = crowd.enter(peer.ip(), limit) else { continue };
        let service = service.clone();
        let from_peer = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            service.call(request)
        });
        let mut stream = TimeoutStream::new(stream);
        // None for reading: the server listens for the client's end also while it works on an answer.
        stream.set_write_timeout(Some(WRITE_TIMEOUT));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(Box::pin(stream)), from_peer);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            match tokio::time::timeout(LIFETIME, connection).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!("a connection ended badly: {error}"),
                Err(_) => tracing::debug!("a connection was ended, as it lasted too long"),
            }
            drop((place, slot));
        });
    }
    // Whoever is slower than that is cut off.
    let _ = tokio::time::timeout(DRAIN, graceful.shutdown()).await;
}

/// How many connections there are from whom.
#[derive(Debug, Clone, Default)]
struct Crowd(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A place among the connections of one address, until it is dropped.
struct Place {
    crowd: Crowd,
    of: IpAddr,
}

impl Crowd {
    fn enter(&self, client: IpAddr, limit: usize) -> Option<Place> {
        let of = network(client.to_canonical());
        let mut counts = self.0.lock();
        let count = counts.entry(of).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(Place { crowd: self.clone(), of })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.crowd.0.lock();
        if let Some(count) = counts.get_mut(&self.of) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.of);
            }
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_does_not_take_every_place() {
        let (crowd, ip) = (Crowd::default(), |text: &str| text.parse::<IpAddr>().unwrap());
        let places: Vec<_> = (0..2).map(|_| crowd.enter(ip("192.0.2.1"), 2).unwrap()).collect();
        assert!(crowd.enter(ip("::ffff:192.0.2.1"), 2).is_none(), "the same in other words");
        assert!(crowd.enter(ip("192.0.2.2"), 2).is_some());
        drop(places);
        assert!(crowd.enter(ip("192.0.2.1"), 2).is_some());
        assert!(crowd.0.lock().is_empty(), "nobody is remembered");
    }
}
