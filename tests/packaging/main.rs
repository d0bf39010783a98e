//! The files in packaging/ match the program, as far as a machine without containers can check.

mod alerts;
mod fly;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

/// The unit's maximum exposure level (of 10) by `systemd-analyze security`.
const MOST_EXPOSED: f64 = 1.5;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn file(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Returns true if the program accepts this command line.
fn understood(line: &str) -> bool {
    jhe_ow::cli::run::command().try_get_matches_from(line.split_whitespace()).is_ok()
}

/// Returns the output of a program of the machine; `None` if it is not installed.
fn asked(program: &str, arguments: &[&str]) -> Option<Output> {
    let said = Command::new(program).args(arguments).current_dir(root()).output();
    if said.is_err() {
        eprintln!("{program} is not here; this was not checked");
    }
    said.ok()
}

/// Returns the keys of a unit with all their values.
fn unit() -> BTreeMap<String, Vec<String>> {
    let mut keys = BTreeMap::<String, Vec<String>>::new();
    for line in file("packaging/jhe-ow.service").lines() {
        if line.is_empty() || line.starts_with(['#', '[']) {
            continue;
        }
        let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("not a key of a unit: {line}"));
        keys.entry(key.to_owned()).or_default().push(value.to_owned());
    }
    keys
}

#[test]
fn the_unit_runs_the_daemon_and_lets_it_do_nothing_else() {
    let unit = unit();
    let is = |key: &str, value: &str| {
        assert_eq!(unit.get(key).map(|values| values.join(" ")).as_deref(), Some(value), "{key}");
    };
    is("Type", "notify");
    is("Restart", "on-failure");
    is("UMask", "0077");
    is("DynamicUser", "yes");
    is("StateDirectory", "jhe-ow");
    assert!(
        file("packaging/jhe-ow-ctl").contains("\ndata=/var/lib/jhe-ow\n"),
        "the path is the unit's StateDirectory"
    );
    is("ConfigurationDirectory", "jhe-ow");
    is("LimitCORE", "0");
    assert!(unit.contains_key("WatchdogSec") && unit.contains_key("MemoryMax"), "{unit:?}");
    assert!(understood(unit["ExecStart"][0].trim_start_matches("/usr/bin/")), "{unit:?}");
}

#[test]
fn the_unit_is_sound_and_hardly_exposed() {
    let unit = file("packaging/jhe-ow.service");
    let directory = tempfile::tempdir().unwrap();
    // systemd-analyze requires that the program of ExecStart exists.
    let here = directory.path().join("jhe-ow.service");
    std::fs::write(&here, unit.replace("/usr/bin/jhe-ow", env!("CARGO_BIN_EXE_jhe-ow"))).unwrap();
    let here = here.to_str().unwrap();
    let Some(verified) = asked("systemd-analyze", &["verify", "--man=no", here]) else { return };
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    // systemd 252 ignores these keys of version 254 with a warning.
    let wrong: Vec<&str> =
        said.lines().filter(|line| line.contains(here) && !line.contains("Unknown key 'Restart")).collect();
    assert!(verified.status.success() && wrong.is_empty(), "{said}");
    let Some(judged) = asked("systemd-analyze", &["security", "--offline=yes", here]) else { return };
    let judged = String::from_utf8_lossy(&judged.stdout).into_owned();
    let (_, level) =
        judged.split_once("exposure level for jhe-ow.service: ").unwrap_or_else(|| panic!("{judged}"));
    let level: f64 = level.split(' ').next().unwrap().parse().unwrap();
    assert!(level <= MOST_EXPOSED, "{level}:\n{judged}");
}

#[test]
fn each_credential_of_the_unit_is_a_secret_that_the_program_reads() {
    let unit = unit();
    let names: Vec<&str> =
        unit["LoadCredential"].iter().filter_map(|one| Some(one.split_once(':')?.0)).collect();
    assert_eq!(names.len(), 8, "{names:?}");
    for name in names {
        assert!(
            unit["SetCredential"].contains(&format!("{name}:\\n")),
            "{name} must be optional, or the unit fails without it"
        );
        let directory = tempfile::tempdir().unwrap();
        let run = |secret: &str| {
            std::fs::write(directory.path().join(name), secret).unwrap();
            let mut command = Command::new(env!("CARGO_BIN_EXE_jhe-ow"));
            command.args(["migrate", "status"]).env_clear().current_dir(directory.path());
            command.env("CREDENTIALS_DIRECTORY", directory.path()).env("JHE_OW_DATA_DIR", directory.path());
            command.output().unwrap()
        };
        assert!(run("\n").status.success(), "{name}: a blank value counts as unset");
        let refused = run("two words");
        assert_eq!(refused.status.code(), Some(2), "{name} is not read from its credential: {refused:?}");
    }
}

