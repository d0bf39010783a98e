//! The pages about one patient: state, data, history, invitations and syncs.

use crate::model::patient::PatientId;

pub(crate) mod access;
pub(crate) mod band;
pub(crate) mod charts;
pub(crate) mod collection;
pub(crate) mod history;
pub(crate) mod mails;
pub(crate) mod polling;
pub(crate) mod show;
pub(crate) mod time_zone;
pub(crate) mod view;

/// Returns the address of the part of a patient's page that makes and mails invitations.
pub(crate) fn invitations_of(id: PatientId) -> String {
    format!("/admin/patients/{id}?open=invitations#invitations")
}
