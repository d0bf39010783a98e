//! Mails to patients: their kinds, states and texts with placeholders.

use crate::model::catalog::code::CODES;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailKind {
    /// Carries a link to the consent pages.
    Invitation,
    /// Asks a silent patient to look after the device.
    Reminder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailState {
    Waiting,
    Sent,
    /// The mail server refuses it for good.
    Refused,
    /// It was not sent, as the patient withdrew, or the address was removed.
    Cancelled,
}

impl MailKind {
    pub const ALL: &[Self] = &[Self::Invitation, Self::Reminder];

    /// Returns the name in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invitation => "invitation",
            Self::Reminder => "reminder",
        }
    }

    /// Returns the placeholders that a text may have. A reminder has none for the study, whose name may name a
    /// measurement.
    pub fn placeholders(self) -> &'static [&'static str] {
        match self {
            Self::Invitation => &["name", "study", "institution", "link", "until"],
            Self::Reminder => &["name", "institution"],
        }
    }
}

impl MailState {
    const ALL: &[Self] = &[Self::Waiting, Self::Sent, Self::Refused, Self::Cancelled];

    /// Returns the name in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Refused => "refused",
            Self::Cancelled => "cancelled",
        }
    }
}

impl std::str::FromStr for MailKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.iter().copied().find(|kind| kind.as_str() == text);
        known.ok_or_else(|| format!("'{text}' is no kind of mail; give invitation or reminder"))
    }
}

impl std::str::FromStr for MailState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.iter().copied().find(|state| state.as_str() == text);
        known.ok_or_else(|| format!("'{text}' is no state of a mail"))
    }
}

/// Characters of a subject, and of a text.
const MAX_SUBJECT: usize = 150;
const MAX_BODY: usize = 4000;

/// Subject and text of a mail, with placeholders such as `{name}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailText {
    pub subject: String,
    pub body: String,
}

impl MailText {
    /// Checks a text that a person has written.
    pub fn check(&self, kind: MailKind) -> Result<(), String> {
        if self.subject.is_empty() || self.subject.chars().count() > MAX_SUBJECT {
            return Err(format!("Subject: give one line of at most {MAX_SUBJECT} characters"));
        }
        if self.subject.chars().any(char::is_control) {
            return Err("Subject: give one line".to_owned());
        }
        if self.body.is_empty() || self.body.chars().count() > MAX_BODY {
            return Err(format!("Text: give at most {MAX_BODY} characters"));
        }
        let known = kind.placeholders();
        for text in [&self.subject, &self.body] {
            let mut rest = text.as_str();
            while let Some(at) = rest.find(['{', '}']) {
                let name = rest[at..].strip_prefix('{').and_then(|inside| inside.split_once('}'));
                let Some((_, after)) = name.filter(|(name, _)| known.contains(name)) else {
                    let listed =
                        known.iter().map(|name| format!("{{{name}}}")).collect::<Vec<_>>().join(", ");
                    let found: String = rest[at..].chars().take(20).collect();
                    return Err(format!("“{found}” is no placeholder; there are {listed}"));
                };
                rest = after;
            }
        }
        if self.subject.contains("{link}") {
            return Err("Subject: a subject is shown to others; put {link} into the text".to_owned());
        }
        if kind == MailKind::Invitation && !self.body.contains("{link}") {
            return Err("Text: put {link} where the patient's link belongs".to_owned());
        }
        // A mail passes through the hands of others.
        let lower = format!("{} {}", self.subject, self.body).to_lowercase();
        match CODES.iter().find(|code| lower.contains(&code.display.to_lowercase())) {
            Some(code) => Err(format!("A mail names no measurement: leave out “{}”", code.display)),
            None => Ok(()),
        }
    }

    /// Puts values in place of placeholders. A value is not searched for placeholders.
    #[must_use]
    pub fn fill(&self, values: &[(&str, &str)]) -> Self {
        let fill = |text: &str| {
            let (mut filled, mut rest) = (String::with_capacity(text.len()), text);
            while let Some(at) = rest.find('{') {
                filled.push_str(&rest[..at]);
                rest = &rest[at..];
                let found = rest[1..].split_once('}').and_then(|(name, after)| {
                    values.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value, after))
                });
                let (value, after) = found.unwrap_or_else(|| rest.split_at(1));
                filled.push_str(value);
                rest = after;
            }
            filled + rest
        };
        // A name in a subject must not add a header.
        let subject = fill(&self.subject).replace(char::is_control, " ");
        Self { subject, body: fill(&self.body) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(subject: &str, body: &str) -> MailText {
        MailText { subject: subject.to_owned(), body: body.to_owned() }
    }

    #[test]
    fn a_text_is_checked_for_unknown_placeholders_the_link_and_measurements() {
        let check = |kind, subject, body| text(subject, body).check(kind).map_err(|why| why.to_lowercase());
        let (invitation, reminder) = (MailKind::Invitation, MailKind::Reminder);
        assert_eq!(check(invitation, "For {name}", "Open {link} until {until}, {study}"), Ok(()));
        assert_eq!(check(reminder, "Hello", "Dear {name}"), Ok(()));
        for (kind, subject, body, why) in [
            (invitation, "Hello", "Dear {nome}, {link}", "“{nome}, {link}” is no placeholder"),
            (invitation, "Hello", "Dear {name, {link}", "is no placeholder"),
            (invitation, "Hello", "Dear name}, {link}", "is no placeholder"),
            (invitation, "Hello", "Dear {name}", "put {link}"),
            (invitation, "{link}", "{link}", "subject"),
            (invitation, "", "{link}", "subject"),
            (reminder, "Hello", "{study}", "is no placeholder"),
            (reminder, "Hello", "Your heart rate is missing", "names no measurement"),
        ] {
            assert!(check(kind, subject, body).is_err_and(|error| error.contains(why)), "{subject} {body}");
        }
    }

    #[test]
    fn values_are_put_in_once_and_never_add_a_header() {
        let filled = text("For {name}", "{name} {link} {").fill(&[("name", "{link}\nBcc: x"), ("link", "L")]);
        assert_eq!(filled, text("For {link} Bcc: x", "{link}\nBcc: x L {"));
    }
}
