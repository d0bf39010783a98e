//! The tables of a data set with their columns: the data dictionary.

use crate::dataset::table::{Column, ColumnType, Table};
use crate::model::catalog::code::CODES;
use crate::model::catalog::loinc;
use crate::model::catalog::series::SERIES;
use crate::model::catalog::series_type::{OmhBody, OwEndpoint, SeriesType};
use crate::model::sample_details::Measure;

pub(super) fn column(name: &str, kind: ColumnType, title: &str, description: &str) -> Column {
    Column {
        name: name.to_owned(),
        kind,
        title: title.to_owned(),
        description: description.to_owned(),
        unit: None,
        code: None,
        loinc: None,
        required: false,
    }
}

pub(super) fn required(name: &str, kind: ColumnType, title: &str, description: &str) -> Column {
    Column { required: true, ..column(name, kind, title, description) }
}

fn in_unit(name: &str, unit: &str, title: &str, description: &str) -> Column {
    Column { unit: Some(unit.to_owned()), ..column(name, ColumnType::Number, title, description) }
}

/// Returns a column of a further measure, with its name and LOINC code.
fn measured(name: &str, unit: &str, description: &str, measure: Measure) -> Column {
    let (title, loinc, _) = loinc::describe(measure);
    Column { loinc: loinc.map(|loinc| loinc.code), ..in_unit(name, unit, title, description) }
}

pub(super) fn participant() -> Column {
    required(
        "participant",
        ColumnType::Category,
        "Participant",
        "Study number. The table `participants` has it.",
    )
}

/// Returns the series types that a study with these codes collects.
pub fn series_of_codes(codes: &[String]) -> impl Iterator<Item = &'static SeriesType> + '_ {
    SERIES.iter().filter(|series| codes.iter().any(|code| code == series.code))
}

/// Returns the name of the table that holds a series type. All sleep types share one, all workout types another.
pub fn table_name(series: &SeriesType) -> &'static str {
    match series.origin {
        OwEndpoint::Sleep => "sleep",
        OwEndpoint::Workouts => "workouts",
        OwEndpoint::Activity | OwEndpoint::Timeseries(_) => series.series_type,
    }
}

/// Returns the table of a series type, except for sleep.
pub fn series_table(series: &SeriesType) -> Table {
    if series.origin == OwEndpoint::Workouts {
        return workouts_table();
    }
    let mut columns = time_columns(
        "Begin of the measurement; the instant of one without a length.",
        "End of the measurement. Empty for an instant, and for a part of a total whose length the provider does not say.",
    );
    columns.extend(value_columns(series));
    if matches!(series.origin, OwEndpoint::Timeseries(_)) {
        columns.push(required(
            "daily_total",
            ColumnType::Boolean,
            "Daily total",
            "True for the provider's total of a local day. Do not add totals and parts of a day.",
        ));
    }
    columns.push(column(
        "statistic",
        ColumnType::Category,
        "Statistic",
        "What the value is of its interval: average, minimum or sum. Empty for a single measurement.",
    ));
    columns.push(column(
        "wearer",
        ColumnType::Category,
        "State of the wearer",
        "at rest, during sleep, or the provider's word for the activity. Empty where unknown.",
    ));
    columns.push(required(
        "quality",
        ColumnType::Category,
        "Quality",
        "ok, suspect (outside of what is plausible; the value is unchanged), or self-reported.",
    ));
    columns.extend(origin_columns());
    Table {
        name: table_name(series).to_owned(),
        title: series.name.to_owned(),
        description: format!("{}, one row per observation.", series.name),
        columns,
        primary_key: vec!["identifier"],
        is_replaced: false,
    }
}

fn time_columns(start: &str, end: &str) -> Vec<Column> {
    vec![
        participant(),
        required("start_time", ColumnType::Instant, "Begin, UTC", start),
        column("end_time", ColumnType::Instant, "End, UTC", end),
        required(
            "local_start",
            ColumnType::LocalTime,
            "Begin, local",
            "The same instant as `start_time` on the participant's clock.",
        ),
        required("local_date", ColumnType::Date, "Local date", "The local day for which the row counts."),
        Column {
            unit: Some("min".to_owned()),
            ..required(
                "utc_offset",
                ColumnType::Integer,
                "Offset from UTC",
                "Minutes east of UTC of `local_start`.",
            )
        },
        required(
            "offset_origin",
            ColumnType::Category,
            "Origin of the offset",
            "sample: the provider sent it. profile: it is that of the participant's time zone.",
        ),
    ]
}

/// Returns the columns with the values of a series type.
fn value_columns(series: &SeriesType) -> Vec<Column> {
    let code = CODES.iter().find(|code| code.code == series.code);
    let clinical = loinc::find(series.series_type, false).loinc;
    // The last one says the most.
    let most_exact = clinical.last().map(|loinc| loinc.code);
    let coded = |column: Column| Column {
        code: code.map(|code| format!("{}|{}", code.system, code.code)),
        loinc: column.loinc.or(most_exact),
        ..column
    };
    match series.body {
        OmhBody::BloodPressure => vec![
            coded(Column {
                loinc: Some(loinc::SYSTOLIC.code),
                ..in_unit("systolic_mmhg", "mm[Hg]", "Systolic blood pressure", "Upper value.")
            }),
            coded(measured("diastolic_mmhg", "mm[Hg]", "Lower value.", Measure::Diastolic)),
        ],
        OmhBody::Activity => vec![
            coded(in_unit("energy_kcal", "kcal", "Active energy", "Energy of the day's activity, if given.")),
            in_unit("distance_m", "m", "Distance", "Distance of the day, if given."),
        ],
        _ => {
            let description = format!("{}, as measured.", series.name);
            let unit = loinc::find_unit(series.series_type, false, series.unit)
                .map_or(series.unit, |unit| unit.ucum);
            vec![coded(in_unit(series.column, unit, series.name, &description))]
        }
    }
}

