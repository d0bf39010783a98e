//! Where an object stands in the bucket. Pure.
//!
//! OW writes `<prefix>/<date of storing, UTC>/<OW user>/<12 hex digits>.json`, and says which endpoint a payload is
//! of in its metadata only. In an older layout the endpoint stands in the key too, below the user or above it.

use crate::model::bucket_day::{Day, UNDATED};
use crate::model::catalog::endpoint::Endpoint;
use crate::model::patient::OwUser;

/// How the keys of a bucket are built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    prefix: String,
}

/// Where a user's objects stand: what all their keys begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The date in the keys; [`UNDATED`] where there is none.
    pub day: Day,
    /// What the keys begin with.
    pub prefix: String,
    /// What the names begin with by which the objects are remembered.
    pub names: String,
}

impl Place {
    /// The name by which an object is remembered.
    pub fn name(&self, key: &str) -> String {
        format!("{}{}", self.names, key.strip_prefix(&self.prefix).unwrap_or(key))
    }
}

impl Layout {
    /// The layout below a prefix; with or without a slash at its ends.
    pub fn new(prefix: &str) -> Self {
        let prefix = match prefix.trim_matches('/') {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        Self { prefix }
    }

    /// Where the objects of a user stand that were stored on a day.
    pub fn of_day(&self, day: Day, user: &OwUser) -> Place {
        Place { day, prefix: format!("{}{day}/{}/", self.prefix, user.as_str()), names: String::new() }
    }

    /// Where the objects of a user stand in the layout without dates: below the user, or below one of these endpoints and
    /// the user.
    pub fn undated<'a>(&self, user: &OwUser, endpoints: impl Iterator<Item = &'a Endpoint>) -> Vec<Place> {
        let below = |names: String| Place { day: UNDATED, prefix: format!("{}{names}", self.prefix), names };
        let user = user.as_str();
        let endpoints = endpoints.map(|one| below(format!("{}/{user}/", one.path.trim_matches('/'))));
        std::iter::once(below(format!("{user}/"))).chain(endpoints).collect()
    }

    /// The key of an object that is remembered under this day and name.
    pub fn key(&self, day: Day, user: &OwUser, name: &str) -> String {
        if day == UNDATED {
            return format!("{}{name}", self.prefix);
        }
        self.of_day(day, user).prefix + name
    }

    /// What all keys begin with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::time::Timestamp;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn a_day_is_written_as_ow_writes_it() {
        assert_eq!(Day::of(at("2026-11-23T21:56:48Z")).to_string(), "2026-11-23");
        assert_eq!(Day::of(at("1969-12-31T23:59:59Z")).to_string(), "1969-12-31");
        let days = Day::of(at("2026-02-28T00:00:00Z"))..=Day::of(at("2026-03-01T00:00:00Z"));
        let days: Vec<String> = Day::all(days).map(|day| day.to_string()).collect();
        assert_eq!(days, ["2026-02-28", "2026-03-01"]);
    }

    #[test]
    fn the_key_of_a_captured_object_is_built_and_taken_apart() {
        let user: OwUser = "009edd1e-49f6-4e35-a7b9-952f45e501e9".parse().unwrap();
        let day = Day::of(at("2026-11-23T21:56:48Z"));
        let captured = "raw-payloads/oura/api_response/2026-11-23/009edd1e-49f6-4e35-a7b9-952f45e501e9/701e19a918f0.json";
        for prefix in ["raw-payloads/oura/api_response", "/raw-payloads/oura/api_response/"] {
            let layout = Layout::new(prefix);
            assert_eq!(layout.key(day, &user, "701e19a918f0.json"), captured);
            assert_eq!(layout.of_day(day, &user).name(captured), "701e19a918f0.json");
        }
        assert_eq!(Layout::new("").of_day(day, &user).prefix, format!("2026-11-23/{}/", user.as_str()));
    }

    #[test]
    fn an_object_without_a_date_keeps_its_key() {
        let user: OwUser = "009edd1e-49f6-4e35-a7b9-952f45e501e9".parse().unwrap();
        let layout = Layout::new("p");
        for place in layout.undated(&user, crate::model::catalog::endpoint::ENDPOINTS.iter()) {
            let key = format!("{}a/b.json", place.prefix);
            assert!(key.starts_with("p/") && key.contains(user.as_str()));
            assert_eq!(layout.key(place.day, &user, &place.name(&key)), key);
        }
    }
}
