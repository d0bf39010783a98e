//! Each role has its permissions in its own studies and none in other studies.

use jhe_ow::web::routes::{Access, Role, table};
use reqwest::Method;

use super::access::path_of;
use crate::support::harness::*;
use crate::support::running_daemon::*;

/// The names of the patients of the first and the second study.
const NAMES: [&str; 2] = ["Zebulon-Canary", "Wilhelmina-Canary"];

/// A daemon with two studies of one patient each, a third patient without a study, and an account for each role in the
/// first study.
struct Site {
    world: World,
    served: Served,
    operator: Visitor,
}

impl Site {
    fn open() -> Self {
        let world = World::new();
        let served = Served::start(&world);
        let operator = served.operator(&world);
        for (study, name) in ["First", "Second"].into_iter().zip(NAMES) {
            let study = make_study(&operator, study);
            assert_eq!(make_patient(&operator, name, &study), study);
        }
        assert_eq!(world.run(&["patient", "add", "--name", "Nobody-Canary"]).stdout, "3\n");
        Self { world, served, operator }
    }

    /// Returns a browser signed in with a new account that has this role in the first study, or no role.
    fn sign_in(&self, name: &str, role: Option<&str>) -> Visitor {
        let role = role.map(|role| ["--study", "First", "--role", role]);
        let add = ["admin", "add", name];
        let ran = self.world.run(&[&add[..], role.as_ref().map_or(&[], |role| &role[..])].concat());
        assert_eq!(ran.code, 0, "{ran:?}");
        set_password(&self.world, name, PASSWORD);
        let visitor = self.served.visitor();
        assert_eq!(visitor.sign_in(name, PASSWORD).status, 303);
        visitor
    }
}

fn rank(access: Access) -> usize {
    match access {
        Access::Staff | Access::Confirmed(Role::Viewer) => 1,
        Access::Coordinator | Access::Confirmed(Role::Coordinator) => 2,
        Access::Confirmed(Role::DataManager) => 3,
        _ => 4,
    }
}

#[test]
fn each_role_opens_the_routes_of_its_own_studies_only() {
    let site = Site::open();
    for (name, role, own) in [
        ("none", None, 0),
        ("viewer", Some("viewer"), 1),
        ("coordinator", Some("coordinator"), 2),
        ("manager", Some("data-manager"), 3),
    ] {
        let visitor = site.sign_in(name, role);
        let token = visitor.get("/admin").hidden("/admin/sign-out")[0].1.clone();
        let routes = table().into_iter().filter(|(_, pattern, _)| {
            pattern.starts_with("/admin/") && (pattern.contains("{patient}") || pattern.contains("{study}"))
        });
        for (method, pattern, access) in routes {
            for number in [1, 2, 3] {
                let path = path_of(pattern, number);
                let fields = [("form_token", token.as_str())];
                let fields = (method == Method::POST).then_some(&fields[..]);
                let answer = visitor.send(method.clone(), &path, &[("Origin", &site.served.url())], fields);
                let what = format!("{name}: {method} {path}: {}", answer.status);
                match (number, own) {
                    (1, 1..) if rank(access) <= own => {
                        assert!(![403, 401].contains(&answer.status), "{what}");
                    }
                    (1, 1..) => assert_eq!(answer.status, 403, "{what}"),
                    _ => assert_eq!(answer.status, 404, "{what}"),
                }
                for (other, name) in (2..).zip(NAMES[1..].iter().chain(&["Nobody-Canary"])) {
                    assert!(!answer.body.contains(name), "{what}: {other}");
                }
            }
        }
        for path in ["/admin/settings", "/admin/accounts", "/admin/studies/new", "/admin/restored"] {
            assert_eq!(visitor.get(path).status, 403, "{name}: {path}");
        }
        let lists = ["/admin", "/admin/patients", "/admin/studies", "/admin/rejected", "/admin/audit"];
        for path in lists {
            let body = visitor.get(path).body;
            assert!(
                !body.contains(NAMES[1]) && !body.contains("Second") && !body.contains("Nobody"),
                "{name}: {path}"
            );
            assert_eq!(body.contains(NAMES[0]), own >= 2 && path == "/admin/patients", "{name}: {path}");
        }
    }
}

