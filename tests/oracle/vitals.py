#!/usr/bin/env python3
"""Validates `jhe-ow observations --format fhir-vitals` with the Python package fhir.resources, as R5 and as R4B.

    jhe-ow observations --format fhir-vitals | python3 tests/oracle/vitals.py

The package is installed into a scratch environment. The package checks structure and types, not the
profiles. So every status must be known, every unit and code must have its system, the contained device must be referred
to, and a vital sign needs a patient, a time, and a value or components. Exit code 1: something is not valid, or there
was no line.
"""

import argparse
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGE = "fhir.resources==8.3.0"
# Runs inside the scratch environment: resources in, a line of result out.
WORKER = """
import collections, json, sys
from fhir.resources.observation import Observation as R5
from fhir.resources.R4B.observation import Observation as R4B

def own_faults(one):
    if one["status"] not in ("final", "corrected", "entered-in-error"):
        yield "an unknown status"
    if any(one["device"]["reference"] != "#" + device["id"] for device in one.get("contained", [])):
        yield "the contained device is not referred to"
    quantities = [one] + one.get("component", [])
    for quantity in (each["valueQuantity"] for each in quantities if "valueQuantity" in each):
        if quantity.get("system") != "http://unitsofmeasure.org" or not quantity.get("code"):
            yield "a quantity without UCUM"
    if any(not coding.get("system") or not coding.get("code") for coding in one["code"]["coding"]):
        yield "a coding without its system"
    category = one.get("category", [{"coding": [{"code": ""}]}])[0]["coding"][0]["code"]
    time = "effectiveDateTime" in one or "effectivePeriod" in one
    value = "valueQuantity" in one or one.get("component")
    if category == "vital-signs" and not ("subject" in one and time and value):
        yield "a vital sign without patient, time or value"

valid, kinds, shown, total = collections.Counter(), collections.Counter(), 0, 0
for line in sys.stdin:
    total += 1
    one = json.loads(line)
    category = one.get("category", [{"coding": [{"code": "no category"}]}])[0]["coding"][0]["code"]
    kinds[category, one["code"]["coding"][0]["code"]] += 1
    faults = list(own_faults(one))
    for name, model in (("R5", R5), ("R4B", R4B)):
        try:
            model.model_validate(one)
            valid[name] += 1
        except Exception as error:
            faults.append(f"{name}: {error}")
    valid["own checks"] += not [fault for fault in faults if not fault.startswith("R")]
    if faults and shown < 20:
        shown += 1
        print("; ".join(faults), line, sep="\\n  ")
for (category, code), count in sorted(kinds.items()):
    print(f"{count:7} {category:12} {code}")
print(f"{total} resources; valid: " + ", ".join(f"{name} {valid[name]}" for name in ("R5", "R4B", "own checks")))
sys.exit(total == 0 or any(valid[name] != total for name in ("R5", "R4B", "own checks")))
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scratch", type=pathlib.Path, default=ROOT / "target/oracle-fhir")
    arguments = parser.parse_args()
    python = arguments.scratch / "bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", arguments.scratch], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", PACKAGE], check=True)
    sys.exit(subprocess.run([python, "-c", WORKER]).returncode)


if __name__ == "__main__":
    main()
