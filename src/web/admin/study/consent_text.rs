//! A study's texts for patients: languages, versions, the text as a patient sees it, and the form for the next version.

use std::time::Duration;

use http::StatusCode;
use jiff::tz::TimeZone;
use maud::{Markup, html};

use crate::app::state::App;
use crate::i18n::{language::Language, texts::Texts};
use crate::model::audit_detail::AuditDetail;
use crate::model::study::{Study, StudyId};
use crate::store::people::study;
use crate::store::people::study_text::{self, StudyText};
use crate::store::{error::StoreError, privacy::audit};
use crate::web::access::{COORDINATED_STUDY, VISIBLE_STUDY, VisibleStudy};
use crate::web::admin::studies::{StudyWords, render_words};
use crate::web::admin::study::frame::render_study_page;
use crate::web::layout::{FormErrors, form, notice};
use crate::web::patient::wording::Wording;
use crate::web::request::{FormFields, Request};
use crate::web::response::{HandlerResult, see_other, with_status};
use crate::web::route::{Route, get, post};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        get("/admin/studies/{study}/consent-text", VISIBLE_STUDY, show),
        post("/admin/studies/{study}/consent-text", COORDINATED_STUDY, save),
        post("/admin/studies/{study}/consent-text/language", COORDINATED_STUDY, set_own_language),
    ]
}

fn page_of(study: StudyId) -> String {
    format!("/admin/studies/{study}/consent-text")
}

/// All texts of a study.
struct TextsOfStudy {
    study: Study,
    own: Language,
    /// By language, the newest version first.
    all: Vec<StudyText>,
    first_read: Duration,
}

impl TextsOfStudy {
    async fn load(app: &App, study: &Study) -> Result<Self, StoreError> {
        let (id, study, first_read) =
            (study.id, study.clone(), app.store.settings().await?.first_connect_window());
        let read = move |db: &_| {
            let own = study_text::find_own_language(db, id)?;
            Ok(Self { study, own, all: study_text::list(db, id)?, first_read })
        };
        app.store.read(read).await
    }

    fn newest(&self, language: Language) -> Option<&StudyText> {
        self.all.iter().find(|text| text.language == language)
    }

    /// Returns an empty text if there is none in a language.
    fn draft(&self, language: Language) -> StudyText {
        let empty = || StudyText {
            language,
            version: 0,
            title: String::new(),
            organization: self.study.terms.organization.clone(),
            purpose: String::new(),
            contact: self.study.terms.contact.clone(),
            written: crate::common::time::Timestamp::from_micros(0),
        };
        self.newest(language).cloned().unwrap_or_else(empty)
    }

    fn is_written_at_jhe(&self, language: Language) -> bool {
        self.study.is_of_jhe && language == self.own
    }
}

fn name_of(language: Language) -> String {
    Texts::ENGLISH.get(&format!("language-{language}"))
}

async fn show(app: &App, request: &Request, visible: &VisibleStudy) -> HandlerResult {
    let texts = TextsOfStudy::load(app, visible.study()).await?;
    let language = Language::find(request.query.get("language")).unwrap_or(texts.own);
    let draft = texts.draft(language);
    render(app, request, visible, &texts, (&draft, &FormErrors::default())).await
}

async fn render(
    app: &App,
    request: &Request,
    visible: &VisibleStudy,
    texts: &TextsOfStudy,
    (draft, errors): (&StudyText, &FormErrors),
) -> HandlerResult {
    let (language, page) = (draft.language, page_of(texts.study.id));
    let version = request.query.number("version");
    let shown = texts
        .all
        .iter()
        .find(|text| text.language == language && version.is_none_or(|one| one == text.version));
    let is_saved =
        if request.query.get("done") == "saved" { "Saved. Patients read this text from now on." } else { "" };
    let body = html! {
        h2 { "Consent text" }
        (notice(is_saved))
        (errors.summary())
        nav.chips aria-label="Languages" { ul {
            @for one in Language::all() {
                li { a href={ (page) "?language=" (one) } aria-current=[(one == language).then_some("page")] {
                    (name_of(one))
                    @if one == texts.own { " (the study’s own)" }
                    @if texts.newest(one).is_none() { " – none yet" }
                } }
            }
        } }
        p.help {
            "Patients read the text in their language. Without one they read the study’s own text, and the page says so. \
             Consents keep the version that was read."
        }
        @match shown {
            Some(text) => (render_as_patients_see_it(texts, text)),
            None => p.empty { "This study has no text in " (name_of(language)) " yet." },
        }
        (render_versions(texts, language, &page))
        @if visible.may_change() && !texts.is_written_at_jhe(language) {
            h3 { "Write the next version" }
            (form(&page, visible.staff().token(), &render_fields(draft, errors)))
        }
        @if texts.is_written_at_jhe(language) { p.help { "This text is JHE’s. Change it there." } }
        @if visible.may_change() { (render_own_language(texts, visible, &page)) }
    };
    render_study_page(app, visible, "/consent-text", None, body).await
}

