//! The handle with which the demonstration and the tests start, fill, break and inspect the simulated OW.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::common::{clock::Clock, time::Timestamp};
use crate::simulator::request_log::{DataRequest, OwRoute, ReceivedRequest, types_by_route};
use crate::simulator::server;
use crate::simulator::state::{OwState, SharedState, random_uuid};
use crate::simulator::{activity_day::ActivityDay, event::Event, fault::Fault, ring::heart_rate_at};
use crate::simulator::{samples_table::Row, sync_run::SimulatedRun, user::SimulatedUser};

/// A simulated OW that runs until it is dropped.
#[derive(Debug)]
pub struct SimulatedOw {
    shared: Arc<SharedState>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl SimulatedOw {
    /// Starts a server on this port of 127.0.0.1; 0 takes a free one.
    pub fn start(port: u16, clock: Clock) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(SharedState {
            port,
            state: Mutex::new(OwState::new()),
            clock,
            page_hook: Mutex::default(),
        });
        let (stop, stopped) = oneshot::channel();
        // A thread of its own: a test without a runtime can start it, and one that blocks does not stop it.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let served = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("simulated-ow".into())
            .spawn(move || runtime.block_on(server::run(listener, served, stopped)))?;
        Ok(Self { shared, stop: Some(stop), thread: Some(thread) })
    }

    pub fn url(&self) -> String {
        self.shared.url()
    }

    pub fn key(&self) -> String {
        self.shared.state.lock().key.clone()
    }

    /// Makes a new key; the old one is refused from now on.
    pub fn rotate_key(&self) -> String {
        self.shared.state.lock().rotate_key()
    }

    /// Runs `change` on a user. One that does not exist loses the change at once.
    fn with_user<T>(&self, user: &str, change: impl FnOnce(&mut SimulatedUser) -> T) -> T {
        change(self.shared.state.lock().user(user))
    }

    /// Adds a user with an active connection to Oura; returns its uuid.
    pub fn add_user(&self) -> String {
        let now = self.shared.clock.now();
        let mut state = self.shared.state.lock();
        let id = state.add_user(None, now);
        state.user(&id).connect("oura", now);
        id
    }

    /// Adds a user with this external id; returns its uuid.
    pub fn add_user_known_as(&self, external_id: &str) -> String {
        let now = self.shared.clock.now();
        self.shared.state.lock().add_user(Some(external_id.to_owned()), now)
    }

    pub fn add_user_with_id(&self, id: &str) {
        self.shared.state.lock().users.entry(id.to_owned()).or_default();
    }

    /// Deletes a user. As at OW, its pages still answer 200, without data.
    pub fn remove_user(&self, user: &str) {
        self.shared.state.lock().users.remove(user);
    }

    /// Connects a user to a provider, besides the connections it has.
    pub fn connect(&self, user: &str, provider: &str) {
        let now = self.shared.clock.now();
        self.with_user(user, |user| user.connect(provider, now));
    }

    /// Lists the users with an active connection to this provider.
    pub fn connected(&self, provider: &str) -> Vec<String> {
        let state = self.shared.state.lock();
        let is_connected =
            |user: &SimulatedUser| user.connections.get(provider).is_some_and(|it| it.is_active);
        state.users.iter().filter(|(_, user)| is_connected(user)).map(|(id, _)| id.clone()).collect()
    }

    /// Ends a connection without a request to OW, as a patient does at the provider.
    pub fn end_connection(&self, user: &str, provider: &str) {
        self.with_user(user, |user| {
            if let Some(connection) = user.connections.get_mut(provider) {
                connection.is_active = false;
            }
        });
    }

    /// Sets OW's `API_BASE_URL`, to which providers redirect browsers.
    pub fn set_api_base(&self, base: &str) {
        self.shared.state.lock().oauth.api_base = Some(base.to_owned());
    }

    /// Sets the providers whose credentials OW has; at first Oura.
    pub fn set_configured(&self, providers: &[&str]) {
        self.shared.state.lock().oauth.configured = providers.iter().map(ToString::to_string).collect();
    }

    /// Stores a heart rate of the user's ring.
    pub fn put(&self, user: &str, at: Timestamp, value: f64) {
        self.put_row(user, Row::heart_rate(at, value));
    }

    /// Stores a row, or updates the one with the same source, type and time.
    pub fn put_row(&self, user: &str, row: Row) {
        self.with_user(user, |user| user.put(row));
    }

    /// Stores a record that is served as this JSON.
    pub fn put_verbatim(&self, user: &str, at: Timestamp, json: &str) {
        self.with_user(user, |user| user.put_verbatim(at, json));
    }

    /// Stores a row at the provider; OW has it only after a historical sync.
    pub fn put_unsynced(&self, user: &str, row: Row) {
        self.with_user(user, |user| user.unsynced.push(row));
    }

    /// Removes all rows of one instant.
    pub fn remove_at(&self, user: &str, at: Timestamp) {
        self.with_user(user, |user| user.remove_at(at));
    }

    /// Removes the rows of one series type at one instant, of every source.
    pub fn remove_row(&self, user: &str, series_type: &str, at: Timestamp) {
        self.with_user(user, |user| user.remove_row(series_type, at));
    }

    /// Renames a device in all its rows.
    pub fn rename_device(&self, user: &str, from: Option<&str>, to: Option<&str>) {
        self.with_user(user, |user| user.rename_device(from, to));
    }

