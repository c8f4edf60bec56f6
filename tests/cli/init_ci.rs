//! `init --ci` writes a workflow for a service.

use std::fs;

use crate::support::*;
use crate::user;

#[test]
fn init_writes_configuration_and_workflow() {
    for (service, file) in [
        ("github", ".github/workflows/image.yml"),
        ("gitlab", ".gitlab-ci.yml"),
    ] {
        let user = user();
        let outcome = run(&mut user.sdbuild(&["init", "--ci", service]))
            .assert_exit_code(0)
            .assert_stderr_contains(&["commit it"]);
        let placeholder = env!("CARGO_PKG_REPOSITORY").contains("/OWNER/");
        let warned = outcome
            .stderr
            .contains("no release of sdbuild is published yet: replace https://");
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
    let path = user.home.path().join(".github/workflows/image.yml");
    let text = fs::read_to_string(path).unwrap();
    let build = "          sdbuild build 'my pi' --output images\n";
    assert!(text.contains(build), "{text}");
    run(&mut user.sdbuild(&["init", "--config", "my pi/a.nix", "--ci", "gitlab"]))
        .assert_exit_code(0);
    let text = fs::read_to_string(user.home.path().join(".gitlab-ci.yml")).unwrap();
    let build = "sdbuild build 'my pi/a.nix' --output images\n";
    assert!(text.contains(build), "{text}");
}

#[test]
fn existing_configuration_is_kept_existing_workflow_refused() {
    let user = user();
    user.write("sd-card.nix", "{ }");
    let words = ["init", "--ci", "gitlab"];
    let outcome = run(&mut user.sdbuild(&words)).assert_exit_code(0);
    let path = user.home.path().join(".gitlab-ci.yml");
    assert_eq!(outcome.stdout, format!("{}\n", path.display()));
    let kept = fs::read_to_string(user.home.path().join("sd-card.nix"));
    assert_eq!(kept.unwrap(), "{ }");
    fs::write(&path, "mine").unwrap();
    run(&mut user.sdbuild(&words))
        .assert_exit_code(2)
        .assert_stderr_contains(&[".gitlab-ci.yml already exists and is not replaced"]);
    assert_eq!(fs::read_to_string(path).unwrap(), "mine");
}
