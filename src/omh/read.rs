//! Data points that others have written, as far as they can be told to be the same as ours.

use serde_json::Value;

use crate::common::time::Timestamp;
use crate::model::catalog::series::SERIES;
use crate::model::catalog::series_type::Body;

/// Whether data points of this code can be told to be the same as ours.
pub fn is_measured(code: &str) -> bool {
    shape(code).is_some()
}

/// The key and the unit of the one value that data points of this code have.
fn shape(code: &str) -> Option<(&'static str, &'static str)> {
    SERIES.iter().filter(|series| series.code == code).find_map(|series| match series.body {
        Body::Value(key, unit) => Some((key, unit)),
        _ => None,
    })
}

/// The instant and the value that a data point of this code measured; none where it measured something else, over
/// an interval, in another unit, or cannot be read. What has more than one value is not told to be the same.
pub fn measured(code: &str, document: &Value) -> Option<(Timestamp, f64)> {
    let (key, unit) = shape(code)?;
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
        measured(HEART_RATE, &json!({ "body": { "heart_rate": measure, "effective_time_frame": time } }))
    }

    #[test]
    fn an_instant_is_the_same_in_whichever_offset_it_is_written() {
        let measure = json!({ "value": 67, "unit": "beats/min" });
        let expected = Some((Timestamp::parse("2026-11-24T20:27:48.123456Z").unwrap(), 67.0));
        for time in ["2026-11-24T20:27:48.123456+00:00", "2026-11-24T22:27:48.123456+02:00"] {
            assert_eq!(at_eight(&measure, &json!({ "date_time": time })), expected);
        }
    }

    #[test]
    fn what_is_not_the_same_measurement_is_none_of_ours() {
        let (measure, time) =
            (json!({ "value": 67, "unit": "beats/min" }), json!({ "date_time": "2026-11-24T20:27:48Z" }));
        assert!(at_eight(&measure, &time).is_some());
        assert_eq!(at_eight(&json!({ "value": 67, "unit": "Hz" }), &time), None);
        assert_eq!(at_eight(&json!({ "value": "67", "unit": "beats/min" }), &time), None);
        assert_eq!(at_eight(&measure, &json!({ "date_time": "yesterday" })), None);
        assert_eq!(at_eight(&measure, &json!({ "time_interval": {} })), None);
        let other = json!({ "body": { "body_weight": measure, "effective_time_frame": time } });
        assert_eq!(measured("omh:body-weight:3.0", &other), None);
    }
}
