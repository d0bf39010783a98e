//! Sign-in at JHE (authorization code with PKCE) and the profiles of its users.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, Method};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use warp::reply::Response;

use super::{FakeJhe, answer, fields, html};

/// The OAuth client that a superuser created for the sign-in.
pub const CLIENT: &str = "jhe-ow-admin";

/// JHE's users and their sign-ins.
#[derive(Default)]
pub struct Staff {
    /// The redirect address in the authorization request, which must match exactly.
    pub redirect_uri: String,
    users: BTreeMap<i64, User>,
    /// The user of the next browser.
    pub here: Option<i64>,
    /// True if that user refuses.
    pub says_no: bool,
    /// True if the proxy cannot reach JHE.
    pub is_down: bool,
    codes: BTreeMap<String, Code>,
    /// By access token: the refresh token and the user.
    tokens: BTreeMap<String, (String, i64)>,
    drawn: usize,
    /// By patient; patients not listed belong to organization 1.
    organizations: BTreeMap<i64, Vec<i64>>,
}

#[derive(Clone)]
struct User {
    kind: &'static str,
    email: String,
    is_superuser: bool,
    /// By organization.
    roles: BTreeMap<i64, String>,
}

struct Code {
    user: i64,
    challenge: String,
    redirect_uri: String,
    client_id: String,
}

impl Staff {
    /// Adds a practitioner with these roles in these organizations.
    pub fn employ(&mut self, id: i64, email: &str, roles: &[(i64, &str)]) {
        let roles = roles.iter().map(|(organization, role)| (*organization, (*role).to_owned())).collect();
        let user = User { kind: "practitioner", email: email.to_owned(), is_superuser: false, roles };
        self.users.insert(id, user);
    }

    /// Adds a superuser without an organization.
    pub fn crown(&mut self, id: i64, email: &str) {
        self.employ(id, email, &[]);
        self.users.get_mut(&id).unwrap().is_superuser = true;
    }

    /// Adds a patient as a user.
    pub fn admit(&mut self, id: i64) {
        let user =
            User { kind: "patient", email: String::new(), is_superuser: false, roles: BTreeMap::new() };
        self.users.insert(id, user);
    }

    /// Assigns a patient to these organizations, each with its own study.
    pub fn belong(&mut self, patient: i64, organizations: &[i64]) {
        self.organizations.insert(patient, organizations.to_vec());
    }

    /// Returns true if any access token is valid.
    pub fn has_tokens(&self) -> bool {
        !self.tokens.is_empty()
    }

    fn draw(&mut self, what: &str) -> String {
        self.drawn += 1;
        format!("{what}-{}", self.drawn)
    }

    /// Returns the answer about a patient's consents, with the patient's organizations.
    pub(super) fn placed(&self, patient: i64, mut consents: Value) -> Value {
        let organizations = self.organizations.get(&patient).cloned().unwrap_or(vec![1]);
        consents["patient"]["organizations"] =
            organizations.iter().map(|id| organization(*id, None)).collect();
        if let Some(other) = organizations.first().filter(|id| **id != 1) {
            for list in ["studies", "studiesPendingConsent"] {
                for study in consents[list].as_array_mut().unwrap() {
                    study["id"] = json!(super::STUDY + other - 1);
                    study["name"] = json!(format!("Study of organization {other}"));
                    study["organization"]["id"] = json!(other);
                }
            }
        }
        consents
    }
}

fn organization(id: i64, role: Option<&str>) -> Value {
    json!({ "id": id, "name": format!("Lab {id}"), "type": "laboratory", "partOf": 0,
            "currentUserRole": role, "children": [] })
}

fn redirect(to: &str) -> Response {
    let mut answer = html(302);
    answer.headers_mut().insert("location", to.parse().unwrap());
    answer
}

fn refused(status: u16, error: &str) -> Response {
    answer(status, &json!({ "error": error }))
}

