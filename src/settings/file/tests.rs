use super::*;

#[test]
fn a_missing_file_is_empty_and_an_unknown_key_is_named() {
    let dir = tempfile::tempdir().unwrap();
    assert!(read(dir.path()).unwrap().nixpkgs.is_none());
    std::fs::create_dir(dir.path().join(NAME)).unwrap();
    assert!(read(dir.path()).is_err());
    std::fs::remove_dir(dir.path().join(NAME)).unwrap();
    std::fs::write(dir.path().join(NAME), "nixpkg = '26.05'\n").unwrap();
    let failure = read(dir.path()).unwrap_err();
    assert_eq!(failure.class, sdbuild_core::failure::Class::Usage);
    let text = failure.to_string();
    assert!(
        text.contains("line 1") && text.contains("`nixpkg`"),
        "{text}"
    );
    assert!(failure.to_string().contains("sdbuild.toml"), "{failure}");
}

#[test]
fn every_key_has_a_type_and_every_flag_is_a_key() {
    use clap::Args as _;
    let options = serde_json::to_value(Options::default()).unwrap();
    let keys: Vec<&String> = options.as_object().unwrap().keys().collect();
    for key in &keys {
        // Of a type that no setting has: the error is about the type, not about the key.
        let error = toml::from_str::<Options>(&format!("{key} = 1979-05-27\n")).unwrap_err();
        assert!(error.to_string().contains("invalid type"), "{key}: {error}");
    }
    let flags = Options::augment_args(clap::Command::new("build"));
    for flag in flags.get_arguments().filter_map(clap::Arg::get_long) {
        assert!(keys.iter().any(|key| *key == flag), "--{flag} is not a key");
    }
}

#[test]
fn a_value_that_is_refused_is_shown_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    for (line, words) in [
        ("jobs = 0", "`0` is not between 1 and 4096"),
        ("jobs = -3", "`-3` is not between 1 and 4096"),
        ("jobs = 'x'", "invalid type: string \"x\", expected i64"),
        (
            "glue = 'fast'",
            "`fast` is not one of auto, native, emulated",
        ),
        (
            "compress = 'zip'",
            "`zip` is not one of none, zstd, xz, gzip",
        ),
        (
            "substituters = ''",
            "invalid type: string \"\", expected a sequence",
        ),
        (
            "system = 'z80-linux'",
            "`z80-linux` is not one of aarch64-linux",
        ),
    ] {
        std::fs::write(dir.path().join(NAME), format!("cores = 2\n{line}\n")).unwrap();
        let failure = read(dir.path()).unwrap_err().to_string();
        assert!(failure.contains(words), "{failure}");
        assert!(failure.contains("line 2"), "{failure}");
    }
}

#[test]
fn a_pipe_or_a_device_is_not_a_settings_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(NAME);
    let refused = || {
        let failure = read(dir.path()).unwrap_err();
        assert_eq!(failure.class, sdbuild_core::failure::Class::Usage);
        assert!(
            failure.to_string().contains("not a plain file"),
            "{failure}"
        );
        std::fs::remove_file(&path).unwrap();
    };
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    refused();
    std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
    refused();
}

proptest::proptest! {
    /// A settings file is understood, or refused as a usage error.
    #[test]
    fn any_text_is_settings_or_a_usage_error(text in "(?s).{0,200}") {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(NAME), text).unwrap();
        if let Err(failure) = read(dir.path()) {
            proptest::prop_assert_eq!(failure.class, sdbuild_core::failure::Class::Usage);
        }
    }
}
