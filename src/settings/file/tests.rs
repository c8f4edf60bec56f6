use super::super::keys::known_keys;
use super::*;

#[test]
fn a_missing_file_is_empty_and_an_unknown_key_is_named() {
    let dir = tempfile::tempdir().unwrap();
    assert!(read(dir.path()).unwrap().nixpkgs.is_none());
    std::fs::create_dir(dir.path().join(NAME)).unwrap();
    let directory = read(dir.path()).unwrap_err();
    assert!(directory.hints[0].ends_with("rename the directory"));
    std::fs::remove_dir(dir.path().join(NAME)).unwrap();
    for value in ["images", "nowhere"] {
        let unquoted = parse(&format!("output = {value}")).unwrap_err();
        assert!(!unquoted.to_string().contains("float"), "{unquoted}");
        assert!(unquoted.hints[0].ends_with(&format!("output = \"{value}\"")));
    }
    std::fs::write(dir.path().join(NAME), "nixpkg = '26.05'\nfirst = 1\n").unwrap();
    let failure = read(dir.path()).unwrap_err();
    assert_eq!(failure.class, sdbuild_core::failure::Class::Usage);
    assert!(
        failure.to_string().contains("line 1: `nixpkg`"),
        "{failure}"
    );
    assert!(failure.to_string().contains("sdbuild.toml"), "{failure}");
}

#[test]
fn an_unknown_key_gets_the_nearest_one_as_a_suggestion() {
    let hint = |key: &str| {
        let failure = parse(&format!("{key} = 1")).unwrap_err();
        failure.hints[0].clone()
    };
    assert_eq!(hint("outptu"), "did you mean `output`?");
    assert!(hint("config").contains("sdbuild build PATH"));
    assert!(hint("Engine").contains("DOCKER_HOST"));
    assert!(hint("wifi").contains("networking.wireless"));
    assert_eq!(hint("boot"), "did you mean `boot-test`?");
    assert!(hint("ssh_key").starts_with("give --ssh-key FILE"));
    assert_eq!(hint("override-input"), "give --override-input INPUT DIR");
    assert_eq!(hint("builder_image"), "did you mean `builder-image`?");
    let keys = "did you mean `extra-trusted-public-keys`?";
    assert_eq!(hint("extra_trusted_public_keys"), keys);
    assert_eq!(hint("extraTrustedPublicKeys"), keys);
    let all = hint("nope");
    assert!(all.starts_with("the settings are "), "{all}");
    assert!(
        all.contains("nixpkgs") && all.contains("stall-timeout"),
        "{all}"
    );
}

#[test]
fn quoted_switches_and_settings_in_capitals_are_explained() {
    for (text, hint) in [
        ("offline = \"true\"", "write true or false without quotes"),
        ("JOBS = 2", "did you mean `jobs`?"),
        ("SDBUILD_STALL_TIMEOUT = 2", "did you mean `stall-timeout`?"),
    ] {
        assert_eq!(parse(text).unwrap_err().hints, [hint]);
    }
}

#[test]
fn the_caret_stands_below_the_value_behind_tabs() {
    let failure = parse("\tjobs\t=\t\"2\"\n").unwrap_err().to_string();
    let mut lines = failure.lines().skip_while(|line| !line.contains("jobs"));
    let (line, caret) = (lines.next().unwrap(), lines.next().unwrap());
    assert_eq!(line.find("\"2\""), caret.find("^^^"), "{failure}");
    // A tab in a value is kept.
    let options = parse("output = \"a\tb\"\n").unwrap();
    assert!(format!("{:?}", options.output).contains("a\\tb"));
}

#[test]
fn an_option_of_nixos_belongs_elsewhere() {
    let failure = parse("jobs = 1\nnetworking.hostName = \"pi\"\n").unwrap_err();
    assert_eq!(
        failure.to_string(),
        "line 2: `networking` is an option of NixOS, not a setting of sdbuild"
    );
    for text in [
        "[nixpkgs]\nhostPlatform = \"x\"\n",
        "system.stateVersion = \"26.05\"\n",
    ] {
        let failure = parse(text).unwrap_err();
        assert!(
            failure.to_string().contains("is an option of NixOS"),
            "{failure}"
        );
    }
}

#[test]
fn how_a_value_is_written_matters_only_for_a_setting() {
    for (text, key, hint) in [
        ("engine = podman", "engine", "DOCKER_HOST"),
        (
            "hostname = x",
            "hostname",
            "in the configuration, as networking.hostName, or for one build with `sdbuild build --hostname",
        ),
        ("name = x", "name", "networking.hostName"),
        (
            "experimental-features = nix-command flakes",
            "experimental-features",
            "remove the line",
        ),
    ] {
        let failure = parse(text).unwrap_err();
        assert!(failure.hints[0].contains(hint), "{failure:?}");
        let told = format!("line 1: `{key}` is not a setting");
        assert_eq!(failure.to_string(), told);
    }
}

