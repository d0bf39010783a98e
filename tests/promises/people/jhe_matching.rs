//! A local patient becomes a JHE patient after a person has confirmed the match.

use std::process::{Command, Stdio};

use crate::support::connected_world::Scene;
use crate::support::harness::*;
use crate::support::running_daemon::*;

/// Adds a local patient with an hour of samples; returns the number.
fn alone(scene: &Scene, name: &str, email: Option<&str>, user: &str) -> String {
    let mut add = linked_patient(name, user).to_vec();
    if let Some(email) = email {
        add.extend(["--email", email]);
    }
    let ran = scene.world.run(&add);
    assert_eq!(ran.code, 0, "{ran:?}");
    scene.fill(user, 1);
    ran.stdout.trim().to_owned()
}

fn match_patient(scene: &Scene, patient: &str, jhe_id: &str) -> Ran {
    scene.world.run(&["patient", "match", patient, "--jhe-patient", jhe_id])
}

#[test]
fn proposals_name_their_reason_and_command() {
    let scene = Scene::new();
    for id in 40001..40005 {
        scene.jhe.add_patient(id, id - 30000, scene.world.now.minus(DAY));
    }
    let user = scene.world.sim.add_user_known_as("10003");
    let by_user = alone(&scene, "P40002 Doe", Some("P40001@example.org"), &user);
    let by_nothing = alone(&scene, "Eve", None, &scene.world.sim.add_user());
    let listed = scene.world.run(&["patient", "match"]);
    let proposals = format!(
        "{by_user:>6}  P40002 Doe: jhe:40003 P40003 Doe, the same OW user; jhe:40001 P40001 Doe, the same e-mail; \
         jhe:40002 P40002 Doe, the same name\n        jhe-ow patient match {by_user} --jhe-patient 40003\n"
    );
    assert!(listed.code == 0 && listed.stdout.contains(&proposals), "{listed:?}");
    assert!(
        listed.stdout.contains(&format!("{by_nothing:>6}  Eve: nobody at JHE has the same")),
        "{listed:?}"
    );
    let json = scene.world.run(&["patient", "match", "--json"]).stdout;
    let first: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!(
        (first["patient"].to_string(), &first["proposals"][0]["jhe_id"]),
        (by_user.clone(), &40003.into())
    );
    assert_eq!(match_patient(&scene, &by_user, "40003").code, 0);
    let listed = scene.world.run(&["patient", "match"]).stdout;
    assert!(
        !listed.contains("P40002") && !listed.contains("40003"),
        "matched patients are not proposed again: {listed}"
    );
    scene.world.sim.set_users_broken(Some(503));
    alone(&scene, "P40004 Doe", None, &scene.world.sim.add_user());
    let listed = scene.world.run(&["patient", "match"]);
    assert!(
        listed.stderr.contains("OW cannot be reached") && listed.stdout.contains("the same name"),
        "{listed:?}"
    );
}

#[test]
fn a_confirmed_match_sends_earlier_observations_on_request_only() {
    let mut scene = Scene::new();
    scene.jhe.add_patient(40001, 10006, scene.world.now.minus(DAY));
    let user = scene.world.sim.add_user();
    let patient = alone(&scene, "A", None, &user);
    let at = scene.world.now.minus(HOUR / 2);
    assert_eq!(scene.world.created(), 12);
    for value in [99.0, 98.0, 99.0] {
        scene.world.sim.put(&user, at, value);
        scene.world.poll();
    }
    let ran = match_patient(&scene, &patient, "40001");
    assert!(
        ran.code == 0 && ran.stdout.contains("is JHE's patient 40001, P40001 Doe, from now on"),
        "{ran:?}"
    );
    let ended = format!("the consent to {HEART_RATE} that was given here has ended: JHE's consent applies");
    assert!(ran.stdout.contains(&ended), "{ran:?}");
    let shown = scene.world.run(&["patient", "show", "jhe:40001"]).stdout;
    assert!(shown.contains("withdrawn") && shown.matches("granted").count() == 2, "{shown}");
    assert!(
        scene.export().stdout.contains("Delivered 0"),
        "earlier observations are not sent without confirmation"
    );
    let all = scene.world.run(&["export", "--all"]);
    assert!(all.stdout.contains("Queued 12") && all.stdout.contains("Delivered 11"), "{all:?}");
    scene.world.pass(HOUR * 6);
    assert!(
        scene.export().stdout.contains("Delivered 1 "),
        "the correction is sent after it is unchanged long enough"
    );
    assert!(scene.is_delivered(40001, &patient));
    scene.world.sim.put(&user, scene.world.now.minus(FIVE_MINUTES), 70.0);
    assert_eq!(scene.world.created(), 1);
    assert!(scene.export().stdout.contains("Delivered 1 "));
}

