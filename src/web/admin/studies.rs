//! The list of studies, and the form to create or change one.

use http::StatusCode;
use maud::{Markup, html};
use warp::reply::Response;

use crate::app::state::App;
use crate::i18n::texts::Texts;
use crate::model::account::Role;
use crate::model::audit_detail::AuditDetail;
use crate::model::catalog::{code as code_table, series};
use crate::model::patient::{normalize_time_zone, parse_name};
use crate::model::study::{Scope, StudyId, Terms, parse_purpose};
use crate::store::samples::code::{self, DataSourceCodes};
use crate::store::{error::StoreError, people::study, privacy::audit};
use crate::web::access::{COORDINATED_STUDY, OPERATOR, Operator, STAFF, Staff, VISIBLE_STUDY, VisibleStudy};
use crate::web::admin::staff::{PAGE, STUDIES_ARE_JHES, render_staff_page, split_page};
use crate::web::admin::study::frame::render_study_page;
use crate::web::admin::study_window;
use crate::web::layout::Column::{Number, Text};
use crate::web::layout::{FormErrors, checkbox, count, form, group_error, notice, table_head};
use crate::web::request::{FormFields, Request};
use crate::web::response::{HandlerResult, Refusal, see_other, with_status};
use crate::web::route::{Route, get, post};
use crate::web::time_zone_options::render_options;

const TIME_ZONE_HELP: &str = "Where the participants live. A patient whom you enrol gets it, and can change it before \
                              agreeing.";

pub(crate) fn routes() -> Vec<Route> {
    vec![
        get("/admin/studies", STAFF, list),
        get("/admin/studies/new", OPERATOR, show_new),
        post("/admin/studies/new", OPERATOR, add),
        get("/admin/studies/{study}/settings", VISIBLE_STUDY, show),
        post("/admin/studies/{study}/settings", COORDINATED_STUDY, change),
    ]
}

async fn list(app: &App, request: &Request, staff: &Staff) -> HandlerResult {
    let after = request.query.number("after").unwrap_or(0);
    let visible_to = staff.visible_to();
    let read = move |db: &_| {
        let studies = study::list(db, visible_to, Role::Viewer, after, PAGE + 1)?.into_iter();
        let counted = studies.map(|one| Ok((study::count_enrolled(db, visible_to, one.id)?, one)));
        counted.collect::<Result<Vec<_>, StoreError>>()
    };
    let (studies, more) = split_page(app.store.read(read).await?);
    let next = studies.last().filter(|_| more).map(|(_, last)| last.id);
    let body = html! {
        div.heading {
            h1 { "Studies" }
            @if staff.may(Role::Operator) { a.button href="/admin/studies/new" { "Add a study" } }
        }
        @if studies.is_empty() && staff.account().is_of_jhe() {
            p.empty { "No study of your organizations has patients here yet. Studies are made in JHE." }
        } @else if studies.is_empty() {
            p.empty { "There are no studies yet. A study states who asks patients for which data, and why." }
        } @else {
            table {
                (table_head(&[
                    Text("Study"), Text("Institution"), Text("Data types"), Text("Data sources"),
                    Number("Patients"),
                ]))
                tbody { @for (patients, one) in &studies { tr {
                    th scope="row" data-label="Study" { a href={ "/admin/studies/" (one.id) } {
                        (one.id) " " (one.terms.name)
                    } }
                    td data-label="Institution" { (one.terms.organization) }
                    td data-label="Data types" { (scope_names(&one.terms)) }
                    td data-label="Data sources" { (source_names(&one.terms)) }
                    td.number data-label="Patients" { (count(*patients)) }
                } } }
            }
        }
        @if let Some(next) = next { p { a.button href={ "/admin/studies?after=" (next) } { "More studies" } } }
    };
    Ok(render_staff_page(app, staff, "/admin/studies", "Studies", &body))
}

fn scope_names(terms: &Terms) -> String {
    terms.scopes.iter().map(|scope| scope.display.as_str()).collect::<Vec<_>>().join(", ")
}

fn source_names(terms: &Terms) -> String {
    if terms.data_sources.is_empty() { "any".to_owned() } else { terms.data_sources.join(", ") }
}

