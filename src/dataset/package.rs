//! The description of a data set: `datapackage.json` (Frictionless Data Package, version 1) and `README.md`.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::dataset::readme;
use crate::dataset::request::{Description, Format};
use crate::dataset::table::{Column, ColumnType, WrittenTable};

/// Writes both files.
pub(crate) fn write(directory: &Path, description: &Description<'_>) -> std::io::Result<()> {
    let package = serde_json::to_string_pretty(&package(description))?;
    for (name, text) in [("datapackage.json", package + "\n"), ("README.md", readme::render(description))] {
        let mut options = File::options();
        let mut file = options.write(true).create_new(true).mode(0o600).open(directory.join(name))?;
        file.write_all(text.as_bytes())?;
    }
    Ok(())
}

fn package(description: &Description<'_>) -> Value {
    let Description { request, last, tables } = description;
    json!({
        "profile": "data-package",
        "name": slug(&request.study_name),
        "title": request.study_name,
        "description": "Wearable data of a study. README.md explains how to read it.",
        "created": request.now.to_string(),
        "generator": concat!("jhe-ow ", env!("CARGO_PKG_VERSION")),
        "last_commit": last.number,
        "since_commit": request.since,
        "resources": tables.iter().map(|table| resource(table, request.format)).collect::<Vec<_>>(),
    })
}

fn resource(WrittenTable { table, rows, bytes }: &WrittenTable, format: Format) -> Value {
    let mut resource = json!({
        "name": table.name,
        "title": table.title,
        "description": table.description,
        "path": format.file_name(table),
        "rows": rows,
        "replaces": table.is_replaced,
        "schema": {
            "fields": table.columns.iter().map(field).collect::<Vec<_>>(),
            // An empty cell of Parquet is not a number in pandas, through which Frictionless reads it.
            "missingValues": if format == Format::Csv { json!([""]) } else { json!(["", "nan"]) },
        },
    });
    if !table.primary_key.is_empty() {
        resource["schema"]["primaryKey"] = json!(table.primary_key);
    }
    if format == Format::Csv {
        resource["profile"] = "tabular-data-resource".into();
        resource["bytes"] = (*bytes).into();
        resource["format"] = "csv".into();
        resource["mediatype"] = "text/csv".into();
        resource["encoding"] = "utf-8".into();
        resource["dialect"] = json!({ "lineTerminator": "\r\n", "doubleQuote": true });
    } else {
        resource["format"] = "parquet".into();
        resource["mediatype"] = "application/vnd.apache.parquet".into();
    }
    resource
}

fn field(column: &Column) -> Value {
    let (field_type, format) = match column.kind {
        ColumnType::String | ColumnType::Category => ("string", "default"),
        ColumnType::Number => ("number", "default"),
        ColumnType::Integer => ("integer", "default"),
        ColumnType::Boolean => ("boolean", "default"),
        ColumnType::Instant => ("datetime", "%Y-%m-%dT%H:%M:%S.%f%z"),
        ColumnType::LocalTime => ("datetime", "%Y-%m-%dT%H:%M:%S.%f"),
        ColumnType::Date => ("date", "default"),
        ColumnType::Identifier => ("string", "uuid"),
    };
    let mut field = json!({
        "name": column.name,
        "type": field_type,
        "format": format,
        "title": column.title,
        "description": column.description,
    });
    if let Some(unit) = &column.unit {
        field["unit"] = unit.as_str().into();
    }
    if let Some(code) = &column.code {
        field["code"] = code.as_str().into();
    }
    if let Some(loinc) = column.loinc {
        field["loinc"] = loinc.into();
    }
    if column.required {
        field["constraints"] = json!({ "required": true });
    }
    field
}

/// Returns a name of lower-case letters, digits and hyphens, as Frictionless wants it.
fn slug(name: &str) -> String {
    let words =
        name.split(|character: char| !character.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let slug = words.collect::<Vec<_>>().join("-").to_ascii_lowercase();
    if slug.is_empty() { "study".to_owned() } else { slug }
}