fn origin_columns() -> Vec<Column> {
    vec![
        required("provider", ColumnType::Category, "Provider", "The maker whose service delivered the data."),
        required(
            "device",
            ColumnType::Integer,
            "Device",
            "Number of the participant's device. The table `devices` has it.",
        ),
        column(
            "source",
            ColumnType::Category,
            "Source",
            "The app or service at the provider, as Open Wearables names it. Empty where unknown.",
        ),
        required(
            "mode",
            ColumnType::Category,
            "Way of reading",
            "normalized: from Open Wearables. raw: from the provider's own payloads. A site that used both may have one \
             measurement twice: choose one.",
        ),
        required("arrived", ColumnType::Instant, "Arrival, UTC", "When the row was stored or last changed."),
        required(
            "commit_number",
            ColumnType::Integer,
            "Commit",
            "Number of the transaction that stored or last changed the row. Increments count by it.",
        ),
        required(
            "revision",
            ColumnType::Integer,
            "Revision",
            "0 for the first value, 1 and up for a value that the provider corrected.",
        ),
        required(
            "identifier",
            ColumnType::Identifier,
            "Identifier",
            "UUID of the observation, that of its data point. It stays the same when the value is corrected.",
        ),
    ]
}

/// Returns the table of nights and naps.
pub fn sleep_table() -> Table {
    let mut columns = time_columns("Going to bed.", "Getting up.");
    columns.push(column(
        "is_nap",
        ColumnType::Boolean,
        "Nap",
        "True for a nap, false for the main sleep. Empty where unknown.",
    ));
    let unsaid = |name, measure| measured(name, "s", "Empty where the provider did not say.", measure);
    columns.extend([
        unsaid("asleep_s", Measure::TotalSleep),
        in_unit("in_bed_s", "s", "Time in bed", "Empty where the provider did not say."),
        unsaid("light_s", Measure::LightSleep),
        unsaid("deep_s", Measure::DeepSleep),
        unsaid("rem_s", Measure::RemSleep),
        unsaid("awake_s", Measure::Awake),
        unsaid("latency_s", Measure::Latency),
        measured("efficiency_percent", "%", "As the provider gives it.", Measure::Efficiency),
    ]);
    columns.push(required(
        "quality",
        ColumnType::Category,
        "Quality",
        "ok, or suspect: a duration is outside of what is plausible.",
    ));
    columns.extend(origin_columns());
    Table {
        name: "sleep".to_owned(),
        title: "Sleep".to_owned(),
        description: "Nights and naps, one row each. The local date is that of getting up.".to_owned(),
        columns,
        primary_key: vec!["identifier"],
        is_replaced: false,
    }
}

/// Returns the table of sleep stages.
pub fn sleep_stages_table() -> Table {
    Table {
        name: "sleep_stages".to_owned(),
        title: "Sleep stages".to_owned(),
        description:
            "The stages of each night in their order. Stages may overlap, and `in bed` is no part of a sum. An increment holds all \
             stages of each of its nights."
                .to_owned(),
        columns: vec![
            participant(),
            required("sleep", ColumnType::Identifier, "Sleep", "`identifier` of the row in `sleep`."),
            required(
                "stage",
                ColumnType::Category,
                "Stage",
                "light, deep, rem, awake, asleep, in bed or other.",
            ),
            required("start_time", ColumnType::Instant, "Begin, UTC", "Begin of the stage."),
            required("end_time", ColumnType::Instant, "End, UTC", "End of the stage."),
        ],
        // Merged nights of OW may have overlapping stages.
        primary_key: Vec::new(),
        is_replaced: false,
    }
}

fn workouts_table() -> Table {
    let mut columns = time_columns("Begin of the workout.", "End of the workout.");
    columns.extend([
        required(
            "kind",
            ColumnType::Category,
            "Kind",
            "Kind of activity, in the provider's or Open Wearables' word.",
        ),
        column(
            "intensity",
            ColumnType::Category,
            "Intensity",
            "light, moderate or vigorous. Empty where unknown.",
        ),
        in_unit(
            "duration_s",
            "s",
            "Duration",
            "Without pauses. Empty where the provider did not say: `start_time` and `end_time` always hold.",
        ),
        in_unit("distance_m", "m", "Distance", "Empty where unknown."),
        in_unit("energy_kcal", "kcal", "Energy", "Active energy. Empty where unknown."),
    ]);
    columns.push(required("quality", ColumnType::Category, "Quality", "ok or suspect."));
    columns.extend(origin_columns());
    Table {
        name: "workouts".to_owned(),
        title: "Workouts".to_owned(),
        description: "Workouts, one row each. Their titles are left out, since their owners write them."
            .to_owned(),
        columns,
        primary_key: vec!["identifier"],
        is_replaced: false,
    }
}