/// The data types and data sources that the form offers.
struct StudyOptions {
    scopes: Vec<Scope>,
    sources: Vec<String>,
    deliveries: DataSourceCodes,
}

impl StudyOptions {
    /// Scopes without a code at JHE are left out in connected mode, since JHE would reject their observations. Scopes
    /// that the study already asks for stay.
    async fn load(app: &App, terms: &Terms) -> Result<Self, Refusal> {
        let (is_connected, present) = (app.live.jhe().is_some(), terms.scopes.clone());
        let read = move |db: &_| {
            let mut scopes = code::list_deliverable(db)?;
            let is_present = |scope: &Scope| present.contains(scope);
            scopes.retain(|scope| !is_connected || code_table::in_jhe_seed(&scope.code) || is_present(scope));
            Ok(Self { scopes, sources: code::list_data_sources(db)?, deliveries: DataSourceCodes::load(db)? })
        };
        Ok(app.store.read(read).await?)
    }

    fn scope_groups(&self) -> Vec<(&'static str, Vec<&Scope>)> {
        let mut groups: Vec<(&str, Vec<&Scope>)> = Vec::new();
        for (name, codes) in code_table::GROUPS {
            let listed = codes.iter().filter_map(|code| self.scopes.iter().find(|scope| scope.code == *code));
            groups.push((name, listed.collect()));
        }
        let is_listed =
            |scope: &Scope| code_table::GROUPS.iter().any(|(_, codes)| codes.contains(&&*scope.code));
        groups.push(("Others", self.scopes.iter().filter(|scope| !is_listed(scope)).collect()));
        groups.retain(|(_, scopes)| !scopes.is_empty());
        groups
    }
}

/// Reads the form and collects the errors per field.
fn parse_terms(fields: &FormFields, options: &StudyOptions, present: &Terms) -> (Terms, FormErrors) {
    let mut errors = FormErrors::default();
    let ticked = |name: &'static str, value: &str| fields.all(name).any(|one| one == value);
    let mut terms = Terms {
        name: fields.get("name").to_owned(),
        organization: fields.get("organization").to_owned(),
        purpose: fields.get("purpose").to_owned(),
        contact: fields.get("contact").to_owned(),
        scopes: options.scopes.iter().filter(|scope| ticked("scope", &scope.code)).cloned().collect(),
        data_sources: options.sources.iter().filter(|source| ticked("source", source)).cloned().collect(),
        time_zone: Some(fields.get("tz"))
            .filter(|zone| !zone.is_empty())
            .unwrap_or(&present.time_zone)
            .to_owned(),
        collection: study_window::parse(fields, &mut errors),
    };
    if let Some(time_zone) = errors.take("tz", normalize_time_zone(&terms.time_zone)) {
        terms.time_zone = time_zone;
    }
    let words = StudyWords::parse(fields, "name", &mut errors);
    (terms.name, terms.organization) = (words.name, words.organization);
    (terms.purpose, terms.contact) = (words.purpose, words.contact);
    if terms.scopes.is_empty() {
        errors.add("scope", "Data types: tick what patients are asked for");
    }
    if fields.all("scope").any(|one| options.scopes.iter().all(|scope| scope.code != one)) {
        errors.add("scope", "Data types: one that was sent is not among these");
    }
    if fields.all("source").any(|one| options.sources.iter().all(|source| source != one)) {
        errors.add("source", "Data sources: one that was sent is not among these");
    }
    (terms, errors)
}

async fn show_new(app: &App, _: &Request, operator: &Operator) -> HandlerResult {
    let options = StudyOptions::load(app, &Terms::default()).await?;
    // Ticks the only option, as nothing else can be meant.
    let only = |count: usize| count == 1;
    let terms = Terms {
        scopes: options.scopes.iter().filter(|_| only(options.scopes.len())).cloned().collect(),
        data_sources: options.sources.iter().filter(|_| only(options.sources.len())).cloned().collect(),
        ..Terms::default()
    };
    let (staff, errors) = (operator.staff(), FormErrors::default());
    let form = render_form(app, staff, None, &terms, &errors, &options);
    Ok(render_new(app, staff, &form))
}

fn render_new(app: &App, staff: &Staff, form: &Markup) -> Response {
    let body = html! {
        p.crumb { a href="/admin/studies" { "Studies" } }
        h1 { "Add a study" }
        (form)
    };
    render_staff_page(app, staff, "/admin/studies", "Add a study", &body)
}

