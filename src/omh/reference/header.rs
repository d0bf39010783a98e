//! A header: the reference converter's, but for what it draws or reads from a clock.

use std::borrow::Cow;

use sha1::{Digest, Sha1};
use uuid::Uuid;

use super::Schema;
use super::error::Raised;
use super::moment::Frame;
use super::sample::{Sample, TooDeep};
use super::value::Value;
use super::write::{put, put_text};

/// The namespace of the uuids of converted lines. Never to change: the same line has the same name for good.
const NAMESPACE: Uuid = Uuid::from_u128(0x5b0f_6a54_27c7_4f0e_8a4e_6d1c_93a7_b2f1);

/// Who made what comes from Oura itself.
const OURA_RING: &str = "Oura Ring";

/// The header of a data point.
#[derive(Debug)]
pub(super) struct Header<'a> {
    pub(super) uuid: Uuid,
    pub(super) schema: &'static Schema,
    pub(super) time: Frame,
    pub(super) manufacturer: Option<Cow<'a, str>>,
}

impl Header<'_> {
    /// What is on the wire.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let Schema { namespace, name, version } = self.schema;
        put(out, &["{\"uuid\":\"", self.uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer())]);
        put(out, &["\",\"schema_id\":{\"namespace\":\"", namespace, "\",\"name\":\"", name]);
        put(out, &["\",\"version\":\"", version, "\"},\"source_creation_date_time\":\""]);
        self.time.end().in_utc().write(out);
        put(out, &["\",\"modality\":\"sensed\""]);
        if let Some(manufacturer) = &self.manufacturer {
            put(
                out,
                &[",\"external_datasheets\":[{\"datasheet_type\":\"manufacturer\",\"datasheet_reference\":"],
            );
            put_text(out, manufacturer);
            put(out, &["}]"]);
        }
        out.push(b'}');
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
    put(scratch, &["[\"", source, "\",\"", data_type, "\",\""]);
    time.start().write(scratch);
    put(scratch, &["\","]);
    sample.write_canonical(scratch)?;
    scratch.push(b']');
    // As `Uuid::new_v5`, but with the processor's own SHA-1 where it has one: it is the largest part of the work.
    let hash = Sha1::new().chain_update(NAMESPACE).chain_update(&*scratch).finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    Ok(uuid::Builder::from_sha1_bytes(bytes).into_uuid())
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
