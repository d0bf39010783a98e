//! The accept loop: timeouts, limits on connections, and a shutdown that does not wait for ever.

use std::collections::HashMap;
use std::convert::Infallible;
use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderValue, Request, Response, header};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio_io_timeout::TimeoutStream;
use tokio_util::io::InspectReader;
use tokio_util::sync::CancellationToken;

use crate::app::rate_limit::network;
use crate::web::connections::{Answering, Connections, PER_NETWORK};
use crate::web::framing::{self, Framing};
use crate::web::patient_access::{CHOICES, WITHDRAW};
use crate::web::{gate::Gate, routes, service};

/// A client that has not sent its headers by then will not.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// Requests in progress of one client of a trusted proxy to the pages with which a patient withdraws, beside the
/// others: nobody is kept from withdrawing, whatever the neighbours do.
const WITHDRAWING: usize = 8;
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
    let (all, withdrawing) = (ClientCounts::default(), ClientCounts::default());
    let service = service_fn(move |request: Request<Incoming>| {
        let client = entrance.find_client(&request);
        let counted = if [CHOICES, WITHDRAW].contains(&request.uri().path()) {
            withdrawing.enter(client, WITHDRAWING)
        } else {
            all.enter(client, PER_NETWORK)
        };
        // A direct client's connections are limited, and one of them that was just ended may still be counted.
        let is_admitted = counted.is_some() || !entrance.is_through_proxy(&request);
        let answered = service::answer(entrance.clone(), routes.clone(), request, client, is_admitted);
        async move {
            let response = answered.await?;
            Ok::<_, Infallible>(response.map(|body| HoldingBody { body, _held: counted }))
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
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Unpin + 'static,
{
    let (connections, graceful) = (Connections::default(), GracefulShutdown::new());
    loop {
        let accepted = async {
            let (stream, peer) = accept(&listener).await?;
            let network = Some(peer.ip()).filter(|ip| !trusts(*ip)).map(|ip| network(ip.to_canonical()));
            // A connection over the limit is closed at once.
            Some((stream, peer, Arc::new(connections.open(network).await?)))
        };
        let accepted = tokio::select! {
            () = cancel.cancelled() => break,
            accepted = accepted => accepted,
        };
        let Some((stream, peer, open)) = accepted else { continue };
        let (service, framing) = (service.clone(), Framing::default());
        let (mut watch, reading, answering) = (framing.watch(), Arc::clone(&open), Arc::clone(&open));
        let from_peer = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            request.extensions_mut().insert(framing.clone());
            let (is_last, held) = (framing::is_last(&request), Answering(Arc::clone(&answering)));
            let answered = service.call(request);
            async move {
                let mut response = answered.await?;
                if is_last {
                    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(response.map(|body| HoldingBody { body, _held: held }))
            }
        });
        let mut stream = TimeoutStream::new(stream);
        // No read timeout: the server waits for the client's close also while it works on a response.
        stream.set_write_timeout(Some(WRITE_TIMEOUT));
        let stream = InspectReader::new(Box::pin(stream), move |bytes| {
            if watch.read(bytes) {
                reading.set_busy();
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(stream), from_peer);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            tokio::select! {
                () = open.ended() => tracing::debug!("a connection that waited was ended, as another came"),
                ended = tokio::time::timeout(LIFETIME, connection) => match ended {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::debug!("a connection ended badly: {error}"),
                    Err(_) => tracing::debug!("a connection was ended, as it lasted too long"),
                },
            }
        });
    }
    // A slower client is cut off.
    let _ = tokio::time::timeout(DRAIN, graceful.shutdown()).await;
}

/// Requests in progress, by network.
#[derive(Debug, Clone, Default)]
struct ClientCounts(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One counted request, until it is dropped.
struct CountedEntry {
    counts: ClientCounts,
    network: IpAddr,
}

/// A response's body that holds something until it is sent.
struct HoldingBody<B, H> {
    body: B,
    _held: H,
}

impl<B: Body + Unpin, H: Unpin> Body for HoldingBody<B, H> {
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

async fn accept(listener: &TcpListener) -> Option<(TcpStream, SocketAddr)> {
    match listener.accept().await {
        Ok((stream, peer)) => {
            // Otherwise the end of a page waits 40 ms for the acknowledgement of its beginning.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!("a connection holds back its last piece: {error}");
            }
            Some((stream, peer))
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
