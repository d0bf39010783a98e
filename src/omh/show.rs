//! Observations in words for people.

use crate::model::catalog::series;
use crate::model::catalog::series_type::{Body, Shown};
use crate::model::observation::{Observation, StreamInfo};
use crate::model::sample_details::Measure;

/// What was measured, with its unit: `72 bpm`, `120/80 mmHg`, `6 h 30 min`.
pub fn show(stream: &StreamInfo, observation: &Observation) -> String {
    let Some(series) = series::series(&stream.series_type) else { return observation.value.to_string() };
    let said = observation.particulars.as_deref();
    match series.body {
        Body::BloodPressure => {
            let diastolic = said.and_then(|said| said.measure(Measure::Diastolic));
            let diastolic = diastolic.map(|value| format!("/{}", short(value))).unwrap_or_default();
            format!("{}{diastolic}\u{a0}mmHg", short(observation.value))
        }
        Body::Activity => {
            let name = said.and_then(|said| said.name.as_deref()).unwrap_or_default().replace('_', " ");
            format!("{name}, {}", quantity(observation.value, series.shown))
        }
        _ => quantity(observation.value, series.shown),
    }
}

/// A value of the store's in the unit that is shown.
pub fn quantity(value: f64, shown: Shown) -> String {
    if shown.unit != "h" {
        return format!("{}\u{a0}{}", short(value / shown.per), shown.unit);
    }
    let minutes = (value / 60.0).round();
    let (hours, minutes) = ((minutes / 60.0).floor(), minutes % 60.0);
    match (hours, minutes) {
        (0.0, minutes) => format!("{minutes}\u{a0}min"),
        (hours, 0.0) => format!("{hours}\u{a0}h"),
        (hours, minutes) => format!("{hours}\u{a0}h\u{a0}{minutes}\u{a0}min"),
    }
}

/// A number with two decimals at most.
fn short(value: f64) -> String {
    ((value * 100.0).round() / 100.0).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_as_people_say_them() {
        let shown = |unit, per| Shown { unit, per };
        assert_eq!(quantity(72.0, shown("bpm", 1.0)), "72\u{a0}bpm");
        assert_eq!(quantity(68.038_855_5, shown("kg", 1.0)), "68.04\u{a0}kg");
        assert_eq!(quantity(23_400.0, shown("h", 3600.0)), "6\u{a0}h\u{a0}30\u{a0}min");
        assert_eq!(quantity(7200.0, shown("h", 3600.0)), "2\u{a0}h");
        assert_eq!(quantity(1860.0, shown("h", 3600.0)), "31\u{a0}min");
    }
}
