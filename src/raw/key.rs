//! Keys of objects in the bucket. Pure.
//!
//! OW writes `<prefix>/<date of storing, UTC>/<OW user>/<12 hex digits>.json`, and names the endpoint of a
//! payload only in the object's metadata. An older layout has the endpoint in the key, below the user or
//! above it, and no date.

use crate::model::bucket_day::{BucketDay, UNDATED};
use crate::model::{catalog::endpoint::ProviderEndpoint, patient::OwUser};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyLayout {
    /// Empty, or with a slash at its end.
    prefix: String,
}

/// The common beginning of the keys of some of a user's objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPrefix {
    /// The date in the keys; [`UNDATED`] in the older layout.
    pub day: BucketDay,
    pub prefix: String,
    /// The beginning of the names under which the store records the objects.
    pub names: String,
}

impl KeyPrefix {
    /// Returns the name under which the store records an object.
    pub fn name(&self, key: &str) -> String {
        format!("{}{}", self.names, key.strip_prefix(&self.prefix).unwrap_or(key))
    }
}

impl KeyLayout {
    /// Returns the layout below a prefix, with or without slashes at its ends.
    pub fn new(prefix: &str) -> Self {
        let prefix = match prefix.trim_matches('/') {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        Self { prefix }
    }

    /// Returns the prefix of a user's objects that were stored on a day.
    pub fn for_day(&self, day: BucketDay, user: &OwUser) -> KeyPrefix {
        KeyPrefix { day, prefix: format!("{}{day}/{}/", self.prefix, user.as_str()), names: String::new() }
    }

    /// Returns the prefixes of a user's objects in the older layout: `<user>/`, and `<endpoint>/<user>/` for
    /// each endpoint.
    pub fn without_dates<'a>(
        &self,
        user: &OwUser,
        endpoints: impl Iterator<Item = &'a ProviderEndpoint>,
    ) -> Vec<KeyPrefix> {
        let below =
            |names: String| KeyPrefix { day: UNDATED, prefix: format!("{}{names}", self.prefix), names };
        let user = user.as_str();
        let endpoints = endpoints.map(|one| below(format!("{}/{user}/", one.path.trim_matches('/'))));
        std::iter::once(below(format!("{user}/"))).chain(endpoints).collect()
    }

    /// Returns the key of an object that the store records under this day and name.
    pub fn key(&self, day: BucketDay, user: &OwUser, name: &str) -> String {
        if day == UNDATED {
            return format!("{}{name}", self.prefix);
        }
        self.for_day(day, user).prefix + name
    }

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
        assert_eq!(BucketDay::of(at("2026-11-23T21:56:48Z")).to_string(), "2026-11-23");
        assert_eq!(BucketDay::of(at("1969-12-31T23:59:59Z")).to_string(), "1969-12-31");
        let days = BucketDay::of(at("2026-02-28T00:00:00Z"))..=BucketDay::of(at("2026-03-01T00:00:00Z"));
        let days: Vec<String> = BucketDay::all(days).map(|day| day.to_string()).collect();
        assert_eq!(days, ["2026-02-28", "2026-03-01"]);
    }

    #[test]
    fn the_key_of_a_captured_object_is_built_and_parsed() {
        let user: OwUser = "009edd1e-49f6-4e35-a7b9-952f45e501e9".parse().unwrap();
        let day = BucketDay::of(at("2026-11-23T21:56:48Z"));
        let captured = "raw-payloads/oura/api_response/2026-11-23/009edd1e-49f6-4e35-a7b9-952f45e501e9/701e19a918f0.json";
        for prefix in ["raw-payloads/oura/api_response", "/raw-payloads/oura/api_response/"] {
            let layout = KeyLayout::new(prefix);
            assert_eq!(layout.key(day, &user, "701e19a918f0.json"), captured);
            assert_eq!(layout.for_day(day, &user).name(captured), "701e19a918f0.json");
        }
        assert_eq!(KeyLayout::new("").for_day(day, &user).prefix, format!("2026-11-23/{}/", user.as_str()));
    }

    #[test]
    fn the_key_of_an_undated_object_is_found_from_its_name() {
        let user: OwUser = "009edd1e-49f6-4e35-a7b9-952f45e501e9".parse().unwrap();
        let layout = KeyLayout::new("p");
        for place in layout.without_dates(&user, crate::model::catalog::endpoint::ENDPOINTS.iter()) {
            let key = format!("{}a/b.json", place.prefix);
            assert!(key.starts_with("p/") && key.contains(user.as_str()));
            assert_eq!(layout.key(place.day, &user, &place.name(&key)), key);
        }
    }
}