#[test]
fn an_impossible_match_is_refused_and_changes_nothing() {
    let scene = Scene::new();
    scene.patient(40001);
    scene.jhe.add_patient(40002, 10007, scene.world.now.minus(DAY));
    scene.jhe.add_patient(40003, 10008, scene.world.now.minus(DAY));
    let patient = alone(&scene, "A", None, &scene.world.sim.add_user());
    let taken = match_patient(&scene, &patient, "40001");
    assert!(taken.code == 2 && taken.stderr.contains("JHE patient 40001 is here already"), "{taken:?}");
    scene.jhe.hide(40002, true);
    let far = match_patient(&scene, &patient, "40002");
    assert!(far.code == 1 && far.stderr.contains("shares an organization"), "{far:?}");
    assert!(scene.world.run(&["patient", "show", &patient]).stdout.matches("withdrawn").next().is_none());
    assert_eq!(match_patient(&scene, &patient, "40003").code, 0);
    let twice = match_patient(&scene, &patient, "40002");
    assert!(twice.code == 2 && twice.stderr.contains("is JHE's patient 40003 already"), "{twice:?}");
    let alone = scene.world.run(&["patient", "match", "--jhe-patient", "40002"]);
    assert_eq!(alone.code, 2, "{alone:?}");
}

#[test]
fn a_match_without_consent_at_jhe_reads_and_sends_nothing() {
    let scene = Scene::new();
    scene.jhe.add_patient(40001, 10006, scene.world.now.minus(DAY));
    scene.jhe.consent(40001, false, scene.world.now.minus(HOUR));
    let patient = alone(&scene, "A", None, &scene.world.sim.add_user());
    assert_eq!(scene.world.created(), 12);
    let ran = match_patient(&scene, &patient, "40001");
    assert!(ran.stdout.contains("JHE has none, so nothing is read or sent"), "{ran:?}");
    let all = scene.world.run(&["export", "--all"]);
    assert!(all.stdout.contains("Delivered 0") && scene.jhe.state().batches.is_empty(), "{all:?}");
}

#[test]
fn a_match_ends_local_invitations() {
    let scene = Scene::new();
    scene.jhe.add_patient(40001, 10006, scene.world.now.minus(DAY));
    let served = Served::start(&scene.world);
    let operator = served.operator(&scene.world);
    let patient = make_patient(&operator, "A", &make_study(&operator, "Sleep"));
    let link = invite(&operator, &patient);
    assert_eq!(served.visitor().get(&link).status, 200);
    assert_eq!(match_patient(&scene, &patient, "40001").code, 0);
    assert_ne!(served.visitor().get(&link).status, 200);
    let audit = operator.get("/admin/audit").body;
    assert!(audit.contains("patient.match") && audit.contains("jhe 40001"), "{audit}");
    served.stop("TERM");
}

#[test]
fn earlier_observations_are_queued_for_matched_patients_and_the_others_are_named() {
    let scene = Scene::new();
    let (user, _) = scene.patient(40001);
    scene.jhe.add_patient(40002, 10007, scene.world.now.minus(DAY));
    scene.fill(&user, 1);
    let likely = alone(&scene, "P40002 Doe", None, &scene.world.sim.add_user());
    let unlikely = alone(&scene, "Eve", None, &scene.world.sim.add_user());
    assert_eq!(scene.world.created(), 36);
    let all = scene.world.run(&["export", "--all"]);
    assert!(all.code == 0 && all.stdout.contains("Delivered 12"), "{all:?}");
    for command in [
        format!("jhe-ow patient match {likely} --jhe-patient 40002"),
        format!("jhe-ow patient match {unlikely} --jhe-patient N"),
    ] {
        assert!(all.stderr.contains(&command), "{all:?}");
    }
}

#[test]
fn on_a_terminal_each_proposal_is_confirmed() {
    let scene = Scene::new();
    scene.jhe.add_patient(40001, 10006, scene.world.now.minus(DAY));
    scene.jhe.add_patient(40002, 10007, scene.world.now.minus(DAY));
    alone(&scene, "P40001 Doe", Some("p40002@example.org"), &scene.world.sim.add_user());
    assert_eq!(scene.world.created(), 12);
    let Some(no) = on_a_terminal(&scene, "\n\n") else { return };
    assert!(no.contains("[y/N]") && no.contains("Queued 0"), "{no}");
    let yes = on_a_terminal(&scene, "n\ny\n").unwrap();
    let asked = ["JHE's patient 40002, P40002 Doe (the same e-mail)", "40001, P40001 Doe (the same name)"];
    assert!(asked.iter().all(|asked| yes.contains(asked)), "{yes}");
    assert!(yes.contains("is JHE's patient 40001") && yes.contains("Delivered 12"), "{yes}");
}

/// Returns the output of `export --all` on a terminal with this input; `None` if the machine has no `script`.
fn on_a_terminal(scene: &Scene, typed: &str) -> Option<String> {
    use std::io::Write;
    let ours = scene.world.command(&["export", "--all"]);
    let line = format!("{} export --all", ours.get_program().to_string_lossy());
    let mut command = Command::new("script");
    command.args(["-qec", &line, "/dev/null"]).current_dir(ours.get_current_dir()?);
    // The program rejects unknown variables with its prefix, such as those of the test suite.
    command.env_remove("JHE_OW_BROWSER");
    command.envs(ours.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.ok()?;
    // `script` ends with its input, so the input stays open until the answer is there.
    let mut input = child.stdin.take()?;
    input.write_all(typed.as_bytes()).ok()?;
    let ran = Running::new(child).wait();
    drop(input);
    Some(ran.stdout)
}