    /// Stores the heart rates of the person `seed` from `from` to `until`, one per `step`; returns their
    /// number.
    pub fn fill(&self, user: &str, from: Timestamp, until: Timestamp, step: Duration, seed: u64) -> usize {
        self.with_user(user, |user| {
            let (mut at, mut count) = (from, 0);
            while at < until {
                user.put(Row::heart_rate(at, heart_rate_at(seed, at)));
                (at, count) = (at.plus(step), count + 1);
            }
            count
        })
    }

    /// Lists the user's heart rates in the order of time.
    pub fn heart_rates(&self, user: &str) -> Vec<(Timestamp, f64)> {
        self.with_user(user, |user| user.heart_rates())
    }

    /// Stores an event, or updates the one with the same source, start and end in place; returns its id.
    pub fn put_event(&self, user: &str, event: Event) -> Uuid {
        self.with_user(user, |user| user.put_event(random_uuid(), event))
    }

    /// Updates an event in place, also its start and end, as when a provider sends one of its sleeps again.
    pub fn update_event(&self, user: &str, id: Uuid, event: Event) {
        self.with_user(user, |user| user.events.insert(id, event));
    }

    /// Replaces events by one with a new id, as OW does when it merges the parts of a night.
    pub fn replace_events(&self, user: &str, ids: &[Uuid], event: Event) -> Uuid {
        self.with_user(user, |user| {
            user.events.retain(|known, _| !ids.contains(known));
            user.put_event(random_uuid(), event)
        })
    }

    pub fn remove_event(&self, user: &str, id: Uuid) {
        self.with_user(user, |user| user.events.remove(&id));
    }

    /// Lists the user's events by id.
    pub fn events(&self, user: &str) -> Vec<(Uuid, Event)> {
        self.with_user(user, |user| user.events.iter().map(|(id, event)| (*id, event.clone())).collect())
    }

    /// Serves this day of activity instead of the one computed from samples.
    pub fn put_activity(&self, user: &str, day: ActivityDay) {
        self.with_user(user, |user| user.activity.insert(day.date.clone(), day));
    }

    /// Serves the computed activity again on a day such as `2026-11-21`.
    pub fn remove_activity(&self, user: &str, date: &str) {
        self.with_user(user, |user| user.activity.remove(date));
    }

    /// Lists a sync run; returns its id.
    pub fn add_run(&self, run: SimulatedRun) -> String {
        let id = format!("pull_{}", &random_uuid().simple().to_string()[..16]);
        self.shared.state.lock().sync_runs.push((id.clone(), run));
        id
    }

    /// Sets the time of OW's last pull from the providers; `None` is always now.
    pub fn set_last_pull(&self, at: Option<Timestamp>) {
        self.shared.state.lock().last_pull = at;
    }

    /// Sets or clears the fault of a user's pages on every route.
    pub fn set_fault(&self, user: &str, fault: Option<Fault>) {
        self.with_user(user, |user| user.set_fault(None, fault));
    }

    /// Sets or clears the fault of a user's pages on one route, where it goes before that of every route.
    pub fn set_fault_on(&self, user: &str, route: OwRoute, fault: Option<Fault>) {
        self.with_user(user, |user| user.set_fault(Some(route), fault));
    }

    /// Answers all requests about users, except their pages, with this status.
    pub fn set_users_broken(&self, status: Option<u16>) {
        self.shared.state.lock().users_fault = status;
    }

    /// Answers all OAuth requests with this status.
    pub fn set_oauth_broken(&self, status: Option<u16>) {
        self.shared.state.lock().oauth.fault = status;
    }

    /// Breaks OW's queue of tasks, without which it neither starts a sync nor lists runs.
    pub fn set_queue_broken(&self, is_broken: bool) {
        self.shared.state.lock().is_queue_broken = is_broken;
    }

    /// Sets the highest limit of a page of samples: 100, or 1000 as in newer versions.
    pub fn set_page_cap(&self, cap: usize) {
        self.shared.state.lock().page_cap = cap;
    }

    /// Answers for the connections of the user `asked` with those of another user.
    pub fn mix_up_connections(&self, asked: &str, answered: &str) {
        self.shared.state.lock().mixed_up = Some((asked.to_owned(), answered.to_owned()));
    }

    /// Makes OW a version that does not know these series types.
    pub fn set_missing_types(&self, names: &[&str]) {
        self.shared.state.lock().missing_types = names.iter().map(|name| (*name).to_owned()).collect();
    }

    /// Delays every page.
    pub fn set_latency(&self, latency: Duration) {
        self.shared.state.lock().latency = latency;
    }

    /// Calls `hook` before each page is answered, with the user and the number of page requests, and before each callback
    /// of an authorization, without a user.
    pub fn on_page(&self, hook: impl Fn(&str, usize) + Send + Sync + 'static) {
        *self.shared.page_hook.lock() = Some(Arc::new(hook));
    }

    /// Lists the requests since the start or [`Self::forget_requests`].
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.shared.state.lock().requests.clone()
    }

    /// Lists the same requests, parsed.
    pub fn data_requests(&self) -> Vec<DataRequest> {
        self.requests().iter().map(DataRequest::parse).collect()
    }

    /// Returns the routes on which a user's data were requested, each with the series types. `*` means all
    /// types.
    pub fn requested_types(&self, user: &str) -> BTreeMap<OwRoute, BTreeSet<String>> {
        types_by_route(&self.data_requests(), user)
    }

    pub fn forget_requests(&self) {
        self.shared.state.lock().requests.clear();
    }

    /// Returns the highest number of page requests at one time.
    pub fn max_in_flight(&self) -> usize {
        self.shared.state.lock().max_in_flight
    }
}

impl Drop for SimulatedOw {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
