#!/usr/bin/env python3
"""Compares `jhe-ow convert` with the Python package that it follows.

    cargo build && python3 tests/oracle/compare.py

Needs Python 3.11 to 3.13 and a package index. omh-shim 2.1.0 is installed into a scratch environment, and 1.4.0
into another for the two types that 2.1.0 has dropped. Samples are made from a fixed seed. Equal must be: which
samples are errors, the type and the message of the error, and of the others schema, modality, datasheets and body,
with the order of the keys and with integers told from floats. What may differ stands in DELIBERATE, and in the
docs/data.md. Exit code 1: there is another difference.

    --samples N    samples for each source and type (default 2000)
    --seed N       another seed
    --binary FILE  another binary (default target/debug/jhe-ow)
    --record FILE  write vectors, which a test reads without Python (tests/captures/convert-vectors.jsonl)
    --scratch DIR  where the environments are (default target/oracle)
"""

import argparse
import collections
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import unicodedata

ROOT = pathlib.Path(__file__).resolve().parents[2]
OLD_TYPES = ("step_count", "heart_rate_variability")
OLD, NEW = "1.4.0", "2.1.0"


# What differs on purpose: name, our error, and what the package may have answered instead.
def is_error(theirs):
    return "error" in theirs


def any_answer(_line, _theirs):
    return True


def holds_no_json(_line, theirs):
    return is_error(theirs) or bool(re.search(r"NaN|Infinity", json.dumps(theirs)))


def counts_too_much(_line, theirs):
    return is_error(theirs) or bool(re.search(r"\d{38}", json.dumps(theirs)))


def has_half_an_offset(_line, theirs):
    return is_error(theirs) or bool(re.search(r"Z:\d\d", json.dumps(theirs)))


def has_other_digits(line, _theirs):
    return any(ord(c) > 127 and unicodedata.decimal(c, None) is not None for c in json.dumps(json.loads(line), ensure_ascii=False))


DELIBERATE = [
    ("text times 60", r": Refused: .* is text, which times 60 would be repeated", any_answer),
    ("no finite number", r": Refused: .* is not a number that JSON can hold", holds_no_json),
    ("more than 128 bits", r": Refused: an integer of more than 128 bits", counts_too_much),
    ("a day with an offset", r": Refused: the day .* carries an offset", any_answer),
    ("an offset below a minute", r": Refused: an offset of less than a minute", has_half_an_offset),
    ("half a surrogate pair", r": Refused: .* holds half a surrogate pair", any_answer),
    ("digits of other scripts", r": ValueError: (could not convert string to float|invalid literal for int)", has_other_digits),
    ("NaN and Infinity as numbers", r"^LineError .*(expected value|invalid number)", lambda line, _theirs: bool(re.search(r"NaN|Infinity", line))),
    ("a sample that is no object", r"^LineError .*expected an object", lambda _line, theirs: is_error(theirs)),
]


# Samples.
class Literal(str):
    """JSON as it stands, which Python itself would not write so."""


ZONES = ["Europe/Berlin", "America/New_York", "UTC", "Europe/London", "America/Sao_Paulo", "America/Havana",
         "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Monrovia", "Asia/Beirut", "Asia/Tokyo"]
DAYS = ["2026-03-29", "2026-10-25", "2026-03-08", "2026-11-01", "2018-11-04", "2011-12-30", "2011-12-29", "2022-03-27",
        "2026-02-28", "2024-02-29", "1883-11-17", "1900-01-01", "0001-01-01", "9999-12-30", "9999-12-31"]
ODD_DAYS = ["20260409", "2026-W15-4", "2026W15", "2026-4-9", "2026-02-30", "2026-13-01", "2026-04-09T10:11:12",
            "2026-04-09T10:11:12.5", "2026-04-09T00:00:00+02:00", "2026-04-09T00:00:00Z", "", "today", " 2026-04-09",
            "2026-04-09 ", "0000-01-01", "2026-04-09T25:00", "2026-04-09T00:60", "2026-04-09T00:00:60", "2026-04-09T08",
            "2026-04-09T00:00+24:00", "2026-04-09T00:00-24:00:01", "2026-04-09Z", "9999-W52-7", "2026-W54-1", "2026-00-10",
            "2026-04-31", "10000-01-01", "2026-W15-08", "it's", 'it\'s "so"', "a\nb", "\u200b2026-04-09", "2026\u201104-09"]
