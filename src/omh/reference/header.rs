//! A header: the reference converter's, but for what it draws or reads from a clock.

use std::borrow::Cow;

use serde::Serialize;
use uuid::Uuid;

use super::Schema;
use super::error::Raised;
use super::moment::{Frame, Moment, WRITTEN};
use super::sample::{Sample, TooDeep};
use super::value::Value;

/// The namespace of the uuids of converted lines. Never to change: the same line has the same name for good.
const NAMESPACE: Uuid = Uuid::from_u128(0x5b0f_6a54_27c7_4f0e_8a4e_6d1c_93a7_b2f1);

/// Who made what comes from Oura itself.
const OURA_RING: &str = "Oura Ring";

/// The header of a data point, its fields in order.
#[derive(Debug, Serialize)]
pub(super) struct Header<'a> {
    uuid: Uuid,
    schema_id: &'static Schema,
    source_creation_date_time: Moment,
    modality: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_datasheets: Option<[Datasheet<'a>; 1]>,
}

#[derive(Debug, Serialize)]
struct Datasheet<'a> {
    datasheet_type: &'static str,
    datasheet_reference: Cow<'a, str>,
}

impl<'a> Header<'a> {
    pub(super) fn new(
        uuid: Uuid,
        schema_id: &'static Schema,
        time: Frame,
        manufacturer: Option<Cow<'a, str>>,
    ) -> Self {
        let sheet =
            |datasheet_reference| [Datasheet { datasheet_type: "manufacturer", datasheet_reference }];
        Self {
            uuid,
            schema_id,
            source_creation_date_time: time.end().in_utc(),
            modality: "sensed",
            external_datasheets: manufacturer.map(sheet),
        }
    }
}

/// The name of what a line says: version 5 over source, data type, the time that the datum begins at and the
/// sample, as a JSON array. `scratch` spares an allocation for each.
///
/// # Errors
/// Where the sample is nested without end.
pub(super) fn name(
    (source, data_type): (&str, &str),
    time: Frame,
    sample: &Sample<'_>,
    scratch: &mut Vec<u8>,
) -> Result<Uuid, TooDeep> {
    scratch.clear();
    // Source and data type are two of our own words, and a time has no quotes: nothing to escape.
    for part in ["[\"", source, "\",\"", data_type, "\",\"", time.start().written(&mut [0; WRITTEN]), "\","] {
        scratch.extend_from_slice(part.as_bytes());
    }
    sample.write_canonical(scratch)?;
    scratch.push(b']');
    Ok(Uuid::new_v5(&NAMESPACE, scratch))
}

/// The device, else the provider, whatever they are; for what Oura itself wrote its ring.
///
/// # Errors
/// Where what stands there cannot be shown.
pub(super) fn manufacturer<'a>(source: &str, sample: &Sample<'a>) -> Result<Option<Cow<'a, str>>, Raised> {
    if let Some(Value::Object(object)) = sample.may("source")? {
        let origin = Sample::of(object);
        for name in ["device", "device_model", "provider", "source_name"] {
            if let Some(value) = origin.may(name)?.filter(Value::is_true) {
                return value.into_text().map(Some);
            }
        }
    }
    Ok((source == super::OURA_RAW).then_some(Cow::Borrowed(OURA_RING)))
}
