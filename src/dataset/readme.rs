//! The text that explains a data set to its reader.

use std::fmt::Write;

use crate::dataset::request::{Description, Format};
use crate::dataset::table::WrittenTable;

/// Renders `README.md`: how to read the data set, and the data dictionary.
pub(crate) fn render(description: &Description<'_>) -> String {
    let Description { request, last, tables } = description;
    let mut text = format!("# {}\n\n", escape(&request.study_name));
    let kind = match request.since {
        None => "The complete data set".to_owned(),
        Some(since) => format!("The increment of the data set since commit {since}"),
    };
    let number = last.number;
    // Writing to a string never fails, here and below.
    let _ = writeln!(text, "{kind}, up to commit {number}. Made at {} by jhe-ow.\n", request.now);
    let example = match request.format {
        Format::Csv => {
            "pd.read_csv(\"heart_rate.csv\", dtype={\"participant\": str}, parse_dates=[\"start_time\", \"local_date\"])"
        }
        Format::Parquet => "pd.read_parquet(\"heart_rate.parquet\")",
    };
    let _ = write!(
        text,
        "Read a table with pandas: `{example}`. `datapackage.json` describes all tables for Frictionless software.\n\n\
         ## How to read it\n\n\
         - Each data type has its own table. A person appears under the study number alone; the number joins the tables.\n\
         - `start_time` and `end_time` are UTC. `local_start` is the same instant on the participant's clock, and \
         `local_date` the day for which the row counts. A night counts for the day of getting up.\n\
         - A participant may have several providers and devices, and they measure differently: a resting heart rate is the \
         night's minimum with Oura and a value of the day with Garmin. Group by `provider`, `device`, `statistic` and \
         `wearer` before you average.\n\
         - A value of a night (Oura's resting heart rate and breathing rate) has the time of going to bed: its `local_date` \
         may be the day before that of the night in `sleep`. Oura sends one for a nap too: its `start_time` is that of a row \
         of `sleep` with `is_nap`.\n\
         - `daily_total` tells a provider's total of a day from its parts. Add totals, or add parts, but do not add both. \
         A traveller may have two totals of one date, one in each offset: add these two. A total whose `end_time` is after \
         this data set was made is not finished.\n\
         - Resting heart rate and heart rate are different tables, and so are the two measures of heart rate \
         variability, SDNN and RMSSD. They must not be pooled.\n\
         - `statistic` says that a value is an average, minimum or sum. `quality` marks implausible values as suspect; \
         they are unchanged. What cannot be measured, such as a heart rate of 0, was rejected and is in no table.\n\
         - An empty cell means that the provider did not say. Nothing is filled in. Nights under six hours, in pandas: \
         `sleep[sleep.asleep_s.lt(21600) & sleep.is_nap.ne(True)]`.\n\
         - `revision` above 0: the row has changed since it first arrived, because the provider corrected it or said more \
         about it, or because the participant's time zone was corrected. The row has the newest state.\n\
         - A night that its wearer deleted at the provider disappears if the daemon reads the provider's own payloads (`mode` \
         raw). Open Wearables does not pass deletions on.\n\
         - Only measurements that the participant's consents cover are in the tables; `consents` has the intervals.\n\
         - `days` has a row for each participant, day and data type from the first measurement on, also without data: \
         hours with data, wear time, the longest gap and the delay of arrival. Who stopped wearing the device, and when: the \
         last `local_date` with `data_type` heart_rate and `samples` above 0. Before you say so, look at `consented` (withdrew), \
         at `participants.state`, and at `sync_events` (data may still arrive). A participant whose provider sends no heart \
         rate has no such row, and `days` does not tell devices apart.\n\
         - Devices are numbered for each participant. Names that their owners gave them are left out, and so are the \
         titles of workouts.\n\
         - In CSV, a text that begins with `=`, `+`, `-` or `@`, also after spaces, has a `'` before it, so that no spreadsheet \
         runs it.\n\
         - Types in the dictionary: an instant is a time in UTC, a localtime has no offset, a category is a text of few \
         different values. Units are UCUM.\n\n\
         ## Increments\n\n\
         `jhe-ow dataset --study … --since {number} --out …` writes what came or changed after this data set. To bring an \
         earlier one up to date:\n\n\
         1. Delete what `removed` lists, and the stages of its nights. A line without an identifier means every row of that \
         participant, in every table.\n\
         2. Replace rows that have the same `identifier`, and add the others. Replace all stages of a night that is in the \
         increment.\n\
         3. Replace `participants`, `consents`, `devices`, `days` and `sync_events` entirely.\n\n\
         ## Tables\n\n| table | rows | contents |\n|---|---|---|\n"
    );
    for WrittenTable { table, rows, .. } in *tables {
        let _ = writeln!(text, "| `{}` | {rows} | {} |", request.format.file_name(table), table.title);
    }
    text.push('\n');
    for table in *tables {
        render_table(&mut text, table, &request.format.file_name(&table.table));
    }
    text
}

/// Escapes the text of a person, so that Markdown reads it as text on one line.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if "\\`*_[]<>&#|~!".contains(character) {
            escaped.push('\\');
        }
        escaped.push(if character.is_control() { ' ' } else { character });
    }
    escaped
}

fn render_table(text: &mut String, WrittenTable { table, rows, .. }: &WrittenTable, file: &str) {
    let _ = write!(
        text,
        "### {}\n\n`{file}`, {rows} rows. {}\n\n| column | type | unit | meaning | code |\n|---|---|---|---|---|\n",
        table.title, table.description
    );
    for column in &table.columns {
        let loinc = column.loinc.map(|loinc| format!("http://loinc.org|{loinc}"));
        let codes = column.code.iter().chain(&loinc).map(|code| format!("`{}`", code.replace('|', "\\|")));
        let code = codes.collect::<Vec<_>>().join(", ");
        let unit = column.unit.as_deref().unwrap_or_default();
        let kind = format!("{:?}", column.kind).to_lowercase();
        let _ = writeln!(
            text,
            "| `{}` | {kind} | {unit} | {}: {} | {code} |",
            column.name, column.title, column.description
        );
    }
    text.push('\n');
}
