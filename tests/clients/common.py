"""What the client scripts share: arguments, the expected rows, the verdict line."""
import argparse
import csv
import json
import sys
import time
import urllib.error
import urllib.request


def arguments(description, base=None):
    """The command line every script takes."""
    ap = argparse.ArgumentParser(description=description)
    ap.add_argument("--url", default="http://127.0.0.1:8090", help="root of the server")
    ap.add_argument("--token", required=True, help="bearer token")
    ap.add_argument("--study", help="only the observations of this study (a FHIR Group)")
    ap.add_argument("--expected", help="CSV written by `jhe-ow observations`")
    if base:
        ap.add_argument("--base", default=base, help="FHIR base path under the URL (default %(default)s)")
    args = ap.parse_args()
    args.url = args.url.rstrip("/")
    return args


def expected_rows(path, args):
    """The identifiers in the CSV of `jhe-ow observations --study N` that the consents of now let a token read."""
    shared = {}
    with open(path, newline="", encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    for patient in {row["patient"] for row in rows}:
        url = f"{args.url}/api/v1/patients/{patient}/consents"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {args.token}"})
        try:
            consents = json.load(urllib.request.urlopen(request))
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            continue
        shared[patient] = {scope["codingCode"] for scope in consents["consolidatedConsentedScopes"]}
    return [row["identifier"] for row in rows if row["code"] in shared.get(row["patient"], ())]


def study_params(study):
    """The search parameter that keeps to one study, as JupyterHealth Exchange names it."""
    return {"patient._has:Group:member:_id": study} if study else {}


class Requests:
    """Counts answers; give `.hook` to the `requests` library as a response hook."""

    def __init__(self):
        self.count = 0
        self.started = time.monotonic()

    def hook(self, response, *args, **kwargs):
        self.count += 1

    def seconds(self):
        return time.monotonic() - self.started


def compare(name, identifiers, args):
    """Compare with the CSV, say on stderr what differs, and return a word for the verdict.

    The CSV has the newest revision of each observation. At /FHIR/R5 earlier ones are resources of their own.
    """
    if not args.expected:
        return "not compared"
    wanted, got = expected_rows(args.expected, args), list(identifiers)
    newest = {identifier.split("#")[0]: identifier for identifier in wanted}
    known = set(wanted)
    got = [one for one in got if one in known or one.split("#")[0] not in newest]
    missing, extra = set(wanted) - set(got), set(got) - set(wanted)
    if len(wanted) == len(got) and not missing and not extra:
        return "same"
    print(f"{name}: {len(got)} rows but {len(wanted)} expected; "
          f"{len(missing)} missing {sorted(missing)[:5]}, {len(extra)} extra {sorted(extra)[:5]}",
          file=sys.stderr)
    return "DIFFERENT"


def finish(name, version, identifiers, requests, seconds, args, note=""):
    """Print the one line of figures and leave with 1 if anything differs."""
    result = compare(name, identifiers, args)
    print(f"{name} {version}: {len(identifiers)} rows, {requests} requests, {seconds:.2f} s, "
          f"{result}{'; ' + note if note else ''}")
    sys.exit(1 if result == "DIFFERENT" else 0)
