//! Parses data points that other clients wrote, to compare them with ours.

use serde_json::Value;

use crate::common::time::Timestamp;
use crate::model::catalog::{series::SERIES, series_type::OmhBody};

/// Returns true for a code whose data points have one value at one instant; only those can be compared.
pub fn is_comparable(code: &str) -> bool {
    key_and_unit(code).is_some()
}

fn key_and_unit(code: &str) -> Option<(&'static str, &'static str)> {
    SERIES.iter().filter(|series| series.code == code).find_map(|series| match series.body {
        OmhBody::Value(key, unit) => Some((key, unit)),
        _ => None,
    })
}

/// Returns the instant and the value of a data point of this code; none for an interval, another unit or
/// another measurement.
pub fn parse_measurement(code: &str, document: &Value) -> Option<(Timestamp, f64)> {
    let (key, unit) = key_and_unit(code)?;
    let body = &document["body"];
    let instant = Timestamp::parse(body["effective_time_frame"]["date_time"].as_str()?).ok()?;
    let value = body[key]["value"].as_f64()?;
    (body[key]["unit"] == unit).then_some((instant, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::catalog::code::HEART_RATE;
    use serde_json::json;

    fn at_eight(measure: &Value, time: &Value) -> Option<(Timestamp, f64)> {
        parse_measurement(
            HEART_RATE,
            &json!({ "body": { "heart_rate": measure, "effective_time_frame": time } }),
        )
    }

    #[test]
    fn the_offset_of_an_instant_does_not_matter() {
        let measure = json!({ "value": 67, "unit": "beats/min" });
        let expected = Some((Timestamp::parse("2026-11-24T20:27:48.123456Z").unwrap(), 67.0));
        for time in ["2026-11-24T20:27:48.123456+00:00", "2026-11-24T22:27:48.123456+02:00"] {
            assert_eq!(at_eight(&measure, &json!({ "date_time": time })), expected);
        }
    }

    #[test]
    fn another_unit_time_or_measurement_is_not_compared() {
        let (measure, time) =
            (json!({ "value": 67, "unit": "beats/min" }), json!({ "date_time": "2026-11-24T20:27:48Z" }));
        assert!(at_eight(&measure, &time).is_some());
        assert_eq!(at_eight(&json!({ "value": 67, "unit": "Hz" }), &time), None);
        assert_eq!(at_eight(&json!({ "value": "67", "unit": "beats/min" }), &time), None);
        assert_eq!(at_eight(&measure, &json!({ "date_time": "yesterday" })), None);
        assert_eq!(at_eight(&measure, &json!({ "time_interval": {} })), None);
        let other = json!({ "body": { "body_weight": measure, "effective_time_frame": time } });
        assert_eq!(parse_measurement("omh:body-weight:3.0", &other), None);
    }
}