/// Shows the form, or the terms alone to an account that may not change them.
async fn show(app: &App, request: &Request, visible: &VisibleStudy) -> HandlerResult {
    let (staff, one) = (visible.staff(), visible.study());
    if visible.may_change() {
        let options = StudyOptions::load(app, &one.terms).await?;
        let body = html! {
            (notice(if request.query.get("done") == "saved" { "Saved." } else { "" }))
            (render_form(app, staff, Some(one.id), &one.terms, &FormErrors::default(), &options))
        };
        return render_study_page(app, visible, "/settings", None, body).await;
    }
    let terms = &one.terms;
    let body = html! {
        dl.terms {
            dt { "Institution" } dd { (terms.organization) }
            dt { "Why" } dd { (terms.purpose) }
            dt { "Contact" } dd { (terms.contact) }
            dt { "Time zone" } dd { (terms.time_zone) }
            dt { "Data types" } dd { (scope_names(terms)) }
            dt { "Data sources" } dd { (source_names(terms)) }
            dt { "Collection window" } dd { (terms.collection.describe()) }
        }
    };
    render_study_page(app, visible, "/settings", None, body).await
}

/// Renders the form of a study; `id` is none for a new one.
fn render_form(
    app: &App,
    staff: &Staff,
    id: Option<StudyId>,
    terms: &Terms,
    errors: &FormErrors,
    options: &StudyOptions,
) -> Markup {
    let action = id.map_or("/admin/studies/new".to_owned(), |id| format!("/admin/studies/{id}/settings"));
    html! {
        (errors.summary())
        @if id.is_some() {
            p.fine { "Existing consents keep the text that was agreed to; patients who agree from now on see this one." }
        }
        (form(&action, staff.token(), &html! {
            (render_words("name", [&terms.name, &terms.organization, &terms.purpose, &terms.contact], errors))
            (errors.select("tz", "Time zone", TIME_ZONE_HELP, &render_options(Texts::ENGLISH, &terms.time_zone, [], app.clock.now())))
            (render_checkboxes(terms, options, errors))
            (study_window::render(terms.collection, errors))
            div.actions {
                button type="submit" { "Save" }
                a href={ "/admin/studies" @if let Some(id) = id { "/" (id) } } { "Cancel" }
            }
        }))
    }
}

/// The words of a study that patients read.
pub(crate) struct StudyWords {
    pub(crate) name: String,
    pub(crate) organization: String,
    pub(crate) purpose: String,
    pub(crate) contact: String,
}

impl StudyWords {
    /// Reads the fields; `name_field` is that of the name. What is wrong stays as it was typed, with its error.
    pub(crate) fn parse(fields: &FormFields, name_field: &'static str, errors: &mut FormErrors) -> Self {
        let mut take = |field: &'static str, label, parse: fn(&str) -> Result<String, String>| {
            let parsed = parse(fields.get(field)).map_err(|why| format!("{label}: {why}"));
            errors.take(field, parsed).unwrap_or_else(|| fields.get(field).to_owned())
        };
        Self {
            name: take(name_field, "Name", parse_name),
            organization: take("organization", "Institution", parse_name),
            purpose: take("purpose", "Why", parse_purpose),
            contact: take("contact", "Contact", parse_name),
        }
    }
}

/// Renders the fields of [`StudyWords`] with the name, institution, purpose and contact.
pub(crate) fn render_words(name_field: &'static str, words: [&str; 4], errors: &FormErrors) -> Markup {
    let [name, organization, purpose, contact] = words;
    let why = "In words that patients read before they agree: what for, and what happens with the data.";
    let whom = "A person with an address or a number; patients write there with questions.";
    html! {
        (errors.field(name_field, "Name", "As patients know the study.", name, "text").required())
        (errors.field("organization", "Institution", "Your institution.", organization, "text").required())
        (errors.field("purpose", "Why", why, purpose, "textarea").required())
        (errors.field("contact", "Contact", whom, contact, "text").required())
    }
}