ODD_TIMES = ["2026-04-09T08:30:00", "2026-04-09", "2026-04-09Z", "2026-04-09T08:30:00z", " 2026-04-09T08:30:00Z\n",
             "\x1f2026-04-09T08:30:00Z\x1c", "\u00a02026-04-09T08:30:00Z", "2026-04-09T08Z", "2026-04-09T0830Z",
             "20260409T083000Z", "20260409T083000,25+0530", "2026-W15-4T08:30:00Z", "2026W154T08:30:00Z",
             "2026W15T08:30:00Z", "2026-W15T08:30:00Z", "2026-W15-08:30Z", "2026-04-09T08:30:00.Z", "2026-04-09T24:00:00Z",
             "2026-04-09T08:30:60Z", "2026-099T08:30:00Z", "1775722200", "2026-04-09T08:30:00Z[UTC]",
             "2026-04-09T08:30:00+24:00", "2026-04-09T08:30:00-23:59:59.999999", "2026-04-09T08:30:00+00:00:30",
             "2026-04-09T08:30:00-00:00:30", "2026-04-09T08:30:00+00:00:00.5", "2026-04-09T08:30:00+02:60",
             "2026-04-09T08:30:00+05:30:15", "2026-04-09T08:30:00 +02:00", "2026-04-09\u00e908:30:00Z",
             "2026-04-09\U0001f48d08:30:00Z", "2026-04-09T08:30:00\u00e9+02:00", "2026-04-09T08:30:00:+00:00",
             "2026-04-09T08:30:00+02:00Z", "2026-04-09T08:30:00-00:00", "0001-01-01T00:00:00Z", "0001-01-01T00:00:30Z",
             "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999-12:00", "10000-01-01T00:00:00Z", "", "Z", "+00:00",
             "noon", "it's", "2026-04-09T08:30:00+02:00\x00", "2026-04-09T08:30:00.123456789x+02:00",
             "2026-04-09T08:30:00+0", "2026-04-09t08:30:00Z", "2026-04-0908:30:00Z", "2026-04-09T08:30:00.12345Z",
             "2026-04-09T083000123456Z", "2026-04-09T08.5Z", "2026-04-09T08:30.5Z", "2026-04-09T08:Z"]
WRONG = [None, True, False, 0, 1775722200, 1.5, [], [1, "a", None], {}, {"a": 1}, {"k": [True, 1e22, "it's"]}, "", "abc",
         Literal(r'"\ud800"'), Literal(r'"\ud83d\udc8d"'), Literal(r'"\u0041"')]
NUMBERS = ["72", " 72.5 ", "1e3", "1_000", "1__0", "_1", "0x1f", "+5", "-5.5", "007", ".5", "5.", "", " ", "abc", "12abc",
           "nan", "-inf", "Infinity", "1e400", "-1e400", "\u0667\u0662", "\uff17\uff12", "\u00a072\u2003", "\x1f72", "72\x00",
           "8432.0", "8432", "1" * 50, "9" * 400, "it's", "x" * 250, "it's \"so\"", "\u00e9\u0301\u200b", "\ue000",
           True, False, None, [], [72], {}, {"value": 72}, 0, -1, 8432.9, -0.5, 8.2, 32.5, 0.29, 2**31, 2**53 + 1, 2**63 - 1,
           2**63, 2**64, 10**25, 2**126, 2**127 - 1, 2**127, -2**127, 10**400, 1e15, 1e16, 1e20, 1e22, 1e300, 1e308, 5e-324,
           1e-7, 123456789.123456789, Literal("NaN"), Literal("-Infinity"), Literal("1e400"), Literal("-1E+400"), Literal("-0"), Literal("-0.0"), Literal("1E5"),
           Literal("72.50"), Literal("1e-400"), Literal("1.7976931348623157e308"), Literal("1.7976931348623159e308")]
