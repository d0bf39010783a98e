//! A line of input, and the line that answers it.

use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::Value;

use super::sample::{Name, Sample};
use super::write::{put, put_value};
use super::{ConvertError, ErrorKind, OW_NORMALIZED, convert, schema};
use crate::omh::{preview, schemas};

/// What a line says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(borrow)]
    source: Name<'a>,
    #[serde(borrow)]
    data_type: Name<'a>,
    #[serde(borrow)]
    sample: Sample<'a>,
    #[serde(borrow, default)]
    tz: Option<Name<'a>>,
    #[serde(default)]
    strict: bool,
    #[serde(borrow, default)]
    schema: Option<Name<'a>>,
}

/// How a line was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// With a data point.
    Output,
    /// With the reason why the sample has none.
    Error,
    /// With the reason why the line could not be read.
    Unread,
}

/// Converts lines, one after another.
#[derive(Debug, Default)]
pub struct Lines {
    scratch: Vec<u8>,
}

impl Lines {
    /// Answers one line of JSON with another, without its end. The same line is always answered with the same bytes.
    pub fn answer(&mut self, line: &[u8], out: &mut Vec<u8>) -> Answer {
        let begin = out.len();
        let answered = self.convert(line, out);
        match answered {
            Ok(()) => Answer::Output,
            Err(error) => {
                out.truncate(begin);
                refuse(&error, out)
            }
        }
    }

    /// Answers a line that is longer than `limit` bytes.
    pub fn too_long(&mut self, limit: usize, out: &mut Vec<u8>) -> Answer {
        refuse(&unreadable(format!("the line is longer than {limit} bytes")), out)
    }

    fn convert(&mut self, line: &[u8], out: &mut Vec<u8>) -> Result<(), ConvertError> {
        let text = std::str::from_utf8(line).map_err(|_| unreadable("the line is not UTF-8"))?;
        if text.trim_ascii().is_empty() {
            return Err(unreadable("the line is empty"));
        }
        let line: Line<'_> = serde_json::from_str(text).map_err(|error| {
            // There is but one line.
            let text = error.to_string().replace(" at line 1 column ", " at column ");
            unreadable(format!("the line cannot be read: {text}"))
        })?;
        let zone = line.tz.as_ref().map(|Name(zone)| time_zone(zone)).transpose()?;
        if let Some(document) = ours(&line, text, zone.as_ref())? {
            put(out, &["{\"output\":", &document, "}"]);
            return Ok(());
        }
        let Line { source: Name(source), data_type: Name(data_type), sample, .. } = &line;
        let output = convert(source, data_type, sample, zone.as_ref(), &mut self.scratch)?;
        put(out, &["{\"output\":"]);
        output.write(out);
        out.push(b'}');
        Ok(())
    }
}

fn refuse(error: &ConvertError, out: &mut Vec<u8>) -> Answer {
    put(out, &["{\"error\":"]);
    put_value(out, error);
    out.push(b'}');
    if error.kind == ErrorKind::LineError { Answer::Unread } else { Answer::Error }
}

/// What the daemon itself makes of a sample, for a line that asks for units to be checked, or for a schema that the
/// reference converter does not have. None where the reference converter's is asked for.
fn ours(line: &Line<'_>, text: &str, zone: Option<&TimeZone>) -> Result<Option<String>, ConvertError> {
    let (Name(source), Name(data_type)) = (&line.source, &line.data_type);
    let theirs = schema(data_type);
    let asked = line.schema.as_ref().map(|Name(schema)| schema.as_ref());
    let is_theirs = asked.is_none() || asked == theirs.as_deref();
    if is_theirs && !line.strict {
        return Ok(None);
    }
    let not_supported = |message: String| ConvertError::new(ErrorKind::NotSupported, message);
    if source != OW_NORMALIZED {
        return Err(not_supported(format!("{source} is not converted with checks, nor to other schemas")));
    }
    // What has been read once as a line is JSON.
    let sample =
        serde_json::from_str::<Value>(text).map(|mut line| line["sample"].take()).unwrap_or_default();
    let ours = schemas(data_type, &sample);
    if let Some(asked) = asked.filter(|asked| !is_theirs && !ours.contains(asked)) {
        let known: Vec<&str> = theirs.as_deref().into_iter().chain(ours).collect();
        return Err(not_supported(format!(
            "{data_type} is not converted to {asked}, but to {}",
            known.join(" or ")
        )));
    }
    let document = preview(data_type, &sample, zone).map_err(|why| {
        ConvertError::new(ErrorKind::ConversionError, format!("{source}/{data_type}: Checked: {why}"))
    })?;
    // A line that asks for checks only keeps the reference converter's schema.
    let keeps_theirs = is_theirs && theirs.is_some_and(|theirs| !ours.contains(&theirs.as_str()));
    Ok((!keeps_theirs).then_some(document))
}

