//! Sends the queued mails to patients.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::Connection;

use crate::common::backoff::{Backoff, jitter};
use crate::common::clock::Clock;
use crate::common::failure::Failure;
use crate::common::time::{Timestamp, time_zone_or_utc};
use crate::config::alerts::Mail;
use crate::i18n::texts::Texts;
use crate::mail::smtp::{self, MailError, OutgoingMail};
use crate::mail::texts;
use crate::model::account::Actor;
use crate::model::audit_detail::AuditDetail;
use crate::model::mail::{MailKind, MailState, MailText};
use crate::model::patient::PatientRef;
use crate::model::study::StudyId;
use crate::secrets::token::{Token, TokenHash};
use crate::store::engine::store::Store;
use crate::store::error::{StoreError, StoreResult};
use crate::store::people::mail::{self, PatientMail};
use crate::store::people::patient::{self, Patient};
use crate::store::people::{invitation, mail_text, patient_language, reminder, study_text};
use crate::store::privacy::audit;

/// Mails of one round.
const ROUND: u32 = 50;
/// Pauses between attempts.
const BACKOFF: Backoff = Backoff { first: Duration::from_mins(1), longest: Duration::from_hours(1) };
/// A mail that the server defers for this long counts as refused.
const GIVE_UP_AFTER: Duration = Duration::from_hours(3 * 24);

/// The page that stops reminders.
pub(crate) const STOP_PAGE: &str = "/ow/reminders";

/// The store, the clock and the mail server of the mails to patients.
pub(crate) struct MailSender<'a, I> {
    pub(crate) store: &'a Store,
    pub(crate) clock: &'a Clock,
    pub(crate) server: &'a Mail,
    /// The address of the daemon for browsers.
    pub(crate) base: String,
    /// Has JHE make a link for one of its patients, by JHE's number.
    pub(crate) invite_at_jhe: I,
    /// The links that JHE made, by mail: JHE ends an earlier link with each new one, so a repeated attempt makes none.
    pub(crate) jhe_links: &'a Mutex<HashMap<i64, String>>,
}

/// A mail with its text, which holds a secret link.
struct Prepared {
    to: lettre::message::Mailbox,
    text: MailText,
    unsubscribe: Option<String>,
}

impl<I: AsyncFn(i64) -> Result<String, Failure>> MailSender<'_, I> {
    /// Sends the mails that are due. Each goes out at least once: a stop between the mail server's answer and its
    /// record repeats one.
    pub(crate) async fn send_due(&self) -> Result<(), Failure> {
        let now = self.clock.now();
        let due = self.store.read(move |db| mail::list_due(db, now, ROUND)).await?;
        for mail in due {
            if !self.send(mail).await? {
                break;
            }
        }
        Ok(())
    }

    /// Sends one mail. Returns false if no other one can be sent at present.
    async fn send(&self, mail: PatientMail) -> Result<bool, Failure> {
        // A new token at each attempt: none is stored until then.
        let (token, now, base) = (Token::generate()?, self.clock.now(), self.base.clone());
        let hash = token.hash();
        let jhe_link = match self.make_jhe_link(&mail).await {
            Ok(link) => link,
            Err(error) => {
                self.store.write(move |db| record(db, &mail, hash, &Err(error), now)).await?;
                return Ok(true);
            }
        };
        let queued = mail.clone();
        let write = move |db: &Connection| prepare(db, &queued, jhe_link, &token, &base, now);
        let Some(prepared) = self.store.write(write).await? else { return Ok(true) };
        let id = format!("mail-{}-{}", mail.id, mail.queued.micros());
        let MailText { subject, body } = &prepared.text;
        let unsubscribe = prepared.unsubscribe.as_deref();
        let to = &[prepared.to];
        let message = OutgoingMail { id: &id, to, subject, text: body, unsubscribe };
        let sent = smtp::send(self.server, &message, now).await;
        // After these answers there is no further attempt.
        if matches!(sent, Ok(()) | Err(MailError::Refused(_))) {
            self.jhe_links.lock().remove(&mail.id);
        }
        let goes_on = !matches!(sent, Err(MailError::Unavailable(_) | MailError::Unknown(_)));
        if let Err(error) = &sent {
            tracing::warn!(patient = %mail.patient, mail = mail.id, "a mail to a patient was not sent: {error}");
        }
        let now = self.clock.now();
        self.store.write(move |db| record(db, &mail, hash, &sent, now)).await?;
        Ok(goes_on)
    }

    /// Has JHE make the new link of one of its patients; none for other mails.
    async fn make_jhe_link(&self, mail: &PatientMail) -> Result<Option<String>, MailError> {
        let id = mail.patient;
        let found = self.store.read(move |db| patient::find(db, PatientRef::Own(id))).await;
        let patient = found.map_err(|error| MailError::Deferred(error.to_string()))?;
        let can_get = patient.email.as_deref().and_then(smtp::parse_recipient).is_some();
        let Some(jhe_id) = patient.jhe_id.filter(|_| mail.is_new_link && can_get) else {
            return Ok(None);
        };
        if let Some(link) = self.jhe_links.lock().get(&mail.id).cloned() {
            return Ok(Some(link));
        }
        let link = (self.invite_at_jhe)(jhe_id).await.map_err(|failure| {
            tracing::warn!(patient = %id, next = failure.remedy, "no new link for a mail: {}", failure.message);
            MailError::Deferred(failure.message)
        })?;
        self.jhe_links.lock().insert(mail.id, link.clone());
        Ok(Some(link))
    }
}

