//! Studies: the list, and the form that makes or changes one.

use http::StatusCode;
use maud::{Markup, html};
use warp::reply::Response;

use crate::app::state::App;
use crate::model::patient::parse_name;
use crate::model::study::{Scope, Study, StudyId, Terms};
use crate::store::samples::code::{self, DataSourceCodes};
use crate::store::{error::StoreError, people::study, privacy::audit};
use crate::web::access::{MANAGER, STAFF, Staff};
use crate::web::admin::staff::{PAGE, STUDIES_ARE_JHES, cut, page};
use crate::web::layout::Column::{Number, Text};
use crate::web::layout::{FormErrors, checkbox, count, form, group_error, table_head};
use crate::web::request::{FormFields, Request};
use crate::web::response::{HandlerResult, Refusal, see_other, with_status};
use crate::web::route::{Route, get, post};

/// Characters of a purpose: what people read to its end.
const LONGEST: usize = 4000;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        get("/admin/studies", STAFF, list),
        get("/admin/studies/new", MANAGER, show_new),
        post("/admin/studies/new", MANAGER, add),
        get("/admin/studies/{study}", STAFF, show),
        post("/admin/studies/{study}", MANAGER, change),
    ]
}

async fn list(app: &App, request: &Request, staff: &Staff) -> HandlerResult {
    let after = request.query.number("after").unwrap_or(0);
    let reach = staff.visible_to();
    let read = move |db: &_| {
        let studies = study::list(db, reach, after, PAGE + 1)?.into_iter();
        let counted = studies.map(|one| Ok((study::count_enrolled(db, reach, one.id)?, one)));
        counted.collect::<Result<Vec<_>, StoreError>>()
    };
    let (studies, more) = cut(app.store.read(read).await?);
    let next = studies.last().filter(|_| more).map(|(_, last)| last.id);
    let body = html! {
        div.heading {
            h1 { "Studies" }
            @if staff.may_create() { a.button href="/admin/studies/new" { "Make a study" } }
        }
        @if studies.is_empty() && staff.account().is_of_jhe() {
            p.empty { "No study of your organizations has patients here yet. Studies are made in JHE." }
        } @else if studies.is_empty() {
            p.empty { "There are no studies yet. A study says who asks patients for which data, and why." }
        } @else {
            table {
                (table_head(&[
                    Text("Study"), Text("Who asks"), Text("Scopes"), Text("Data sources"),
                    Number("Patients"),
                ]))
                tbody { @for (patients, one) in &studies { tr {
                    th scope="row" data-label="Study" { a href={ "/admin/studies/" (one.id) } {
                        (one.id) " " (one.terms.name)
                    } }
                    td data-label="Who asks" { (one.terms.organization) }
                    td data-label="Scopes" { (scope_names(&one.terms)) }
                    td data-label="Data sources" { (sources(&one.terms)) }
                    td.number data-label="Patients" { (count(*patients)) }
                } } }
            }
        }
        @if let Some(next) = next { p { a.button href={ "/admin/studies?after=" (next) } { "More studies" } } }
    };
    Ok(page(app, staff, "/admin/studies", "Studies", &body))
}

fn scope_names(terms: &Terms) -> String {
    terms.scopes.iter().map(|scope| scope.display.as_str()).collect::<Vec<_>>().join(", ")
}

fn sources(terms: &Terms) -> String {
    if terms.data_sources.is_empty() { "any".to_owned() } else { terms.data_sources.join(", ") }
}

/// What can be ticked.
struct Offered {
    scopes: Vec<Scope>,
    sources: Vec<String>,
    deliveries: DataSourceCodes,
}

impl Offered {
    /// `terms` are those of the study as it is: what it asks for already can stay. Where JHE is connected, what it has
    /// no code for is not offered beyond that: it would not take it.
    async fn load(app: &App, terms: &Terms) -> Result<Self, Refusal> {
        let (is_connected, present) = (app.live.jhe().is_some(), terms.scopes.clone());
        let read = move |db: &_| {
            let mut scopes = code::list_deliverable(db)?;
            let stays = |scope: &Scope| present.contains(scope);
            scopes.retain(|scope| {
                !is_connected || crate::model::catalog::code::in_jhe_seed(&scope.code) || stays(scope)
            });
            Ok(Self { scopes, sources: code::list_data_sources(db)?, deliveries: DataSourceCodes::load(db)? })
        };
        Ok(app.store.read(read).await?)
    }

