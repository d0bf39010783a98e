"""Validate everything the server gives out against the fhir.resources models (R5 and R4B)."""
import argparse
import collections
import gzip
import json
import pathlib
import sys
import time
from importlib.metadata import version

import requests
from fhir.resources import R4B, get_fhir_model_class

MODELS = {"R5": get_fhir_model_class, "R5/vitals": get_fhir_model_class, "R4": R4B.get_fhir_model_class}
TYPES = ("Patient", "Observation", "Device", "Group")

ap = argparse.ArgumentParser(description=__doc__)
ap.add_argument("--url", default="http://127.0.0.1:8090")
ap.add_argument("--token", required=True)
ap.add_argument("--count", default="200", help="page size to ask for")
ap.add_argument("--study", help="keep the observations to this study")
ap.add_argument("--expected", help="CSV of `jhe-ow observations`")
ap.add_argument("--bulk", type=pathlib.Path, help="folder with NDJSON files of a bulk export")
ap.add_argument("--bulk-release", choices=MODELS, default="R4")
args = ap.parse_args()

session = requests.Session()
session.headers["Authorization"] = f"Bearer {args.token}"
session.headers["Accept"] = "application/fhir+json"
valid, faults, pages, lists = collections.Counter(), collections.Counter(), 0, {}
started = time.monotonic()


def check(release, resource, where):
    """Validate one resource and keep the first few complaints for the report."""
    kind = resource.get("resourceType", "?")
    try:
        MODELS[release](kind).model_validate(resource)
        valid[f"{release} {kind}"] += 1
    except Exception as exc:
        faults[f"{release} {kind}"] += 1
        if faults[f"{release} {kind}"] <= 3:
            print(f"{where}: {kind}/{resource.get('id')}: {exc}", file=sys.stderr)


def fault(key, text):
    faults[key] += 1
    print(text, file=sys.stderr)


for release in MODELS:
    base = f"{args.url.rstrip('/')}/FHIR/{release}"
    check(release, session.get(f"{base}/metadata").json(), f"{base}/metadata")
    for kind in TYPES:
        params = {"_count": args.count}
        if kind == "Observation" and args.study:
            params["patient._has:Group:member:_id"] = args.study
        url, ids, found = f"{base}/{kind}", set(), []
        while url:
            answer = session.get(url, params=params)
            answer.raise_for_status()
            bundle, params = answer.json(), None
            pages += 1
            if not answer.headers["Content-Type"].startswith("application/fhir+json"):
                fault(f"{release} {kind}", f"{url}: Content-Type {answer.headers['Content-Type']}")
            entries = bundle.get("entry", [])
            # The page itself without its resources, then the resources one by one.
            shell = [{k: v for k, v in entry.items() if k != "resource"} for entry in entries]
            check(release, {**bundle, "entry": shell}, url)
            for resource in (entry["resource"] for entry in entries):
                check(release, resource, url)
                if resource["id"] in ids:
                    fault(f"{release} {kind}", f"{url}: {kind}/{resource['id']} came twice")
                ids.add(resource["id"])
                found.append(resource)
            url = next((link["url"] for link in bundle.get("link", []) if link["relation"] == "next"), None)
        if bundle.get("total", len(found)) != len(found):
            fault(f"{release} {kind}", f"{base}/{kind}: total {bundle['total']}, {len(found)} came")
        lists[release, kind] = found

if args.bulk:
    for path in sorted(p for p in args.bulk.rglob("*.ndjson*") if p.is_file() and "log." not in p.name):
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                check(args.bulk_release, json.loads(line), f"{path}:{number}")

if args.expected:
    from common import compare
    for release in MODELS:
        rows = [r["identifier"][0]["value"] for r in lists[release, "Observation"]]
        if compare(f"{release} Observation", rows, args) == "DIFFERENT":
            faults[f"{release} rows"] += 1

total = sum(valid.values())
detail = ", ".join(f"{count} {name}" for name, count in sorted(valid.items()))
print(f"fhir.resources {version('fhir.resources')}: {total} valid ({detail}), "
      f"{sum(faults.values())} faults {dict(faults) or ''}, {pages} pages, "
      f"{time.monotonic() - started:.2f} s")
sys.exit(1 if faults else 0)