#[test]
fn a_number_that_is_too_small_gets_a_right_one() {
    let refused = parse("jobs = -1").unwrap_err();
    assert_eq!(refused.hints, ["for instance jobs = 1"]);
}

#[test]
fn a_section_and_a_text_without_quotes_are_explained() {
    let failure = parse("\n[build]\njobs = 1\n").unwrap_err();
    assert_eq!(
        failure.to_string(),
        "line 2: `build` is a section, and the settings have none"
    );
    for (text, hint) in [
        ("[[builders]]\nx = 1", "no section"),
        ("boot-test = yes", "write true or false: boot-test = true"),
        (
            "nixpkgs = 26.05",
            "a string is in quotes: nixpkgs = \"26.05\"",
        ),
        ("output = 1 # mine", "output = \"1\""),
    ] {
        let failure = parse(text).unwrap_err();
        assert!(failure.hints[0].contains(hint), "{failure:?}");
        assert!(!failure.to_string().ends_with(char::is_whitespace));
        assert!(failure.to_string().starts_with("line 1, column "));
    }
    for (text, hint) in [
        (
            "jobs = 1\njobs = 2",
            "a setting can be set only once; remove one of the two lines",
        ),
        (
            "output = \"a\"\nformat: \"qcow2\"",
            "write `=` instead of `:`",
        ),
        (
            "substituters:[\"http://a/?x=1\"]",
            "write `=` instead of `:`",
        ),
        (
            "substituters = [\n  \"https://a\"\n  \"https://b\"\n]",
            "the elements of a list are separated by commas: [\"a\", \"b\"]",
        ),
        (
            "substituters = [\"http://a\"\noffline = true",
            "the list above is not closed: a `]` is missing",
        ),
        (
            "substituters = [\"a\",, \"b\"]",
            "there is one comma too many in the list",
        ),
        ("substituters = [\"http://a\"\n", "a list ends with `]`"),
        (
            "format qcow2 # a: b",
            "a setting and its value have a `=` between them: format = …",
        ),
    ] {
        assert_eq!(parse(text).unwrap_err().hints, [hint]);
    }
}

#[test]
fn values_that_a_setting_cannot_have_are_explained() {
    let text = parse("builders = \"ssh-ng://a@b\"").unwrap_err();
    assert!(text.to_string().ends_with("expected a list"), "{text}");
    let list = "the setting is a list: builders = [\"ssh-ng://a@b\"]";
    assert_eq!(text.hints, [list]);
    let quoted = parse("jobs = \"2\"").unwrap_err();
    assert_eq!(quoted.hints, ["write the number without quotes"]);
    let unit = parse("memory-mib = \"2G\"").unwrap_err();
    assert!(unit.hints[0].contains("without a unit"), "{unit:?}");
    let set = parse("[set]\n\"time.timeZone\" = \"UTC\"").unwrap_err();
    assert!(set.hints[0].starts_with("give --set"), "{set:?}");
    let failure = parse("compress = 'lzma'").unwrap_err();
    assert!(failure.to_string().contains("is not one of"), "{failure}");
    assert!(failure.hints.is_empty(), "{failure:?}");
}

#[test]
fn every_key_has_a_type_and_every_flag_is_a_key() {
    use clap::Args as _;
    let keys = known_keys().unwrap();
    for key in &keys {
        // Of a type that no setting has: the error is about the type, not about the key.
        let error = toml::from_str::<Options>(&format!("{key} = 1979-05-27\n")).unwrap_err();
        assert!(error.to_string().contains("invalid type"), "{key}: {error}");
    }
    let flags = Options::augment_args(clap::Command::new("build"));
    for flag in flags.get_arguments().filter_map(clap::Arg::get_long) {
        assert!(keys.iter().any(|key| key == flag), "--{flag} is not a key");
    }
}

#[test]
fn a_value_that_is_refused_is_shown_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    for (line, words) in [
        ("jobs = 0", "`0` is not between 1 and 4096"),
        ("jobs = -3", "`-3` is not between 1 and 4096"),
        ("jobs = 9223372036854775808", "is not between 1 and 4096"),
        (
            "memory-mib = 'x'",
            "invalid type: string \"x\", expected a whole number, at least",
        ),
        (
            "jobs = 'x'",
            "invalid type: string \"x\", expected a whole number from 1 to 4096",
        ),
        (
            "glue = 'fast'",
            "`fast` is not one of auto, native, emulated",
        ),
        (
            "compress = 'zip'",
            "`zip` is not one of none, zstd, xz, gzip",
        ),
        ("substituters = ''", "write a list: []"),
        (
            "substituters = 'http://a http://b'",
            "write a list: [\"http://a\",\"http://b\"]",
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
