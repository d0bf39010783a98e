use std::path::Path;

use super::*;

use crate::config::keys::KEYS;

const EXAMPLE: &str = include_str!("../../jhe-ow.toml.example");

fn environment(variables: &[(&str, &str)], directory: &Path) -> Environment {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Environment::new(variables, directory.to_owned()).unwrap()
}

fn load_from(file: &str, variables: &[(&str, &str)]) -> Result<Config, Failure> {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("jhe-ow.toml"), file).unwrap();
    let flags = Flags { data_dir: Some("data".into()), ..Flags::default() };
    load(&flags, &environment(variables, directory.path()))
}

#[test]
fn the_example_names_every_key_and_variable() {
    for &key in KEYS {
        let name = key.path.rsplit('.').next().unwrap();
        assert!(EXAMPLE.contains(&format!("# {name} = ")), "{}", key.path);
        assert!(EXAMPLE.contains(key.variable), "{}", key.variable);
    }
}

#[test]
fn metrics_are_served_to_this_machine_alone_by_default() {
    let bind = |variables: &[(&str, &str)]| load_from("", variables).unwrap().metrics_bind;
    assert!(bind(&[]).is_some_and(|bind| bind.ip().is_loopback()));
    assert_eq!(bind(&[("JHE_OW_METRICS_BIND", "off")]), None);
    let everywhere = bind(&[("JHE_OW_METRICS_BIND", "0.0.0.0:9464")]);
    assert!(everywhere.is_some_and(|bind| bind.ip().is_unspecified()));
    let wrong = load_from("", &[("JHE_OW_METRICS_BIND", "9464")]).unwrap_err();
    assert!(wrong.message.contains("metrics.bind = '9464'") && wrong.remedy.contains("or off"), "{wrong}");
}

#[test]
fn the_example_parses_as_it_is_and_with_every_key_uncommented() {
    load_from(EXAMPLE, &[]).unwrap();
    let uncommented: Vec<&str> = EXAMPLE
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if rest.split_once(" = ").is_some_and(|(key, _)| !key.contains(' ')) => rest,
            _ => line,
        })
        .collect();
    let uncommented = uncommented.join("\n");
    let file = File::parse(Path::new("example"), &uncommented).unwrap();
    for &key in KEYS {
        let found = file.find_key(key.path).unwrap_or_else(|| panic!("{} is not in the example", key.path));
        if let Some(default) = key.default {
            assert_eq!(found.value, default, "{}", key.path);
        }
    }
}

#[test]
fn flags_beat_environment_beats_dotenv_beats_file() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("jhe-ow.toml"), "[log]\nlevel = \"error\"\nformat = \"json\"")
        .unwrap();
    let level = |flag: Option<&str>, variables: &[(&str, &str)]| {
        let flags = Flags { log: flag.map(str::to_owned), data_dir: Some("data".into()), ..Flags::default() };
        load(&flags, &environment(variables, directory.path())).unwrap().log_level
    };
    assert_eq!(level(None, &[]), "error");
    std::fs::write(directory.path().join(".env"), "JHE_OW_LOG=warn\n").unwrap();
    assert_eq!(level(None, &[]), "warn");
    assert_eq!(level(None, &[("JHE_OW_LOG", "debug")]), "debug");
    assert_eq!(level(Some("trace"), &[("JHE_OW_LOG", "debug")]), "trace");
}

#[test]
fn an_unknown_log_level_is_refused() {
    for level in ["off", "INFO", "info,crate::ow=debug", "warn,hyper=off", "jhe_ow=trace"] {
        assert_eq!(load_from(&format!("[log]\nlevel = \"{level}\""), &[]).unwrap().log_level, level);
    }
    for word in ["warning", "verbose", "info,everything", "jhe_ow=loud"] {
        let failure = load_from(&format!("[log]\nlevel = \"{word}\""), &[]).unwrap_err();
        assert!(failure.message.contains(word) && failure.remedy.contains("error, warn, info"), "{failure}");
    }
}

#[test]
fn a_wrong_value_is_named_with_its_key_its_source_and_the_allowed_values() {
    let failure = load_from("[log]\n\nformat = \"xml\"", &[]).unwrap_err();
    assert!(
        failure.message.contains("log.format = 'xml'") && failure.message.contains("line 3"),
        "{failure}"
    );
    assert_eq!((failure.remedy.as_str(), failure.code), ("give auto, pretty or json", 2));
    for (variable, value) in [
        ("JHE_OW_BIND", "8002"),
        ("JHE_OW_OW_TIMEOUT", "10m"),
        ("OW_API_URL", "localhost:8000"),
        ("OW_API_URL", "http://localhost:8000/?x=1"),
        ("JHE_OW_LOG", "jhe_ow=loud"),
    ] {
        let failure = load_from("", &[(variable, value)]).unwrap_err();
        assert!(failure.message.contains(variable) && failure.message.contains(value), "{failure}");
    }
}

#[test]
fn no_error_shows_a_secret() {
    let directory = tempfile::tempdir().unwrap();
    let failure = load_from("", &[("OW_API_URL", "http://user:hunter2@localhost:8000")]).unwrap_err();
    assert!(failure.message.contains("'http://…@localhost:8000'"), "{failure}");
    let failure = load_from("[ow]\napi_key = sk-hunter2\n", &[]).unwrap_err();
    assert!(
        failure.message.contains("line 2 is not TOML") && !failure.message.contains("hunter2"),
        "{failure}"
    );
    std::fs::write(directory.path().join(".env"), "OW_API_URL=http://x\nOW_API_KEY=\"sk-hunter2\n").unwrap();
    let failure = Environment::new([], directory.path().to_owned()).unwrap_err();
    assert!(failure.message.contains("OW_API_KEY") && !failure.message.contains("hunter2"), "{failure}");
}

