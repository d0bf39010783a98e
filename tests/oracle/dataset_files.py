"""Reads the files of a data set with the tools of researchers, for `dataset.py`."""

import csv
import json


def read_csv(directory):
    """Reads all tables as text."""
    tables = {}
    for path in sorted(directory.glob("*.csv")):
        with open(path, newline="", encoding="utf-8") as file:
            tables[path.stem] = list(csv.DictReader(file))
    return tables


# 1 and 2. The tools of researchers.
def validate(checks, directory):
    import frictionless

    report = frictionless.Package(str(directory / "datapackage.json")).validate()
    rows = sum(task.stats.get("rows") or 0 for task in report.tasks)
    errors = [error for task in report.tasks for error in task.errors] + list(report.errors)
    for error in errors:
        checks.fail(f"frictionless {error.type}", error.message)
    print(f"frictionless: {directory.name}: {len(report.tasks)} tables, {rows} rows, {len(errors)} errors, valid: {report.valid}")


def compare_formats(checks, csv_directory, parquet_directory):
    import pandas
    import pyarrow.csv
    import pyarrow.parquet

    package = json.loads((csv_directory / "datapackage.json").read_text())
    cells = tables = 0
    for resource in package["resources"]:
        name, fields = resource["name"], {field["name"]: field["type"] for field in resource["schema"]["fields"]}
        times = [column for column, kind in fields.items() if kind in ("datetime", "date")]
        one = pandas.read_csv(csv_directory / f"{name}.csv", parse_dates=times)
        other = pandas.read_parquet(parquet_directory / f"{name}.parquet")
        arrow = pyarrow.parquet.read_table(parquet_directory / f"{name}.parquet")
        of_csv = pyarrow.csv.read_csv(csv_directory / f"{name}.csv", convert_options=pyarrow.csv.ConvertOptions(
            column_types={field.name: field.type for field in arrow.schema}, strings_can_be_null=True))
        tables += 1
        checks.equal(f"rows of {name}", (len(one), len(other), arrow.num_rows, of_csv.num_rows), (resource["rows"],) * 4)
        checks.equal(f"columns of {name}", list(one.columns), list(other.columns))
        if not of_csv.equals(arrow.cast(of_csv.schema)):
            for column in arrow.column_names:
                if not of_csv[column].equals(arrow[column].cast(of_csv[column].type)):
                    checks.fail(f"pyarrow {name}.{column}", "CSV and Parquet differ")
        for column, kind in fields.items():
            cells += len(other)
            left, right = one[column], other[column]
            if kind == "date":
                left = pandas.to_datetime(left).dt.date
            if kind == "boolean":
                left, right = left.astype("boolean"), right.astype("boolean")
            wanted = {"number": "float", "integer": "int", "boolean": "bool", "datetime": "datetime64[us"}.get(kind)
            if len(other) and wanted and not str(right.dtype).lower().startswith(wanted) and not right.isna().any():
                checks.fail(f"type of {name}.{column}", f"Parquet has {right.dtype} for {kind}")
            if len(other) and kind == "datetime" and not left.isna().all() and str(left.dtype) != str(right.dtype):
                checks.fail(f"type of {name}.{column}", f"CSV {left.dtype}, Parquet {right.dtype}")
            same = (left == right) | (left.isna() & right.isna())
            if not same.fillna(False).all():
                place = same.fillna(False).idxmin()
                checks.fail(f"value of {name}.{column}", f"CSV {left[place]!r}, Parquet {right[place]!r}")
    print(f"pandas and pyarrow: {tables} tables, {cells} cells compared")
