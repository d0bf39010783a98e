//! The tables about the participants of a study: the second part of the data dictionary.

use crate::dataset::columns::{column, participant, required};
use crate::dataset::table::{Column, ColumnType, Table};

/// Returns the table of participants.
pub fn participants_table() -> Table {
    Table {
        name: "participants".to_owned(),
        title: "Participants".to_owned(),
        description: "Everybody who is enrolled in the study.".to_owned(),
        columns: vec![
            required("participant", ColumnType::String, "Participant", "Study number."),
            required("enrolled", ColumnType::Instant, "Enrolment, UTC", "When the person was enrolled."),
            required(
                "state",
                ColumnType::Category,
                "State",
                "no consent, consented, withdrawn or declined: of all the study's data types together.",
            ),
            required(
                "time_zone",
                ColumnType::Category,
                "Time zone",
                "IANA name, or a fixed offset such as UTC+02:00.",
            ),
            required(
                "time_zone_confirmed",
                ColumnType::Boolean,
                "Time zone confirmed",
                "True if the participant or the staff set it, false for the study's default.",
            ),
            column(
                "collection_from",
                ColumnType::Instant,
                "Collection from, UTC",
                "Begin of the collection window: nothing earlier is in the data set. Empty: no limit.",
            ),
            column(
                "collection_until",
                ColumnType::Instant,
                "Collection until, UTC",
                "End of the collection window: nothing from this instant on is in the data set. Empty: no limit.",
            ),
            column("first_measurement", ColumnType::Instant, "First measurement, UTC", "Empty without data."),
            column("last_measurement", ColumnType::Instant, "Last measurement, UTC", "Empty without data."),
            required(
                "rows",
                ColumnType::Integer,
                "Rows",
                "Rows of the participant in the tables of data types, `sleep` and `workouts`.",
            ),
        ],
        primary_key: vec!["participant"],
        is_replaced: true,
    }
}

/// Returns the table of consents.
pub fn consents_table() -> Table {
    Table {
        name: "consents".to_owned(),
        title: "Consents".to_owned(),
        description: "Each grant of a data type, with its end. Rows outside of these intervals are not in the data set."
            .to_owned(),
        columns: vec![
            participant(),
            required("code", ColumnType::Category, "Code", "Code of the data type."),
            required("data_type", ColumnType::Category, "Data type", "Name of the code."),
            required("granted", ColumnType::Instant, "Grant, UTC", "When the participant agreed or declined."),
            column("withdrawn", ColumnType::Instant, "Withdrawal, UTC", "Equal to the grant for a refusal."),
            column(
                "covers_from",
                ColumnType::Instant,
                "Covers from, UTC",
                "Earliest measurement that the text covers. Empty: no limit was named.",
            ),
            column("text_version", ColumnType::Category, "Text", "Version of the consent text that was shown."),
            column("text_language", ColumnType::Category, "Language", "Language of that text."),
        ],
        primary_key: vec![],
        is_replaced: true,
    }
}

/// Returns the table of devices.
pub fn devices_table() -> Table {
    Table {
        name: "devices".to_owned(),
        title: "Devices".to_owned(),
        description: "The devices of each participant. Names that their owners gave them are left out."
            .to_owned(),
        columns: vec![
            participant(),
            required(
                "device",
                ColumnType::Integer,
                "Device",
                "Number of the device, from 1 for each participant.",
            ),
            required(
                "provider",
                ColumnType::Category,
                "Provider",
                "The maker whose service delivered the data.",
            ),
            column("model", ColumnType::Category, "Model", "Empty where unknown."),
        ],
        primary_key: vec!["participant", "device"],
        is_replaced: true,
    }
}

/// Returns the table of days.
pub fn days_table() -> Table {
    let minutes = |name, title, description| Column {
        unit: Some("min".to_owned()),
        ..column(name, ColumnType::Integer, title, description)
    };
    Table {
        name: "days".to_owned(),
        title: "Days".to_owned(),
        description: "Data per participant, local day and data type, from the first day with data of the type to the day \
                      of this data set. A day without data has a row."
            .to_owned(),
        columns: vec![
            participant(),
            required("data_type", ColumnType::Category, "Data type", "Series type, such as `heart_rate`."),
            required("local_date", ColumnType::Date, "Local date", "Day on the participant's clock."),
            required(
                "consented",
                ColumnType::Category,
                "Consented",
                "yes, part or no: how much of the day a consent covers.",
            ),
            minutes(
                "expected_minutes",
                "Expected",
                "Minutes of the day that a consent covers and that had passed when this data set was made.",
            ),
            required(
                "samples",
                ColumnType::Integer,
                "Samples",
                "Observations that count for the day. If both ways of reading have some, the larger number.",
            ),
            column(
                "hours",
                ColumnType::Integer,
                "Hours with data",
                "Hours of the day with a measurement. Empty for totals of a day.",
            ),
            minutes(
                "wear_minutes",
                "Wear time",
                "Heart rate only: minutes between two measurements that are at most 15 minutes apart.",
            ),
            minutes(
                "longest_gap_minutes",
                "Longest gap",
                "Longest time without a measurement within the expected minutes.",
            ),
            minutes(
                "delay_minutes",
                "Delay",
                "Mean time from the end of a measurement to its arrival. Data from before the connection count too.",
            ),
        ],
        primary_key: vec!["participant", "data_type", "local_date"],
        is_replaced: true,
    }
}

/// Returns the table of arrivals.
pub fn sync_events_table() -> Table {
    Table {
        name: "sync_events".to_owned(),
        title: "Sync events".to_owned(),
        description:
            "When rows of a participant arrived. A row that changed later counts with its last change."
                .to_owned(),
        columns: vec![
            participant(),
            required(
                "data_type",
                ColumnType::Category,
                "Data type",
                "Series type, or `sleep` or `workouts`.",
            ),
            required("commit_number", ColumnType::Integer, "Commit", "Number of the transaction."),
            column("arrived", ColumnType::Instant, "Arrival, UTC", "When it was stored."),
            required("rows", ColumnType::Integer, "Rows", "Observations that came or changed."),
            required("first_measurement", ColumnType::Instant, "First measurement, UTC", "Earliest of them."),
            required("last_measurement", ColumnType::Instant, "Last measurement, UTC", "Latest of them."),
        ],
        primary_key: vec!["participant", "data_type", "commit_number"],
        is_replaced: true,
    }
}

/// Returns the table of rows to remove, which an increment fills.
pub fn removed_table() -> Table {
    Table {
        name: "removed".to_owned(),
        title: "Removed rows".to_owned(),
        description: "What an earlier data set contains and must be deleted from it before this increment is added. Without \
                      an identifier: every row of the participant, in every table."
            .to_owned(),
        columns: vec![
            required("participant", ColumnType::String, "Participant", "Study number."),
            column("table", ColumnType::Category, "Table", "The table of the row."),
            column("identifier", ColumnType::Identifier, "Identifier", "The row's identifier."),
        ],
        primary_key: vec![],
        is_replaced: true,
    }
}
