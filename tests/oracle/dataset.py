#!/usr/bin/env python3
"""Checks `jhe-ow dataset` with pandas, pyarrow and frictionless, against a simulated OW whose data the script knows.

    cargo build && python3 tests/oracle/dataset.py

The packages are installed into a scratch environment. From a seed, six participants in three zones get 30 days with both
autumn clock changes: every series type of OW, gaps, late samples, revisions, impossible and implausible values, nights,
naps and workouts. The script serves them as OW, runs the binary with a clock of its own, and checks that

 1. frictionless finds every data set valid,
 2. pandas and pyarrow read equal values and types from CSV and Parquet,
 3. each sample is a row with the right value, time and offset, or is listed as rejected,
 4. sums per participant and local day, and the table `days`, equal those computed here,
 5. a data set with its increments is the later complete one, while polls run,
 6. three questions of a researcher have the answers that the generator knows.

Exit code 1: a check failed.

    --seed N       another seed
    --binary FILE  another binary (default target/debug/jhe-ow)
    --scratch DIR  the place of the environment and of the data sets (default target/oracle-dataset)
"""

import argparse
import collections
import datetime
import json
import math
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import threading

from dataset_files import compare_formats, read_csv, validate
from dataset_ow import KEY, Ow
from dataset_world import (BEGIN, DAY, END, HOUR, MINUTE, MOVED, STOPS, SUMS, World, expected_rows, midnight, offset_at,
                           stamp)

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGES = ["pandas==3.1.1", "pyarrow==26.0.1", "frictionless[parquet]==5.21.0"]
# These tables are in an increment entirely.
EXTRA_TABLES = ["participants", "consents", "devices", "days", "sync_events"]
# Columns before the value.
COMMON = {"participant", "start_time", "end_time", "local_start", "local_date", "utc_offset", "offset_origin"}