fn time_zone(name: &str) -> Result<TimeZone, ConvertError> {
    TimeZone::get(name).map_err(|_| {
        unreadable(format!("tz: there is no time zone '{name}'; write a name such as Europe/Berlin"))
    })
}

fn unreadable(message: impl Into<String>) -> ConvertError {
    ConvertError::new(ErrorKind::LineError, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn answered(line: &[u8]) -> (Answer, String) {
        let mut out = Vec::new();
        let answer = Lines::default().answer(line, &mut out);
        (answer, String::from_utf8(out).unwrap())
    }

    fn error(line: &str) -> (String, String) {
        let (answer, text) = answered(line.as_bytes());
        assert_ne!(answer, Answer::Output, "{text}");
        let read: Value = serde_json::from_str(&text).unwrap();
        let part = |name: &str| read["error"][name].as_str().unwrap().to_owned();
        (part("type"), part("message"))
    }

    const HEART_RATE: &str = r#"{"source":"ow_normalized","data_type":"heart_rate","sample":{"timestamp":"2026-04-09T10:30:00.5+02:00","type":"resting_heart_rate","value":"72","source":{"provider":"oura","device":null}}}"#;

    #[test]
    fn a_line_gives_the_same_bytes_every_time() {
        let expected = concat!(
            r#"{"output":{"header":{"uuid":"c812066a-224b-5581-b20e-d4dcde192912","#,
            r#""schema_id":{"namespace":"omh","name":"heart-rate","version":"2.0"},"#,
            r#""source_creation_date_time":"2026-04-09T08:30:00.500000Z","modality":"sensed","#,
            r#""external_datasheets":[{"datasheet_type":"manufacturer","datasheet_reference":"oura"}]},"#,
            r#""body":{"heart_rate":{"value":72.0,"unit":"beats/min"},"#,
            r#""effective_time_frame":{"date_time":"2026-04-09T10:30:00.500000+02:00"},"#,
            r#""temporal_relationship_to_sleep":"during sleep"}}}"#,
        );
        assert_eq!(answered(HEART_RATE.as_bytes()), (Answer::Output, expected.to_owned()));
    }

    #[test]
    fn the_uuid_is_of_the_sample_and_not_of_how_it_is_written() {
        let uuid = |line: &str| {
            let read: Value = serde_json::from_str(&answered(line.as_bytes()).1).unwrap();
            read["output"]["header"]["uuid"].as_str().unwrap().to_owned()
        };
        let reordered: Value = serde_json::from_str(HEART_RATE).unwrap();
        assert_eq!(uuid(HEART_RATE), uuid(&reordered.to_string()));
        for (from, to) in [
            ("heart_rate\",\"sample", "body_weight\",\"sample"),
            ("\"72\"", "72"),
            ("oura", "garmin"),
            ("resting_", ""),
        ] {
            assert_ne!(uuid(HEART_RATE), uuid(&HEART_RATE.replacen(from, to, 1)), "{to}");
        }
        let day = json!({ "source": "oura_raw", "data_type": "step_count", "tz": "Asia/Tokyo",
            "sample": { "day": "2026-04-09", "steps": 5 } });
        let elsewhere = day.to_string().replace("Asia/Tokyo", "Asia/Kathmandu");
        assert_ne!(uuid(&day.to_string()), uuid(&elsewhere), "the day of another place");
    }

    #[test]
    fn a_line_of_another_shape_is_told_apart_from_a_sample_that_is_wrong() {
        for line in [
            "",
            "nope",
            "[]",
            "{}",
            r#"{"source":"oura_raw","data_type":"heart_rate"}"#,
            r#"{"source":"oura_raw","data_type":"heart_rate","sample":[]}"#,
            r#"{"source":1,"data_type":"heart_rate","sample":{}}"#,
            r#"{"source":"oura_raw","data_type":"heart_rate","sample":{},"timezone":"UTC"}"#,
            r#"{"source":"oura_raw","data_type":"heart_rate","sample":{},"tz":"Europe/Nowhere"}"#,
            r#"{"source":"oura_raw","data_type":"heart_rate","sample":{"bpm":NaN}}"#,
            r#"{"source":"oura_raw","data_type":"heart_rate","sample":{}} {}"#,
        ] {
            assert_eq!(answered(line.as_bytes()).0, Answer::Unread, "{line}");
            assert_eq!(error(line).0, "LineError", "{line}");
        }
        let sample = r#"{"source":"oura_raw","data_type":"heart_rate","sample":{},"tz":null,"strict":false}"#;
        let told = ("ConversionError".to_owned(), "oura_raw/heart_rate: KeyError: 'bpm'".to_owned());
        assert_eq!(error(sample), told);
        assert_eq!(answered(sample.as_bytes()).0, Answer::Error);
    }

    #[test]
    fn what_the_package_gets_wrong_is_refused() {
        let line = |data_type: &str, sample: &Value| {
            json!({ "source": "ow_normalized", "data_type": data_type, "sample": sample, "tz": "Europe/Berlin" })
                .to_string()
        };
        let rate =
            |value: &str, time: &str| line("heart_rate", &json!({ "value": value, "timestamp": time }));
        let day = |minutes: Value, day: &str| {
            line("sleep_duration", &json!({ "duration_minutes": minutes, "date": day }))
        };
        for (line, why) in [
            (day(json!("72"), "2026-04-09"), "'72' is text, which times 60"),
            (day(json!(1e300), "2026-04-09"), "more than 128 bits"),
            (day(json!(72), "2026-04-09T00:00:00+09:00"), "carries an offset"),
            (rate("inf", "2026-04-09T08:30:00Z"), "not a number that JSON can hold"),
            (rate("72", "2026-04-09T08:30:00+00:00:30"), "an offset of less than a minute"),
        ] {
            let (kind, message) = error(&line);
            assert_eq!(kind, "ConversionError");
            assert!(message.contains(": Refused: ") && message.contains(why), "{message}");
        }
    }

    #[test]
    fn a_day_is_as_long_as_it_was_by_the_clocks_there() {
        let interval = |zone: &str, day: &str| {
            let line = json!({ "source": "oura_raw", "data_type": "step_count", "tz": zone,
                "sample": { "day": day, "steps": 5 } });
            let read: Value = serde_json::from_str(&answered(line.to_string().as_bytes()).1).unwrap();
            let interval = &read["output"]["body"]["effective_time_frame"]["time_interval"];
            ["start_date_time", "end_date_time"].map(|name| interval[name].as_str().unwrap().to_owned())
        };
        for (zone, day, start, end) in [
            ("Europe/Berlin", "2026-03-29", "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"),
            ("Europe/Berlin", "2026-10-25", "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00"),
            ("Europe/London", "2026-01-05", "2026-01-05T00:00:00Z", "2026-01-06T00:00:00Z"),
            ("America/Sao_Paulo", "2018-11-04", "2018-11-04T00:00:00-03:00", "2018-11-05T00:00:00-02:00"),
            ("America/Havana", "2026-11-01", "2026-11-01T00:00:00-04:00", "2026-11-02T00:00:00-05:00"),
        ] {
            assert_eq!(interval(zone, day), [start, end], "{zone} {day}");
        }
    }

    #[test]
    fn a_line_may_ask_for_checks_and_for_the_schema_that_jhe_has_a_code_for() {
        let read = |line: &Value| -> Value {
            serde_json::from_str(&answered(line.to_string().as_bytes()).1).unwrap()
        };
        let weight = |strict: bool, unit: &str| {
            read(&json!({ "source": "ow_normalized", "data_type": "body_weight", "strict": strict, "sample":
                { "timestamp": "2026-04-09T08:30:00Z", "type": "weight", "value": 150.0, "unit": unit } }))
        };
        assert_eq!(weight(false, "lb")["output"]["body"]["body_weight"]["value"], 150.0);
        let kilograms = weight(true, "lb")["output"]["body"]["body_weight"]["value"].as_f64().unwrap();
        assert!((kilograms - 68.038_855_5).abs() < 1e-9);
        let refused = weight(true, "count");
        assert_eq!(
            refused["error"]["message"],
            "ow_normalized/body_weight: Checked: its unit is 'count', not 'kg'"
        );
        let night = |data_type: &str, schema: &str, sample: &Value| {
            read(
                &json!({ "source": "ow_normalized", "data_type": data_type, "schema": schema, "sample": sample,
                          "tz": "Europe/Berlin" }),
            )
        };
        let summary = json!({ "date": "2026-04-09", "duration_minutes": 420 });
        let duration = night("sleep_duration", "omh:sleep-duration:2.0", &summary);
        assert_eq!(duration["output"]["body"]["sleep_duration"], json!({ "value": 25200, "unit": "sec" }));
        let theirs = night("sleep_duration", "ieee:total-sleep-time:1.0", &summary);
        assert_eq!(theirs["output"]["header"]["schema_id"]["name"], "total-sleep-time");
        let session = json!({ "id": "e1", "start_time": "2026-04-08T22:10:00Z", "end_time": "2026-04-09T05:10:00Z",
                              "sleep_duration_seconds": 23400, "is_nap": false });
        let episode = night("sleep_episode", "omh:sleep-episode:1.1", &session);
        assert_eq!(episode["output"]["body"]["total_sleep_time"], json!({ "value": 23400, "unit": "sec" }));
        assert_eq!(night("sleep_episode", "omh:heart-rate:2.0", &session)["error"]["type"], "NotSupported");
    }

    #[test]
    fn a_sample_nested_without_end_does_no_harm() {
        for nested in [("[", "]"), (r#"{"a":"#, "}")] {
            let deep = format!("{}1{}", nested.0.repeat(100_000), nested.1.repeat(100_000));
            let deep = HEART_RATE.replace("null", &deep);
            assert_eq!(answered(deep.as_bytes()).0, Answer::Error, "the device is shown");
            let deep = deep.replace("device", "name");
            assert_eq!(answered(deep.as_bytes()).0, Answer::Unread);
        }
    }

    const WORDS: [&str; 24] = [
        "timestamp",
        "value",
        "type",
        "date",
        "day",
        "bpm",
        "steps",
        "source",
        "device",
        "stages",
        "light_minutes",
        "start_time",
        "end_time",
        "bedtime_start",
        "bedtime_end",
        "duration_minutes",
        "activity",
        "start_datetime",
        "end_datetime",
        "intensity",
        "spo2_percentage",
        "average",
        "is_nap",
        "total_sleep_duration",
    ];

    fn json() -> impl Strategy<Value = String> {
        let texts = prop_oneof![
            Just("2026-04-09T08:30:00Z".to_owned()),
            Just("9999-12-31".to_owned()),
            "[0-9]{4}-?W?[0-9]{2}-?[0-9]{0,2}[T ]?[0-9:.,]{0,15}[+Z-]?[0-9:.]{0,10}",
            "[0-9_+eE. -]{0,8}",
            any::<String>(),
        ];
        let leaf = prop_oneof![
            Just("null".to_owned()),
            any::<bool>().prop_map(|it| it.to_string()),
            any::<i64>().prop_map(|it| it.to_string()),
            any::<f64>().prop_filter("no JSON", |it| it.is_finite()).prop_map(|it| format!("{it:e}")),
            "-?[1-9][0-9]{0,50}(e[+-]?[0-9]{1,3})?",
            texts.prop_map(|text| json!(text).to_string()),
            Just(r#""\ud800""#.to_owned()),
        ];
        leaf.prop_recursive(3, 24, 6, |inner| {
            let field = (prop::sample::select(&WORDS[..]), inner.clone());
            prop_oneof![
                prop::collection::vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(" ,"))),
                prop::collection::vec(field, 0..10).prop_map(|fields| object(&fields)),
            ]
        })
    }

    fn object(fields: &[(&str, String)]) -> String {
        let fields: Vec<_> = fields.iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
        format!("{{{}}}", fields.join(", "))
    }

    fn sound(line: &[u8]) -> Result<(), TestCaseError> {
        let (answer, text) = answered(line);
        let read: Value = serde_json::from_str(&text)
            .map_err(|error| TestCaseError::fail(format!("{text} is no JSON: {error}")))?;
        prop_assert_eq!(read.get("output").is_some(), answer == Answer::Output);
        prop_assert_eq!(read.get("error").is_some(), answer != Answer::Output);
        prop_assert!(!text.contains('\n'));
        prop_assert_eq!(answered(line), (answer, text));
        Ok(())
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered_with_json(line in prop::collection::vec(any::<u8>(), 0..200)) {
            sound(&line)?;
        }

        #[test]
        fn any_sample_is_answered_with_json(
            data_type in prop::sample::select(super::super::DATA_TYPES.each_ref().map(|known| known.0).to_vec()),
            source in prop::sample::select(vec!["ow_normalized", "oura_raw"]),
            zone in prop::sample::select(vec!["null", "\"America/Havana\"", "\"Pacific/Apia\""]),
            fields in prop::collection::vec((prop::sample::select(&WORDS[..]), json()), 0..20),
        ) {
            let sample = object(&fields);
            let line = format!(
                r#"{{"source":"{source}","data_type":"{data_type}","sample":{sample},"tz":{zone}}}"#
            );
            sound(line.as_bytes())?;
        }

        #[test]
        fn a_damaged_line_is_answered_with_json(at in 0..HEART_RATE.len(), byte in any::<u8>()) {
            let mut line = HEART_RATE.as_bytes().to_vec();
            line[at] = byte;
            sound(&line)?;
        }
    }
}
