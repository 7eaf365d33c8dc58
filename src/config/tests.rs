//! What is read, from where, and what is refused.

use super::*;

fn from_toml(text: &str) -> Result<Settings, ConfigError> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("portcullis.toml");
    std::fs::write(&file, text).unwrap();
    Settings::load(Some(&file))
}

#[test]
fn the_defaults_are_valid() {
    assert!(Settings::default().problems().is_empty());
}

/// `config/default.toml` is the reference that people copy from.
#[test]
fn the_reference_file_says_the_defaults() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/default.toml");
    let said: Settings = config::Config::builder()
        .add_source(config::File::from(file.as_path()))
        .build()
        .and_then(config::Config::try_deserialize)
        .unwrap();
    assert_eq!(format!("{said:?}"), format!("{:?}", Settings::default()));
}

/// A key that is missing from the file would not show in the comparison of values.
#[test]
fn the_reference_file_names_every_key() {
    let text = include_str!("../../config/default.toml");
    let settings = format!("{:#?}", Settings::default());
    // The derived `Debug` prints each field on a line of its own: `name: value`.
    let keys = settings.lines().filter_map(|line| {
        let (key, value) = line.trim().split_once(": ")?;
        (!value.ends_with('{')).then_some(key)
    });
    for key in keys {
        let named = text.lines().any(|line| {
            line.trim_start_matches("# ")
                .starts_with(&format!("{key} = "))
        });
        assert!(named, "config/default.toml does not name {key}");
    }
}

#[test]
fn a_file_overrides_defaults() {
    let settings =
        from_toml("[worker]\nlisting_interval = \"30s\"\n[http]\nworkers = 4\n").unwrap();
    assert_eq!(settings.worker.listing_interval, Duration::from_secs(30));
    assert_eq!(settings.http.workers, 4);
    assert_eq!(settings.worker.batch_size, 100);
}

#[test]
fn an_unknown_key_is_an_error_that_names_it() {
    let error = from_toml("[worker]\nlisting_intervall = \"30s\"\n")
        .unwrap_err()
        .to_string();
    assert!(error.contains("listing_intervall"), "{error}");
}

#[test]
fn sns_is_resolved_to_a_simulator_only_where_aws_is() {
    let hook = "[hooks.sns]\nresolve_to = \"http://127.0.0.1:4600\"\n";
    let error = from_toml(hook).unwrap_err().to_string();
    assert!(error.contains("hooks.sns.resolve_to"), "{error}");
    let both = format!("[aws]\nendpoint_url = \"http://127.0.0.1:4600\"\n{hook}");
    assert!(from_toml(&both).is_ok());
}

#[test]
fn topics_in_the_environment_are_separated_by_commas() {
    let variables = [(
        "PORTCULLIS__HOOKS__SNS__TOPICS".to_owned(),
        "arn:aws:sns:eu-west-1:111122223333:a,arn:aws:sns:eu-west-1:111122223333:b".to_owned(),
    )];
    let settings: Settings = config::Config::builder()
        .add_source(environment().source(Some(variables.into())))
        .build()
        .and_then(config::Config::try_deserialize)
        .unwrap();
    assert_eq!(settings.hooks.sns.topics.len(), 2);
    assert!(settings.problems().is_empty());
}

#[test]
fn every_problem_is_told_at_once() {
    let error =
        from_toml("[worker]\nbatch_size = 0\nmax_attempts = 0\n[http]\nworkers = 0\n").unwrap_err();
    let ConfigError::Invalid(problems) = error else {
        panic!("{error}")
    };
    assert_eq!(problems.len(), 3, "{problems:?}");
}

#[test]
fn the_database_url_is_not_printed() {
    let mut settings = Settings::default();
    settings.database.url = Some("postgres://me:tell-nobody@db/x".to_owned().into());
    assert!(!format!("{settings:?}").contains("tell-nobody"));
}

/// Whatever is wrong, and wherever the secret stands by mistake.
#[test]
fn no_error_shows_a_secret() {
    for text in [
        // Not closed, so that the parser's own words would show the line.
        "[database]\nurl = \"postgres://me:tell-nobody@db/x\n",
        "database = \"postgres://me:tell-nobody@db/x\"\n",
        "[database]\nurl = [\"postgres://me:tell-nobody@db/x\"]\n",
        "[database]\nmax_connections = \"postgres://me:tell-nobody@db/x\"\n",
        "[database]\nurl = \"postgres://me:tell-nobody@db/x\"\nmax_connections = 0\n",
        "[http]\nlisten = \"postgres://me:tell-nobody@db/x\"\n",
    ] {
        let error = from_toml(text).unwrap_err();
        for shown in [format!("{error}"), format!("{error:?}")] {
            assert!(!shown.contains("tell-nobody"), "{shown}");
        }
    }
}

#[test]
fn a_file_that_is_no_toml_is_told_with_its_line() {
    let error = from_toml("[http]\nworkers = 2\nlisten = \"127\n").unwrap_err();
    assert!(error.to_string().contains("line 3"), "{error}");
}

#[test]
fn a_secret_can_be_in_a_file_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("url");
    std::fs::write(&file, "postgres://me:tell-nobody@db/x\n").unwrap();
    let text = format!("[database]\nurl_file = {:?}\n", file.display().to_string());
    let settings = from_toml(&text).unwrap();
    assert_eq!(
        settings.database_url().unwrap(),
        "postgres://me:tell-nobody@db/x"
    );
    assert!(!format!("{settings:?}").contains("tell-nobody"));

    let both = format!("{text}url = \"postgres://db/x\"\n");
    let error = from_toml(&both).unwrap_err().to_string();
    assert!(error.contains("both set"), "{error}");
    std::fs::write(&file, "\n").unwrap();
    let error = from_toml(&text).unwrap_err().to_string();
    assert!(error.contains("is empty"), "{error}");
    std::fs::remove_file(&file).unwrap();
    let error = from_toml(&text).unwrap_err().to_string();
    assert!(error.contains("database.url_file"), "{error}");
}

#[test]
fn a_rate_is_read_from_the_environment_and_a_wrong_one_is_told() {
    let with = |value: &str| {
        let variables = [(
            "PORTCULLIS__HTTP__RATE__CALLER_READS".to_owned(),
            value.to_owned(),
        )];
        config::Config::builder()
            .add_source(environment().source(Some(variables.into())))
            .build()
            .and_then(config::Config::try_deserialize::<Settings>)
    };
    let rate = with("60/m burst 90").unwrap().http.rate.caller_reads;
    assert_eq!(rate.to_string(), "60/m burst 90");
    let error = with("fast").unwrap_err().to_string();
    assert!(error.contains("100/s burst 500"), "{error}");
}

#[test]
fn a_certificate_without_its_key_is_a_mistake() {
    let error = from_toml("[http.tls]\ncertificate_file = \"cert.pem\"\n").unwrap_err();
    assert!(error.to_string().contains("http.tls.key_file"), "{error}");
}