#[test]
fn the_debian_package_has_what_it_names() {
    let manifest: toml::Table = file("Cargo.toml").parse().unwrap();
    let package = &manifest["package"]["metadata"]["deb"];
    let built = ["target/release/jhe-ow", "target/packaging/"];
    for asset in package["assets"].as_array().unwrap() {
        let source = asset[0].as_str().unwrap();
        let is_built = built.iter().any(|one| source.starts_with(one));
        assert!(is_built || root().join(source).is_file(), "{source} does not exist");
    }
    assert_eq!(package["conf-files"][0].as_str(), Some("/etc/jhe-ow/jhe-ow.toml"));
    assert!(root().join(package["maintainer-scripts"].as_str().unwrap()).is_dir());
    let scripts =
        ["packaging/deb/postinst", "packaging/deb/postrm", "packaging/build-deb", "packaging/test-deb.sh"];
    for script in scripts.into_iter().chain(["packaging/jhe-ow-ctl", "packaging/fly-start.sh"]) {
        let checked = asked("sh", &["-n", script]).unwrap();
        assert!(checked.status.success(), "{checked:?}");
    }
    assert!(
        !file("packaging/deb/postrm").contains("rm -"),
        "removing the package must not remove patients' data"
    );
}

#[test]
fn the_debian_package_installs_serves_upgrades_and_goes() {
    if std::env::var_os("JHE_OW_TEST_DEB").is_none() {
        eprintln!("it changes the machine: set JHE_OW_TEST_DEB=1 on one that is thrown away");
        return;
    }
    // Variables that cargo sets for tests would make the inner cargo rebuild everything, and the daemon refuses unknown
    // variables.
    let kept = ["PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME"];
    let kept = kept.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    let ran = Command::new(root().join("packaging/test-deb.sh")).env_clear().envs(kept).output().unwrap();
    assert!(ran.status.success(), "{ran:?}");
}

/// Returns the instructions of the Dockerfile by stage.
fn stages() -> Vec<Vec<(String, String)>> {
    let mut stages = Vec::new();
    for line in file("packaging/Dockerfile").replace("\\\n", " ").lines() {
        let Some((word, rest)) = line.split_once(' ').filter(|_| !line.starts_with('#')) else { continue };
        let known = [
            "CMD",
            "COPY",
            "ENTRYPOINT",
            "ENV",
            "EXPOSE",
            "FROM",
            "HEALTHCHECK",
            "RUN",
            "STOPSIGNAL",
            "USER",
            "VOLUME",
            "WORKDIR",
        ];
        assert!(known.contains(&word), "{line}");
        if word == "FROM" {
            stages.push(Vec::new());
        }
        stages.last_mut().unwrap().push((word.to_owned(), rest.trim().to_owned()));
    }
    stages
}

/// Returns the words of an instruction in JSON array form.
fn list(text: &str) -> Vec<String> {
    let (_, list) = text.split_once('[').unwrap();
    serde_json::from_str(&format!("[{list}")).unwrap()
}

#[test]
fn the_image_is_empty_but_for_the_daemon_which_is_not_root() {
    let stages = stages();
    let last = stages.last().unwrap();
    let of = |word: &str| {
        let found = last.iter().find(|(instruction, _)| instruction == word);
        found.unwrap_or_else(|| panic!("no instruction {word}")).1.clone()
    };
    assert!(of("FROM").starts_with("scratch "));
    let (user, group) =
        of("USER").split_once(':').map(|(u, g)| (u.parse::<u32>(), g.parse::<u32>())).unwrap();
    assert!(user.unwrap() > 0 && group.unwrap() > 0, "user and group are numbers other than 0");
    let binary = list(&of("ENTRYPOINT"));
    for call in [list(&of("CMD")).as_slice(), &list(&of("HEALTHCHECK"))[1..]] {
        assert!(understood(&format!("jhe-ow {}", call.join(" "))), "{call:?}");
    }
    assert_eq!(list(&of("HEALTHCHECK"))[0], binary[0]);
    assert!(of("ENV").contains("JHE_OW_BIND=0.0.0.0:8002") && of("EXPOSE") == "8002");
    assert!(of("ENV").contains(&format!("JHE_OW_DATA_DIR={}", of("VOLUME"))));
    let built: String = stages[0].iter().map(|(_, rest)| rest.as_str()).collect();
    assert!(
        built.contains("linux-musl") && built.contains("ca-certificates.crt"),
        "the binary is static, and the image has root certificates"
    );
    let manifest: toml::Table = file("Cargo.toml").parse().unwrap();
    let oldest = manifest["package"]["rust-version"].as_str().unwrap();
    assert!(
        stages[0][0].1.starts_with(&format!("rust:{oldest}-")),
        "the image is built with the minimum Rust version"
    );
}

#[test]
fn what_the_image_copies_is_there_and_reaches_the_builder() {
    let ignored = file(".dockerignore");
    let kept: Vec<&str> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    assert!(
        ignored.lines().any(|line| line == "*"),
        "everything is excluded by default, so no secret and no build output is sent"
    );
    for path in &kept {
        assert!(root().join(path).exists(), "{path} does not exist");
    }
    for needed in ["Cargo.toml", "Cargo.lock", "src", "assets", "benches"] {
        assert!(kept.contains(&needed), "{needed} is excluded from the build context");
    }
    let copies =
        stages().concat().into_iter().filter(|(word, rest)| word == "COPY" && !rest.contains("--from"));
    for (_, rest) in copies {
        let source = rest.split(' ').find(|part| !part.starts_with("--")).unwrap();
        assert!(source == "." || kept.contains(&source), "{source} is excluded from the build context");
    }
}

