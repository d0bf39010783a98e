//! OW's series types in its own order, each with the unit that OW reports beside every value.
//!
//! OW stores no unit with a row: the series type alone decides it, so a provider's wrong unit never shows
//! here.

use std::sync::LazyLock;

/// Names and units.
static SERIES_TYPES: LazyLock<Vec<(&str, &str)>> = LazyLock::new(|| {
    include_str!("series_types.csv").lines().filter_map(|line| line.split_once(',')).collect()
});

pub(crate) fn find_unit(series_type: &str) -> Option<&'static str> {
    SERIES_TYPES.iter().find(|(name, _)| *name == series_type).map(|(_, unit)| *unit)
}

/// Returns the text of OW's 400 for an unknown series type.
pub(crate) fn unknown_type_error(missing: &[String]) -> String {
    let known = SERIES_TYPES.iter().filter(|(name, _)| !missing.iter().any(|missing| missing == name));
    let mut names: Vec<String> = known.map(|(name, _)| format!("'{name}'")).collect();
    let last = names.pop().unwrap_or_default();
    format!("Input should be {} or {last}", names.join(", "))
}