#[test]
fn a_viewer_sees_study_numbers_in_the_place_of_names() {
    let site = Site::open();
    let viewer = site.sign_in("viewer", Some("viewer"));
    for path in [
        "/admin/studies/1",
        "/admin/studies/1/adherence",
        "/admin/patients",
        "/admin/patients/1",
        "/admin/patients/1/charts",
        "/admin/patients/1/observations",
    ] {
        let answer = viewer.get(path);
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.body.contains("P001") && !answer.body.contains(NAMES[0]), "{path}: {}", answer.body);
    }
    assert!(
        !viewer.get("/admin/patients?search=Zebulon").body.contains("P001"),
        "a search does not match hidden names"
    );
    assert!(viewer.get("/admin/patients?search=P001").body.contains("/admin/patients/1"));
    let page = viewer.get("/admin/patients/1").body;
    for part in ["Sync now", "Invitations", "API tokens", "OW user", "/admin/audit"] {
        assert!(!page.contains(part), "{part}");
    }
    assert!(!viewer.get("/admin/studies/1").body.contains("Download"));
}

#[test]
fn a_coordinator_adds_and_invites_patients_to_own_studies_only() {
    let site = Site::open();
    let coordinator = site.sign_in("coordinator", Some("coordinator"));
    let form = coordinator.get("/admin/patients/new");
    assert!(form.body.contains("First") && !form.body.contains("Second"));
    let add = |study: &[(&str, &str)]| {
        let fields = [&[("name", "New"), ("tz", "")], study].concat();
        coordinator.submit("/admin/patients/new", "/admin/patients/new", &fields)
    };
    let alone = add(&[]);
    assert!(alone.status == 400 && alone.body.contains("tick at least one"), "{}", alone.body);
    assert_eq!(add(&[("study", "2")]).status, 400);
    assert_eq!(add(&[("study", "1")]).status, 303);
    let invite =
        |study| coordinator.submit("/admin/patients/1", "/admin/patients/1/invite", &[("study", study)]);
    assert_eq!(invite("2").status, 400);
    assert_eq!(invite("").status, 400, "an invitation without a study would include other studies");
    assert_eq!(invite("1").status, 200);
    assert!(!site.world.run(&["dataset", "--study", "2", "--out", "/dev/null/x"]).stdout.contains("New"));
}

#[test]
fn an_operator_gives_and_takes_roles_on_the_accounts_page() {
    let site = Site::open();
    let ada = site.sign_in("Ada", None);
    assert_eq!(ada.get("/admin/patients/1").status, 404);
    let save = |fields: &[(&str, &str)]| site.operator.submit("/admin/accounts", "/admin/accounts/2", fields);
    let role = |role| save(&[("action", "role"), ("study", "1"), ("role", role)]).status;
    assert_eq!(role("coordinator"), 303);
    assert!(site.operator.get("/admin/accounts").body.contains("First: coordinator"));
    assert!(
        ada.get("/admin/patients/1").body.contains(NAMES[0]),
        "the change applies at once in every browser"
    );
    assert_eq!(role("operator"), 400, "a study role does not make an operator");
    assert_eq!(role("none"), 303);
    assert_eq!(ada.get("/admin/patients/1").status, 404);
    assert_eq!(save(&[("action", "operator")]).status, 303);
    assert!(ada.get("/admin/patients/3").body.contains("Nobody-Canary"));
    assert_eq!(save(&[("action", "not-operator")]).status, 303);
    assert_eq!(ada.get("/admin/patients/3").status, 404);
    let audit = site.world.run(&["audit", "list"]).stdout;
    assert!(
        audit.contains("account 2 coordinator study 1") && audit.contains("account 2 none study 1"),
        "{audit}"
    );
}
