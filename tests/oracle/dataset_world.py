"""The data of the participants of dataset.py: generated from a seed, with what a data set has to contain of them."""

import collections
import datetime
import math
import random
import uuid
import zoneinfo

UTC = datetime.timezone.utc
MINUTE, HOUR, DAY = (datetime.timedelta(**{unit: 1}) for unit in ("minutes", "hours", "days"))
# Berlin puts the clocks back on October 25, New York on November 1.
BEGIN, DAYS = datetime.datetime(2026, 10, 10, tzinfo=UTC), 30
END = BEGIN + DAYS * DAY
# Name, zone, and the provider of most types.
PEOPLE = [("P001", "Europe/Berlin", "oura"), ("P002", "Europe/Berlin", "garmin"), ("P003", "America/New_York", "apple"),
          ("P004", "America/New_York", "google"), ("P005", "Asia/Kathmandu", "whoop"), ("P006", "Asia/Kathmandu", "samsung")]
# When these participants take the device off for good: days after BEGIN.
STOPS = {"P003": 18.6, "P006": 24.35}
# This participant's time zone is changed, and changed back.
MOVED = "P005"
# Types whose values are parts of a total of the day.
SUMS = ["steps", "energy", "basal_energy", "stand_time", "exercise_time", "active_time", "flights_climbed",
        "distance_walking_running", "distance_cycling", "distance_swimming", "distance_downhill_snow_sports", "distance_other",
        "push_count", "swimming_stroke_count", "nike_fuel", "inhaler_usage", "sleeping_breathing_disturbances",
        "time_in_daylight", "number_of_times_fallen", "insulin_delivery"]
# Of these types and providers a value describes a local day: docs/data.md.
BY_DAY = {("resting_heart_rate", "garmin"), ("resting_heart_rate", "google"), ("respiratory_rate", "google"),
          ("oxygen_saturation", "oura")}
PART_SECONDS = {"garmin": 900, "suunto": 600}
PRESSURE = ("blood_pressure_systolic", "blood_pressure_diastolic")
# Other units than OW's: type, unit, and their conversion.
OTHER_UNITS = {"weight": ("lb", lambda value: value * 0.45359237), "blood_glucose": ("mmol_l", lambda value: value * 18.0156),
               "body_temperature": ("fahrenheit", lambda value: (value - 32) * 5 / 9), "height": ("m", lambda value: value * 100)}


def stamp(at):
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def offset_text(minutes):
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def offset_at(zone, at):
    return int(at.astimezone(zone).utcoffset().total_seconds()) // 60


def midnight(zone, date):
    return datetime.datetime.combine(date, datetime.time(), zone).astimezone(UTC)


class Sample:
    """One record of OW. `changes` are later values, each with the time from which OW shows it."""

    def __init__(self, kind, at, value, unit, provider, offset=None, total=None, device=None, visible=None):
        self.kind, self.at, self.value, self.unit, self.provider = kind, at, value, unit, provider
        self.offset, self.total, self.device = offset, total, device
        self.visible, self.changes, self.seen = visible or at + 20 * MINUTE, [], []

    def value_at(self, now):
        return next((value for since, value in reversed(self.changes) if since <= now), self.value)

    def json(self, now):
        return {"timestamp": stamp(self.at), "zone_offset": None if self.offset is None else offset_text(self.offset),
                "type": self.kind, "value": self.value_at(now), "unit": self.unit,
                "source": {"provider": self.provider, "source": self.provider, "device": self.device,
                           "device_type": None, "device_name": None}, "is_daily_total": self.total}


class Event:
    """A night, nap or workout. `shown` has its records, each with the time from which OW shows it; None ends it."""

    def __init__(self, record, visible):
        self.shown = [(visible, record)]

    def at(self, now):
        return next((record for since, record in reversed(self.shown) if since <= now), None)


class Person:
    def __init__(self, name, zone, provider):
        self.name, self.zone, self.provider = name, zoneinfo.ZoneInfo(zone), provider
        self.user, self.patient = None, None
        self.samples, self.nights, self.workouts, self.activity = [], [], [], {}


