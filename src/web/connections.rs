//! The open connections, and the choice of the one that ends when another needs its place.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// Connections at one time; further ones wait. Far more than people look at pages, far fewer than file descriptors.
const CONNECTIONS: usize = 256;
/// Connections at one time from one address or IPv6 network, and requests in progress of one client of a trusted
/// proxy. Browsers open six connections; a study's rooms may share an address.
pub(crate) const PER_NETWORK: usize = CONNECTIONS / 8;
/// The pause before a new connection looks for a place again.
const PAUSE: Duration = Duration::from_millis(100);

/// The open connections, by the order in which they began.
#[derive(Debug, Clone, Default)]
pub(crate) struct Connections(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    open: BTreeMap<u64, Entry>,
    /// Counts what happens here, in place of a clock.
    steps: u64,
}

#[derive(Debug)]
struct Entry {
    /// None for a trusted proxy, which makes requests for many clients.
    network: Option<IpAddr>,
    /// The step since which the client owes a complete request; none while one is answered.
    waiting_since: Option<u64>,
    end: CancellationToken,
}

/// An open connection, until it is dropped.
#[derive(Debug)]
pub(crate) struct OpenConnection {
    all: Connections,
    id: u64,
    end: CancellationToken,
}

/// Marks a connection as waiting for its next request when the response to the last one is dropped.
pub(crate) struct Answering(pub(crate) Arc<OpenConnection>);

#[derive(Debug, PartialEq, Eq)]
enum Full {
    /// The network has its share, and all of it is in use.
    Network,
    All,
}

impl Connections {
    /// Opens a connection. If there are too many, the one that has waited longest for a complete request ends: of the
    /// same network, else of all. Returns none if the network's share answers requests already.
    pub(crate) async fn open(&self, network: Option<IpAddr>) -> Option<OpenConnection> {
        loop {
            match self.try_open(network) {
                Ok(opened) => return Some(opened),
                Err(Full::Network) => return None,
                Err(Full::All) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    fn try_open(&self, network: Option<IpAddr>) -> Result<OpenConnection, Full> {
        let mut table = self.0.lock();
        let is_same = |entry: &Entry| network.is_some() && entry.network == network;
        let of_network = table.open.values().filter(|entry| is_same(entry)).count();
        if of_network >= PER_NETWORK && !table.end_longest_waiting(is_same) {
            return Err(Full::Network);
        }
        if table.open.len() >= CONNECTIONS && !table.end_longest_waiting(|_| true) {
            return Err(Full::All);
        }
        let (id, end) = (table.step(), CancellationToken::new());
        table.open.insert(id, Entry { network, waiting_since: Some(id), end: end.clone() });
        Ok(OpenConnection { all: self.clone(), id, end })
    }
}

impl Table {
    fn step(&mut self) -> u64 {
        self.steps += 1;
        self.steps
    }

    /// Ends one connection, unless none of these waits.
    fn end_longest_waiting(&mut self, is_meant: impl Fn(&Entry) -> bool) -> bool {
        let waiting = self.open.iter().filter(|(_, entry)| is_meant(entry));
        let longest = waiting.filter_map(|(id, entry)| Some((entry.waiting_since?, *id))).min();
        let ended = longest.and_then(|(_, id)| self.open.remove(&id));
        ended.inspect(|entry| entry.end.cancel()).is_some()
    }
}

impl OpenConnection {
    /// Waits until the connection has to make room.
    pub(crate) async fn ended(&self) {
        self.end.cancelled().await;
    }

    /// Marks the connection as one that has sent a complete request.
    pub(crate) fn set_busy(&self) {
        self.update(|entry, _| entry.waiting_since = None);
    }

    fn update(&self, change: impl FnOnce(&mut Entry, u64)) {
        let mut table = self.all.0.lock();
        let step = table.step();
        if let Some(entry) = table.open.get_mut(&self.id) {
            change(entry, step);
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.update(|entry, step| entry.waiting_since = Some(step));
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.all.0.lock().open.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connection_that_owes_a_request_longest_makes_room() {
        let all = Connections::default();
        let network = |last: u8| Some(IpAddr::from([192, 0, 2, last]));
        let mut of_one: Vec<_> =
            (0..PER_NETWORK).map(|_| Arc::new(all.try_open(network(1)).unwrap())).collect();
        let ended = |of: &[Arc<OpenConnection>]| of.iter().position(|one| one.end.is_cancelled());
        of_one[0].set_busy();
        drop(Answering(Arc::clone(&of_one[1])));
        of_one.push(all.try_open(network(1)).unwrap().into());
        assert_eq!(ended(&of_one), Some(2), "the first works, and the second has just been answered");
        assert_eq!(all.0.lock().open.len(), PER_NETWORK);
        of_one.remove(2);
        for one in &of_one {
            one.set_busy();
        }
        assert_eq!(all.try_open(network(1)).unwrap_err(), Full::Network);

        let of_proxy: Vec<_> =
            (PER_NETWORK..CONNECTIONS).map(|_| Arc::new(all.try_open(None).unwrap())).collect();
        let other = all.try_open(network(2)).unwrap();
        assert_eq!((ended(&of_one), ended(&of_proxy)), (None, Some(0)), "whoever it is");
        for one in &of_proxy {
            one.set_busy();
        }
        other.set_busy();
        assert_eq!(all.try_open(network(3)).unwrap_err(), Full::All);
        drop((of_one, of_proxy, other));
        assert!(all.0.lock().open.is_empty());
    }
}