TEXTS = ["running", "", "Yoga \u2014 \u00e9", "it's", "a\\b", 'say "so"', "\U0001f48d"]


class Make:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def chance(self, share):
        return self.random.random() < share

    def pick(self, things):
        return self.random.choice(things)

    def scrambled(self, text):
        """One or two characters changed, left out or added."""
        text = list(text)
        for _ in range(self.random.randint(1, 2)):
            at = self.random.randrange(len(text) + 1)
            char = self.pick("0123456789-:+.,TZW \u00e9\x00")
            how = self.random.randrange(3)
            if how == 0 or at == len(text):
                text.insert(at, char)
            elif how == 1:
                text[at] = char
            else:
                del text[at]
        return "".join(text)

    def number(self):
        how = self.random.random()
        if how < 0.35:
            return self.random.randint(0, 500)
        if how < 0.6:
            return round(self.random.uniform(-10, 300), self.random.randint(0, 12))
        if how < 0.65:
            return self.random.uniform(-1, 1) * 10 ** self.random.randint(-30, 30)
        if how < 0.7:
            return str(round(self.random.uniform(0, 300), self.random.randint(0, 3)))
        if how < 0.75:
            return self.random.randint(-(10**20), 10**20)
        return self.pick(NUMBERS)

    def time(self):
        how = self.random.random()
        if how < 0.08:
            return self.pick(WRONG)
        if how < 0.25:
            return self.pick(ODD_TIMES)
        text = f"{self.random.randint(1990, 2035)}-{self.random.randint(1, 12):02}-{self.random.randint(1, 28):02}"
        text += self.pick("TTTTTTTT tx") + f"{self.random.randint(0, 23):02}:{self.random.randint(0, 59):02}"
        if self.chance(0.9):
            text += f":{self.random.randint(0, 59):02}"
            if self.chance(0.4):
                text += self.pick("..,") + "".join(self.pick("0123456789") for _ in range(self.random.randint(1, 9)))
        text += self.pick(["Z", "Z", "+00:00", "-00:00", "+02:00", "-03:30", "+0530", "+14", "-12:00", "+05:30:15", ""])
        return self.scrambled(text) if self.chance(0.2) else text

    def day(self):
        how = self.random.random()
        if how < 0.08:
            return self.pick(WRONG)
        if how < 0.3:
            return self.pick(ODD_DAYS)
        if how < 0.6:
            return self.pick(DAYS)
        text = f"{self.random.randint(1, 9999):04}-{self.random.randint(1, 12):02}-{self.random.randint(1, 28):02}"
        return self.scrambled(text) if self.chance(0.2) else text

    def origin(self):
        if self.chance(0.3):
            return self.pick([None, "sleep", "awake", 5, [], {}, "manual"])
        names = ["device", "device_model", "provider", "source_name", "device_name", "source"]
        texts = ["oura", "Ring 4", "", None, 0, False, True, "Garmin f\u0113nix", 1e22, 12, [], ["a", 1], {"a": None}, 1.5]
        return {name: self.pick(texts[:4] if self.chance(0.7) else texts) for name in names if self.chance(0.6)}

    def words(self, words):
        return self.pick(words) if self.chance(0.85) else self.pick(WRONG)

    def inside(self, names):
        if self.chance(0.15):
            return self.pick(WRONG)
        return {name: self.number() for name in names if self.chance(0.75)}

    def sample(self, fields):
        if self.chance(0.01):
            return self.pick([None, [], "text", 5, True, ["value", "timestamp"], "start_time end_time date"])
        # Half of the samples have nothing odd but in one field, so that most become something.
        odd = self.random.randrange(len(fields)) if self.chance(0.6) else None
        out = {}
        for index, (name, kind, share) in enumerate(fields):
            if not self.chance(share):
                continue
            out[name] = self.field(kind, odd is None or odd == index)
        items = list(out.items())
        if self.chance(0.3):
            self.random.shuffle(items)
        return dict(items)

    def field(self, kind, odd):
        if callable(kind):
            return kind(self)
        if odd:
            return getattr(self, kind)()
        if kind == "number":
            return self.pick([self.random.randint(0, 500), round(self.random.uniform(0, 300), 3)])
        if kind == "time":
            return f"2026-{self.random.randint(1, 12):02}-09T08:30:00" + self.pick(["Z", "+02:00", ".25-05:00"])
        return f"2026-{self.random.randint(1, 12):02}-{self.random.randint(1, 28):02}"


