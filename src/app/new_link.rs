//! Queues the mail with a new link for a patient who asks for one. It goes to the address on file.

use rusqlite::Connection;

use crate::app::state::App;
use crate::model::account::Actor;
use crate::model::audit_detail::AuditDetail;
use crate::model::mail::MailKind;
use crate::secrets::token::TokenHash;
use crate::store::error::StoreError;
use crate::store::people::{mail, patient, study};
use crate::store::privacy::audit;

/// Patients at one address who get a link each, such as a family.
const SAME_ADDRESS: u32 = 5;

/// Queues a mail to each patient with an address. It works in the background and answers nothing: nobody learns if the
/// address is known, also not by the time it takes.
pub(crate) fn request(app: &App, address: &str) {
    let (app, address) = (app.clone(), address.to_owned());
    tokio::spawn(async move {
        let key = TokenHash::of(address.to_lowercase().as_bytes());
        if app.live.config().alerts.mail.is_none() || app.rate_limits.check_new_link(key).is_err() {
            return;
        }
        let now = app.clock.now();
        let queue = move |db: &Connection| -> Result<(), StoreError> {
            for patient in patient::list_by_email(db, &address, SAME_ADDRESS)? {
                let id = patient.id;
                // A patient without a study has nothing to open.
                let Some(study) = study::list_of_patient(db, id)?.first().map(|study| study.id) else {
                    continue;
                };
                if mail::enqueue(db, id, study, MailKind::Invitation, true, now)? {
                    audit::record(
                        db,
                        now,
                        Actor::Visitor,
                        "mail.queue",
                        Some(id),
                        AuditDetail::from("new-link"),
                    )?;
                }
            }
            Ok(())
        };
        if let Err(error) = app.store.write(queue).await {
            tracing::warn!("a new link could not be queued: {error}");
        }
    });
}
