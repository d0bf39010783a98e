"""All observations of a study with the smart-fetch command: bulk, crawl and export."""
import gzip
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version

from common import arguments, compare

args = arguments(__doc__, base="/FHIR/R4/")
program = pathlib.Path(sys.executable).with_name("smart-fetch")


def identifiers(folder):
    """The identifier of every Observation in the NDJSON files of a folder."""
    for path in sorted(folder.glob("Observation.*")):
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)["identifier"][0]["value"]


verdicts, figures = [], []
with tempfile.TemporaryDirectory() as tmp:
    tmp = pathlib.Path(tmp)
    token = tmp / "token"
    token.write_text(args.token)
    token.chmod(0o600)
    for mode in ("bulk", "crawl", "export"):
        out = tmp / mode
        # Without --no-default-filters it asks only for observations with certain categories.
        command = [program, mode, out, "--fhir-url", args.url + args.base, "--bearer-token", token,
                   "--type", "Patient,Observation,Device", "--no-default-filters"]
        command += ["--group", args.study] if args.study else []
        command += ["--hydration-tasks", "none"] if mode == "export" else []
        started = time.monotonic()
        run = subprocess.run(command, capture_output=True, text=True,
                             env={**os.environ, "COLUMNS": "200"})
        seconds = time.monotonic() - started
        problems = list(out.rglob("error/*"))
        if run.returncode or problems:
            print(run.stdout, run.stderr, *problems, sep="\n", file=sys.stderr)
            verdicts.append("FAILED")
        found = list(identifiers(out))  # `export` leaves links to its files here
        verdicts.append(compare(f"smart-fetch {mode}", found, args))
        figures.append(f"{mode} {len(found)} rows {seconds:.2f} s {verdicts[-1]}")

bad = {"FAILED", "DIFFERENT"} & set(verdicts)
print(f"smart-fetch {version('smart-fetch')}: {'; '.join(figures)}{'; FAILED' if bad else ''}")
sys.exit(1 if bad else 0)
