//! The accept loop: timeouts, limits on connections, and a shutdown that does not wait for ever.

use std::collections::HashMap;
use std::convert::Infallible;
use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutStream;
use tokio_util::io::InspectReader;
use tokio_util::sync::CancellationToken;

use crate::app::rate_limit::network;
use crate::web::{gate::Gate, line_ends::LineEnds, patient_access::WITHDRAW, routes, service};

/// A client that has not sent its headers by then will not.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections at one time; further ones wait in the kernel's queue. Far more than people look at pages, far
/// fewer than file descriptors.
const CONNECTIONS: usize = 256;
/// Connections at one time from one address or IPv6 network. A trusted proxy has no such limit: behind it each client
/// has as many requests in progress. Browsers open six connections; a study's rooms may share an address.
const PER_NETWORK: usize = CONNECTIONS / 8;
/// A client that reads nothing for so long is cut off.
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);
/// The longest life of a connection, also of one that reads a byte now and then. A download of a patient's
/// data takes seconds.
const LIFETIME: Duration = Duration::from_mins(10);
/// Bytes of a request's head, and of a body that is read ahead.
const BUFFER: usize = 32 * 1024;
/// The time that running responses get when the daemon stops.
const DRAIN: Duration = Duration::from_secs(2);
/// The pause after a failed accept, for example without free file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves the pages until `cancel`, then lets running responses finish.
pub async fn serve(listener: TcpListener, gate: Gate, cancel: CancellationToken) {
    let routes = TowerToHyperService::new(warp::service(routes::filter()));
    let entrance = gate.clone();
    let clients = ClientCounts::default();
    let service = service_fn(move |request: Request<Incoming>| {
        let client = entrance.find_client(&request);
        // Nobody is kept from withdrawing, whatever the neighbours do.
        let limit = if request.uri().path() == WITHDRAW { CONNECTIONS } else { PER_NETWORK };
        let counted = clients.enter(client, limit);
        let answered = service::answer(entrance.clone(), routes.clone(), request, client, counted.is_some());
        async move {
            let response = answered.await?;
            Ok::<_, Infallible>(response.map(|body| CountedBody { body, _entry: counted }))
        }
    });
    run(listener, service, move |peer| gate.trusts(peer), cancel).await;
}

/// Serves a service until `cancel`. Connections from an address that `trusts` accepts have no limit per
/// network.
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
    let (slots, clients) = (Arc::new(Semaphore::new(CONNECTIONS)), ClientCounts::default());
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            () = cancel.cancelled() => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        let Some((stream, peer, slot)) = accepted else { continue };
        let limit = if trusts(peer.ip()) { CONNECTIONS } else { PER_NETWORK };
        // A connection over the limit is closed at once: waiting would occupy its slot.
        let Some(entry) = clients.enter(peer.ip(), limit) else { continue };
        let (service, line_ends) = (service.clone(), LineEnds::default());
        let mut watch = line_ends.watch();
        let from_peer = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            request.extensions_mut().insert(line_ends.clone());
            service.call(request)
        });
        let mut stream = TimeoutStream::new(stream);
        // No read timeout: the server waits for the client's close also while it works on a response.
        stream.set_write_timeout(Some(WRITE_TIMEOUT));
        let stream = InspectReader::new(Box::pin(stream), move |bytes| watch.read(bytes));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(stream), from_peer);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            match tokio::time::timeout(LIFETIME, connection).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!("a connection ended badly: {error}"),
                Err(_) => tracing::debug!("a connection was ended, as it lasted too long"),
            }
            drop((entry, slot));
        });
    }
    // A slower client is cut off.
    let _ = tokio::time::timeout(DRAIN, graceful.shutdown()).await;
}

/// Open connections, or requests in progress, by network.
#[derive(Debug, Clone, Default)]
struct ClientCounts(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One counted connection or request, until it is dropped.
struct CountedEntry {
    counts: ClientCounts,
    network: IpAddr,
}

/// A response's body. Its request is in progress until the body is sent.
struct CountedBody<B> {
    body: B,
    _entry: Option<CountedEntry>,
}

impl<B: Body + Unpin> Body for CountedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl ClientCounts {
    fn enter(&self, client: IpAddr, limit: usize) -> Option<CountedEntry> {
        let network = network(client.to_canonical());
        let mut counts = self.0.lock();
        let count = counts.entry(network).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(CountedEntry { counts: self.clone(), network })
    }
}

impl Drop for CountedEntry {
    fn drop(&mut self) {
        let mut counts = self.counts.0.lock();
        if let Some(count) = counts.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.network);
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
            // Otherwise the end of a page waits 40 ms for the acknowledgement of its beginning.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!("a connection holds back its last piece: {error}");
            }
            Some((stream, peer, slot))
        }
        Err(error) => {
            tracing::warn!("no connection could be accepted: {error}");
            tokio::time::sleep(PAUSE).await;
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_every_connection() {
        let (counts, ip) = (ClientCounts::default(), |text: &str| text.parse::<IpAddr>().unwrap());
        let entries: Vec<_> = (0..2).map(|_| counts.enter(ip("192.0.2.1"), 2).unwrap()).collect();
        assert!(counts.enter(ip("::ffff:192.0.2.1"), 2).is_none(), "the same address, mapped to IPv6");
        assert!(counts.enter(ip("192.0.2.2"), 2).is_some());
        drop(entries);
        assert!(counts.enter(ip("192.0.2.1"), 2).is_some());
        assert!(counts.0.lock().is_empty(), "no address stays");
    }
}
