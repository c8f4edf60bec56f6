//! `init --ci` writes a workflow for a service.

use std::fs;
use std::process::Command;

use crate::support::*;
use crate::user;

#[test]
fn init_writes_configuration_and_workflow() {
    for (service, file) in [("github", ".github/workflows/image.yml"), ("gitlab", ".gitlab-ci.yml")]
    {
        let user = user();
        let outcome = run(&mut user.sdbuild(&["init", "--ci", service]))
            .assert_exit_code(0)
            .assert_stderr_contains(&["commit it"]);
        let placeholder = env!("CARGO_PKG_REPOSITORY").contains("/OWNER/");
        let warned = outcome.stderr.contains(
            "no release of sdbuild is published yet: set the variable SDBUILD_REPOSITORY in Git",
        );
        assert_eq!(warned, placeholder, "{}", outcome.stderr);
        let path = user.home.path().join(file);
        let config = user.home.path().join("sd-card.nix");
        let printed = format!("{}\n{}\n", config.display(), path.display());
        assert_eq!(outcome.stdout, printed);
        let example = root().join(format!("examples/ci/{service}.yml"));
        let [written, example] = [path, example].map(|path| fs::read_to_string(path).unwrap());
        assert_eq!(written, example);
    }
}

#[test]
fn workflow_is_at_the_root_and_names_the_directory() {
    let user = user();
    fs::create_dir(user.home.path().join(".git")).unwrap();
    run(&mut user.sdbuild(&["init", "my pi", "--ci", "github"])).assert_exit_code(0);
    let text = user.read(".github/workflows/image.yml");
    let build = "          sdbuild build 'my pi' --output images\n";
    assert!(text.contains(build), "{text}");
    run(&mut user.sdbuild(&["init", "--config", "my pi/a.nix", "--ci", "gitlab"]))
        .assert_exit_code(0);
    let text = user.read(".gitlab-ci.yml");
    let build = "sdbuild build 'my pi/a.nix' --output images\n";
    assert!(text.contains(build), "{text}");
}

/// What the example of `service` runs to install sdbuild, with the programs replaced by one that prints its name and arguments.
fn installed_with(service: Ci, repository: Option<&str>) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let bin = dir.path().join("bin");
    fs::create_dir(&bin).unwrap();
    for program in ["apk", "cargo", "curl", "wget"] {
        let file = bin.join(program);
        write_program(&file, format!("#!/bin/sh\necho {program} \"$@\" >>\"$RAN\"\n"));
    }
    // What wget would download.
    fs::write(dir.path().join("install.sh"), "").unwrap();
    let ran = dir.path().join("ran");
    let mut shell = Command::new("/bin/sh");
    shell.args(["-ec", &service.installation()]);
    shell.current_dir(dir.path()).env_clear();
    shell.env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
    shell.env("HOME", dir.path()).env("RAN", &ran);
    shell.env("GITHUB_PATH", dir.path().join("path"));
    shell.env("SDBUILD_VERSION", "9.8.7");
    if let Some(repository) = repository {
        shell.env("SDBUILD_REPOSITORY", repository);
    }
    run(&mut shell).assert_exit_code(0);
    let text = fs::read_to_string(ran).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn workflows_install_a_release_or_compile_a_repository() {
    let source = "https://git.example.org/sdbuild.git";
    let of_release = concat!(env!("CARGO_PKG_REPOSITORY"), "/releases/download/v9.8.7/install.sh");
    let ran = |service| installed_with(service, Some(source));
    assert_eq!(ran(Ci::GitHub), [format!("cargo install --locked --git {source} sdbuild")]);
    assert_eq!(
        ran(Ci::GitLab),
        [
            "apk add --no-cache cargo".to_owned(),
            format!("cargo install --locked --root /usr/local --git {source} sdbuild")
        ]
    );
    for (service, download) in [(Ci::GitHub, "curl -fsSL"), (Ci::GitLab, "wget -qO install.sh")] {
        assert_eq!(installed_with(service, None), [format!("{download} {of_release}")]);
    }
}
