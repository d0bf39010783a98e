//! The time zones that forms offer: the likely ones, and all by area of the world.

use crate::common::time::ZoneOffset;

/// The areas of IANA's names. Other names are old ones for the same zones, such as `US/Pacific`.
const AREAS: [&str; 9] =
    ["Africa", "America", "Antarctica", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific"];
/// Zones of many participants, in the order in which a form offers them.
const COMMON: [&str; 8] = [
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Los_Angeles",
    "Europe/London",
    "Europe/Berlin",
    "Europe/Athens",
    "UTC",
];

/// Lists the names of each area in alphabetical order.
pub fn list_by_area() -> Vec<(&'static str, Vec<String>)> {
    let mut names: Vec<String> = jiff::tz::db().available().map(|name| name.as_str().to_owned()).collect();
    names.sort();
    let of_area = |area: &'static str| {
        let names = names.iter().filter(|name| find_area(name) == Some(area));
        (area, names.cloned().collect())
    };
    AREAS.into_iter().map(of_area).collect()
}

/// Lists the zones to offer first: those that are in use, then common ones of the same areas. UTC and fixed offsets
/// have no area; if there is nothing else, all common zones are likely.
pub fn list_likely<'a>(in_use: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut likely: Vec<&str> = Vec::new();
    for zone in in_use {
        if !zone.is_empty() && !likely.contains(&zone) {
            likely.push(zone);
        }
    }
    let areas: Vec<&str> = likely.iter().filter_map(|zone| find_area(zone)).collect();
    let is_near = |zone: &str| areas.is_empty() || find_area(zone).is_none_or(|area| areas.contains(&area));
    let common: Vec<&str> =
        COMMON.into_iter().filter(|zone| is_near(zone) && !likely.contains(zone)).collect();
    likely.extend(common);
    likely
}

/// Returns the sentence about samples that contradict the time zone of their patient.
pub fn describe_contradiction(zone: &str, offset: ZoneOffset) -> String {
    format!(
        "The samples of the last three days carry the local time {}, and the time zone of the profile is {zone}.",
        offset_name(offset)
    )
}

/// Returns a zone's name for people: a fixed offset has `UTC` before it.
pub fn display_name(zone: &str) -> String {
    ZoneOffset::parse(zone).map_or_else(|| zone.to_owned(), offset_name)
}

fn offset_name(offset: ZoneOffset) -> String {
    if offset == ZoneOffset::UTC { "UTC".to_owned() } else { format!("UTC{offset}") }
}

fn find_area(zone: &str) -> Option<&'static str> {
    let (area, _) = zone.split_once('/')?;
    AREAS.into_iter().find(|known| *known == area)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::patient::normalize_time_zone;

    #[test]
    fn every_zone_that_is_offered_is_accepted_as_it_is() {
        let all = list_by_area();
        assert!(all.iter().all(|(_, names)| names.len() > 5), "{all:?}");
        let names = all.iter().flat_map(|(_, names)| names).map(String::as_str).chain(COMMON);
        for name in names {
            assert_eq!(normalize_time_zone(name).as_deref(), Ok(name));
        }
    }

    #[test]
    fn zones_in_use_come_first_and_common_ones_of_their_area_next() {
        assert_eq!(
            list_likely(["Europe/Vienna", "Europe/Vienna", "+02:00"])[..3],
            ["Europe/Vienna", "+02:00", "Europe/London"]
        );
        assert!(!list_likely(["Europe/Vienna"]).contains(&"America/Denver"));
        assert!(list_likely(["UTC", ""]).contains(&"America/Denver"));
    }
}