class World:
    """The data of all participants."""

    def __init__(self, seed, catalogue, coverage, units):
        self.random, self.taken = random.Random(seed), set()
        self.catalogue, self.coverage, self.units = catalogue, coverage, units
        self.people = [Person(*one) for one in PEOPLE]
        for person in self.people:
            person.user = str(uuid.UUID(int=self.random.getrandbits(128), version=4))
            self.fill(person)
            person.samples.sort(key=lambda sample: (sample.at, sample.kind))

    def stop(self, person):
        return BEGIN + STOPS.get(person.name, DAYS) * DAY

    def provider(self, person, kind):
        known = self.coverage.get(kind, [person.provider])
        return person.provider if person.provider in known else known[(ord(kind[0]) + int(person.name[1:])) % len(known)]

    def put(self, person, kind, at, value, **more):
        """Adds a sample, with an offset in two of three cases; one in fifty arrives three days late, one in forty changes."""
        more.setdefault("provider", self.provider(person, kind))
        if "offset" not in more:
            more["offset"] = offset_at(person.zone, at) if self.random.random() < 0.66 else None
        # OW has one record of a series and instant.
        while (person.name, kind, at, more.get("total")) in self.taken:
            at += datetime.timedelta(seconds=1)
        self.taken.add((person.name, kind, at, more.get("total")))
        delay = 3 * DAY if self.random.random() < 0.02 else self.random.randint(5, 120) * MINUTE
        one = Sample(kind, at, value, more.pop("unit", self.units[kind]), visible=at + delay, **more)
        person.samples.append(one)
        return one

    def change(self, one, value):
        one.changes.append((one.visible + self.random.randint(1, 4) * DAY, value))

    def fill(self, person):
        days = [(BEGIN.astimezone(person.zone) + one * DAY).date() for one in range(1, DAYS)]
        gaps = {day: self.random.randint(8, 18) for day in self.random.sample(days, 8)}
        self.rates(person, gaps)
        for number, day in enumerate(days):
            if midnight(person.zone, day) + DAY < self.stop(person):
                self.night(person, day, number)
                self.day(person, day, number)
        self.faults(person, days)

    def rates(self, person, gaps):
        at = BEGIN + HOUR
        while at < min(self.stop(person), END - HOUR):
            local = at.astimezone(person.zone)
            gap = gaps.get(local.date())
            if gap is None or not gap <= local.hour < gap + 4:
                value = round(62 + 14 * math.sin(local.hour / 4) + self.random.uniform(-6, 6))
                one = self.put(person, "heart_rate", at, value)
                if self.random.random() < 0.02:
                    self.change(one, value + 3)
            at += 10 * MINUTE

    def day(self, person, day, number):
        """Adds one day: of every type a few values, of sums parts of each hour and perhaps a total."""
        zone = person.zone
        start, end = midnight(zone, day), midnight(zone, day + DAY)
        for kind, unit in self.units.items():
            provider = self.provider(person, kind)
            low, high = self.plausible(kind)
            if kind == "heart_rate" or kind == PRESSURE[1]:
                continue
            if kind == PRESSURE[0]:
                for hour in (8, 20):
                    at = start + hour * HOUR + self.random.randint(0, 40) * MINUTE
                    offset = offset_at(zone, at) if self.random.random() < 0.5 else None
                    visible = dict(provider=provider, offset=offset)
                    upper = self.put(person, PRESSURE[0], at, self.random.randint(100, 150), **visible)
                    lower = self.put(person, PRESSURE[1], at, self.random.randint(60, 90), **visible)
                    lower.visible = upper.visible
            elif kind in SUMS:
                self.sums(person, kind, provider, start, end, high)
            elif (kind, provider) in BY_DAY:
                self.by_day(person, kind, provider, day, start, 97.25 if kind == "oxygen_saturation" else 52 + number % 9)
            elif kind == "resting_heart_rate":
                value = 48 + int(person.name[1:]) + number % 9
                one = self.put(person, kind, start + 5 * HOUR, value)
                if number % 7 == 3:
                    self.change(one, value + 4)
            else:
                for _ in range(2):
                    at = start + self.random.randint(0, 86_000) * datetime.timedelta(seconds=1)
                    at += self.random.choice([0, 0, 123456]) * datetime.timedelta(microseconds=1)
                    value = round(self.random.uniform(low, high), 3)
                    one = self.put(person, kind, at, value)
                    if self.random.random() < 0.03:
                        self.change(one, round(self.random.uniform(low, high), 3))
        self.workout(person, start, number)

    def sums(self, person, kind, provider, start, end, high):
        at, total = start + 7 * HOUR, 0
        while at < start + 20 * HOUR:
            value = self.random.randint(0, max(1, min(400, int(high / 40))))
            part = self.put(person, kind, at, value, provider=provider, total=self.random.choice([None, False]))
            if self.random.random() < 0.03:
                value += 1
                self.change(part, value)
            total += value
            at += self.random.randint(1, 4) * HOUR
        if provider in ("garmin", "oura", "google", "samsung"):
            self.by_day(person, kind, provider, start.astimezone(person.zone).date(), start, total, total=True)

    def by_day(self, person, kind, provider, day, start, value, total=None):
        """Adds a value of a day, in one of the three forms of its stamp."""
        form = {"garmin": "local", "oura": "four"}.get(provider, "bare")
        if kind in ("oxygen_saturation", "resting_heart_rate"):
            form = "bare" if provider == "oura" else form
        at, offset = {"local": (start, offset_at(person.zone, start)), "bare": (datetime.datetime.combine(day, datetime.time(), UTC), None),
                      "four": (start + 4 * HOUR, offset_at(person.zone, start + 4 * HOUR))}[form]
        one = self.put(person, kind, at, value, provider=provider, offset=offset, total=total)
        one.day = day
        one.visible = max(one.visible, start + 6 * HOUR)
        if total and self.random.random() < 0.3:
            self.change(one, value + 7)

    def night(self, person, day, number):
        zone = person.zone
        start = midnight(zone, day) - self.random.randint(-60, 120) * MINUTE
        asleep = self.random.choice([4.5, 5.2, 5.99, 6, 6.6, 7.3, 8])
        end = start + (asleep + 0.75) * HOUR
        record = self.sleep(person, start, end, asleep * 3600, False)
        if number % 9 == 4:
            record["sleep_duration_seconds"] = None
            record["stages"] = {f"{name}_minutes": 0 for name in ("awake", "light", "deep", "rem")}
            record["sleep_stage_intervals"] = None
        night = Event(record, end + 40 * MINUTE)
        person.nights.append(night)
        if number % 8 == 5:
            later = dict(record, sleep_duration_seconds=int(asleep * 3600) - 1800)
            night.shown.append((end + 30 * HOUR, later))
        if number == 11:
            # OW lists it no more; normalized mode does not follow deletions.
            night.shown.append((end + 50 * HOUR, None))
        if number % 5 == 2:
            at = midnight(zone, day) + 14 * HOUR
            person.nights.append(Event(self.sleep(person, at, at + HOUR, 2700, True), at + 2 * HOUR))

    def sleep(self, person, start, end, asleep, is_nap):
        parts, at, stages = [], start, ["awake", "light", "deep", "light", "rem"]
        minutes = collections.Counter()
        while at < end:
            stage, until = stages[len(parts) % 5], min(end, at + self.random.randint(2, 9) * 5 * MINUTE)
            parts.append({"stage": stage, "start_time": stamp(at), "end_time": stamp(until)})
            minutes[stage] += (until - at) / MINUTE
            at = until
        return {"id": str(uuid.UUID(int=self.random.getrandbits(128), version=4)), "start_time": stamp(start),
                "end_time": stamp(end), "zone_offset": self.random.choice([None, offset_text(offset_at(person.zone, end))]),
                "source": {"provider": person.provider, "source": person.provider, "device": None, "device_type": None, "device_name": None},
                "duration_seconds": int((end - start).total_seconds()), "sleep_duration_seconds": int(asleep),
                "efficiency_percent": 100 * asleep / (end - start).total_seconds(),
                "stages": {f"{name}_minutes": int(minutes[name]) for name in ("awake", "light", "deep", "rem")},
                "sleep_stage_intervals": parts, "is_nap": is_nap}

    def workout(self, person, start, number):
        if number % 3:
            return
        begin = start + 17 * HOUR
        record = {"id": str(uuid.UUID(int=self.random.getrandbits(128), version=4)), "type": self.random.choice(["running", "cycling"]),
                  "name": "With Anna", "start_time": stamp(begin), "end_time": stamp(begin + 45 * MINUTE),
                  "zone_offset": offset_text(offset_at(person.zone, begin)), "duration_seconds": self.random.choice([2600, None]),
                  "source": {"provider": person.provider, "source": person.provider, "device": None, "device_type": None, "device_name": None},
                  "calories_kcal": self.random.choice([310.5, None]), "distance_meters": 6200.25, "avg_heart_rate_bpm": 130,
                  "max_heart_rate_bpm": None, "avg_pace_sec_per_km": None, "elevation_gain_meters": None}
        person.workouts.append(Event(record, begin + 2 * HOUR))
        day = start.astimezone(person.zone).date()
        energy = self.random.choice([0.0, 412.5, 640.0])
        person.activity[day] = (start + 26 * HOUR, {"date": day.isoformat(), "source": record["source"], "steps": 5000,
                                                    "distance_meters": self.random.choice([None, 4321.5]), "active_calories_kcal": energy,
                                                    "total_calories_kcal": energy, "active_minutes": 30})

    def faults(self, person, days):
        """Adds impossible and implausible values, other units, and a unit that cannot be converted."""
        at = midnight(person.zone, days[6]) + 15 * HOUR + 17 * MINUTE
        for number, kind in enumerate(self.units):
            series = self.catalogue["blood_pressure" if kind in PRESSURE else kind]
            (least, most), (_, high) = series["possible"], series["plausible"]
            provider = self.provider(person, kind)
            if kind in PRESSURE or (kind, provider) in BY_DAY:
                continue
            moment = at + number * datetime.timedelta(seconds=7)
            if least > -1e300:
                self.put(person, kind, moment, least - 1)
            if most < 1e300:
                self.put(person, kind, moment + 11 * MINUTE, most + 1)
            # A percentage of Apple's between 0 and 1 is a fraction.
            if high < most and not (provider == "apple" and self.units[kind] == "percent"):
                self.put(person, kind, moment + 22 * MINUTE, round(high + min((most - high) / 2, high * 0.1 + 1), 2))
            if kind in OTHER_UNITS:
                value = {"weight": 154.3, "blood_glucose": 5.5, "body_temperature": 98.2, "height": 1.81}[kind]
                self.put(person, kind, moment + 33 * MINUTE, value, unit=OTHER_UNITS[kind][0])
                self.put(person, kind, moment + 44 * MINUTE, 70, unit="furlongs")
        if person.provider == "apple":
            self.put(person, "oxygen_saturation", at + 4 * HOUR, 0.97)
        self.put(person, PRESSURE[0], at + 5 * HOUR, 118)

    def plausible(self, kind):
        low, high = self.catalogue["blood_pressure" if kind in PRESSURE else kind]["plausible"]
        return (low, high) if kind != "oxygen_saturation" else (90, 100)


