use clap::{Args as _, Parser};

use super::*;
use crate::settings::resolver::Origin;
use crate::settings::{CACHE_KEY, DEFAULT_RELEASE};
use sdbuild_core::failure::Class;
use sdbuild_core::system::System;

#[derive(Parser)]
struct CommandLine {
    #[command(flatten)]
    args: BuildArgs,
}

fn env() -> Environment {
    [("HOME", "/home/me")].into_iter().collect()
}

fn build(flags: &[&str], toml: &str) -> Result<Build, Failure> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("sdbuild.toml"), toml).unwrap();
    let config = dir.path().join("sd-card.nix");
    let start = ["build", "--config", config.to_str().unwrap()];
    let command_line = CommandLine::parse_from(start.iter().chain(flags));
    Build::resolve(&command_line.args, &env())
}

#[test]
fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
    let toml = "system = 'x86_64-linux'\ncores = 3\n";
    let settings = build(&["--cores", "2"], toml).unwrap();
    assert_eq!(settings.request.target.system, System::X8664Linux);
    assert_eq!(settings.request.resources.cores, Some(2));
    assert_eq!(settings.request.source.nixpkgs, DEFAULT_RELEASE);
    assert_eq!(
        settings.request.common.cache_dir,
        Path::new("/home/me/.cache/sdbuild")
    );
}

#[test]
fn a_failure_says_where_its_setting_comes_from() {
    let hints = |flags: &[&str], toml: &str| {
        let settings = build(flags, toml).unwrap();
        settings.request.source.nixpkgs_origin.unwrap_or_default()
    };
    assert_eq!(hints(&["--nixpkgs", "./a"], "nixpkgs = './b'"), "");
    let of_file = hints(&[], "nixpkgs = './b'");
    assert!(of_file.ends_with("/sdbuild.toml sets it"), "{of_file}");
    assert_eq!(hints(&[], ""), "");
}

#[test]
fn flags_without_a_value_are_on() {
    let settings = build(&["--force", "--boot-test"], "").unwrap();
    assert!(settings.request.output.force && settings.request.output.is_booted);
    assert!(!build(&[], "").unwrap().request.output.force);
    let imager = |flag| build(&[flag], "").unwrap().request.output.imager.unwrap();
    assert_eq!(imager("--rpi-imager"), ImagerUrl::OutputDir);
    let url = "https://x.example";
    assert_eq!(
        imager("--rpi-imager=https://x.example"),
        ImagerUrl::Below(url.into())
    );
}

#[test]
fn the_help_names_every_variable() {
    let command = BuildArgs::augment_args(clap::Command::new("build"));
    for flag in command.get_arguments() {
        let (Some(key), Some(help)) = (flag.get_long(), flag.get_help()) else {
            continue;
        };
        let variable = format!("SDBUILD_{}", key.replace('-', "_").to_uppercase());
        let value = match key {
            "glue" => "auto",
            "compress" => "xz",
            "format" => "sd-card",
            "on" => "command:rent",
            "builders" => "ssh://a@b x86_64-linux",
            "offline" => "true",
            "substituters" | "extra-substituters" => "https://c.example",
            "trusted-public-keys" | "extra-trusted-public-keys" => CACHE_KEY,
            _ => "1",
        };
        let env = [("HOME", "/home/me"), (variable.as_str(), value)];
        let env = env.into_iter().collect();
        let settings = Build::resolve(&BuildArgs::default(), &env).unwrap();
        let setting = settings.settings.iter().find(|s| s.key == key).unwrap();
        let is_read = matches!(setting.origin, Origin::Environment(_));
        let documented = help.to_string().contains(&format!("[env: {variable}]"));
        assert_eq!(documented, is_read, "--{key}: {help}");
    }
}

#[test]
fn a_nixpkgs_directory_in_the_file_is_relative_to_the_file() {
    let settings = build(&[], "nixpkgs = './tree'").unwrap();
    let dir = project_of(&settings.request.source.choice).unwrap();
    assert_eq!(
        Path::new(&settings.request.source.nixpkgs),
        dir.join("./tree")
    );
    let url = build(&["--nixpkgs", "https://x.example/n.tar.xz"], "").unwrap();
    assert_eq!(url.request.source.nixpkgs, "https://x.example/n.tar.xz");
}

#[test]
fn flags_for_the_other_kind_of_source_are_refused() {
    let with = |flags: &[&str]| {
        let command_line = CommandLine::parse_from([&["build"], flags].concat());
        Build::resolve(&command_line.args, &env())
    };
    let failure = with(&["--flake", "x:y", "--nixpkgs", "26.05"]).unwrap_err();
    assert!(
        failure.hints.concat().contains("--override-input"),
        "{failure}"
    );
    let failure = with(&["--override-input", "nixpkgs", "x:y"]).unwrap_err();
    assert!(failure.to_string().contains("for flakes"), "{failure}");
    let flags = ["--flake", "x:y", "--override-input", "../my pkgs", "a/b"];
    assert!(with(&flags).is_err());
    let flags = ["--flake", "x:y#pi", "--override-input", "nixpkgs", "./n"];
    let settings = with(&flags).unwrap();
    let here = std::env::current_dir().unwrap();
    let [(input, reference)] = &settings.request.source.override_inputs[..] else {
        panic!("{:?}", settings.request.source.override_inputs);
    };
    assert_eq!(
        (input.as_str(), reference.directory()),
        ("nixpkgs", Some(here.join("n")))
    );
}

#[test]
fn the_source_date_is_a_number_of_seconds_or_unset() {
    assert_eq!(source_date_epoch(None).unwrap(), None);
    let seconds = source_date_epoch(Some("1700000000")).unwrap();
    assert_eq!(seconds, Timestamp::from_second(1_700_000_000).ok());
    for text in ["x", "-1", "1.5", "253402300800"] {
        let failure = source_date_epoch(Some(text)).unwrap_err();
        assert_eq!(failure.class, Class::Usage);
        assert!(failure.to_string().contains(text), "{failure}");
    }
}