def words(*of):
    return lambda make: make.words(of)


def inside(*names):
    return lambda make: make.inside(names)


def origin(make):
    return make.origin()


ORIGIN = ("source", origin, 0.7)
SERIES = [("timestamp", "time", 0.97), ("value", "number", 0.97), ("zone_offset", words(None, "+02:00"), 0.3),
          ("type", words("heart_rate", "resting_heart_rate", "weight"), 0.6), ("unit", words("bpm", "mmol/L"), 0.5), ORIGIN]
SESSION = [("start_time", "time", 0.97), ("end_time", "time", 0.97), ("sleep_duration_seconds", "number", 0.85),
           ("time_in_bed_seconds", "number", 0.85), ("efficiency_percent", "number", 0.7), ("is_nap", words(True, False, False), 0.7),
           ("stages", inside("light_minutes", "deep_minutes", "rem_minutes", "awake_minutes", "other"), 0.8), ORIGIN]
SLEEP = [("type", words("long_sleep", "sleep", "late_nap", "rest", "deleted", "nap", "short_sleep"), 0.8),
         ("bedtime_start", "time", 0.97), ("bedtime_end", "time", 0.97), ("total_sleep_duration", "number", 0.9),
         ("light_sleep_duration", "number", 0.7), ("deep_sleep_duration", "number", 0.7), ("rem_sleep_duration", "number", 0.7),
         ("awake_time", "number", 0.7), ("latency", "number", 0.7), ("efficiency", "number", 0.7),
         ("time_in_bed", "number", 0.9), ("average_breath", "number", 0.9), ("lowest_heart_rate", "number", 0.9), ORIGIN]
WORKOUT = [("type", lambda make: make.pick(TEXTS) if make.chance(0.8) else make.pick(NUMBERS), 0.95), ("start_time", "time", 0.97),
           ("end_time", "time", 0.97), ("duration_seconds", "number", 0.7), ("distance_meters", "number", 0.7),
           ("calories_kcal", "number", 0.7), ("steps_count", "number", 0.7), ("intensity", words("low", "moderate", "high", "unknown"), 0.7),
           ("date", "day", 0.2), ORIGIN]
SUMMARY = [("date", "day", 0.95), ("distance_meters", "number", 0.7), ("active_calories_kcal", "number", 0.7), ("steps", "number", 0.8),
           ("active_minutes", "number", 0.7), ("intensity_minutes", inside("light", "moderate", "vigorous", "other"), 0.7),
           ("start_time", "time", 0.05), ORIGIN]
OURA_DAY = [("day", "day", 0.95), ("equivalent_walking_distance", "number", 0.7), ("active_calories", "number", 0.7),
            ("steps", "number", 0.9), ("low_activity_time", "number", 0.7), ("medium_activity_time", "number", 0.7),
            ("high_activity_time", "number", 0.7), ("activity", words("running"), 0.05), ORIGIN]
OURA_WORKOUT = [("activity", lambda make: make.pick(TEXTS) if make.chance(0.8) else make.pick(NUMBERS), 0.95),
                ("start_datetime", "time", 0.95), ("end_datetime", "time", 0.95), ("distance", "number", 0.7), ("calories", "number", 0.7),
                ("intensity", words("easy", "moderate", "hard", "low"), 0.7), ("day", "day", 0.3), ORIGIN]
