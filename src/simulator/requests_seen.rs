//! What was asked, by route and types, so that a test can say: this, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use crate::simulator::query::{Pairs, last};

/// An endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Route {
    /// `GET /users/{id}/timeseries`
    Timeseries,
    /// `GET /users/{id}/events/sleep`
    Sleep,
    /// `GET /users/{id}/events/workouts`
    Workouts,
    /// `GET /users/{id}/summaries/activity`
    Activity,
    /// `GET /users/{id}/summaries/sleep`
    SleepSummary,
    /// `GET /users/{id}/summaries/data`
    Counts,
    /// Anything else.
    Other,
}

impl Route {
    /// The route of a path's parts behind `/api/v1/`, where it is one that has pages.
    pub(crate) fn paged(method: &str, path: &[&str]) -> Option<Self> {
        let ("GET", ["users", _, rest @ ..]) = (method, path) else { return None };
        match rest {
            ["timeseries"] => Some(Self::Timeseries),
            ["events", "sleep"] => Some(Self::Sleep),
            ["events", "workouts"] => Some(Self::Workouts),
            ["summaries", "activity"] => Some(Self::Activity),
            ["summaries", "sleep"] => Some(Self::SleepSummary),
            _ => None,
        }
    }
}

/// One request for a user's data, understood as far as OW would.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    /// The endpoint.
    pub route: Route,
    /// The user's uuid; empty where the request was about none.
    pub user: String,
    /// The series types; all of them where there are none and the route is [`Route::Timeseries`].
    pub types: BTreeSet<String>,
    /// `start_time` or `start_date`, as it was sent.
    pub from: Option<String>,
    /// `end_time` or `end_date`, as it was sent.
    pub until: Option<String>,
    /// `limit`, as it was sent.
    pub limit: Option<String>,
    /// Whether it is a page behind the first one.
    pub has_cursor: bool,
}

impl Asked {
    pub(crate) fn of(seen: &Seen, pairs: &Pairs) -> Self {
        let parts: Vec<&str> = seen.path.strip_prefix("/api/v1/").unwrap_or_default().split('/').collect();
        let route = match (seen.method.as_str(), parts.as_slice()) {
            ("GET", ["users", _, "summaries", "data"]) => Route::Counts,
            (method, path) => Route::paged(method, path).unwrap_or(Route::Other),
        };
        let user = match parts.as_slice() {
            ["users", id, ..] | [_, _, "users", id, ..] => (*id).to_owned(),
            _ => String::new(),
        };
        let either = |one, other| last(pairs, one).or_else(|| last(pairs, other)).map(str::to_owned);
        Self {
            route,
            user,
            types: pairs.iter().filter(|(key, _)| key == "types").map(|(_, it)| it.clone()).collect(),
            from: either("start_time", "start_date"),
            until: either("end_time", "end_date"),
            limit: last(pairs, "limit").map(str::to_owned),
            has_cursor: last(pairs, "cursor").is_some(),
        }
    }
}

/// The routes that a user's data were asked on, with the series types. `*` stands for all types.
pub(crate) fn by_route(asked: &[Asked], user: &str) -> BTreeMap<Route, BTreeSet<String>> {
    let mut routes: BTreeMap<Route, BTreeSet<String>> = BTreeMap::new();
    for asked in asked.iter().filter(|asked| asked.user == user) {
        let types = routes.entry(asked.route).or_default();
        if asked.types.is_empty() && asked.route == Route::Timeseries {
            types.insert("*".to_owned());
        }
        types.extend(asked.types.iter().cloned());
    }
    routes
}

/// A request that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// `GET`, `POST` or `DELETE`.
    pub method: String,
    /// Its path.
    pub path: String,
    /// Its query, as it was sent.
    pub query: String,
    /// Its body, as it was sent.
    pub body: String,
}
