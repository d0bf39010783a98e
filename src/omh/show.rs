//! Observations as text for people.

use crate::model::catalog::series;
use crate::model::catalog::series_type::{DisplayUnit, OmhBody};
use crate::model::observation::{Observation, StreamInfo};
use crate::model::sample_details::Measure;

/// Formats the value with its unit: `72 bpm`, `120/80 mmHg`, `6 h 30 min`.
pub fn format_value(stream: &StreamInfo, observation: &Observation) -> String {
    let Some(series) = series::find(&stream.series_type) else { return observation.value.to_string() };
    let details = observation.details.as_deref();
    match series.body {
        OmhBody::BloodPressure => {
            let diastolic = details.and_then(|details| details.measure(Measure::Diastolic));
            let diastolic = diastolic.map(|value| format!("/{}", short(value))).unwrap_or_default();
            format!("{}{diastolic}\u{a0}mmHg", short(observation.value))
        }
        OmhBody::Activity => {
            let name = details.and_then(|details| details.name.as_deref()).unwrap_or_default();
            format!("{}, {}", name.replace('_', " "), format_quantity(observation.value, series.display))
        }
        _ => format_quantity(observation.value, series.display),
    }
}

/// Formats a stored value in its display unit.
pub fn format_quantity(value: f64, display: DisplayUnit) -> String {
    if display.unit != "h" {
        return format!("{}\u{a0}{}", short(value / display.per), display.unit);
    }
    let minutes = (value / 60.0).round();
    let (hours, minutes) = ((minutes / 60.0).floor(), minutes % 60.0);
    match (hours, minutes) {
        (0.0, minutes) => format!("{minutes}\u{a0}min"),
        (hours, 0.0) => format!("{hours}\u{a0}h"),
        (hours, minutes) => format!("{hours}\u{a0}h\u{a0}{minutes}\u{a0}min"),
    }
}

/// Formats a number with at most two decimals.
fn short(value: f64) -> String {
    ((value * 100.0).round() / 100.0).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_formatted_in_their_display_unit() {
        let shown = |unit, per| DisplayUnit { unit, per };
        assert_eq!(format_quantity(72.0, shown("bpm", 1.0)), "72\u{a0}bpm");
        assert_eq!(format_quantity(68.038_855_5, shown("kg", 1.0)), "68.04\u{a0}kg");
        assert_eq!(format_quantity(23_400.0, shown("h", 3600.0)), "6\u{a0}h\u{a0}30\u{a0}min");
        assert_eq!(format_quantity(7200.0, shown("h", 3600.0)), "2\u{a0}h");
        assert_eq!(format_quantity(1860.0, shown("h", 3600.0)), "31\u{a0}min");
    }
}
