"""All observations of a study with jupyterhealth-client, as a data frame."""
import jupyterhealth_client
from jupyterhealth_client import JupyterHealthClient

from common import Requests, arguments, finish

args = arguments(__doc__)
client = JupyterHealthClient(args.url, token=args.token)
seen = Requests()
client.session.hooks["response"].append(seen.hook)

# The plain REST side: who am I, and what is there.
client.get_user()
organizations = list(client.list_organizations())
client.get_organization(organizations[0]["id"])
studies = list(client.list_studies())
study = args.study or studies[0]["id"]
client.get_study(study)
patients = list(client.list_patients(study_id=study))
client.get_patient(patients[0]["id"])
client.get_patient_consents(patients[0]["id"])
list(client.list_data_sources())
if patients[0]["identifiers"]:
    value = patients[0]["identifiers"][0]["value"]
    assert client.lookup_patient(external_id=value)["id"] == patients[0]["id"]

# The FHIR side. Without limit=None the client stops after 2000 observations.
types = client.list_fhir_resource_types()
frame = client.list_observations_df(study_id=study, limit=None)
assert {p["id"] for p in client.list_fhir("Patient")} >= {str(p["id"]) for p in patients}

# Columns that notebooks rely on.
wanted = ["resource_type", "code", "id", "status", "subject_reference",
          "identifier_0_value", "code_coding_0_code"]
assert len(frame), "no observations in this study"
lacking = [column for column in wanted if column not in frame.columns]
assert not lacking, f"columns missing from the data frame: {lacking}"

finish("jupyterhealth-client", jupyterhealth_client.__version__,
       list(frame["identifier_0_value"]), seen.count, seen.seconds(), args,
       f"{len(patients)} patients, {len(types)} types, {len(frame.columns)} columns")
