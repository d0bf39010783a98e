"""All observations of a study with fhirclient, whose R4 models are strict."""
from importlib.metadata import version

from fhirclient import client
from fhirclient.models.device import Device
from fhirclient.models.group import Group
from fhirclient.models.observation import Observation
from fhirclient.models.patient import Patient

from common import Requests, arguments, finish, study_params

args = arguments(__doc__, base="/FHIR/R4/")
base = args.url + args.base.rstrip("/") + "/"
seen = Requests()

# Without a token, the way its README starts: this reads the CapabilityStatement.
public = client.FHIRClient(settings={"app_id": "check", "api_base": base})
public.server.session.hooks["response"].append(seen.hook)
public.prepare()

# fhirclient takes a ready-made token only by way of its saved state.
smart = client.FHIRClient(state={"app_id": "check", "server": {
    "base_uri": base, "auth_type": "oauth2",
    "auth": {"app_id": "check", "access_token": args.token}}})
smart.server.session.hooks["response"].append(seen.hook)
assert smart.ready

others = {kind.__name__: sum(1 for _ in kind.where({}).perform_resources_iter(smart.server))
          for kind in (Patient, Device, Group)}
search = Observation.where({**study_params(args.study), "_count": "1000"})
rows = list(search.perform_resources_iter(smart.server))
if rows:
    Patient.read(rows[0].subject.reference.split("/")[-1], smart.server)

finish("fhirclient", version("fhirclient"), [row.identifier[0].value for row in rows],
       seen.count, seen.seconds(), args,
       ", ".join(f"{count} {kind}" for kind, count in others.items()))
