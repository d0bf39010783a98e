use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::common::clock::Clock;
use crate::common::time::Timestamp;
use crate::simulator::fault::Fault;
use crate::simulator::oauth_state::Connection;
use crate::simulator::requests_seen::Seen;
use crate::simulator::ring::heart_rate_at;
use crate::simulator::run::Run;
use crate::simulator::samples_table::Row;
use crate::simulator::shared::Shared;
use crate::simulator::state::random;
use crate::simulator::{server, user};

/// A simulated OW that runs until it is dropped.
#[derive(Debug)]
pub struct Sim {
    pub(crate) shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Sim {
    /// Starts a server on this port of 127.0.0.1; 0 takes a free one.
    ///
    /// # Errors
    /// Where the port is taken.
    pub fn start(port: u16, clock: Clock) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared { port, state: Mutex::default(), clock, hook: Mutex::default() });
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let served = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("simulated-ow".into())
            .spawn(move || runtime.block_on(server::run(listener, served, stopped)))?;
        Ok(Self { shared, stop: Some(stop), thread: Some(thread) })
    }

    /// The address to call.
    pub fn url(&self) -> String {
        self.shared.url()
    }

    /// The key to call it with.
    pub fn key(&self) -> String {
        self.shared.state.lock().key.clone()
    }

    /// Makes a new key; the old one is refused from now on.
    pub fn rotate_key(&self) -> String {
        self.shared.state.lock().rotate_key()
    }

    /// A new user with an active connection to Oura; answers with its uuid.
    pub fn add_user(&self) -> String {
        let now = self.shared.clock.now();
        let mut state = self.shared.state.lock();
        let id = state.add_user(None, now);
        let connection = Connection { is_active: true, since: now };
        state.user(&id).connections.insert("oura".to_owned(), connection);
        id
    }

    /// The users who have this provider connected.
    pub fn connected(&self, provider: &str) -> Vec<String> {
        let state = self.shared.state.lock();
        let is_connected =
            |user: &user::User| user.connections.get(provider).is_some_and(|connection| connection.is_active);
        state.users.iter().filter(|(_, user)| is_connected(user)).map(|(id, _)| id.clone()).collect()
    }

    /// Ends a connection behind everybody's back, as a wearer does at the provider.
    pub fn end_connection(&self, user: &str, provider: &str) {
        if let Some(connection) = self.shared.state.lock().user(user).connections.get_mut(provider) {
            connection.is_active = false;
        }
    }

    /// Where the providers send browsers back to: the address of a proxy before OW.
    pub fn set_api_base(&self, base: &str) {
        self.shared.state.lock().oauth.api_base = Some(base.to_owned());
    }

    /// The providers whose credentials OW has; Oura's from the start.
    pub fn set_configured(&self, providers: &[&str]) {
        self.shared.state.lock().oauth.configured = providers.iter().map(ToString::to_string).collect();
    }

    /// Makes everything about authorizations fail with this status.
    pub fn set_oauth_broken(&self, status: Option<u16>) {
        self.shared.state.lock().oauth.broken = status;
    }

    /// Has OW say that it last fetched from the providers then, and not just now; none makes it well.
    pub fn set_pulled(&self, at: Option<Timestamp>) {
        self.shared.state.lock().pulled = at;
    }

    /// Makes everything about users, other than their pages, fail with this status.
    pub fn set_users_broken(&self, status: Option<u16>) {
        self.shared.state.lock().users_broken = status;
    }

    /// A new user whom OW knows by this external id; answers with its uuid.
    pub fn add_user_known_as(&self, external_id: &str) -> String {
        let now = self.shared.clock.now();
        self.shared.state.lock().add_user(Some(external_id.to_owned()), now)
    }

    /// A new user with this uuid.
    pub fn add_user_with_id(&self, id: &str) {
        self.shared.state.lock().users.entry(id.to_owned()).or_default();
    }

    /// Deletes a user: its data endpoints go on to answer 200 and nothing.
    pub fn remove_user(&self, user: &str) {
        self.shared.state.lock().users.remove(user);
    }

    /// Stores a heart rate of the user's ring, in place of one that was there.
    pub fn put(&self, user: &str, at: Timestamp, value: f64) {
        self.put_row(user, Row::heart_rate(at, value));
    }

    /// Stores a row, in place of one with the same source, type and time.
    pub fn put_row(&self, user: &str, row: Row) {
        self.shared.state.lock().user(user).put(row);
    }

    /// Stores a record that is served as it is written here.
    pub fn put_verbatim(&self, user: &str, at: Timestamp, json: &str) {
        self.shared.state.lock().user(user).put_verbatim(at, json);
    }

    /// A row that the provider has and OW has not, until a historical sync fetches it.
    pub fn put_unsynced(&self, user: &str, row: Row) {
        self.shared.state.lock().user(user).unsynced.push(row);
    }

    /// Removes the heart rates of one instant.
    pub fn remove(&self, user: &str, at: Timestamp) {
        self.shared.state.lock().user(user).remove(at);
    }

    /// Gives another name to a device, of all its rows.
    pub fn rename_device(&self, user: &str, from: Option<&str>, to: Option<&str>) {
        self.shared.state.lock().user(user).rename_device(from, to);
    }

    /// Fills a stretch of time with a ring's heart rates; answers how many.
    pub fn fill(&self, user: &str, from: Timestamp, until: Timestamp, step: Duration, seed: u64) -> usize {
        let mut state = self.shared.state.lock();
        let user = state.user(user);
        let mut at = from;
        let mut count = 0;
        while at < until {
            user.put(Row::heart_rate(at, heart_rate_at(seed, at)));
            (at, count) = (at.plus(step), count + 1);
        }
        count
    }

    /// The user's heart rates, in the order of time.
    pub fn rows(&self, user: &str) -> Vec<(Timestamp, f64)> {
        self.shared.state.lock().user(user).heart_rates()
    }

    /// Makes the pages of one user fail, on every route; none makes them well.
    pub fn set_fault(&self, user: &str, fault: Option<Fault>) {
        self.shared.state.lock().user(user).set_fault(None, fault);
    }

    /// Sets how many records a page may have: 100, or 1000 as in newer versions.
    pub fn set_page_cap(&self, cap: usize) {
        self.shared.state.lock().page_cap = cap;
    }

    /// Makes OW's queue of tasks fail, so that it cannot be asked to fetch anything.
    pub fn set_queue_broken(&self, broken: bool) {
        self.shared.state.lock().queue_broken = broken;
    }

    /// Answers every page this much later.
    pub fn set_latency(&self, latency: Duration) {
        self.shared.state.lock().latency = latency;
    }

    /// What was asked since the start or [`Sim::forget_requests`].
    pub fn requests(&self) -> Vec<Seen> {
        self.shared.state.lock().seen.clone()
    }

    /// Forgets what was asked.
    pub fn forget_requests(&self) {
        self.shared.state.lock().seen.clear();
    }

    /// The most page requests that were under way at one time.
    pub fn most_in_flight(&self) -> usize {
        self.shared.state.lock().most_in_flight
    }

    /// Has `hook` called before each page is answered, with the user and the count of page requests.
    pub fn on_page(&self, hook: impl Fn(&str, usize) + Send + Sync + 'static) {
        *self.shared.hook.lock() = Some(Arc::new(hook));
    }

    /// Has OW list a run; answers with its id.
    pub fn add_run(&self, run: Run) -> String {
        let id = format!("pull_{}", &random().simple().to_string()[..16]);
        self.shared.state.lock().runs.push((id.clone(), run));
        id
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
