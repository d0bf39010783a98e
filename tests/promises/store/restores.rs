//! A restore by any method never undoes a withdrawal, an erasure or a revocation.

use std::path::{Path, PathBuf};

use crate::support::authenticator::*;
use crate::support::connected_world::Scene;
use crate::support::erasure::{erased, external_id, one, rows_of};
use crate::support::harness::*;
use crate::support::running_daemon::*;

const MINUTE: std::time::Duration = std::time::Duration::from_mins(1);

fn backup(world: &World) -> PathBuf {
    let file = world.directory.path().join("before.sqlite3");
    let ran = world.run(&["backup", file.to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{ran:?}");
    file
}

fn restore(world: &World, file: &Path, more: &[&str]) -> Ran {
    let ran = world.run(&[&["restore", file.to_str().unwrap()], more].concat());
    assert_eq!(ran.code, 0, "{ran:?}");
    ran
}

fn fill(world: &World, user: &str) {
    world.sim.fill(user, world.now.minus(HOUR), world.now, FIVE_MINUTES, 1);
}

/// Replaces the store by copying the file, without the program.
fn copy_into_place(world: &World, file: &Path) {
    for name in ["jhe-ow.sqlite3-wal", "jhe-ow.sqlite3-shm"] {
        let _ = std::fs::remove_file(world.data_dir().join(name));
    }
    std::fs::copy(file, world.database()).unwrap();
}

fn doctor(world: &World) -> String {
    world.run(&["doctor"]).stdout
}

#[test]
fn what_the_replaced_store_knows_of_withdrawals_and_erasures_is_carried_over() {
    let mut world = World::new();
    let people: Vec<(String, String)> = (0..4).map(|_| world.patient()).collect();
    let [(stayed, stays), (withdrew, withdraws), (_, leaves), (again, returns)] = people.as_slice() else {
        panic!()
    };
    for (user, _) in &people {
        fill(&world, user);
    }
    assert_eq!(world.created(), 48);
    let (file, name) = (backup(&world), external_id(&world, leaves));
    world.pass(HOUR);
    world.consent(withdraws, "--withdraw");
    world.consent(returns, "--withdraw");
    erased(&world, leaves);
    world.pass(HOUR * 2);
    world.consent(returns, "--grant");
    world.pass(HOUR);
    let ran = restore(&world, &file, &["--force"]);
    assert!(ran.stderr.contains("hold in this one too"), "{ran:?}");
    for user in [stayed, withdrew, again] {
        world.sim.fill(user, world.now.minus(HOUR * 4), world.now, FIVE_MINUTES, 2);
    }
    world.poll();
    assert_eq!(world.kept(stays).len(), 12 + 48);
    assert_eq!(world.kept(withdraws).len(), 12, "no samples after the withdrawal are read");
    assert_eq!(world.kept(returns).len(), 12 + 12 + 12, "the two hours without consent are missing");
    let tables: Vec<String> = rows_of(&world, leaves).into_iter().map(|(table, _)| table).collect();
    assert_eq!(tables, ["audit_entries", "erased_identifiers", "erasures"]);
    let bytes = std::fs::read(world.database()).unwrap();
    assert!(
        !bytes.windows(name.len()).any(|part| part == name.as_bytes()),
        "the erased patient's name is still in the file"
    );
    assert!(!doctor(&world).contains("suspended"));
    assert_eq!(world.run(&["audit", "verify"]).code, 0);
}

#[test]
fn where_nobody_knows_the_withdrawals_consents_are_suspended_until_an_operator_confirms_them() {
    for by_command in [true, false] {
        let mut world = World::new();
        let people: Vec<(String, String)> = (0..3).map(|_| world.patient()).collect();
        for (user, _) in &people {
            fill(&world, user);
        }
        world.created();
        let file = backup(&world);
        world.pass(HOUR);
        world.consent(&people[0].1, "--withdraw");
        if by_command {
            std::fs::remove_dir_all(world.data_dir()).unwrap();
            let ran = restore(&world, &file, &[]);
            assert!(ran.stderr.contains("consents of 3 patients"), "{ran:?}");
        } else {
            copy_into_place(&world, &file);
        }
        for (user, _) in &people {
            fill(&world, user);
        }
        world.poll();
        assert_eq!(
            one::<i64>(&world, "SELECT count(*) FROM observations"),
            36,
            "confirmed by command: {by_command}"
        );
        assert!(doctor(&world).contains("consents of 3 patients are suspended"));
        let served = Served::start(&world);
        let operator = served.operator(&world);
        assert!(operator.get("/admin/system").body.contains("consents of 3 patients are suspended"));
        // The operator confirms one withdrawal, one patient, and then the rest.
        let withdrew = [("action", "withdrawn")];
        assert_eq!(operator.submit("/admin/restored", "/admin/restored", &withdrew).status, 303);
        let page = operator.get("/admin/restored");
        assert!(!page.body.contains(&format!("/admin/patients/{}\"", people[0].1)), "{}", page.body);
        let confirmed = operator.submit("/admin/restored", "/admin/restored", &[]);
        assert_eq!(confirmed.status, 303, "{}", confirmed.body);
        until("polling has resumed", || world.poll().stdout.contains("complete"));
        assert_eq!(world.kept(&people[1].1).len(), 24, "samples of the suspension are read too");
        assert_eq!(world.kept(&people[2].1).len(), 12);
        let ran = world.run(&["restore", "--confirm-consents"]);
        assert!(ran.stdout.contains("confirmed the consents of 1 patient"), "{ran:?}");
        world.poll();
        assert_eq!((world.kept(&people[0].1).len(), world.kept(&people[2].1).len()), (12, 24));
        assert!(!doctor(&world).contains("suspended"));
    }
}

#[test]
fn suspended_consents_are_never_erased_as_withdrawn_ones_and_stay_suspended_after_another_restore() {
    let mut world = World::new();
    let (user, patient) = world.patient();
    // An earlier grant is withdrawn, and a tick has recorded that.
    world.consent(&patient, "--withdraw");
    world.poll();
    world.pass(HOUR);
    world.consent(&patient, "--grant");
    world.pass(HOUR);
    fill(&world, &user);
    world.created();
    world.setting("data.after_withdrawal", "erase");
    world.setting("data.erase_after", "1d");
    let file = backup(&world);
    std::fs::remove_dir_all(world.data_dir()).unwrap();
    restore(&world, &file, &[]);
    for _ in 0..3 {
        world.pass(HOUR * 30);
        world.poll();
    }
    let ran = restore(&world, &file, &["--force"]);
    assert!(ran.stderr.contains("consents of 1 patient"), "{ran:?}");
    restore(&world, &file, &["--force", "--confirm-consents"]);
    assert!(!doctor(&world).contains("suspended"));
    assert_eq!(world.kept(&patient).len(), 12);
    fill(&world, &user);
    world.created();
    assert_eq!(world.kept(&patient).len(), 24, "the consent is active");
}

#[test]
fn withdrawn_data_that_were_erased_stay_erased_after_a_restore_and_a_new_grant() {
    let mut world = World::new();
    let (user, patient) = world.patient();
    fill(&world, &user);
    world.created();
    world.setting("data.after_withdrawal", "erase");
    world.setting("data.erase_after", "1d");
    let file = backup(&world);
    world.consent(&patient, "--withdraw");
    world.poll();
    world.pass(HOUR * 30);
    world.poll();
    world.consent(&patient, "--grant");
    assert!(world.kept(&patient).is_empty());
    restore(&world, &file, &["--force"]);
    world.setting("data.after_withdrawal", "erase");
    world.poll();
    assert!(world.kept(&patient).is_empty(), "{:?}", world.kept(&patient));
}

#[test]
fn an_erased_patient_stays_erased_where_two_backups_come_one_after_the_other() {
    let world = World::new();
    let (_, stays) = world.patient();
    let first = backup(&world);
    let second = world.directory.path().join("second.sqlite3");
    let (user, leaves) = world.patient();
    std::fs::rename(&first, world.directory.path().join("first.sqlite3")).unwrap();
    let first = world.directory.path().join("first.sqlite3");
    assert_eq!(world.run(&["backup", second.to_str().unwrap()]).code, 0);
    // The first backup is restored, and the person enrols again under another number and is erased.
    restore(&world, &first, &["--force"]);
    for _ in 0..2 {
        let add = ["patient", "add", "--name", "C"];
        assert_eq!(world.run(&add).code, 0);
    }
    let add = ["patient", "add", "--name", "B", "--ow-user", &user];
    let again = world.run(&add).stdout.trim().to_owned();
    assert_ne!(again, leaves);
    erased(&world, &again);
    restore(&world, &second, &["--force"]);
    let tables: Vec<String> = rows_of(&world, &leaves).into_iter().map(|(table, _)| table).collect();
    assert!(!tables.contains(&"patients".to_owned()) && !tables.contains(&"links".to_owned()), "{tables:?}");
    assert!(world.run(&["patient", "list"]).stdout.contains(&stays));
}

#[test]
fn a_restore_ends_sessions_links_and_tokens_and_keeps_accounts_disabled() {
    let world = World::new();
    let (_, patient) = world.patient();
    let served = Served::start(&world);
    let operator = served.operator(&world);
    make_study(&operator, "Sleep");
    let role = ["--study", "Sleep", "--role", "coordinator"];
    assert_eq!(world.run(&[&["admin", "add", "manager"], &role[..]].concat()).code, 0);
    assert_eq!(world.run(&[&["admin", "add", "former"], &role[..]].concat()).code, 0);
    set_password(&world, "manager", PASSWORD);
    let manager = served.visitor();
    assert_eq!(manager.sign_in("manager", PASSWORD).status, 303);
    let page = format!("/admin/patients/{patient}");
    let token = operator.submit(&page, &format!("{page}/api-token"), &[("label", "app")]).secret();
    let call = |port: u16| {
        get(port, "/api/v1/ow/oauth/oura/authorize", &[("authorization", &format!("Bearer {token}"))])
            .unwrap()
            .0
    };
    assert_ne!(call(served.port), 401);
    assert_eq!(manager.get("/admin").status, 200);
    let file = backup(&world);
    let port = served.port;
    let accounts = operator.get("/admin/accounts").body;
    let form =
        accounts.split("action=\"/admin/accounts/").find(|form| form.contains(" of manager<")).unwrap();
    let action = format!("/admin/accounts/{}", form.split('"').next().unwrap());
    assert_eq!(
        operator.submit("/admin/accounts", &action, &[("action", "disable"), ("role", "manager")]).status,
        303
    );
    assert_eq!(world.run(&["admin", "role", "former", "--study", "Sleep"]).code, 0);
    served.stop("TERM");
    restore(&world, &file, &["--force"]);
    let accounts = world.run(&["admin", "list", "--json"]).stdout;
    let roles: Vec<&str> = accounts.lines().map(|line| between(line, "\"studies\":", "}").unwrap()).collect();
    assert_eq!(
        roles,
        ["{", "{\"Sleep\":\"coordinator\"", "{"],
        "a removed role must not come back: {accounts}"
    );
    let served = Served::on(&world, port, &[]);
    assert_eq!((manager.get("/admin").status, operator.get("/admin").status), (303, 303));
    assert_eq!(call(port), 401);
    assert_ne!(served.visitor().sign_in("manager", PASSWORD).status, 303, "the account is disabled");
    assert_eq!(served.visitor().sign_in("operator", PASSWORD).status, 303);
}

#[test]
fn a_recovery_code_that_was_used_since_the_backup_stays_used() {
    let world = World::new();
    let served = serve(&world, &[]);
    let (_, recovery) = Authenticator::set_up(&served.operator(&world), &world);
    let file = backup(&world);
    let visitor = served.visitor();
    give_password(&visitor, "operator");
    assert_eq!(give_code(&visitor, &recovery[0]).status, 303);
    served.stop("TERM");
    restore(&world, &file, &["--force"]);
    let served = serve(&world, &[]);
    let visitor = served.visitor();
    give_password(&visitor, "operator");
    assert_eq!(give_code(&visitor, &recovery[0]).status, 403);
    assert_eq!(give_code(&visitor, &recovery[1]).status, 303);
}

#[test]
fn jhes_consents_are_asked_for_again_and_not_suspended() {
    let mut scene = Scene::new();
    let (user, patient) = scene.patient(40001);
    scene.fill(&user, 1);
    scene.world.created();
    let file = backup(&scene.world);
    scene.world.pass(HOUR);
    scene.jhe.consent(40001, false, scene.world.now);
    std::fs::remove_dir_all(scene.world.data_dir()).unwrap();
    let ran = restore(&scene.world, &file, &[]);
    assert!(!ran.stderr.contains("suspended"), "{ran:?}");
    scene.world.pass(HOUR);
    scene.fill(&user, 1);
    scene.world.poll();
    assert_eq!(scene.world.kept(&patient).len(), 12, "JHE knows of the withdrawal");
    scene.jhe.consent(40001, true, scene.world.now);
    scene.world.pass(HOUR);
    scene.fill(&user, 1);
    assert_eq!(scene.world.created(), 12);
}

#[test]
fn after_a_restore_patients_are_read_before_anything_is_sent() {
    let mut scene = Scene::new();
    let (user, patient) = scene.patient(40001);
    let measured = scene.world.now.minus(MINUTE * 30);
    scene.world.sim.put(&user, measured, 80.0);
    scene.world.created();
    let file = backup(&scene.world);
    scene.world.pass(MINUTE * 10);
    scene.export();
    scene.world.sim.put(&user, measured, 82.0);
    scene.world.poll();
    scene.world.pass(HOUR * 7);
    scene.export();
    assert_eq!(scene.jhe.state().kept.len(), 2);
    // The backup has the old value as unsent; OW and JHE have the new one.
    restore(&scene.world, &file, &["--force"]);
    let ran = scene.export();
    assert!(
        ran.stdout.contains("Delivered 0") && ran.stdout.contains("1 patient must be read first"),
        "{ran:?}"
    );
    scene.world.poll();
    scene.world.pass(HOUR * 7);
    scene.export();
    assert_eq!(scene.jhe.state().kept.len(), 2, "JHE already has both values");
    assert_eq!(scene.world.kept(&patient), [(measured, 82.0)]);
}

#[test]
fn a_store_that_goes_on_or_is_moved_with_its_directory_is_no_restored_one() {
    let world = World::new();
    let (user, _) = world.patient();
    fill(&world, &user);
    world.created();
    let moved = world.directory.path().join("elsewhere");
    std::fs::rename(world.data_dir(), &moved).unwrap();
    std::fs::rename(&moved, world.data_dir()).unwrap();
    assert!(!doctor(&world).contains("suspended"));
    // A file truncated by a crash is ignored.
    std::fs::write(world.data_dir().join("last-commit"), "").unwrap();
    world.poll();
    assert!(!doctor(&world).contains("suspended"));
    // A restore of an even older copy is detected too, and so is a store without the file.
    std::fs::remove_file(world.data_dir().join("last-commit")).unwrap();
    world.poll();
    assert!(doctor(&world).contains("consents of 1 patient are suspended"));
}
