//! Raw mode on the pages: the state of the bucket on the page System, and of its objects on the patient page.

use jiff::tz::TimeZone;
use maud::{Markup, html};

use crate::app::state::App;
use crate::common::time::Timestamp;
use crate::config::settings::{IngestMode, Settings};
use crate::model::{account::VisibleTo, bucket_day::UNDATED, patient::PatientId};
use crate::store::samples::raw_object::{self, ObjectState, ObjectSummary, RawObject};
use crate::store::{error::StoreError, outbox::one_of_two_modes};
use crate::web::layout::{Column::Text, ago, badge, count, fold, foreign, local, table_head};

/// Objects in error that the patient page lists.
const SHOWN: u32 = 20;

/// The section of the page System.
pub(crate) struct PayloadSummary {
    /// Patients with observations of both ingest modes.
    with_both: i64,
}

impl PayloadSummary {
    pub(crate) fn load(db: &rusqlite::Connection) -> Result<Self, StoreError> {
        Ok(Self { with_both: one_of_two_modes::count_with_both_systems(db)? })
    }

    /// Renders nothing if raw mode is off and was never used beside the normalized mode.
    pub(crate) fn render(&self, app: &App, settings: &Settings) -> Markup {
        let is_raw = settings.ingest_mode() == Ok(IngestMode::Raw);
        let (now, check) = (app.clock.now(), app.bucket_status.last_check().filter(|_| is_raw));
        html! { @if check.is_some() || self.with_both > 0 {
            section {
                h2 { "Raw payloads" }
                @match check {
                    Some(check) => p {
                        @match &check.error {
                            None => { (badge("good", "readable")) " The bucket can be listed and read. " }
                            Some(error) => { (badge("bad", "not readable")) " " (foreign(error)) ". " }
                        }
                        "Checked " (ago(now, Some(check.at))) "."
                    },
                    None => {}
                }
                @if self.with_both > 0 {
                    p.warning {
                        "Patients with samples of both modes: " (count(self.with_both)) ". JHE gets one of two samples of \
                        the same measurement; those of " code { (settings.export_system()) } " have priority (" code { "ow.export_system" } ")."
                    }
                }
            }
        } }
    }
}

/// The section of the patient page.
pub(crate) struct PatientPayloads {
    summary: ObjectSummary,
    has_both: bool,
}

impl PatientPayloads {
    pub(crate) fn load(
        db: &rusqlite::Connection,
        viewer: VisibleTo,
        id: PatientId,
    ) -> Result<Self, StoreError> {
        // The name of an object says what it holds, also of what other studies ask for.
        let shown = if viewer == VisibleTo::Everybody { SHOWN } else { 0 };
        Ok(Self {
            summary: raw_object::summarize(db, id, shown)?,
            has_both: one_of_two_modes::has_both_systems(db, id)?,
        })
    }

    /// Renders nothing for a patient without payloads.
    pub(crate) fn render(&self, zone: &TimeZone, now: Timestamp, is_unfinished: bool) -> Markup {
        let ObjectSummary { read, other, failed, lost, newest, in_error } = &self.summary;
        if self.summary.is_empty() && !self.has_both {
            return html! {};
        }
        let state = format!("{read} read, {failed} failed");
        let is_open = self.has_both || *failed > 0;
        fold(
            "payloads",
            "Raw payloads",
            &state,
            is_open,
            &html! {
                    @if self.has_both {
                        p.warning {
                            "There are samples of both modes: one measurement may be listed twice, under the names of \
                            both. JHE gets one of the two, and later only the corrections of that one; corrections of \
                            the other stay here."
                        }
                    }
                    @if is_unfinished {
                        p { "More objects wait in the bucket than one sync reads; the next sync continues with them." }
                    }
                    dl.summary {
                        div { dt { "Objects read" } dd { (count(*read)) } }
                        div { dt { "Of other endpoints" } dd { (count(*other)) } }
                        div { dt { "Failed" } dd { (count(*failed)) } }
                        @if *lost > 0 { div { dt { "Lost" } dd { (count(*lost)) } } }
                        div { dt { "Newest object" } dd {
                            @match newest {
                                Some((day, seen)) => {
                                    @if *day != UNDATED { "of " (day) ", " }
                                    "seen " (ago(now, Some(*seen))) span.hidden { " (" (local(zone, *seen)) ")" }
                                }
                                None => "none yet",
                            }
                        } }
                    }
                    @if !in_error.is_empty() { (render_table(in_error, now)) }
            },
        )
    }
}

fn render_table(in_error: &[(RawObject, bool)], now: Timestamp) -> Markup {
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
                    @else if one.is_due(now) { "the next sync tries again" }
                    @else { "tried again later" }
                }
                td data-label="Why" { span { (foreign(one.error.as_deref().unwrap_or_default())) } }
            } } }
        }
    }
}
