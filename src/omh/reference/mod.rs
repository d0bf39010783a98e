//! What the reference converter, the Python package omh-shim, makes of one sample: 2.1.0, and of step counts and
//! heart-rate variability 1.4.0, which was the last to know them. Pure.
//!
//! This is for comparison and preview, and none of it decides what the daemon keeps: that is
//! [`convert`](super::convert). It follows the package in body, schema, errors and their words. Where the package
//! makes something wrong, or something that JSON cannot hold, the sample is refused; docs/data.md lists each case,
//! and `tests/oracle/compare.py` compares the two.
//!
//! Two fields of a header differ always. The package draws a random uuid and writes the time of the conversion;
//! here the uuid is a function of source, data type, sample and its time, and the time is the datum's, so that a
//! line gives the same bytes every time.

mod body;
mod error;
mod header;
mod iso;
mod line;
mod moment;
mod number;
mod oura;
mod ow;
mod sample;
mod value;
mod write;

use jiff::tz::TimeZone;

use body::Body;
use error::Raised;
pub use error::{ConvertError, ErrorKind};
use header::Header;
pub use line::{Answer, Lines};
pub use sample::Sample;

type Converted<'a> = Result<Body<'a>, Raised>;
type Convert = for<'a> fn(&Sample<'a>, Option<&TimeZone>) -> Converted<'a>;

const OW_NORMALIZED: &str = "ow_normalized";
const OURA_RAW: &str = "oura_raw";
const MAIN_SLEEP: &str = "is_main_sleep";
const SLEEPING: (&str, &str) = ("temporal_relationship_to_sleep", "during sleep");
const DAILY_ACTIVITY: &str = "daily activity summary";

/// The id of a schema.
#[derive(Debug, PartialEq, Eq)]
struct Schema {
    namespace: &'static str,
    name: &'static str,
    version: &'static str,
}

const fn omh(name: &'static str, version: &'static str) -> Schema {
    Schema { namespace: "omh", name, version }
}

const fn ieee(name: &'static str) -> Schema {
    Schema { namespace: "ieee", name, version: "1.0" }
}

/// A data type: its name, its schema, and how each source is converted.
struct DataType(&'static str, Schema, Option<Convert>, Option<Convert>);

static DATA_TYPES: [DataType; 13] = [
    DataType("heart_rate", omh("heart-rate", "2.0"), Some(ow::heart_rate), Some(oura::heart_rate)),
    DataType(
        "heart_rate_variability",
        Schema { namespace: "local", name: "heart-rate-variability", version: "1.0" },
        Some(ow::heart_rate_variability),
        Some(oura::heart_rate_variability),
    ),
    DataType("step_count", omh("step-count", "3.0"), Some(ow::step_count), Some(oura::step_count)),
    DataType(
        "sleep_duration",
        ieee("total-sleep-time"),
        Some(ow::sleep_duration),
        Some(oura::sleep_duration),
    ),
    DataType("sleep_episode", ieee("sleep-episode"), Some(ow::sleep_episode), Some(oura::sleep_episode)),
    DataType("time_in_bed", ieee("time-in-bed"), Some(ow::time_in_bed), Some(oura::time_in_bed)),
    DataType(
        "sleep_stage_summary",
        ieee("sleep-stage-summary"),
        Some(ow::sleep_stage_summary),
        Some(oura::sleep_stage_summary),
    ),
    DataType(
        "physical_activity",
        ieee("physical-activity"),
        Some(ow::physical_activity),
        Some(oura::physical_activity),
    ),
    DataType(
        "oxygen_saturation",
        omh("oxygen-saturation", "2.0"),
        Some(ow::oxygen_saturation),
        Some(oura::oxygen_saturation),
    ),
    DataType("blood_glucose", omh("blood-glucose", "4.0"), Some(ow::blood_glucose), None),
    DataType(
        "respiratory_rate",
        omh("respiratory-rate", "2.0"),
        Some(ow::respiratory_rate),
        Some(oura::respiratory_rate),
    ),
    DataType("body_weight", omh("body-weight", "3.0"), Some(ow::body_weight), Some(oura::body_weight)),
    DataType("body_height", omh("body-height", "2.0"), Some(ow::body_height), Some(oura::body_height)),
];

/// The schema of a data type.
fn schema(data_type: &str) -> Option<String> {
    let DataType(_, Schema { namespace, name, version }, ..) =
        DATA_TYPES.iter().find(|known| known.0 == data_type)?;
    Some(format!("{namespace}:{name}:{version}"))
}

/// A converted sample: a data point.
#[derive(Debug)]
pub struct Output<'a> {
    header: Header<'a>,
    body: Body<'a>,
}

impl Output<'_> {
    /// Writes what is on the wire: one line of JSON, its keys in the order of the reference converter.
    pub fn write(&self, out: &mut Vec<u8>) {
        write::put(out, &["{\"header\":"]);
        self.header.write(out);
        write::put(out, &[",\"body\":"]);
        self.body.write(out);
        out.push(b'}');
    }
}

/// Converts a sample as the reference converter does. `zone` is where a day was a day. `scratch` is reused from
/// one sample to the next, and its content means nothing.
///
/// # Errors
/// The reference converter's, and [`ErrorKind::LineError`] for a sample nested without end.
pub fn convert<'a>(
    source: &str,
    data_type: &str,
    sample: &Sample<'a>,
    zone: Option<&TimeZone>,
    scratch: &mut Vec<u8>,
) -> Result<Output<'a>, ConvertError> {
    let known =
        DATA_TYPES.iter().find(|known| known.0 == data_type).and_then(|DataType(_, schema, ow, oura)| {
            let convert = match source {
                OW_NORMALIZED => *ow,
                OURA_RAW => *oura,
                _ => None,
            };
            Some((schema, convert?))
        });
    let Some((schema, convert)) = known else {
        let [source, data_type] = [source, data_type].map(value::quoted);
        let message = format!("No converter for source={source} data_type={data_type}");
        return Err(ConvertError::new(ErrorKind::ConversionError, message));
    };
    let raised = |raised: Raised| raised.in_conversion(source, data_type);
    let body = convert(sample, zone).map_err(raised)?;
    if let Some(violation) = body.violation {
        let Schema { namespace, name, version } = schema;
        let message = format!("Output does not conform to {namespace}:{name}:{version}: {violation}");
        return Err(ConvertError::new(ErrorKind::ValidationError, message));
    }
    let manufacturer = header::manufacturer(source, sample).map_err(raised)?;
    let time = body.time().ok_or_else(|| raised(error::refused("it has no time")))?;
    let uuid = header::name((source, data_type), time, sample, scratch).map_err(|sample::TooDeep| {
        ConvertError::new(ErrorKind::LineError, "the sample is nested too deep")
    })?;
    Ok(Output { header: Header { uuid, schema, time, manufacturer }, body })
}

/// A word of the wearer's effort, where the schema has one for it.
fn intensity(body: &mut Body<'_>, sample: &Sample<'_>, words: [&str; 3]) -> Result<(), Raised> {
    if let Some(given) = sample.may("intensity")? {
        let given = given.word()?;
        if let Some(level) = words.iter().position(|word| *word == given) {
            body.word("reported_activity_intensity", ["light", "moderate", "vigorous"][level]);
        }
    }
    Ok(())
}
