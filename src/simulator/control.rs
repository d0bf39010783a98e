//! What tests and the demonstration do to events and summaries, and what they ask about what was asked.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::common::time::Timestamp;
use crate::simulator::activity_day::ActivityDay;
use crate::simulator::event::Event;
use crate::simulator::fault::Fault;
use crate::simulator::oauth_state::Connection;
use crate::simulator::requests_seen::{Asked, Route, by_route};
use crate::simulator::server;
use crate::simulator::sim::Sim;
use crate::simulator::state::random;

impl Sim {
    /// Gives a user an active connection to a provider, beside those it has.
    pub fn connect(&self, user: &str, provider: &str) {
        let connection = Connection { is_active: true, since: self.shared.clock.now() };
        self.shared.state.lock().user(user).connections.insert(provider.to_owned(), connection);
    }

    /// Removes the samples of one series type at one instant, of every source.
    pub fn remove_row(&self, user: &str, series_type: &str, at: Timestamp) {
        self.shared.state.lock().user(user).remove_row(series_type, at);
    }

    /// Stores a sleep or a workout; answers with its id. One of the same source, start and end is updated in
    /// place and keeps its id.
    pub fn put_event(&self, user: &str, event: Event) -> Uuid {
        let id = random();
        self.shared.state.lock().user(user).put_event(id, event)
    }

    /// Updates an event in place, also its start and end: the same id. What a provider does that sends one of
    /// its own sleeps again.
    pub fn update_event(&self, user: &str, id: Uuid, event: Event) {
        self.shared.state.lock().user(user).events.insert(id, event);
    }

    /// Puts an event in the place of others, under a new id; the old ids are gone. What OW does when it
    /// merges the parts of a night.
    pub fn replace_events(&self, user: &str, ids: &[Uuid], event: Event) -> Uuid {
        let id = random();
        let mut state = self.shared.state.lock();
        let user = state.user(user);
        user.events.retain(|known, _| !ids.contains(known));
        user.put_event(id, event)
    }

    /// Deletes an event.
    pub fn remove_event(&self, user: &str, id: Uuid) {
        self.shared.state.lock().user(user).events.remove(&id);
    }

    /// The user's events by id, oldest id first.
    pub fn events(&self, user: &str) -> Vec<(Uuid, Event)> {
        let mut state = self.shared.state.lock();
        state.user(user).events.iter().map(|(id, event)| (*id, event.clone())).collect()
    }

    /// Has a day of activity served as it is written here, in place of one that was, and of what the
    /// samples come to.
    pub fn put_activity(&self, user: &str, day: ActivityDay) {
        self.shared.state.lock().user(user).activity.insert(day.date.clone(), day);
    }

    /// Takes back what [`Sim::put_activity`] wrote of a day such as `2026-11-21`.
    pub fn remove_activity(&self, user: &str, date: &str) {
        self.shared.state.lock().user(user).activity.remove(date);
    }

    /// Makes the pages of one route of one user fail; none makes them well. It goes before a fault of every
    /// route.
    pub fn set_fault_on(&self, user: &str, route: Route, fault: Option<Fault>) {
        self.shared.state.lock().user(user).set_fault(Some(route), fault);
    }

    /// What was asked since the start or [`Sim::forget_requests`], understood.
    pub fn asked(&self) -> Vec<Asked> {
        let understood =
            |seen: &crate::simulator::requests_seen::Seen| Asked::of(seen, &server::pairs(&seen.query));
        self.requests().iter().map(understood).collect()
    }

    /// The routes on which a user's data were asked for, and the series types there: nothing else was asked
    /// about this user. All types at once are `*`.
    pub fn asked_of(&self, user: &str) -> BTreeMap<Route, BTreeSet<String>> {
        by_route(&self.asked(), user)
    }
}
