use jiff::tz::TimeZone;

use crate::common::time::{Timestamp, time_zone_or_utc};
use crate::model::patient::{PatientId, PatientRef};
use crate::model::{account::VisibleTo, silence::Silence, study::Study};
use crate::store::operations::patient_status::{self, PatientFilter, PatientOverview};
use crate::store::operations::silence;
use crate::store::people::consent::{self, ConsentEntry};
use crate::store::people::invitation::{self, Invitation, InvitationState};
use crate::store::people::patient::{self, Patient};
use crate::store::people::session::{self, ApiToken, Holder};
use crate::store::people::study;
use crate::store::{engine::setting, error::StoreError};
use crate::web::admin::observations::{self, Placed};
use crate::web::admin::{export::OfPatient, payloads::OfPatient as Payloads};
use crate::web::chart::{charts::Rows, overview::Overview};

/// Everything that the page shows.
pub(crate) struct View {
    pub(crate) patient: Patient,
    pub(crate) line: PatientOverview,
    pub(crate) silence: Option<Silence>,
    pub(crate) zone: TimeZone,
    pub(crate) studies: Vec<Study>,
    /// Studies that the patient could be invited to.
    pub(crate) offered: Vec<Study>,
    pub(crate) consents: Vec<ConsentEntry>,
    pub(crate) overview: Overview,
    pub(crate) newest: Vec<Placed>,
    pub(crate) access: Access,
    pub(crate) export: Option<OfPatient>,
    pub(crate) payloads: Payloads,
}

impl View {
    pub(crate) fn load(
        db: &rusqlite::Connection,
        reach: VisibleTo,
        id: PatientId,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let patient = patient::find(db, PatientRef::Own(id))?;
        let zone = time_zone_or_utc(&patient.time_zone);
        let line = patient_status::list(db, now, &PatientFilter::one(id), 1)?.pop();
        let line = line.ok_or_else(|| StoreError::Refused(format!("there is no patient {id}")))?;
        let settings = setting::read_all(db)?;
        Ok(Self {
            line,
            silence: silence::find(db, id, settings.silence_after(), now)?,
            studies: study::list_visible_of_patient(db, reach, id)?,
            offered: study::list(db, reach, 0, crate::web::admin::patients::OFFERED)?,
            consents: consent::list(db, id)?,
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
    pub(crate) invitations: Vec<(Invitation, InvitationState)>,
    pub(crate) tokens: Vec<ApiToken>,
    pub(crate) sessions: i64,
}

impl Access {
    pub(crate) fn load(db: &rusqlite::Connection, id: PatientId, now: Timestamp) -> Result<Self, StoreError> {
        let invitations = invitation::list(db, id, SHOWN)?.into_iter();
        Ok(Self {
            invitations: invitations
                .map(|one| {
                    let standing = one.state(now);
                    (one, standing)
                })
                .collect(),
            tokens: session::list_api_tokens(db, id)?,
            sessions: session::count(db, Holder::Patient(id), now)?,
        })
    }
}

/// Invitations that are shown; older ones are in the audit.
pub(crate) const SHOWN: u32 = 10;

/// Observations on the patient's page itself.
pub(crate) const NEWEST: usize = 10;