#[test]
fn an_unknown_key_names_the_nearest_known_one() {
    let failure = load_from("[ow]\napi_ulr = \"http://127.0.0.1:8000\"", &[]).unwrap_err();
    assert!(failure.message.contains("ow.api_ulr") && failure.message.contains("line 2"), "{failure}");
    assert_eq!(failure.remedy, "did you mean ow.api_url?");
    let failure = load_from("", &[("JHE_OW_DATADIR", "/x")]).unwrap_err();
    assert!(failure.remedy.contains("JHE_OW_DATA_DIR"), "{failure}");
}

#[test]
fn a_run_time_setting_in_the_file_is_refused_with_the_command_that_sets_it() {
    let failure = load_from("[ow]\ningest_mode = \"raw\"", &[]).unwrap_err();
    assert!(failure.remedy.contains("jhe-ow settings set ow.ingest_mode"), "{failure}");
}

#[test]
fn a_secret_comes_from_its_variable_its_file_or_systemd_and_never_shows() {
    use secrecy::ExposeSecret;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ow_api_key");
    std::fs::write(&file, "sk-from-file\n").unwrap();
    let key = |variables: &[(&str, &str)]| {
        load_from("", variables).map(|config| config.ow_api_key.map(|key| key.expose_secret().to_owned()))
    };
    assert_eq!(key(&[("OW_API_KEY", "sk-plain")]), Ok(Some("sk-plain".into())));
    assert_eq!(key(&[("OW_API_KEY_FILE", file.to_str().unwrap())]), Ok(Some("sk-from-file".into())));
    let systemd = directory.path().to_str().unwrap();
    assert_eq!(key(&[("CREDENTIALS_DIRECTORY", systemd)]), Ok(Some("sk-from-file".into())));
    assert_eq!(key(&[("OW_API_KEY", "")]), Ok(None));
    std::fs::write(&file, "\n").unwrap();
    assert_eq!(key(&[("CREDENTIALS_DIRECTORY", systemd)]), Ok(None), "a blank credential is none");
    assert!(key(&[("OW_API_KEY_FILE", file.to_str().unwrap())]).is_err(), "a file that was named has a key");
    let failure = key(&[("OW_API_KEY", "sk-se cret")]).unwrap_err();
    assert!(!failure.to_string().contains("cret"), "{failure}");
    assert!(key(&[("OW_API_KEY_FILE", "/nowhere")]).unwrap_err().message.contains("/nowhere"));
    assert!(key(&[("OW_API_KEY", "a"), ("OW_API_KEY_FILE", "b")]).is_err());
}

#[test]
fn a_configured_data_directory_overrides_that_of_systemd() {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = |variables: &[(&str, &str)]| {
        load(&Flags::default(), &environment(variables, directory.path())).unwrap().data_dir
    };
    assert_eq!(data_dir(&[("STATE_DIRECTORY", "/var/lib/jhe-ow:/x")]), Path::new("/var/lib/jhe-ow"));
    let both = [("STATE_DIRECTORY", "/var/lib/jhe-ow"), ("JHE_OW_DATA_DIR", "/data")];
    assert_eq!(data_dir(&both), Path::new("/data"));
}

#[test]
fn exactly_the_secrets_have_a_file_key() {
    let has_file_key = |path: &str| KEYS.iter().any(|other| other.path == format!("{path}_file"));
    for &key in KEYS {
        assert_eq!(key.is_secret, has_file_key(key.path), "{}", key.path);
        assert!(!key.is_secret || key.default.is_none(), "{}", key.path);
        let shown = key.mask("hunter2".to_owned());
        assert_eq!(shown, if has_file_key(key.path) { "(set)" } else { "hunter2" }, "{}", key.path);
    }
}

#[test]
fn an_invalid_address_is_refused_with_a_fitting_example() {
    for (name, example) in [
        ("JHE_OW_PUBLIC_URL", "https://jhe-ow.example.org"),
        ("JHE_BASE_URL", "https://jhe.example.org"),
        ("JHE_PUBLIC_URL", "https://jhe.example.org"),
        ("OW_API_URL", "https://ow.example.org"),
    ] {
        let failure = load_from("", &[(name, "localhost")]).unwrap_err();
        let text = failure.to_string();
        assert!(text.contains(name) && text.contains(example), "{text}");
    }
}

#[test]
fn a_byte_order_mark_is_skipped() {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("key");
    std::fs::write(&key, "\u{feff}sk-from-notepad\r\n").unwrap();
    let dotenv = format!("\u{feff}OW_API_URL=http://ow:8000\r\nOW_API_KEY_FILE={}\r\n", key.display());
    std::fs::write(directory.path().join(".env"), dotenv).unwrap();
    let flags = Flags { data_dir: Some("data".into()), ..Flags::default() };
    let config = load(&flags, &environment(&[], directory.path())).unwrap();
    assert_eq!(config.ow_api_url.unwrap().as_str(), "http://ow:8000");
    assert_eq!(config.ow_api_key.unwrap().expose_secret(), "sk-from-notepad");
}

#[test]
fn a_public_url_with_a_path_is_refused() {
    let load = |url| load_from("", &[("JHE_OW_PUBLIC_URL", url)]);
    let refused = load("https://example.org/wearables").unwrap_err();
    assert!(refused.remedy.contains("without a path"), "{refused}");
    assert!(load("https://example.org/").is_ok() && load("https://example.org").is_ok());
}
