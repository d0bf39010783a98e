//! Identifiers of patients here, at JHE and at OW, and the checks of names, addresses and time zones.

use std::fmt;

use jiff::tz::TimeZone;
use uuid::Uuid;

use crate::common::time::{ZoneOffset, time_zone};
use crate::common::visible::strip_misleading;

/// The patient's id in this daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PatientId(i64);

impl PatientId {
    pub fn new(id: i64) -> Self {
        Self(id)
    }

    pub fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for PatientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A patient as an operator types it: `7` is an id of this daemon, `jhe:40001` is one of JHE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatientRef {
    Own(PatientId),
    Jhe(i64),
}

impl std::str::FromStr for PatientRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, jhe) = match text.strip_prefix("jhe:") {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        match number.parse::<i64>() {
            Ok(id) if id > 0 => Ok(if jhe { Self::Jhe(id) } else { Self::Own(PatientId(id)) }),
            _ => {
                Err(format!("'{text}' is not a patient; give a number such as 7, or jhe:40001 for JHE's own"))
            }
        }
    }
}

impl fmt::Display for PatientRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(id) => id.fmt(f),
            Self::Jhe(id) => write!(f, "jhe:{id}"),
        }
    }
}

/// An OW user id; displayed as `ow:<uuid>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OwUser(String);

impl OwUser {
    /// Returns the bare uuid, lower case and hyphenated, for OW's paths.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for OwUser {
    type Err = String;

    /// Accepts a uuid with or without the prefix `ow:`.
    fn from_str(text: &str) -> Result<Self, String> {
        let uuid = text.trim();
        let uuid = uuid.strip_prefix("ow:").unwrap_or(uuid);
        match Uuid::try_parse(uuid) {
            Ok(id) if uuid.len() == 36 => Ok(Self(id.hyphenated().to_string())),
            _ => Err(format!(
                "'{text}' is not an OW user id; it is a uuid such as ow:009edd1e-49f6-4e35-a7b9-952f45e501e9"
            )),
        }
    }
}

impl fmt::Display for OwUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ow:{}", self.0)
    }
}

/// The longest name in characters.
const MAX_NAME_LENGTH: usize = 200;

/// Checks a name of one line, trims it, and removes direction marks.
pub fn parse_name(text: &str) -> Result<String, String> {
    if text.trim().chars().any(char::is_control) {
        return Err("give a name, on one line".to_owned());
    }
    let text = strip_misleading(text);
    let text = text.trim();
    if text.is_empty() {
        return Err("give a name, on one line".to_owned());
    }
    if text.chars().count() > MAX_NAME_LENGTH {
        return Err(format!("give at most {MAX_NAME_LENGTH} characters"));
    }
    Ok(text.to_owned())
}

/// Checks the form of an e-mail address and trims it.
pub fn parse_email(text: &str) -> Result<String, String> {
    let text = text.trim();
    match text.split_once('@') {
        Some((user, host))
            if !user.is_empty() && host.contains('.') && !text.contains(char::is_whitespace) =>
        {
            Ok(text.to_owned())
        }
        _ => Err("give an address such as name@example.org".to_owned()),
    }
}

/// Parses an IANA name or a fixed offset.
pub fn parse_time_zone(text: &str) -> Result<TimeZone, String> {
    time_zone(text).ok_or_else(|| {
        format!("there is no time zone '{text}'; give one such as Europe/Berlin, UTC or +02:00")
    })
}

/// Returns a time zone in its stored form: the IANA name in its canonical case, or `±HH:MM`.
pub fn normalize_time_zone(text: &str) -> Result<String, String> {
    let zone = parse_time_zone(text)?;
    let offset = ZoneOffset::parse(text).map(ZoneOffset::zone_name);
    Ok(offset.unwrap_or_else(|| zone.iana_name().unwrap_or(text).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patient_is_named_by_our_number_or_by_jhes() {
        assert_eq!("7".parse(), Ok(PatientRef::Own(PatientId(7))));
        assert_eq!("jhe:40001".parse(), Ok(PatientRef::Jhe(40001)));
        for wrong in ["", "0", "-1", "jhe:", "jhe:x", "ow:7", "7 "] {
            assert!(wrong.parse::<PatientRef>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_ow_user_is_a_uuid_with_or_without_its_prefix() {
        let shown = "ow:009edd1e-49f6-4e35-a7b9-952f45e501e9";
        for text in [shown, &shown[3..], &shown[3..].to_uppercase()] {
            assert_eq!(text.parse::<OwUser>().map(|user| user.to_string()), Ok(shown.to_owned()));
        }
        for wrong in ["", "ow:", "ow:7", "009edd1e49f64e35a7b9952f45e501e9", "jhe:40001"] {
            assert!(wrong.parse::<OwUser>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_time_zone_is_a_name_or_a_fixed_offset() {
        for (text, kept) in [
            ("europe/berlin", "Europe/Berlin"),
            ("UTC", "UTC"),
            ("+02:00", "+02:00"),
            ("-0330", "-03:30"),
            ("+00:00", "UTC"),
        ] {
            assert_eq!(normalize_time_zone(text).as_deref(), Ok(kept));
            assert_eq!(normalize_time_zone(kept).as_deref(), Ok(kept), "as it is kept");
        }
        for wrong in ["", "Mars/Olympus", "+2", "+24:00", "+02:60", "02:00"] {
            assert!(normalize_time_zone(wrong).is_err(), "{wrong}");
        }
    }
}
