//! Mails a patient who asks for it a new link, to the address on file.

use crate::app::invite::{invite, invite_through_jhe};
use crate::app::state::App;
use crate::common::failure::Failure;
use crate::i18n::texts::Texts;
use crate::mail::smtp::{self, OutgoingMail};
use crate::model::account::Actor;
use crate::model::patient::PatientId;
use crate::secrets::token::{Token, TokenHash};
use crate::store::people::patient::{self, Patient};
use crate::store::people::{invitation, patient_language, study_text};

/// Patients at one address who get a link each, such as a family.
const SAME_ADDRESS: u32 = 5;

/// Mails a new link to the patients with an address. It works in the background and answers nothing: nobody learns if
/// the address is known, also not by the time it takes.
pub(crate) fn request(app: &App, address: &str) {
    let (app, address) = (app.clone(), address.to_owned());
    tokio::spawn(async move {
        let key = TokenHash::of(address.to_lowercase().as_bytes());
        if app.live.config().alerts.mail.is_none() || app.rate_limits.check_new_link(key).is_err() {
            return;
        }
        let found = app.store.read(move |db| patient::list_by_email(db, &address, SAME_ADDRESS)).await;
        for patient in found.unwrap_or_default() {
            if let Err(failure) = send_new_link(&app, &patient).await {
                tracing::warn!(patient = %patient.id, next = failure.remedy, "a new link was not sent: {}", failure.message);
            }
        }
    });
}

/// Makes a link for one patient and mails it. The mail names neither the patient nor a measurement.
async fn send_new_link(app: &App, patient: &Patient) -> Result<(), Failure> {
    let config = app.live.config();
    let address = patient.email.as_deref().and_then(smtp::parse_recipient);
    let Some((server, to)) = config.alerts.mail.clone().zip(address) else { return Ok(()) };
    let (id, now) = (patient.id, app.clock.now());
    let link = match (patient.jhe_id, app.live.jhe()) {
        (Some(jhe_id), Some(jhe)) => {
            let made = invite_through_jhe(&jhe, &app.store, &config, jhe_id, Actor::Visitor, &app.clock);
            made.await?.link
        }
        (Some(_), None) => return Err(Failure::failed("JHE is not configured", "set JHE_BASE_URL")),
        (None, _) => make_own_link(app, id).await?,
    };
    let read = move |db: &_| {
        let texts = Texts::of(patient_language::find(db, id)?);
        Ok((texts, study_text::list_institutions(db, id, None, texts.language())?))
    };
    let (texts, institutions) = app.store.read(read).await?;
    let names: Vec<String> = institutions.into_iter().map(|one| one.name).collect();
    let organization = texts.list(&names);
    let values = [("organization", organization.into()), ("link", link.into())];
    let mail = OutgoingMail {
        id: &format!("new-link-{id}-{}", now.micros()),
        to: &[to],
        subject: &texts.get_with("new-link-mail-subject", &values[..1]),
        text: &texts.get_with("new-link-mail-text", &values),
        unsubscribe: None,
    };
    let sent = smtp::send(&server, &mail, now).await;
    sent.map_err(|error| Failure::failed(error.to_string(), "check the mail server (alerts.smtp_url)"))
}

async fn make_own_link(app: &App, id: PatientId) -> Result<String, Failure> {
    let (token, now) = (Token::generate()?, app.clock.now());
    let hash = token.hash();
    app.store.write(move |db| invite(db, hash, id, None, Actor::Visitor, now)).await?;
    Ok(invitation::link(&app.live.config().public_base(), &token))
}