    /// The scopes in groups, each with its name.
    fn groups(&self) -> Vec<(&'static str, Vec<&Scope>)> {
        let mut groups: Vec<(&str, Vec<&Scope>)> = Vec::new();
        for (name, codes) in crate::model::catalog::code::GROUPS {
            let listed = codes.iter().filter_map(|code| self.scopes.iter().find(|scope| scope.code == *code));
            groups.push((name, listed.collect()));
        }
        let is_listed = |scope: &Scope| {
            crate::model::catalog::code::GROUPS.iter().any(|(_, codes)| codes.contains(&&*scope.code))
        };
        groups.push(("Others", self.scopes.iter().filter(|scope| !is_listed(scope)).collect()));
        groups.retain(|(_, scopes)| !scopes.is_empty());
        groups
    }
}

/// Reads the form; what is wrong is said beside each field.
fn read_terms(fields: &FormFields, offered: &Offered) -> (Terms, FormErrors) {
    let mut errors = FormErrors::default();
    let ticked = |name: &'static str, value: &str| fields.all(name).any(|one| one == value);
    let terms = Terms {
        name: fields.get("name").to_owned(),
        organization: fields.get("organization").to_owned(),
        purpose: fields.get("purpose").to_owned(),
        contact: fields.get("contact").to_owned(),
        scopes: offered.scopes.iter().filter(|scope| ticked("scope", &scope.code)).cloned().collect(),
        data_sources: offered.sources.iter().filter(|source| ticked("source", source)).cloned().collect(),
    };
    errors.take("name", parse_name(&terms.name).map_err(|why| format!("Name: {why}")));
    errors.take("organization", parse_name(&terms.organization).map_err(|why| format!("Who asks: {why}")));
    if terms.purpose.is_empty() || terms.purpose.chars().count() > LONGEST {
        errors.add(
            "purpose",
            format!("Why: say it in words that patients read, in at most {LONGEST} characters"),
        );
    }
    errors.take("contact", parse_name(&terms.contact).map_err(|why| format!("Whom to ask: {why}")));
    if terms.scopes.is_empty() {
        errors.add("scope", "Scopes: tick what patients are asked for");
    }
    (terms, errors)
}

async fn show_new(app: &App, _: &Request, staff: &Staff) -> HandlerResult {
    staff.require_local(STUDIES_ARE_JHES)?;
    let offered = Offered::load(app, &Terms::default()).await?;
    // One that is the only one is meant.
    let only = |count: usize| count == 1;
    let terms = Terms {
        scopes: offered.scopes.iter().filter(|_| only(offered.scopes.len())).cloned().collect(),
        data_sources: offered.sources.iter().filter(|_| only(offered.sources.len())).cloned().collect(),
        ..Terms::default()
    };
    let ask = Ask { id: None, terms: &terms, errors: &FormErrors::default(), is_saved: false };
    Ok(ask.page(app, staff, &offered))
}

/// Shows the form, or the terms alone to an account that may not change them.
async fn show(app: &App, request: &Request, staff: &Staff) -> HandlerResult {
    let one = find(app, request, staff).await?;
    if staff.may_create() {
        let offered = Offered::load(app, &one.terms).await?;
        let ask = Ask {
            id: Some(one.id),
            terms: &one.terms,
            errors: &FormErrors::default(),
            is_saved: request.query.get("done") == "saved",
        };
        return Ok(ask.page(app, staff, &offered));
    }
    let terms = &one.terms;
    let body = html! {
        h1 { (terms.name) }
        dl.terms {
            dt { "Who asks" } dd { (terms.organization) }
            dt { "Why" } dd { (terms.purpose) }
            dt { "Whom to ask" } dd { (terms.contact) }
            dt { "Scopes" } dd { (scope_names(terms)) }
            dt { "Data sources" } dd { (sources(terms)) }
        }
    };
    Ok(page(app, staff, "/admin/studies", &terms.name, &body))
}

/// A study out of reach is one that is not there.
async fn find(app: &App, request: &Request, staff: &Staff) -> Result<Study, Refusal> {
    let id: StudyId = request.parameter("study").parse().map_err(|_| Refusal::not_found())?;
    let reach = staff.visible_to();
    let read = move |db: &_| {
        if study::is_visible(db, reach, id)? { study::find(db, id).map(Some) } else { Ok(None) }
    };
    app.store.read(read).await?.ok_or_else(Refusal::not_found)
}

/// The form.
struct Ask<'a> {
    /// None for a new study.
    id: Option<StudyId>,
    terms: &'a Terms,
    errors: &'a FormErrors,
    is_saved: bool,
}