fn render_scope(scope: &Scope, terms: &Terms, options: &StudyOptions) -> Markup {
    let label = html! {
        (scope.display) " " code { (scope.code) }
        span.covers { (code_table::patient_description(&scope.code).unwrap_or_default()) }
        // The rare ones are many: the page stays small without their devices.
        @if is_common(scope) { span.covers { "From " (options.deliveries.of(&scope.code).join(", ")) } }
    };
    checkbox(&format!("scope-{}", scope.code), "scope", &scope.code, terms.scopes.contains(scope), &label)
}

/// Codes that JHE or an operator has added count as common: there are few.
fn is_common(scope: &Scope) -> bool {
    series::is_common(&scope.code) || code_table::patient_description(&scope.code).is_none()
}

/// Renders the common codes, or the others, by group.
fn render_groups(terms: &Terms, options: &StudyOptions, common: bool) -> Markup {
    let mut groups = options.scope_groups();
    for (_, scopes) in &mut groups {
        scopes.retain(|scope| is_common(scope) == common);
    }
    html! {
        div.groups { @for (name, scopes) in groups.iter().filter(|(_, scopes)| !scopes.is_empty()) {
            fieldset {
                legend { (name) }
                @for scope in scopes { (render_scope(scope, terms, options)) }
            }
        } }
    }
}

fn render_checkboxes(terms: &Terms, options: &StudyOptions, errors: &FormErrors) -> Markup {
    html! {
        fieldset #scope {
            legend { "Data types that patients are asked for" }
            (group_error(errors, "scope"))
            @if options.scopes.is_empty() { p.help { "There are none: run " code { "jhe-ow seed" } " once." } }
            p.help { "A patient is asked only for what the patient's device measures." }
            (render_groups(terms, options, true))
            @let is_open = terms.scopes.iter().any(|scope| !is_common(scope));
            details open[is_open] {
                summary { "More data types" }
                (render_groups(terms, options, false))
            }
        }
        fieldset #source {
            legend { "Data sources" }
            (group_error(errors, "source"))
            p.help { "Patients can connect only these. Tick none to allow all that OW supports." }
            @for source in &options.sources {
                (checkbox(&format!("source-{source}"), "source", source, terms.data_sources.contains(source),
                          &html! { (source) }))
            }
        }
    }
}

async fn add(app: &App, request: &Request, operator: &Operator) -> HandlerResult {
    let staff = operator.staff();
    match save(app, request, staff, None, &Terms::default()).await? {
        Ok(study) => Ok(see_other(&format!("/admin/studies/{study}"))),
        Err(form) => Ok(with_status(StatusCode::BAD_REQUEST, render_new(app, staff, &form))),
    }
}

async fn change(app: &App, request: &Request, visible: &VisibleStudy) -> HandlerResult {
    visible.staff().require_local(STUDIES_ARE_JHES)?;
    let (id, terms) = (visible.study().id, &visible.study().terms);
    match save(app, request, visible.staff(), Some(id), terms).await? {
        Ok(study) => Ok(see_other(&format!("/admin/studies/{study}/settings?done=saved"))),
        Err(form) => {
            let page = render_study_page(app, visible, "/settings", None, form).await?;
            Ok(with_status(StatusCode::BAD_REQUEST, page))
        }
    }
}

/// Saves the study. Returns the form with its errors if it is not accepted.
async fn save(
    app: &App,
    request: &Request,
    staff: &Staff,
    id: Option<StudyId>,
    present: &Terms,
) -> Result<Result<StudyId, Markup>, Refusal> {
    let options = StudyOptions::load(app, present).await?;
    let (terms, mut errors) = parse_terms(request.form(), &options, present);
    if errors.is_empty() {
        let (who, now, wanted) = (staff.actor(), app.clock.now(), terms.clone());
        let write = move |db: &_| {
            let (study, action) = match id {
                Some(id) => (study::update(db, id, &wanted, now).map(|()| id)?, "study.change"),
                None => (study::insert(db, &wanted, now)?, "study.add"),
            };
            audit::record(db, now, who, action, None, AuditDetail::from("study").with(study))?;
            Ok(study)
        };
        match app.store.write(write).await {
            Ok(study) => return Ok(Ok(study)),
            Err(StoreError::Refused(why)) => errors.add("name", format!("Name: {why}")),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Err(render_form(app, staff, id, &terms, &errors, &options)))
}