fn render_as_patients_see_it(texts: &TextsOfStudy, text: &StudyText) -> Markup {
    let wording = Wording::new(text, &texts.study.terms.scopes, texts.first_read);
    html! {
        section.card aria-label="As a patient sees it" {
            p.fine { "As a patient sees it who is asked for everything. Version " (text.version) "." }
            div lang=(text.language) {
                h2 { (text.title) }
                dl.terms { @for (heading, text) in wording.parts() { dt { (heading) } dd { (text) } } }
            }
        }
    }
}

fn render_versions(texts: &TextsOfStudy, language: Language, page: &str) -> Markup {
    html! {
        h3 { "Versions" }
        ul { @for text in texts.all.iter().filter(|text| text.language == language) {
            li {
                a href={ (page) "?language=" (language) "&version=" (text.version) } { "Version " (text.version) }
                ", " (Texts::ENGLISH.date(&TimeZone::UTC, text.written))
            }
        } }
    }
}

fn render_fields(draft: &StudyText, errors: &FormErrors) -> Markup {
    html! {
        input type="hidden" name="language" value=(draft.language);
        div lang=(draft.language) {
            (render_words("title", [&draft.title, &draft.organization, &draft.purpose, &draft.contact], errors))
        }
        button type="submit" { "Save in " (name_of(draft.language)) }
    }
}

/// Renders the choice of the language in which the study itself is written.
fn render_own_language(texts: &TextsOfStudy, visible: &VisibleStudy, page: &str) -> Markup {
    let help = "The language of the text in the study’s settings. Patients without a text in their language read it.";
    let options = html! {
        @for one in Language::all() { option value=(one) selected[one == texts.own] { (name_of(one)) } }
    };
    html! {
        details {
            summary { "The study’s own language: " (name_of(texts.own)) }
            (form(&format!("{page}/language"), visible.staff().token(), &html! {
                (FormErrors::default().select("own", "Own language", help, &options))
                button.quiet type="submit" { "Change" }
            }))
        }
    }
}

fn parse_text(fields: &FormFields, draft: &StudyText) -> (StudyText, FormErrors) {
    let mut errors = FormErrors::default();
    let words = StudyWords::parse(fields, "title", &mut errors);
    let StudyWords { name: title, organization, purpose, contact } = words;
    (StudyText { title, organization, purpose, contact, ..draft.clone() }, errors)
}

async fn save(app: &App, request: &Request, visible: &VisibleStudy) -> HandlerResult {
    let texts = TextsOfStudy::load(app, visible.study()).await?;
    let language = Language::find(request.form().get("language")).unwrap_or(texts.own);
    if texts.is_written_at_jhe(language) {
        return Ok(see_other(&page_of(texts.study.id)));
    }
    let (text, mut errors) = parse_text(request.form(), &texts.draft(language));
    if errors.is_empty() {
        let (one, wanted, who, now) =
            (texts.study.clone(), text.clone(), visible.staff().actor(), app.clock.now());
        let is_own = language == texts.own;
        let write = move |db: &_| {
            if is_own {
                let mut terms = one.terms.clone();
                (terms.name, terms.organization) = (wanted.title.clone(), wanted.organization.clone());
                (terms.purpose, terms.contact) = (wanted.purpose.clone(), wanted.contact.clone());
                study::update(db, one.id, &terms, now)?;
            }
            let version = study_text::save(db, one.id, &wanted, now)?;
            let detail =
                AuditDetail::from("study").with(one.id).with(language.tag()).with("version").with(version);
            audit::record(db, now, who, "study.text", None, detail)
        };
        match app.store.write(write).await {
            Ok(()) => {
                let page = page_of(texts.study.id);
                return Ok(see_other(&format!("{page}?language={language}&done=saved")));
            }
            Err(StoreError::Refused(why)) => errors.add("title", format!("Name of the study: {why}")),
            Err(error) => return Err(error.into()),
        }
    }
    let response = render(app, request, visible, &texts, (&text, &errors)).await?;
    Ok(with_status(StatusCode::BAD_REQUEST, response))
}

async fn set_own_language(app: &App, request: &Request, visible: &VisibleStudy) -> HandlerResult {
    let (id, who, now) = (visible.study().id, visible.staff().actor(), app.clock.now());
    if let Some(language) = Language::find(request.form().get("own")) {
        let write = move |db: &_| {
            study_text::set_own_language(db, id, language)?;
            let detail = AuditDetail::from("study").with(id).with(language.tag());
            audit::record(db, now, who, "study.language", None, detail)
        };
        app.store.write(write).await?;
    }
    Ok(see_other(&page_of(id)))
}
