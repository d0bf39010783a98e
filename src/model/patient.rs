//! Names of people: the daemon's own patient id, JHE's, and the OW user behind a link.

use std::fmt;

use jiff::tz::TimeZone;
use uuid::Uuid;

use crate::common::time::{ZoneOffset, time_zone};

/// The daemon's own number for a patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PatientId(i64);

impl PatientId {
    /// The patient with this number in the store.
    pub fn new(id: i64) -> Self {
        Self(id)
    }

    /// The number.
    pub fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for PatientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A patient as an operator names one: `7` is the daemon's own id, `jhe:40001` is JHE's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatientRef {
    /// The daemon's own id.
    Own(PatientId),
    /// JHE's patient id.
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

/// An OW user's id; shown as `ow:<uuid>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OwUser(String);

impl OwUser {
    /// The bare uuid, lower case and hyphenated, as OW's paths take it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for OwUser {
    type Err = String;

    /// Takes a uuid with or without the prefix `ow:`.
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

/// Characters of a name: longer ones are something else.
const LONGEST_NAME: usize = 200;

/// A name of one line.
///
/// # Errors
/// A sentence that says what is asked for.
pub fn parse_name(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err("give a name of one line".to_owned());
    }
    if text.chars().count() > LONGEST_NAME {
        return Err(format!("give at most {LONGEST_NAME} characters"));
    }
    Ok(text.to_owned())
}

/// An e-mail address, as far as its look tells.
///
/// # Errors
/// A sentence that says what is asked for.
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

/// Parses a time zone: an IANA name, or a fixed offset.
pub fn parse_time_zone(text: &str) -> Result<TimeZone, String> {
    time_zone(text).ok_or_else(|| {
        format!("there is no time zone '{text}'; give one such as Europe/Berlin, UTC or +02:00")
    })
}

/// Returns a time zone as the store keeps it: the IANA name as the time zone database writes it, or `±HH:MM`.
pub fn parse_zone(text: &str) -> Result<String, String> {
    let zone = parse_time_zone(text)?;
    Ok(match ZoneOffset::parse(text) {
        Some(ZoneOffset::UTC) => "UTC".to_owned(),
        Some(offset) => offset.to_string(),
        None => zone.iana_name().unwrap_or(text).to_owned(),
    })
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
            assert_eq!(parse_zone(text).as_deref(), Ok(kept));
            assert_eq!(parse_zone(kept).as_deref(), Ok(kept), "as it is kept");
        }
        for wrong in ["", "Mars/Olympus", "+2", "+24:00", "+02:60", "02:00"] {
            assert!(parse_zone(wrong).is_err(), "{wrong}");
        }
    }
}