/// Renders a mail and stores the hash of the token in its link. Cancels a mail that is not to be sent any more.
fn prepare(
    db: &Connection,
    mail: &PatientMail,
    jhe_link: Option<String>,
    token: &Token,
    base: &str,
    now: Timestamp,
) -> Result<Option<Prepared>, StoreError> {
    let patient = patient::find(db, PatientRef::Own(mail.patient))?;
    let cancel = |why| mail::cancel(db, mail.id, why, now).map(|()| None);
    let Some(to) = patient.email.as_deref().and_then(smtp::parse_recipient) else {
        return cancel("the patient has no e-mail address");
    };
    if patient.jhe_id.is_some() && jhe_link.is_none() {
        return cancel("the patient is JHE's now, which invites");
    }
    if mail.kind == MailKind::Reminder && !reminder::may_remind(db, mail.patient, mail.study)? {
        return cancel("the patient stopped reminders, or shares nothing any more");
    }
    let mut unsubscribe = None;
    let text = match mail.kind {
        MailKind::Invitation => {
            let expires = now.plus(invitation::LIFETIME);
            let link = if let Some(link) = jhe_link {
                link
            } else {
                let study = (!mail.is_new_link).then_some(mail.study);
                invitation::insert(db, token.hash(), mail.patient, study, now, expires)?;
                invitation::link(base, token)
            };
            if mail.is_new_link {
                render_new_link(db, &patient, &link, expires)?
            } else {
                render(db, &patient, mail.study, mail.kind, &link, expires)?
            }
        }
        MailKind::Reminder => {
            mail::set_unsubscribe_hash(db, mail.id, token.hash())?;
            let link = format!("{base}{STOP_PAGE}?code={}", token.expose());
            let mut text = render(db, &patient, mail.study, mail.kind, "", now)?;
            let texts = Texts::of(patient_language::find(db, mail.patient)?);
            let footer = texts.get_with("mail-reminder-footer", &[("link", link.as_str().into())]);
            text.body = format!("{}\n\n-- \n{footer}\n", text.body);
            unsubscribe = Some(link);
            text
        }
    };
    Ok(Some(Prepared { to, text, unsubscribe }))
}

/// Renders the study's text of a mail in the patient's language, or the daemon's own.
pub(crate) fn render(
    db: &Connection,
    patient: &Patient,
    study: StudyId,
    kind: MailKind,
    link: &str,
    until: Timestamp,
) -> StoreResult<MailText> {
    let language = patient_language::find(db, patient.id)?;
    let terms = study_text::find(db, study, language)?;
    let own = mail_text::find(db, study, kind, language)?;
    let until = Texts::of(language).date(&time_zone_or_utc(&patient.time_zone), until);
    Ok(own.unwrap_or_else(|| texts::default_text(kind, language)).fill(&[
        ("name", &patient.name),
        ("institution", &terms.organization),
        ("study", &terms.title),
        ("link", link),
        ("until", &until),
    ]))
}

/// Renders the mail with a new link in the patient's language.
fn render_new_link(
    db: &Connection,
    patient: &Patient,
    link: &str,
    until: Timestamp,
) -> StoreResult<MailText> {
    let texts = Texts::of(patient_language::find(db, patient.id)?);
    let institutions = study_text::list_institutions(db, patient.id, None, texts.language())?;
    let names: Vec<String> = institutions.into_iter().map(|one| one.name).collect();
    let until = texts.date(&time_zone_or_utc(&patient.time_zone), until);
    Ok(texts::new_link_text(texts, &texts.list(&names), link, &until))
}

/// Records the outcome of an attempt.
fn record(
    db: &Connection,
    mail: &PatientMail,
    token: TokenHash,
    sent: &Result<(), MailError>,
    now: Timestamp,
) -> StoreResult<()> {
    let due = now.plus(BACKOFF.pause(mail.attempts, jitter()));
    let is_late = now.since(mail.queued) >= GIVE_UP_AFTER;
    let state = match sent {
        Ok(()) => MailState::Sent,
        Err(MailError::Refused(_)) => MailState::Refused,
        Err(MailError::Deferred(_) | MailError::Unknown(_)) if is_late => MailState::Refused,
        Err(_) => MailState::Waiting,
    };
    mail::record_attempt(db, mail.id, state, sent.as_ref().err().map(MailError::text), due, now)?;
    match sent {
        // An earlier link is replaced now, and not before: the mail has arrived at the server.
        Ok(()) if mail.kind == MailKind::Invitation => {
            invitation::revoke_issued_before(db, mail.patient, mail.queued, now)?;
        }
        Ok(()) => {}
        // The mail may have arrived, so its link stays good.
        Err(MailError::Unknown(_)) => mail::postpone_all(db, due)?,
        Err(error) => {
            invitation::delete_unsent(db, token)?;
            if matches!(error, MailError::Unavailable(_)) {
                mail::postpone_all(db, due)?;
            }
        }
    }
    let action = match state {
        MailState::Sent => "mail.sent",
        MailState::Refused => "mail.refused",
        MailState::Waiting | MailState::Cancelled => return Ok(()),
    };
    let detail = AuditDetail::from(mail.word()).with("study").with(mail.study);
    audit::record(db, now, Actor::Daemon, action, Some(mail.patient), detail)
}
