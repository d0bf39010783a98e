"""All observations of a study with fhirpy."""
from importlib.metadata import version

from fhirpy import SyncFHIRClient
from fhirpy.base.searchset import Raw

from common import Requests, arguments, finish, study_params

args = arguments(__doc__, base="/FHIR/R5/")
seen = Requests()
client = SyncFHIRClient(args.url + args.base, authorization=f"Bearer {args.token}",
                        requests_config={"hooks": {"response": seen.hook}})

# Raw, because search() would turn the underscores of the parameter name into hyphens.
search = client.resources("Observation").search(Raw(**study_params(args.study)))
rows = search.limit(1000).fetch_all()
count = search.count()
assert count == len(rows), f"count() says {count}, rows {len(rows)}"

if rows:
    first = search.sort("_id").first()
    same = client.resources("Observation").search(_id=first.id).get()
    assert same["identifier"] == first["identifier"]
    first["subject"].to_resource()

finish("fhirpy", version("fhirpy"), [row["identifier"][0]["value"] for row in rows],
       seen.count, seen.seconds(), args, f"count() {count}")
