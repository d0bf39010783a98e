//! The provider's payloads: whether they can be read, on the overview; what became of those of one patient.

use jiff::tz::TimeZone;
use maud::{Markup, html};

use crate::app::state::App;
use crate::common::time::Timestamp;
use crate::config::settings::{IngestMode, Settings};
use crate::model::{bucket_day::UNDATED, patient::PatientId};
use crate::store::samples::raw_object::{self, ObjectState, ObjectSummary, RawObject};
use crate::store::{error::StoreError, outbox::one_of_two_modes};
use crate::web::layout::{Column::Text, ago, badge, count, local, table_head};

/// Objects in error that the page of a patient shows.
const SHOWN: u32 = 20;

/// What the overview says.
pub(crate) struct Overview {
    /// Patients who have observations of both modes.
    with_both: i64,
}

impl Overview {
    pub(crate) fn load(db: &rusqlite::Connection) -> Result<Self, StoreError> {
        Ok(Self { with_both: one_of_two_modes::count_with_both_systems(db)? })
    }

    /// Nothing, where the payloads are of no interest.
    pub(crate) fn section(&self, app: &App, settings: &Settings) -> Markup {
        let is_raw = settings.ingest_mode() == Ok(IngestMode::Raw);
        let (now, found) = (app.clock.now(), app.bucket_status.last_check().filter(|_| is_raw));
        html! { @if found.is_some() || self.with_both > 0 {
            section {
                h2 { "Raw payloads" }
                @match found {
                    Some(found) => p {
                        @match &found.error {
                            None => { (badge("good", "readable")) " The bucket can be listed and read. " }
                            Some(trouble) => { (badge("bad", "not readable")) " " (trouble) ". " }
                        }
                        "Looked at " (ago(now, Some(found.at))) "."
                    },
                    None => {}
                }
                @if self.with_both > 0 {
                    p.warning {
                        "Patients with samples of both modes: " (count(self.with_both)) ". Of two of one measurement JHE \
                        gets one; those of " code { (settings.export_system()) } " go first (" code { "ow.export_system" } ")."
                    }
                }
            }
        } }
    }
}

/// What the page of a patient says.
pub(crate) struct OfPatient {
    summary: ObjectSummary,
    has_both: bool,
}

impl OfPatient {
    pub(crate) fn load(db: &rusqlite::Connection, id: PatientId) -> Result<Self, StoreError> {
        Ok(Self {
            summary: raw_object::summarize(db, id, SHOWN)?,
            has_both: one_of_two_modes::has_both_systems(db, id)?,
        })
    }

    /// Nothing, where there has never been a payload.
    pub(crate) fn section(&self, zone: &TimeZone, now: Timestamp, is_unfinished: bool) -> Markup {
        let ObjectSummary { read, other, failed, lost, newest, in_error } = &self.summary;
        html! { @if !self.summary.is_empty() || self.has_both {
            section #payloads {
                h2 { "Raw payloads" }
                @if self.has_both {
                    p.warning {
                        "There are samples of both modes: what was measured once may stand here twice, under the \
                        names of either. JHE gets one of them, and afterwards the corrections of that one: what the other \
                        mode alone has seen corrected stays here."
                    }
                }
                @if is_unfinished {
                    p { "More objects wait in the bucket than one turn reads; the next tick goes on with them." }
                }
                dl.summary {
                    div { dt { "Objects read" } dd { (count(*read)) } }
                    div { dt { "Of other endpoints" } dd { (count(*other)) } }
                    div { dt { "Failed" } dd { (count(*failed)) } }
                    @if *lost > 0 { div { dt { "Lost" } dd { (count(*lost)) } } }
                    div { dt { "Newest object" } dd {
                        @match newest {
                            Some((day, noted)) => {
                                @if *day != UNDATED { "of " (day) ", " }
                                "seen " (ago(now, Some(*noted))) span.hidden { " (" (local(zone, *noted)) ")" }
                            }
                            None => "none yet",
                        }
                    } }
                }
                @if !in_error.is_empty() { (table(in_error, now)) }
            }
        } }
    }
}

fn table(in_error: &[(RawObject, bool)], now: Timestamp) -> Markup {
    html! {
        table {
            (table_head(&[Text("Object"), Text("State"), Text("Why")]))
            tbody { @for (one, has_ended) in in_error { tr {
                th.id scope="row" data-label="Object" {
                    span { @if one.day != UNDATED { (one.day) "/…/" } (one.name) }
                }
                td data-label="State" {
                    @if *has_ended { "of a link that has ended: not read any more" }
                    @else if one.state == ObjectState::Lost { "not in the bucket any more" }
                    @else if one.is_due(now) { "the next tick tries again" }
                    @else { "tried again by and by" }
                }
                td data-label="Why" { span { (one.error.as_deref().unwrap_or_default()) } }
            } } }
        }
    }
}
