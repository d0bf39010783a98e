//! The daemon's own texts of mails to patients, by language. A study can replace subject and text.

use jiff::tz::TimeZone;

use crate::common::time::Timestamp;
use crate::model::mail::{MailKind, MailText};

/// The languages of mails: code and own name. The first one is used where a language is unknown.
pub(crate) const LANGUAGES: &[(&str, &str)] = &[("en", "English"), ("es", "Español")];

/// Further names of languages that lists of people use.
const NAMES: &[(&str, &str)] = &[
    ("english", "en"),
    ("eng", "en"),
    ("inglés", "en"),
    ("español", "es"),
    ("espanol", "es"),
    ("spanish", "es"),
    ("spa", "es"),
    ("castellano", "es"),
];

/// Returns the code of a language that is given as a code (`es`, `es-MX`) or by its name; none if it is unknown.
pub(crate) fn parse_language(text: &str) -> Option<&'static str> {
    let text = text.trim().to_lowercase();
    let named = NAMES.iter().find(|(name, _)| *name == text).map(|(_, code)| *code);
    let code = named.unwrap_or_else(|| text.split(['-', '_']).next().unwrap_or_default());
    LANGUAGES.iter().find(|(known, _)| *known == code).map(|(known, _)| *known)
}

pub(crate) fn language_name(code: &str) -> &'static str {
    LANGUAGES.iter().find(|(known, _)| *known == code).unwrap_or(&LANGUAGES[0]).1
}

/// Returns the text of a mail for studies without one of their own.
pub(crate) fn default_text(kind: MailKind, language: &str) -> MailText {
    let (subject, body) = match (kind, language) {
        (MailKind::Invitation, "es") => (
            "Su invitación de {institution}",
            "Hola, {name}:\n\n{institution} le invita a participar en un estudio. En este enlace puede leer de qué se \
             trata. Usted decide si participa:\n\n{link}\n\nEl enlace es solo para usted y funciona hasta el {until}. \
             No se lo dé a nadie.\n\n{institution}",
        ),
        (MailKind::Invitation, _) => (
            "Your invitation from {institution}",
            "Hello {name},\n\n{institution} invites you to take part in a study. This link shows what it is about. You \
             decide whether you take part:\n\n{link}\n\nThe link is for you alone and works until {until}. Please do \
             not pass it on.\n\n{institution}",
        ),
        (MailKind::Reminder, "es") => (
            "Un recordatorio de {institution}",
            "Hola, {name}:\n\ndesde hace unos días no recibimos nada de su dispositivo. Por favor, compruebe que tiene \
             batería, que lo lleva puesto y que su aplicación se ha abierto y sincronizado en su teléfono.\n\nGracias,\n\
             {institution}",
        ),
        (MailKind::Reminder, _) => (
            "A reminder from {institution}",
            "Hello {name},\n\nfor some days we have received nothing from your device. Please check that it is charged, \
             that you wear it, and that its app was opened and has synced on your phone.\n\nThank you,\n{institution}",
        ),
    };
    MailText { subject: subject.to_owned(), body: body.to_owned() }
}

/// Returns the end of a reminder: why it came, and the link that stops reminders.
pub(crate) fn unsubscribe_footer(language: &str, link: &str) -> String {
    match language {
        "es" => format!(
            "Recibe este mensaje porque aceptó recibir recordatorios de este estudio. Si no quiere más, abra este \
             enlace:\n{link}"
        ),
        _ => format!(
            "You get this mail because you agreed to reminders from this study. If you want no more, open this \
             link:\n{link}"
        ),
    }
}

const MONTHS_ES: [&str; 12] = [
    "enero",
    "febrero",
    "marzo",
    "abril",
    "mayo",
    "junio",
    "julio",
    "agosto",
    "septiembre",
    "octubre",
    "noviembre",
    "diciembre",
];

/// Formats the day of an instant in a time zone: `5 December 2026`.
pub(crate) fn format_day(at: Timestamp, zone: &TimeZone, language: &str) -> String {
    let Some(instant) = at.to_jiff() else { return at.to_string() };
    let day = instant.to_zoned_datetime(zone.clone());
    match language {
        "es" => {
            let month = usize::try_from(day.month() - 1).ok().and_then(|month| MONTHS_ES.get(month));
            format!("{} de {} de {}", day.day(), month.unwrap_or(&""), day.year())
        }
        _ => day.strftime("%-d %B %Y").to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_texts_that_pass_the_checks_for_those_of_studies() {
        for &(language, name) in LANGUAGES {
            assert_eq!(parse_language(name), Some(language));
            for &kind in MailKind::ALL {
                assert_eq!(default_text(kind, language).check(kind), Ok(()), "{language}");
            }
        }
        assert_ne!(default_text(MailKind::Reminder, "es"), default_text(MailKind::Reminder, "en"));
        assert_eq!(["ES", "es-MX", "Spanish"].map(parse_language), [Some("es"); 3]);
        assert_eq!(["", "de", "Klingon"].map(parse_language), [None; 3]);
    }

    #[test]
    fn a_day_is_written_in_the_patients_zone_and_language() {
        let (at, zone) =
            (Timestamp::parse("2026-12-05T03:00:00Z").unwrap(), TimeZone::get("America/Chicago").unwrap());
        assert_eq!(format_day(at, &zone, "en"), "4 December 2026");
        assert_eq!(format_day(at, &TimeZone::UTC, "es"), "5 de diciembre de 2026");
    }
}
