//! The daemon's own texts of mails to patients, from the bundles. A study can replace those with placeholders.

use crate::i18n::language::Language;
use crate::i18n::texts::{Texts, Value};
use crate::model::mail::{MailKind, MailText};

/// Returns the text, with its placeholders, of a mail for studies without one of their own.
pub(crate) fn default_text(kind: MailKind, language: Language) -> MailText {
    let texts = Texts::of(language);
    let placeholder = |name: &'static str| (name, Value::from(format!("{{{name}}}")));
    let values: Vec<_> = kind.placeholders().iter().copied().map(placeholder).collect();
    let (subject, body) = match kind {
        MailKind::Invitation => ("mail-invitation-subject", "mail-invitation-body"),
        MailKind::Reminder => ("mail-reminder-subject", "mail-reminder-body"),
    };
    MailText { subject: texts.get_with(subject, &values), body: texts.get_with(body, &values) }
}

/// Returns the mail with the new link that a patient asked for. It names neither the patient nor a study.
pub(crate) fn new_link_text(texts: Texts, institution: &str, link: &str, until: &str) -> MailText {
    let values = [("institution", institution.into()), ("link", link.into()), ("until", until.into())];
    MailText {
        subject: texts.get("mail-new-link-subject"),
        body: texts.get_with("mail-new-link-body", &values),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_texts_that_pass_the_checks_for_those_of_studies() {
        for language in Language::all() {
            for &kind in MailKind::ALL {
                let text = default_text(kind, language);
                assert_eq!(text.check(kind), Ok(()), "{language}");
                assert!(text.subject.contains("{institution}") && text.body.contains("{name}"), "{text:?}");
            }
        }
        let spanish = Language::find("es").unwrap();
        assert_ne!(
            default_text(MailKind::Reminder, spanish),
            default_text(MailKind::Reminder, Language::ENGLISH)
        );
    }
}