/// Converts a YAML file to JSON with Python; `None` if Python has no YAML module.
fn yaml(name: &str) -> Option<Vec<serde_json::Value>> {
    let program = "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";
    let read = asked("python3", &["-c", program, name])?;
    if String::from_utf8_lossy(&read.stderr).contains("No module named 'yaml'") {
        eprintln!("Python has no yaml here; {name} was not checked");
        return None;
    }
    assert!(read.status.success(), "{read:?}");
    Some(serde_json::from_slice(&read.stdout).unwrap())
}

#[test]
fn compose_reaches_the_others_by_name_and_shows_itself_to_this_machine_only() {
    let Some(documents) = yaml("packaging/compose.yaml") else { return };
    let service = &documents[0]["services"]["jhe-ow"];
    assert_eq!(service["ports"], serde_json::json!(["127.0.0.1:8002:8002"]));
    let environment = service["environment"].as_object().unwrap();
    let ow = environment["OW_API_URL"].as_str().unwrap();
    assert!(ow.contains(":8000") && !ow.contains("localhost") && !ow.contains("127.0.0.1"), "{ow}");
    let example = file("jhe-ow.toml.example");
    for name in environment.keys() {
        assert!(example.contains(name.as_str()), "{name} is not a variable of the program");
    }
    assert_eq!(service["read_only"], true);
    assert_eq!(service["cap_drop"], serde_json::json!(["ALL"]));
    assert_eq!(service["ulimits"]["core"], 0, "core dumps would contain patients' data");
    assert!(root().join("packaging").join(service["build"]["context"].as_str().unwrap()).is_dir());
}

#[test]
fn kubernetes_runs_one_daemon_with_its_volume_and_no_rights() {
    let Some(documents) = yaml("packaging/kubernetes.yaml") else { return };
    let set = documents.iter().find(|one| one["kind"] == "StatefulSet").unwrap();
    assert_eq!(set["spec"]["replicas"], 1);
    assert_eq!(set["spec"]["volumeClaimTemplates"][0]["metadata"]["name"], "data");
    let pod = &set["spec"]["template"]["spec"];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(
        pod["enableServiceLinks"], false,
        "Kubernetes would set JHE_OW_PORT, which the program refuses as unknown"
    );
    let container = &pod["containers"][0];
    assert!(understood(&format!("jhe-ow {}", container["args"][0].as_str().unwrap())));
    assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/healthz");
    assert_eq!(
        container["livenessProbe"]["httpGet"]["path"], "/healthz",
        "a restart does not repair a full disk"
    );
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    let example = file("jhe-ow.toml.example");
    for variable in container["env"].as_array().unwrap() {
        assert!(example.contains(variable["name"].as_str().unwrap()), "{variable}");
    }
    let image = format!("jhe-ow:{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(container["image"], image);
    let policy = documents.iter().find(|one| one["kind"] == "NetworkPolicy").unwrap();
    assert_eq!(policy["spec"]["podSelector"], set["spec"]["selector"], "the policy selects the daemon");
    assert_eq!(policy["spec"]["policyTypes"], serde_json::json!(["Ingress", "Egress"]));
    let callers = policy["spec"]["ingress"].as_array().unwrap();
    assert!(
        callers.iter().all(|one| one["from"][0]["namespaceSelector"].is_object()),
        "ingress must be limited by namespace"
    );
}

#[test]
fn images_of_others_are_named_by_digest() {
    let stages = stages();
    let names: Vec<&str> = stages.iter().map(|stage| stage[0].1.as_str()).collect();
    let copied = stages.iter().flatten().flat_map(|(_, text)| text.split(' '));
    let sources = copied.filter_map(|part| part.strip_prefix("--from="));
    let mut outside = 0;
    for image in names.iter().map(|name| name.split(' ').next().unwrap()).chain(sources) {
        if image == "scratch" || image == "builder" {
            continue;
        }
        let (_, digest) =
            image.split_once("@sha256:").unwrap_or_else(|| panic!("{image} is not pinned by digest"));
        assert!(digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{image}");
        outside += 1;
    }
    assert_eq!(outside, 3);
}

#[test]
fn images_are_named_without_a_host() {
    let mut images: Vec<String> = stages().iter().map(|stage| stage[0].1.clone()).collect();
    for (_, copied) in stages().concat() {
        images.extend(copied.split(' ').filter_map(|part| part.strip_prefix("--from=")).map(str::to_owned));
    }
    for name in ["packaging/compose.yaml", "packaging/kubernetes.yaml"] {
        let text = file(name);
        images.extend(text.lines().filter_map(|line| line.trim().strip_prefix("image: ")).map(str::to_owned));
    }
    assert!(images.len() > 6, "{images:?}");
    for image in images {
        let (host, _) = image.split_once('/').unwrap_or_default();
        assert!(!host.contains(['.', ':']), "{image} must not name a registry host");
    }
}
