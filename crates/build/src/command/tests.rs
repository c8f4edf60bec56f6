use super::*;
use sdbuild_image::image_format::Format;

/// A build of an SD card image for `aarch64-linux`.
fn request(emulated: bool, nix: NixSettings) -> NixCommand {
    NixCommand {
        task: Task::Build,
        system: System::Aarch64Linux,
        format: Format::default(),
        is_default_format: true,
        emulated,
        glue: Glue::default(),
        product: Product::default(),
        nix,
        debian_mirror: None,
    }
}

fn store_paths() -> StorePaths {
    StorePaths {
        run: "0123456789ab".into(),
        configuration: "abc".into(),
        live: vec!["0123456789ab".into(), "ba9876543210".into()],
    }
}

fn value(environment: &[(String, String)], name: &str) -> String {
    environment
        .iter()
        .find(|(key, _)| key == name)
        .unwrap()
        .1
        .clone()
}

#[test]
fn a_build_evaluates_first() {
    let [build, forecast] = [Task::Build, Task::Forecast].map(|task| {
        let request = NixCommand {
            task,
            ..request(true, NixSettings::default())
        };
        request.arguments()
    });
    assert_eq!(build, forecast);
}

#[test]
fn only_the_directories_of_the_run_are_on_the_volume() {
    let request = request(false, NixSettings::default());
    let environment = request.environment(&store_paths()).unwrap();
    for name in ["NIX_CACHE_HOME", "TMPDIR"] {
        let path = value(&environment, name);
        assert!(
            path.starts_with("/nix/var/sdbuild/build/0123456789ab"),
            "{name}"
        );
    }
    assert_eq!(value(&environment, "HOME"), "/build/home");
    let config = value(&environment, "NIX_CONFIG");
    assert!(config.contains("\nbuild-dir = /nix/var/sdbuild/build/0123456789ab\n"));
    assert!(!config.contains("extra-platforms"));
    assert!(config.contains("cores = 0\nmax-jobs = auto"));
    assert_eq!(
        value(&environment, "SDBUILD_LIVE"),
        "0123456789ab ba9876543210"
    );
}

#[test]
fn the_heap_size_is_set_except_in_a_shell() {
    let heap = |heap, task| {
        let nix = NixSettings {
            heap,
            ..NixSettings::default()
        };
        let request = NixCommand {
            task,
            ..request(true, nix)
        };
        let mut environment = request.environment(&store_paths()).unwrap().into_iter();
        environment.find(|(name, _)| name == "GC_INITIAL_HEAP_SIZE")
    };
    for task in [Task::Build, Task::Forecast, Task::Check] {
        assert_eq!(heap(Some(4096), task.clone()).unwrap().1, "4096");
        assert_eq!(heap(None, task), None);
    }
    assert_eq!(heap(Some(4096), Task::Shell(ShellSession::default())), None);
}

#[test]
fn glue_is_native_only_under_emulation() {
    let word = |emulated: bool, glue: Glue, format: &str| {
        let request = NixCommand {
            format: format.parse().unwrap(),
            glue,
            ..request(emulated, NixSettings::default())
        };
        value(
            &request.environment(&store_paths()).unwrap(),
            "SDBUILD_GLUE",
        )
    };
    let (card, other) = ("sd-card", "nixpkgs:lxc");
    assert_eq!(word(true, Glue::Auto, card), "auto");
    assert_eq!(word(true, Glue::Native, card), "native");
    for (glue, format) in [(Glue::Emulated, card), (Glue::Auto, other)] {
        assert_eq!(word(true, glue, format), "emulated");
    }
    let card = Format::default();
    assert!(is_native_glue_possible(&card, System::Aarch64Linux));
    assert!(!is_native_glue_possible(&card, System::X8664Linux));
    assert_eq!(word(false, Glue::Native, "sd-card"), "none");
}