impl FakeJhe {
    /// Answers requests about sign-in; `None` if the request is of another kind.
    pub(super) fn answer_staff(
        &self,
        method: &Method,
        path: &str,
        query: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Option<Response> {
        let form = fields(body);
        let is_ours = form.get("client_id").is_some_and(|client| client == CLIENT);
        match (method.as_str(), path) {
            ("GET", "/o/authorize/") => return Some(self.authorize(&fields(query.as_bytes()))),
            ("POST", "/o/token/") if is_ours => return Some(self.exchange(&form)),
            ("POST", "/o/revoke_token/") if is_ours => return Some(self.revoke(&form)),
            _ => {}
        }
        let given = headers.get("authorization")?.to_str().ok()?.strip_prefix("Bearer ")?;
        let state = self.state();
        let (_, id) = state.staff.tokens.get(given)?;
        let user = &state.staff.users[id];
        Some(match (method.as_str(), path) {
            ("GET", "/api/v1/users/profile") => answer(200, &profile(*id, user)),
            ("GET", "/api/v1/users/organizations") => {
                answer(200, &user.roles.keys().map(|id| organization(*id, None)).collect())
            }
            ("GET", path) if path.starts_with("/api/v1/organizations/") => {
                let id: i64 = path.rsplit('/').next().unwrap().parse().unwrap();
                let role = user.roles.get(&id).map(String::as_str);
                let role = if user.is_superuser { Some("super_user") } else { role };
                answer(200, &organization(id, role))
            }
            _ => answer(404, &json!({ "detail": "Not found." })),
        })
    }

    fn authorize(&self, asked: &BTreeMap<String, String>) -> Response {
        let mut state = self.state();
        let staff = &mut state.staff;
        let get = |name: &str| asked.get(name).map(String::as_str).unwrap_or_default();
        if get("client_id") != CLIENT || get("redirect_uri") != staff.redirect_uri {
            return html(400);
        }
        let Some(user) = staff.here else { return redirect("/accounts/login/?next=/o/authorize/") };
        let back = |what: &[(&str, &str)]| {
            let mut to = form_urlencoded::Serializer::new(String::new());
            to.extend_pairs(what).append_pair("state", get("state"));
            redirect(&format!("{}?{}", get("redirect_uri"), to.finish()))
        };
        if get("response_type") != "code" {
            return back(&[("error", "unsupported_response_type")]);
        }
        if get("scope").split(' ').any(|scope| !["openid", "email"].contains(&scope)) {
            return back(&[("error", "invalid_scope")]);
        }
        // JHE also accepts a plain challenge, which is worthless to anyone who can see the address.
        assert_eq!((get("code_challenge_method"), get("code_challenge").len()), ("S256", 43), "{asked:?}");
        if staff.says_no {
            return back(&[("error", "access_denied")]);
        }
        let code = staff.draw("code");
        let granted = Code {
            user,
            challenge: get("code_challenge").to_owned(),
            redirect_uri: get("redirect_uri").to_owned(),
            client_id: get("client_id").to_owned(),
        };
        staff.codes.insert(code.clone(), granted);
        back(&[("code", &code)])
    }

    fn exchange(&self, form: &BTreeMap<String, String>) -> Response {
        let mut state = self.state();
        let staff = &mut state.staff;
        let get = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        if staff.is_down {
            return html(502);
        }
        if get("client_id") != CLIENT {
            return refused(401, "invalid_client");
        }
        let Some(code) = staff.codes.get(get("code")) else { return refused(400, "invalid_grant") };
        if code.redirect_uri != get("redirect_uri") || !form.contains_key("code_verifier") {
            return refused(400, "invalid_request");
        }
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(get("code_verifier")));
        if code.challenge != challenge || code.client_id != get("client_id") {
            return refused(400, "invalid_grant");
        }
        let user = staff.codes.remove(get("code")).unwrap().user;
        let (access, refresh) = (staff.draw("access"), staff.draw("refresh"));
        staff.tokens.insert(access.clone(), (refresh.clone(), user));
        answer(
            200,
            &json!({ "access_token": access, "expires_in": 1_209_600, "token_type": "Bearer",
                     "scope": "openid email", "refresh_token": refresh, "id_token": "a.b.c" }),
        )
    }

    /// Revoking a refresh token revokes its access token; the reverse is not true.
    fn revoke(&self, form: &BTreeMap<String, String>) -> Response {
        self.state().staff.tokens.retain(|_, (refresh, _)| *refresh != form["token"]);
        answer(200, &json!({}))
    }
}

fn profile(id: i64, user: &User) -> Value {
    if user.kind == "patient" {
        return json!({ "id": id, "patient": { "id": 40001, "jheUserId": id }, "userType": "patient",
                       "isSuperuser": false });
    }
    json!({ "id": id, "email": user.email, "firstName": "Mary", "lastName": "Morrison", "patient": null,
            "userType": user.kind, "isSuperuser": user.is_superuser, "settings": {} })
}