impl Ask<'_> {
    fn page(&self, app: &App, staff: &Staff, offered: &Offered) -> Response {
        let (title, action) = match self.id {
            Some(id) => ("Change a study", format!("/admin/studies/{id}")),
            None => ("Make a study", "/admin/studies/new".to_owned()),
        };
        let body = html! {
            h1 { (title) }
            @if self.is_saved {
                p.notice role="status" { "Saved. " a href="/admin/patients/new" { "Add a patient" } " to it." }
            }
            (self.errors.summary())
            @if self.id.is_some() {
                p.fine { "Consents that were given keep the text that was agreed to; whoever is invited from now \
                          on reads this one." }
            }
            (form(&action, staff.token(), &html! {
                (words(self.terms, self.errors))
                (ticks(self.terms, offered, self.errors))
                div.actions {
                    button type="submit" { "Save" }
                    a href="/admin/studies" { "Cancel" }
                }
            }))
        };
        page(app, staff, "/admin/studies", title, &body)
    }
}

fn words(terms: &Terms, errors: &FormErrors) -> Markup {
    let why = "In words that patients read before they agree: what for, and what happens with the data.";
    let whom = "A person with an address or a number; patients write there with questions.";
    html! {
        (errors.field("name", "Name", "As patients know the study.", &terms.name, "text"))
        (errors.field("organization", "Who asks", "Your institution.", &terms.organization, "text"))
        (errors.field("purpose", "Why", why, &terms.purpose, "textarea"))
        (errors.field("contact", "Whom to ask", whom, &terms.contact, "text"))
    }
}

fn tick(scope: &Scope, terms: &Terms, offered: &Offered) -> Markup {
    let label = html! {
        (scope.display) " " code { (scope.code) }
        span.covers { (crate::model::catalog::code::patient_description(&scope.code).unwrap_or_default()) }
        span.covers { "From " (offered.deliveries.of(&scope.code).join(", ")) }
    };
    checkbox(&format!("scope-{}", scope.code), "scope", &scope.code, terms.scopes.contains(scope), &label)
}

fn ticks(terms: &Terms, offered: &Offered, errors: &FormErrors) -> Markup {
    html! {
        fieldset #scope {
            legend { "Scopes that patients are asked for" }
            (group_error(errors, "scope"))
            @if offered.scopes.is_empty() { p.help { "There are none: run " code { "jhe-ow seed" } " once." } }
            p.help { "A patient is asked only for what the patient's device measures." }
            div.groups { @for (name, scopes) in offered.groups() {
                fieldset {
                    legend { (name) }
                    @for scope in scopes { (tick(scope, terms, offered)) }
                }
            } }
        }
        fieldset {
            legend { "Data sources" }
            p.help { "Patients connect these only; without a tick, any that OW has." }
            @for source in &offered.sources {
                (checkbox(&format!("source-{source}"), "source", source, terms.data_sources.contains(source),
                          &html! { (source) }))
            }
        }
    }
}

async fn add(app: &App, request: &Request, staff: &Staff) -> HandlerResult {
    save(app, request, staff, None, &Terms::default()).await
}

async fn change(app: &App, request: &Request, staff: &Staff) -> HandlerResult {
    let one = find(app, request, staff).await?;
    save(app, request, staff, Some(one.id), &one.terms).await
}

async fn save(
    app: &App,
    request: &Request,
    staff: &Staff,
    id: Option<StudyId>,
    present: &Terms,
) -> HandlerResult {
    staff.require_local(STUDIES_ARE_JHES)?;
    let offered = Offered::load(app, present).await?;
    let (terms, mut errors) = read_terms(request.form(), &offered);
    if errors.is_empty() {
        let (who, now, wanted) = (staff.actor(), app.clock.now(), terms.clone());
        let write = move |db: &_| {
            let (study, action) = match id {
                Some(id) => (study::update(db, id, &wanted).map(|()| id)?, "study.change"),
                None => (study::insert(db, &wanted, now)?, "study.add"),
            };
            audit::record(db, now, who, action, None, &format!("study {study}"))?;
            Ok(study)
        };
        match app.store.write(write).await {
            Ok(study) => return Ok(see_other(&format!("/admin/studies/{study}?done=saved"))),
            Err(StoreError::Refused(why)) => errors.add("name", format!("Name: {why}")),
            Err(error) => return Err(error.into()),
        }
    }
    let ask = Ask { id, terms: &terms, errors: &errors, is_saved: false };
    Ok(with_status(StatusCode::BAD_REQUEST, ask.page(app, staff, &offered)))
}
