"""All observations of a study with fhir-pyrate, as a data frame, in three ways."""
import warnings
from importlib.metadata import version

from fhir_pyrate import Ahoy, Pirate

from common import Requests, arguments, finish, study_params

args = arguments(__doc__, base="/FHIR/R5/")
warnings.simplefilter("ignore")  # it warns that it adds _sort=_id
auth = Ahoy(token=args.token)
seen = Requests()
auth.session.hooks["response"].append(seen.hook)
search = Pirate(auth=auth, base_url=args.url + args.base, num_processes=1)
study = study_params(args.study)

frame = search.steal_bundles_to_dataframe("Observation", {**study, "_count": 1000})
assert len(frame), "no observations in this study, or the request failed (see the log above)"
identifiers = list(frame["identifier_0_value"])

# A failed page is only logged by fhir-pyrate, so compare with the server's own total.
total = search.get_bundle_total("Observation", {**study, "_count": 1})
assert total is None or total == len(identifiers), f"total {total}, rows {len(identifiers)}"

# The same rows by time span, and then patient by patient.
by_date = search.sail_through_search_space_to_dataframe(
    "Observation", time_attribute_name="date", date_init="1900-01-01", date_end="2100-01-01",
    request_params={**study, "_count": 1000})
assert sorted(by_date["identifier_0_value"]) == sorted(identifiers), "by date: other rows"

patients = frame[["subject_reference"]].drop_duplicates()
by_patient = search.trade_rows_for_dataframe(
    patients, "Observation", df_constraints={"patient": "subject_reference"},
    request_params={**study, "_count": 1000})
assert sorted(by_patient["identifier_0_value"]) == sorted(identifiers), "by patient: other rows"

finish("fhir-pyrate", version("fhir-pyrate"), identifiers, seen.count, seen.seconds(),
       args, f"total {total}, {len(patients)} patients, {len(frame.columns)} columns")