PROFILE = [("weight", "number", 0.9), ("height", "number", 0.9), ("timestamp", "time", 0.95), ORIGIN]
OW, OURA = "ow_normalized", "oura_raw"
TYPES = {
    **{(OW, name): [SERIES] for name in ["heart_rate", "heart_rate_variability", "oxygen_saturation", "blood_glucose",
                                         "respiratory_rate", "body_weight", "body_height"]},
    (OW, "step_count"): [[("timestamp", "time", 0.97), ("value", "number", 0.97), ("type", words("steps", "steps", "distance"), 0.95)], SUMMARY],
    (OW, "sleep_duration"): [[("date", "day", 0.95), ("duration_minutes", "number", 0.95), ORIGIN]],
    **{(OW, name): [SESSION] for name in ["sleep_episode", "time_in_bed", "sleep_stage_summary"]},
    (OW, "physical_activity"): [WORKOUT, SUMMARY],
    (OURA, "heart_rate"): [[("bpm", "number", 0.97), ("timestamp", "time", 0.97), ORIGIN], SLEEP],
    (OURA, "heart_rate_variability"): [[("rmssd", "number", 0.6), ("contributors", inside("hrv_balance_ms", "hrv_balance"), 0.6),
                                        ("timestamp", "time", 0.85), ("day", "day", 0.4), ORIGIN]],
    (OURA, "step_count"): [OURA_DAY],
    **{(OURA, name): [SLEEP] for name in ["sleep_duration", "sleep_episode", "time_in_bed", "sleep_stage_summary", "respiratory_rate"]},
    (OURA, "physical_activity"): [OURA_WORKOUT, OURA_DAY],
    (OURA, "oxygen_saturation"): [[("day", "day", 0.95), ("spo2_percentage", inside("average"), 0.95), ORIGIN]],
    **{(OURA, name): [PROFILE] for name in ["body_weight", "body_height"]},
    (OURA, "blood_glucose"): [SERIES],
    ("fitbit", "heart_rate"): [SERIES],
    (OW, "it's \"steps\"\n"): [SERIES],
}


def written(value):
    """JSON, with literals as they stand and with escapes only now and then."""
    if isinstance(value, Literal):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(written(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=isinstance(value, str) and len(value) % 2 == 0)


def lines(make, count):
    for (source, data_type), shapes in TYPES.items():
        for _ in range(count if source != "fitbit" and data_type.isidentifier() else 20):
            shape = make.random.randrange(len(shapes))
            line = {"source": source, "data_type": data_type, "sample": make.sample(shapes[shape])}
            if make.chance(0.9):
                line["tz"] = make.pick(ZONES)
            yield (source, data_type), shape, written(line)


# The package, run in its own environment.
def worker():
    import zoneinfo

    import omh_shim

    for text in sys.stdin:
        line = json.loads(text)
        zone = line.get("tz")
        try:
            sample = omh_shim.convert(
                line["source"], line["data_type"], line["sample"], tz=zone and zoneinfo.ZoneInfo(zone)
            )
            answer = {"output": sample}
        except Exception as error:
            answer = {"error": {"type": type(error).__name__, "message": str(error)}}
        print(json.dumps(answer))


def environment(scratch, version):
    path = scratch / f"omh-shim-{version}"
    python = path / "bin" / "python"
    if not (path / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", str(path)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", f"omh-shim=={version}", "tzdata"], check=True)
        (path / "ready").touch()
    return python


def run(command, texts):
    done = subprocess.run(command, input="".join(text + "\n" for text in texts), capture_output=True, text=True, encoding="utf-8")
    answers = done.stdout.splitlines()
    if len(answers) != len(texts):
        sys.exit(f"{command[0]}: {len(texts)} lines were answered with {len(answers)}\n{done.stderr[-2000:]}")
    return answers


def comparable(answer):
    if "output" in answer:
        header = dict(answer["output"]["header"])
        # The package draws the one and reads a clock for the other.
        del header["uuid"], header["source_creation_date_time"]
        return {"output": {"header": header, "body": answer["output"]["body"]}}
    return answer


def difference(line, ours, theirs):
    """None where they are equal, the name of a deliberate one, or ''."""
    if json.dumps(ours) == json.dumps(theirs):
        return None
    said = "{type} {message}".format(**ours["error"]) if is_error(ours) else ""
    for name, pattern, allowed in DELIBERATE:
        if re.search(pattern, said, re.DOTALL) and allowed(line, theirs):
            return name
    return ""


# Recorded of each shape of each type: bodies with different fields, the fullest first, and errors that say different things.
BODIES, ERRORS = 10, 8
# Characters of a line that is recorded.
READABLE = 700