# The binary.
class Program:
    def __init__(self, binary, directory, ow):
        self.binary, self.directory, self.ow = str(binary), directory, ow
        self.database = directory / "data" / "jhe-ow.sqlite3"

    def start(self, *arguments):
        environment = {"PATH": os.environ["PATH"], "OW_API_URL": self.ow.url(), "OW_API_KEY": KEY, "JHE_OW_METRICS_BIND": "off",
                       "JHE_OW_DATA_DIR": str(self.directory / "data"), "JHE_OW_CLOCK": stamp(self.ow.now), "JHE_OW_OW_TIMEOUT": "60s"}
        return subprocess.Popen([self.binary, *map(str, arguments)], env=environment, cwd=self.directory, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run(self, *arguments):
        return self.end(self.start(*arguments), arguments)

    def end(self, process, arguments=("…",)):
        out, err = process.communicate()
        if process.returncode:
            sys.exit(f"{self.binary} {' '.join(map(str, arguments))}: {process.returncode}\n{out}{err}")
        return out

    def sql(self, *statement):
        with sqlite3.connect(self.database) as db:
            return db.execute(*statement).fetchall()

    def dataset(self, name, *options):
        """Writes a data set; returns its directory and last commit."""
        path = self.directory / name
        self.run("dataset", "--study", 1, "--out", path, *options)
        return path, json.loads((path / "datapackage.json").read_text())["last_commit"]


class Checks:
    def __init__(self):
        self.failed = collections.Counter()

    def equal(self, what, found, expected):
        if found != expected:
            self.fail(what, f"{found!r} is not {expected!r}")
            return False
        return True

    def fail(self, what, why):
        self.failed[what] += 1
        if self.failed[what] <= 5:
            print(f"FAILED {what}: {why}")


# 3. Each sample is a row.
def check_samples(checks, world, tables, rejected_list, now):
    rows, rejected = expected_rows(world, now)
    zones = {person.name: person.zone for person in world.people}
    counts = {}
    for table, expected in sorted(rows.items()):
        found, suspect = {}, 0
        value_column = next(name for name in tables[table][0] if name == "systolic_mmhg" or name not in COMMON)
        for row in tables[table]:
            start = datetime.datetime.fromisoformat(row["start_time"])
            key = (row["participant"], row["provider"], row["daily_total"] == "true", start)
            if key in found:
                checks.fail(f"duplicate in {table}", key)
            found[key] = row
        for key in expected.keys() - found.keys():
            checks.fail("missing sample", (table, key, expected[key]["one"].__dict__))
        for key in found.keys() - expected.keys():
            checks.fail("row of no sample", (table, found[key]))
        for key in expected.keys() & found.keys():
            wanted, row = expected[key], found[key]
            suspect += wanted["suspect"]
            value = float(row[value_column])
            if not math.isclose(value, wanted["value"], rel_tol=1e-9):
                checks.fail(f"value of {table}", (row, wanted["value"], wanted["one"].__dict__))
            if "lower" in wanted:
                checks.equal("diastolic", float(row["diastolic_mmhg"]), float(wanted["lower"]))
            end = row["end_time"] and datetime.datetime.fromisoformat(row["end_time"])
            checks.equal(f"end of {table}", end or None, wanted["end"])
            checks.equal(f"date of {table}", row["local_date"], wanted["date"].isoformat())
            checks.equal("offset_origin", row["offset_origin"], wanted["origin"])
            one = wanted["one"]
            zone = zones[key[0]]
            own = one.offset if one.offset is not None and not wanted["end"] else offset_at(zone, wanted["start"])
            checks.equal(f"offset of {table}", int(row["utc_offset"]), own)
            local = (wanted["start"] + own * MINUTE).replace(tzinfo=None)
            checks.equal(f"local_start of {table}", datetime.datetime.fromisoformat(row["local_start"]), local)
            checks.equal(f"quality of {table}", row["quality"] == "suspect", wanted["suspect"])
            seen = [value for _, value in one.seen]
            if len(set(seen)) > 1 and row["revision"] == "0":
                checks.fail(f"revision of {table}", row)
            # Another time zone moves a day that no offset frames, as a revision.
            is_moved = key[0] == MOVED and wanted["end"] and one.offset is None
            if len(set(seen)) == 1 and row["revision"] != "0" and not is_moved:
                checks.fail(f"revision of {table} that is none", row)
        counts[table] = (len(found), rejected[table], suspect)
    listed = collections.Counter()
    for one in rejected_list:
        listed[one["type"]] += 1
    for table in rows.keys() | listed.keys():
        checks.equal(f"rejected {table}", listed[table], rejected[table])
    print("samples by type (rows, rejected, suspect):")
    texts = [f"{table} {' '.join(map(str, count))}" for table, count in counts.items()]
    for place in range(0, len(texts), 4):
        print("   " + "; ".join(texts[place:place + 4]))
    revised = sum(row["revision"] != "0" for table in rows for row in tables[table])
    print(f"   {sum(len(one) for one in rows.values())} rows, {sum(rejected.values())} rejected, {revised} revised")


def check_events(checks, world, tables, now):
    wanted, nights = {}, {(row["participant"], row["start_time"]): row for row in tables["sleep"]}
    stages = collections.Counter((row["sleep"], row["stage"], row["start_time"], row["end_time"]) for row in tables["sleep_stages"])
    known = 0
    for person in world.people:
        for event in person.nights:
            # A night that OW lists no more stays as it was last.
            shown = [record for since, record in event.shown if since <= now and record]
            if shown:
                record = shown[-1]
                wanted[person.name, record["start_time"].replace("Z", ".000000Z")] = (person, record, len(shown) - 1)
    checks.equal("nights", sorted(nights), sorted(wanted))
    for key in nights.keys() & wanted.keys():
        row, (person, record, revision) = nights[key], wanted[key]
        end = datetime.datetime.fromisoformat(record["end_time"])
        own = {None: "profile"}.get(record["zone_offset"], "sample")
        checks.equal("night", (row["end_time"], row["local_date"], row["is_nap"], row["offset_origin"], int(row["revision"]) > 0),
                     (record["end_time"].replace("Z", ".000000Z"), end.astimezone(person.zone).date().isoformat(),
                      str(record["is_nap"]).lower(), own, revision > 0))
        start = datetime.datetime.fromisoformat(record["start_time"])
        checks.equal("offset of a night", int(row["utc_offset"]), offset_at(person.zone, start))
        asleep = record["sleep_duration_seconds"]
        checks.equal("time asleep", row["asleep_s"], "" if asleep is None else str(asleep))
        # OW writes 0 for stages that it does not know.
        is_unknown = not any(record["stages"].values())
        checks.equal("time in bed", row["in_bed_s"], str(record["duration_seconds"]))
        for name, column in (("light", "light_s"), ("deep", "deep_s"), ("rem", "rem_s"), ("awake", "awake_s")):
            value = record["stages"][f"{name}_minutes"] * 60
            checks.equal(f"{name} sleep", row[column], "" if is_unknown else str(value))
        for part in record["sleep_stage_intervals"] or []:
            times = (part[name].replace("Z", ".000000Z") for name in ("start_time", "end_time"))
            if stages[row["identifier"], part["stage"], *times] != 1:
                checks.fail("stage", part)
            known += 1
    checks.equal("stages", sum(stages.values()), known)
    workouts = {(row["participant"], row["start_time"]): row for row in tables["workouts"]}
    records = {(person.name, one["start_time"].replace("Z", ".000000Z")): one for person in world.people for one in
               (event.at(now) for event in person.workouts) if one}
    checks.equal("workouts", sorted(workouts), sorted(records))
    text = lambda number: "" if number is None else f"{number:g}"
    for key in workouts.keys() & records.keys():
        row, record = workouts[key], records[key]
        checks.equal("workout", (row["kind"], row["duration_s"], row["energy_kcal"], float(row["distance_m"])),
                     (record["type"], text(record["duration_seconds"]), text(record["calories_kcal"]), record["distance_meters"]))
    activity = {(row["participant"], row["local_date"]): row for row in tables["daily_activity"]}
    days = {(person.name, record["date"]): record for person in world.people for visible, record in person.activity.values()
            if visible <= now and (record["active_calories_kcal"] or record["distance_meters"])}
    checks.equal("days of activity", sorted(activity), sorted(days))
    for key in activity.keys() & days.keys():
        checks.equal("day of activity", (activity[key]["energy_kcal"], activity[key]["distance_m"]),
                     (text(days[key]["active_calories_kcal"] or None), text(days[key]["distance_meters"])))
    print(f"events: {len(nights)} nights and naps with {known} stages, {len(workouts)} workouts, {len(activity)} days of activity")


# 4. Sums and days.
def check_sums(checks, world, directory, now):
    import pandas

    rows, _ = expected_rows(world, now)
    groups = 0
    for kind in SUMS:
        table = pandas.read_parquet(directory / f"{kind}.parquet")
        column = [name for name in table.columns if name not in COMMON][0]
        found = table.groupby(["participant", "local_date", "daily_total"])[column].sum()
        wanted = collections.Counter()
        for (name, _, total, _), row in rows[kind].items():
            wanted[name, row["date"], total] += row["value"]
        groups += len(wanted)
        checks.equal(f"days of {kind}", set(found.index), set(wanted))
        for key, value in found.items():
            if not math.isclose(value, wanted[key], rel_tol=1e-9, abs_tol=1e-9):
                checks.fail(f"sum of {kind}", (key, value, wanted[key]))
    print(f"sums: {len(SUMS)} types, {groups} sums per participant and local day")
    days = pandas.read_parquet(directory / "days.parquet").set_index(["participant", "data_type", "local_date"]).sort_index()
    minutes = collections.defaultdict(list)
    for (name, *_), row in rows["heart_rate"].items():
        minutes[name, row["date"]].append(row)
    for person in world.people:
        dates = [date for name, date in minutes if name == person.name]
        listed = days.loc[person.name, "heart_rate"]
        checks.equal("days of heart rate", list(listed.index),
                     [min(dates) + one * DAY for one in range((now.astimezone(person.zone).date() - min(dates)).days + 1)])
        for date, day in listed.iterrows():
            start = midnight(person.zone, date)
            marks = sorted({int((row["start"] - start) / MINUTE) for row in minutes[person.name, date]})
            gaps = [later - one for one, later in zip(marks, marks[1:])]
            end = int((min(midnight(person.zone, date + DAY), now) - start) / MINUTE)
            edges = [0, *marks, end]
            wanted = (len(minutes[person.name, date]), len({mark // 60 for mark in marks}), sum(gap for gap in gaps if gap <= 15),
                      max(later - one for one, later in zip(edges, edges[1:])))
            found = tuple(int(day[name]) for name in ("samples", "hours", "wear_minutes", "longest_gap_minutes"))
            checks.equal("day of heart rate", (person.name, date, found), (person.name, date, wanted))
    print(f"days: {len(days)} rows; those of heart rate are as computed here")


# 5. Increments, as README.md says.
def add_increment(tables, increment):
    for removed in increment["removed"]:
        for name, rows in tables.items():
            of_row = lambda row: (not removed["identifier"] or name == removed["table"] and row["identifier"] == removed["identifier"]
                                  or name == "sleep_stages" and row["sleep"] == removed["identifier"])
            tables[name] = [row for row in rows if not (row["participant"] == removed["participant"] and of_row(row))]
    nights = {row["identifier"] for row in increment.get("sleep", [])}
    for name, rows in increment.items():
        if name in EXTRA_TABLES:
            tables[name] = rows
        elif name == "sleep_stages":
            tables[name] = [row for row in tables[name] if row["sleep"] not in nights] + rows
        elif name != "removed":
            new = {row["identifier"] for row in rows}
            tables[name] = [row for row in tables[name] if row["identifier"] not in new] + rows


def compare_tables(checks, what, one, other):
    rows = 0
    for name in (one.keys() | other.keys()) - {"removed"}:
        sides = [collections.Counter(tuple(row.items()) for row in tables[name]) for tables in (one, other)]
        rows += sum(sides[1].values())
        if sides[0] != sides[1]:
            left, right = sides[0] - sides[1], sides[1] - sides[0]
            checks.fail(f"increment: {what}: {name}", f"{sum(left.values())} rows too many, {sum(right.values())} missing; "
                        f"{next(iter(left), None)} / {next(iter(right), None)}")
    return rows


class Reader:
    """Someone who keeps a data set up to date by increments."""

    def __init__(self, program):
        self.program, self.number = program, 0
        directory, self.commit = program.dataset("first")
        self.tables = read_csv(directory)

    def follow(self, checks, what, meanwhile=()):
        """Adds an increment while `meanwhile` runs, and another after it; then compares with the complete data set."""
        running = self.program.start(*meanwhile) if meanwhile else None
        commits, sizes = [self.commit], []
        while True:
            is_last = running is None or running.poll() is not None
            self.number += 1
            directory, self.commit = self.program.dataset(f"increment{self.number}", "--since", self.commit)
            increment = read_csv(directory)
            add_increment(self.tables, increment)
            commits.append(self.commit)
            sizes.append(sum(len(rows) for name, rows in increment.items() if name not in EXTRA_TABLES))
            if is_last:
                break
        if running:
            self.program.end(running)
        complete, commit = self.program.dataset(f"complete{self.number}")
        checks.equal("commit", commit, self.commit)
        rows = compare_tables(checks, what, self.tables, read_csv(complete))
        print(f"increments: {what}: commits {commits}, rows {sizes}; {rows} rows are those of the complete data set")
        return complete


# 6. The questions of a researcher, who has the data set and its README.md.
def ask(checks, world, directory, now):
    import pandas

    read = lambda name: pandas.read_csv(directory / f"{name}.csv", parse_dates=["local_date"])
    rates = read("resting_heart_rate")
    rates = rates[rates.quality == "ok"]
    iso = rates.local_date.dt.isocalendar()
    found = rates.groupby([rates.participant, iso.year, iso.week]).resting_heart_rate_bpm.mean().round(6).to_dict()
    rows, _ = expected_rows(world, now)
    groups = collections.defaultdict(list)
    for (name, *_), row in rows["resting_heart_rate"].items():
        if not row["suspect"]:
            groups[name, *row["date"].isocalendar()[:2]].append(row["value"])
    checks.equal("resting heart rate per week", found, {key: round(sum(all) / len(all), 6) for key, all in groups.items()})

    sleep = read("sleep")
    short = sleep[(sleep.is_nap == False) & (sleep.asleep_s < 6 * 3600)]  # noqa: E712
    wanted = collections.Counter()
    for person in world.people:
        for event in person.nights:
            record = [record for since, record in event.shown if since <= now and record][-1:]
            asleep = record and not record[0]["is_nap"] and record[0]["sleep_duration_seconds"]
            wanted[person.name] += bool(asleep) and asleep < 6 * 3600
    checks.equal("short nights", short.participant.value_counts().to_dict(), dict(+wanted))

    days = read("days")
    worn = days[(days.data_type == "heart_rate") & (days.samples > 0)].groupby("participant").local_date.max()
    last = days[days.data_type == "heart_rate"].groupby("participant").local_date.max()
    stopped = {name: day.date() for name, day in worn.items() if (last[name] - day).days >= 3}
    truth = {}
    for person in world.people:
        if person.name in STOPS:
            truth[person.name] = max(row["date"] for (name, *_), row in rows["heart_rate"].items() if name == person.name)
    checks.equal("who stopped wearing the device", stopped, truth)
    print(f"questions: {len(found)} weekly means of resting heart rate; nights under six hours: {dict(+wanted)}; "
          f"stopped: {', '.join(f'{name} on {day}' for name, day in stopped.items())}")


def set_up(program, world):
    program.run("seed")
    program.run("settings", "set", "module.ow", "true")
    codes = sorted({series["code"] for series in world.catalogue.values()})
    program.sql("INSERT INTO studies (id, name, organization, purpose, contact, created_at) VALUES (1, 'Oracle', 'Lab', 'Why', 'Ada', 0)")
    program.sql(f"INSERT INTO study_codes SELECT 1, id FROM codes WHERE code IN ({', '.join('?' * len(codes))})", codes)
    for person in world.people:
        consents = [word for code in codes for word in ("--consent", code)] + ["--reason", "paper"]
        person.patient = program.run("patient", "add", "--name", person.name, "--tz", person.zone.key, "--ow-user", person.user, *consents).strip()
        if person.name != "P006":
            enrol(program, person)


def enrol(program, person):
    program.sql("INSERT INTO enrolments (study_id, patient_id, enrolled_at, participant) VALUES (1, ?, 0, ?)", (person.patient, person.name))


def tick(program, world, until, step=12 * HOUR):
    """Runs ticks up to a time. Records what each sample's value was at each of them."""
    while program.ow.now < until:
        program.ow.now = min(until, program.ow.now + step)
        program.run("poll")
        see(world, program.ow.now)


def see(world, now):
    """Records the values that a poll may have seen; one beyond the reach of a tick is seen by the last backfill at the latest."""
    for person in world.people:
        for one in person.samples:
            if one.visible <= now and now - one.at < 7 * DAY:
                one.seen.append((now, one.value_at(now)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "target" / "debug" / "jhe-ow")
    parser.add_argument("--scratch", type=pathlib.Path, default=ROOT / "target" / "oracle-dataset")
    parser.add_argument("--in-environment", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.in_environment:
        python = arguments.scratch / "environment" / "bin" / "python"
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", arguments.scratch / "environment"], check=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
        sys.exit(subprocess.run([python, __file__, "--in-environment", *sys.argv[1:]]).returncode)

    directory = arguments.scratch.resolve() / "run"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    listed = subprocess.run([arguments.binary, "catalog", "--json"], capture_output=True, text=True, check=True).stdout
    catalogue = {series["type"]: series for series in map(json.loads, listed.splitlines())}
    coverage = json.loads((ROOT / "tests/captures/meta-coverage.json").read_text())
    coverage = {metric["code"]: metric["providers"] for group in coverage["timeseries"] for metric in group["metrics"]}
    units = dict(line.split(",") for line in (ROOT / "src/simulator/series_types.csv").read_text().split())
    world = World(arguments.seed, catalogue, coverage, units)
    count = sum(len(person.samples) for person in world.people)
    print(f"seed {arguments.seed}: {count} samples of {len(units)} series types, {sum(len(one.nights) for one in world.people)} nights and naps")

    ow = Ow(world)
    threading.Thread(target=ow.serve_forever, daemon=True).start()
    program, checks = Program(arguments.binary.resolve(), directory, ow), Checks()
    set_up(program, world)
    tick(program, world, BEGIN + 14 * DAY)
    reader = Reader(program)
    ow.now += 12 * HOUR
    reader.follow(checks, "one tick", meanwhile=["poll"])
    see(world, ow.now)
    enrol(program, world.people[5])
    reader.follow(checks, "an enrolment")
    tick(program, world, BEGIN + 21 * DAY)
    reader.follow(checks, "a week")
    moved = next(person.patient for person in world.people if person.name == MOVED)
    program.run("patient", "set", moved, "--tz", "Asia/Kolkata")
    reader.follow(checks, "another time zone")
    program.run("patient", "set", moved, "--tz", "Asia/Kathmandu")
    tick(program, world, END - DAY)
    ow.now = END
    reader.follow(checks, "the rest", meanwhile=["poll"])
    see(world, ow.now)
    missing = count_rows(program)
    ow.now = END + 12 * HOUR
    program.run("poll", "--since", stamp(BEGIN - 2 * DAY))
    for person in world.people:
        for one in person.samples:
            one.seen.append((ow.now, one.value_at(ow.now)))
    print(f"ticks alone stored {missing} observations, a backfill {count_rows(program) - missing} more")
    complete = reader.follow(checks, "a backfill")

    parquet, _ = program.dataset("parquet", "--format", "parquet")
    for one in (complete, parquet, directory / "increment1"):
        validate(checks, one)
    compare_formats(checks, complete, parquet)
    tables = read_csv(complete)
    rejected = [json.loads(line) for line in program.run("rejected", "list", "--json", "--limit", "100000").splitlines()]
    check_samples(checks, world, tables, rejected, ow.now)
    check_events(checks, world, tables, ow.now)
    check_sums(checks, world, parquet, ow.now)
    ask(checks, world, complete, ow.now)
    program.run("patient", "erase", world.people[1].patient, "--yes", "--without-ow")
    reader.follow(checks, "an erasure")
    for what, times in checks.failed.items():
        print(f"{times:7} {what}")
    print(f"{len(checks.failed)} checks failed" if checks.failed else "all checks hold")
    sys.exit(bool(checks.failed))


def count_rows(program):
    return program.sql("SELECT count(*) FROM observations")[0][0]


if __name__ == "__main__":
    main()
