//! Reads the fields of a JSON record that is not quite of the documented form.

use serde_json::{Map, Value};

pub fn parse_object(json: &[u8]) -> Result<Map<String, Value>, String> {
    match serde_json::from_slice(json) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err("it is not an object".into()),
        Err(error) => Err(format!("it cannot be read: {error}")),
    }
}

/// Returns a number, which may be written as a string, as in omh-shim.
pub fn required_number(fields: &Map<String, Value>, name: &str) -> Result<f64, String> {
    let value = fields.get(name).ok_or_else(|| format!("it has no {name}"))?;
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(digits) => digits.trim().parse().ok(),
        _ => None,
    };
    number.ok_or_else(|| format!("its {name} {value} is not a number"))
}

pub fn required_text(fields: &Map<String, Value>, name: &str) -> Result<String, String> {
    match fields.get(name) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) => Err(format!("its {name} {other} is not a text")),
        None => Err(format!("it has no {name}")),
    }
}

/// Returns a text; none where the field is missing or of another type.
pub fn optional_text(fields: &Map<String, Value>, name: &str) -> Option<String> {
    fields.get(name)?.as_str().map(str::to_owned)
}