def record(path, rows):
    chosen = collections.defaultdict(dict)
    for at, (kind, line, theirs, differs) in enumerate(rows):
        if len(line) > READABLE:
            continue
        if differs:
            group, ending = (kind, "differs"), differs
        elif is_error(theirs):
            said = theirs["error"]["type"] + theirs["error"]["message"]
            group, ending = (kind, "error"), re.sub(r"'.*|got .*|\(\).*|requires .*", "", said, flags=re.DOTALL)
        else:
            names = ",".join(re.findall(r'"(\w+)":', json.dumps(theirs["output"]["body"])))
            # Up to three of each set of fields.
            group, ending = (kind, "body"), f"{names} {at % 3}"
        chosen[group].setdefault(ending, at)
    kept = []
    for (_, what), endings in chosen.items():
        if what == "body":
            fullest = sorted(endings, key=lambda names: -names.count(","))
            kept += [endings[names] for names in fullest[:BODIES]]
        else:
            kept += list(endings.values())[:ERRORS]
    with open(path, "w", encoding="utf-8") as file:
        for at in sorted(kept):
            _, line, theirs, differs = rows[at]
            vector = {"line": line, "differs": differs} if differs else {"line": line, "answer": theirs}
            file.write(json.dumps(vector, ensure_ascii=True) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1752)
    parser.add_argument("--binary", default=str(ROOT / "target" / "debug" / "jhe-ow"))
    parser.add_argument("--record")
    parser.add_argument("--scratch", type=pathlib.Path, default=ROOT / "target" / "oracle")
    arguments = parser.parse_args()

    made = list(lines(Make(arguments.seed), arguments.samples))
    texts = [text for _, _, text in made]
    raw = run([arguments.binary, "convert"], texts)
    again = run([arguments.binary, "convert"], texts)
    ours = [comparable(json.loads(answer)) for answer in raw]
    theirs = [None] * len(made)
    for version in (NEW, OLD):
        chosen = [at for at, (kind, _, _) in enumerate(made) if (kind[1] in OLD_TYPES) == (version == OLD)]
        python = environment(arguments.scratch, version)
        answers = run([str(python), __file__, "--worker"], [texts[at] for at in chosen])
        for at, answer in zip(chosen, answers):
            theirs[at] = comparable(json.loads(answer))

    counts = collections.defaultdict(collections.Counter)
    deliberate = collections.Counter()
    rows = []
    wrong = 0
    for at, (kind, shape, line) in enumerate(made):
        differs = difference(line, ours[at], theirs[at])
        rows.append(((kind, shape), line, theirs[at], differs))
        counts[kind]["samples"] += 1
        counts[kind]["error" if is_error(theirs[at]) else "converted"] += 1
        if differs:
            counts[kind]["deliberate"] += 1
            deliberate[differs] += 1
        elif differs == "":
            counts[kind]["different"] += 1
            wrong += 1
            if wrong <= 20:
                print(f"DIFFERENT {line}\n  ours   {json.dumps(ours[at])}\n  theirs {json.dumps(theirs[at])}")
    columns = ("samples", "converted", "error", "deliberate", "different")
    print(f"{'source':14} {'data type':24}" + "".join(f"{name:>12}" for name in columns))
    total = collections.Counter()
    for (source, data_type), count in counts.items():
        print(f"{source:14} {ascii(data_type)[1:-1]:24}" + "".join(f"{count[name]:12}" for name in columns))
        total.update(count)
    print(f"{'all':39}" + "".join(f"{total[name]:12}" for name in columns))
    for name, count in deliberate.most_common():
        print(f"deliberate: {name}: {count}")
    print(f"kinds of error in the package: {len({(t['error']['type'], t['error']['message'][:60]) for t in theirs if is_error(t)})}")
    if raw != again:
        print("the same lines did not give the same bytes twice")
    if arguments.record and not wrong:
        record(arguments.record, rows)
    return 1 if wrong or raw != again else 0


if __name__ == "__main__":
    # What text times 60 becomes has thousands of digits.
    sys.set_int_max_str_digits(0)
    if sys.argv[1:] == ["--worker"]:
        worker()
    else:
        sys.exit(main())
