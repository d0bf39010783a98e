//! Reads the data of the patient page.

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::common::time::{Timestamp, time_zone_or_utc};
use crate::i18n::texts::Texts;
use crate::model::account::{Role, VisibleTo};
use crate::model::patient::{PatientId, PatientRef};
use crate::model::{silence::Silence, study::Study};
use crate::store::operations::patient_status::{self, PatientFilter, PatientOverview};
use crate::store::operations::silence;
use crate::store::people::api_token::{self, ApiToken};
use crate::store::people::collection_window::{self, StudyPart};
use crate::store::people::consent::{self, ConsentEntry};
use crate::store::people::invitation::{self, Invitation, InvitationState};
use crate::store::people::patient::{self, Patient};
use crate::store::people::session::{self, Holder};
use crate::store::people::study;
use crate::store::people::time_zone::{self, PatientTimeZone};
use crate::store::{engine::setting, error::StoreError};
use crate::web::admin::patient::history::{self, PatientHistory};
use crate::web::admin::patient::mails::PatientMails;
use crate::web::admin::patients::MAX_OFFERED_STUDIES;
use crate::web::admin::{export::PatientExport, payloads::PatientPayloads};
use crate::web::chart::charted_series::ChartedSeries;
use crate::web::chart::charts::Charts;
use crate::web::chart::overview::MeasurementOverview;
use crate::web::chart::period::{Period, Window};

/// The stored data of the patient page.
pub(crate) struct PatientView {
    pub(crate) patient: Patient,
    pub(crate) line: PatientOverview,
    pub(crate) silence: Option<Silence>,
    pub(crate) zone: TimeZone,
    pub(crate) time_zone: PatientTimeZone,
    pub(crate) studies: Vec<Study>,
    /// The patient's parts in these studies.
    pub(crate) parts: Vec<StudyPart>,
    /// Studies that the patient could be invited to.
    pub(crate) offered: Vec<Study>,
    pub(crate) consents: Vec<ConsentEntry>,
    /// Series types with data.
    pub(crate) series: usize,
    /// The series types without a chart on the page.
    pub(crate) overview: MeasurementOverview,
    /// Charts of the series that say most.
    pub(crate) charts: Charts,
    pub(crate) history: PatientHistory,
    pub(crate) access: PatientAccess,
    pub(crate) export: Option<PatientExport>,
    pub(crate) payloads: PatientPayloads,
    pub(crate) mails: PatientMails,
}

impl PatientView {
    pub(crate) fn load(
        db: &rusqlite::Connection,
        visible_to: VisibleTo,
        id: PatientId,
        period: (Period, Option<Date>),
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let patient = patient::find(db, PatientRef::Own(id))?;
        let zone = time_zone_or_utc(&patient.time_zone);
        let line = patient_status::list(db, now, &PatientFilter::one(id, visible_to), 1)?.pop();
        let line = line.ok_or_else(|| StoreError::Refused(format!("there is no patient {id}")))?;
        let settings = setting::read_all(db)?;
        let studies = study::list_visible_of_patient(db, visible_to, id)?;
        let mut parts = collection_window::list_parts(db, id)?;
        parts.retain(|part| studies.iter().any(|study| study.id == part.study));
        let silence = silence::find(db, visible_to, id, settings.silence_after(), now)?;
        let (consents, access) =
            (consent::list(db, visible_to, id)?, PatientAccess::load(db, visible_to, id, now)?);
        let mut derived = history::of_consents(&consents);
        derived.extend(history::of_invitations(&access.invitations));
        derived.extend(history::of_devices(&line.devices));
        derived.extend(history::of_data(line.newest, silence.is_some(), settings.silence_after()));
        let series = ChartedSeries::load(db, visible_to, id)?;
        let overview = MeasurementOverview::load(db, visible_to, &series, id, (&zone, now))?;
        let (charted, window) = (series.choose(MAX_CHARTS), Window::new(period, &zone, now, Texts::ENGLISH));
        Ok(Self {
            line,
            mails: PatientMails::load(db, id, &studies)?,
            silence,
            charts: Charts::load(db, &charted, window, &overview)?,
            series: series.present.len(),
            overview: overview.without(&charted),
            history: PatientHistory::load(db, visible_to, id, derived)?,
            studies,
            parts,
            offered: study::list(db, visible_to, Role::Coordinator, 0, MAX_OFFERED_STUDIES)?,
            consents,
            access,
            export: PatientExport::load(db, visible_to, id)?,
            payloads: PatientPayloads::load(db, visible_to, id)?,
            time_zone: time_zone::find(db, id)?,
            zone,
            patient,
        })
    }
}

/// The ways in which a patient can sign in.
pub(crate) struct PatientAccess {
    pub(crate) invitations: Vec<(Invitation, InvitationState)>,
    pub(crate) tokens: Vec<ApiToken>,
    pub(crate) sessions: i64,
}

impl PatientAccess {
    pub(crate) fn load(
        db: &rusqlite::Connection,
        visible_to: VisibleTo,
        id: PatientId,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let invitations = invitation::list(db, visible_to, id, MAX_INVITATIONS)?.into_iter();
        Ok(Self {
            invitations: invitations
                .map(|one| {
                    let state = one.state(now);
                    (one, state)
                })
                .collect(),
            tokens: api_token::list(db, id)?,
            sessions: session::count(db, Holder::Patient(id), now)?,
        })
    }
}

/// Invitations listed; older ones are in the audit.
const MAX_INVITATIONS: u32 = 10;

/// Charts on the patient page; the page of all charts has the others.
const MAX_CHARTS: usize = 8;
