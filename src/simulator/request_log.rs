//! The requests that the simulated OW received, by route and series type, so that a test can check that there
//! were no others.

use std::collections::{BTreeMap, BTreeSet};

use crate::simulator::query::{QueryPairs, parameter, parse_query};

/// A route of OW's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OwRoute {
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
    Other,
}

impl OwRoute {
    /// Finds the route of the path after `/api/v1/`, if it is one with pages.
    pub(crate) fn find_paged(method: &str, path: &[&str]) -> Option<Self> {
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

/// A request as it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedRequest {
    pub method: String,
    pub path: String,
    pub query: String,
    pub body: String,
}

/// A request for a user's data, parsed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DataRequest {
    pub route: OwRoute,
    /// The user's uuid; empty if the request is about no user.
    pub user: String,
    /// Empty on [`OwRoute::Timeseries`] means all series types.
    pub types: BTreeSet<String>,
    /// `start_time` or `start_date`.
    pub from: Option<String>,
    /// `end_time` or `end_date`.
    pub until: Option<String>,
    pub limit: Option<String>,
    /// True for every page but the first.
    pub has_cursor: bool,
}

impl DataRequest {
    pub(crate) fn parse(request: &ReceivedRequest) -> Self {
        let pairs: &QueryPairs = &parse_query(&request.query);
        let parts: Vec<&str> = request.path.strip_prefix("/api/v1/").unwrap_or_default().split('/').collect();
        let route = match (request.method.as_str(), parts.as_slice()) {
            ("GET", ["users", _, "summaries", "data"]) => OwRoute::Counts,
            (method, path) => OwRoute::find_paged(method, path).unwrap_or(OwRoute::Other),
        };
        let user = match parts.as_slice() {
            ["users", id, ..] | [_, _, "users", id, ..] => (*id).to_owned(),
            _ => String::new(),
        };
        let either =
            |one, other| parameter(pairs, one).or_else(|| parameter(pairs, other)).map(str::to_owned);
        Self {
            route,
            user,
            types: pairs.iter().filter(|(name, _)| name == "types").map(|(_, it)| it.clone()).collect(),
            from: either("start_time", "start_date"),
            until: either("end_time", "end_date"),
            limit: parameter(pairs, "limit").map(str::to_owned),
            has_cursor: parameter(pairs, "cursor").is_some(),
        }
    }
}

/// Groups the series types that were requested for one user by route. `*` means all types.
pub(crate) fn types_by_route(requests: &[DataRequest], user: &str) -> BTreeMap<OwRoute, BTreeSet<String>> {
    let mut routes: BTreeMap<OwRoute, BTreeSet<String>> = BTreeMap::new();
    for request in requests.iter().filter(|request| request.user == user) {
        let types = routes.entry(request.route).or_default();
        if request.types.is_empty() && request.route == OwRoute::Timeseries {
            types.insert("*".to_owned());
        }
        types.extend(request.types.iter().cloned());
    }
    routes
}
