use jiff::tz::TimeZone;

use crate::common::time::{Timestamp, time_zone_or_utc};
use crate::model::account::Reach;
use crate::model::patient::{PatientId, PatientRef};
use crate::model::silence::Silence;
use crate::model::study::Study;
use crate::store::engine::setting;
use crate::store::error::StoreError;
use crate::store::operations::patient_status::{Line, Shown};
use crate::store::operations::{patient_status, silence};
use crate::store::people::consent::Entry;
use crate::store::people::invitation::{Invitation, Standing};
use crate::store::people::patient::Patient;
use crate::store::people::session::{ApiToken, Holder};
use crate::store::people::{consent, invitation, patient, session, study};
use crate::web::admin::export::OfPatient;
use crate::web::admin::observations;
use crate::web::admin::observations::Placed;
use crate::web::admin::payloads::OfPatient as Payloads;
use crate::web::chart::charts::Rows;
use crate::web::chart::overview::Overview;

/// Everything that the page shows.
pub(crate) struct View {
    pub(crate) patient: Patient,
    pub(crate) line: Line,
    pub(crate) silence: Option<Silence>,
    pub(crate) zone: TimeZone,
    pub(crate) studies: Vec<Study>,
    /// Studies that the patient could be invited to.
    pub(crate) offered: Vec<Study>,
    pub(crate) consents: Vec<Entry>,
    pub(crate) overview: Overview,
    pub(crate) newest: Vec<Placed>,
    pub(crate) access: Access,
    pub(crate) export: Option<OfPatient>,
    pub(crate) payloads: Payloads,
}

impl View {
    pub(crate) fn load(
        db: &rusqlite::Connection,
        reach: Reach,
        id: PatientId,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let patient = patient::find(db, PatientRef::Own(id))?;
        let zone = time_zone_or_utc(&patient.time_zone);
        let line = patient_status::lines(db, now, &Shown::one(id), 1)?.pop();
        let line = line.ok_or_else(|| StoreError::Refused(format!("there is no patient {id}")))?;
        let settings = setting::all(db)?;
        Ok(Self {
            line,
            silence: silence::of(db, id, settings.silence_after(), now)?,
            studies: study::studies_of(db, reach, id)?,
            offered: study::page(db, reach, 0, crate::web::admin::patients::OFFERED)?,
            consents: consent::entries(db, id)?,
            overview: Overview::load(db, &Rows::load(db, id)?, id, &zone, now)?,
            newest: observations::newest(db, id, None, NEWEST)?,
            access: Access::load(db, id, now)?,
            export: OfPatient::load(db, id)?,
            payloads: Payloads::load(db, id)?,
            zone,
            patient,
        })
    }
}

/// What the store holds of it.
pub(crate) struct Access {
    pub(crate) invitations: Vec<(Invitation, Standing)>,
    pub(crate) tokens: Vec<ApiToken>,
    pub(crate) sessions: i64,
}

impl Access {
    pub(crate) fn load(db: &rusqlite::Connection, id: PatientId, now: Timestamp) -> Result<Self, StoreError> {
        let invitations = invitation::list(db, id, SHOWN)?.into_iter();
        Ok(Self {
            invitations: invitations
                .map(|one| {
                    let standing = one.standing(now);
                    (one, standing)
                })
                .collect(),
            tokens: session::api_tokens(db, id)?,
            sessions: session::count(db, Holder::Patient(id), now)?,
        })
    }
}

/// Invitations that are shown; older ones are in the audit.
pub(crate) const SHOWN: u32 = 10;

/// Observations on the patient's page itself.
pub(crate) const NEWEST: usize = 10;