# What a data set has to contain.
def convert(series, one, value):
    """The value in the unit of the store; None if its unit is not convertible."""
    if one.unit != series["unit"]:
        unit, conversion = OTHER_UNITS.get(one.kind, (None, None))
        return conversion(value) if unit == one.unit else None
    if series["type"] in ("oxygen_saturation", "weather_humidity") and one.provider == "apple" and 0 < value <= 1:
        return value * 100
    return value


def frame(person, one):
    """Begin, end and date of a sample, by docs/data.md."""
    if one.total or (one.kind, one.provider) in BY_DAY:
        own = None if one.offset is None else datetime.timezone(one.offset * MINUTE)
        zone = person.zone if own is None or one.offset == offset_at(person.zone, one.at) else own
        return midnight(zone, one.day), midnight(zone, one.day + DAY), one.day
    local = one.at.astimezone(person.zone if one.offset is None else datetime.timezone(one.offset * MINUTE))
    seconds = PART_SECONDS.get(one.provider) if one.kind in SUMS else None
    return one.at, one.at + datetime.timedelta(seconds=seconds) if seconds else None, local.date()


def expected_rows(world, now):
    """Rows of timeseries by table and key, and the number of rejected records by type."""
    rows, rejected = collections.defaultdict(dict), collections.Counter()
    for person in world.people:
        halves = {}
        for one in person.samples:
            if one.visible > now:
                continue
            table = "blood_pressure" if one.kind in PRESSURE else one.kind
            series = world.catalogue[table]
            value = convert(series, one, one.value_at(now))
            (least, most), (low, high) = series["possible"], series["plausible"]
            if value is None or not least <= value <= most:
                rejected[table] += 1
                continue
            start, end, date = frame(person, one)
            row = {"value": value, "start": start, "end": end, "date": date, "one": one, "suspect": not low <= value <= high,
                   "origin": "profile" if one.offset is None else "sample"}
            key = (person.name, one.provider, bool(one.total), start)
            if one.kind in PRESSURE:
                other = halves.pop(key, None)
                if other is None:
                    halves[key] = row
                    continue
                upper, lower = (row, other) if one.kind == PRESSURE[0] else (other, row)
                rows[table][key] = {**upper, "lower": lower["value"], "suspect": upper["suspect"] or lower["suspect"]}
            else:
                assert key not in rows[table], (table, key)
                rows[table][key] = row
        rejected["blood_pressure"] += len(halves)
    return rows, rejected
