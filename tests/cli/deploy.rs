//! `deploy/terraform/rent`, with a program that stands for Terraform: what it asks for, and what it tells sdbuild.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::support::*;

/// Notes its calls, and has a workspace from `new` to `delete`.
const TERRAFORM: &str = r#"#!/bin/sh
echo "${TF_WORKSPACE:-none}: $*" >>calls
case "$*" in
"workspace new "*) echo "$3" >there ;;
"workspace delete "*) rm there ;;
"workspace list") [ ! -e offline ] || exit 1; echo '* default'; cat there 2>/dev/null; true ;;
"apply "*) printf "%s / %s\n" "$TF_VAR_host_key" "$TF_VAR_lease_minutes" >variables; echo applying ;;
"output -raw host") printf ec2-user@192.0.2.1 ;;
"output -raw id") printf i-1 ;;
esac
"#;

fn rent(dir: &Path, verb: &str) -> Outcome {
    let path = format!("{}:/usr/bin:/bin", dir.display());
    let mut command = Command::new(dir.join("rent"));
    command
        .args([verb, "i-1"])
        .env("PATH", path)
        .env("SDBUILD_RUN", "0123456789ab")
        .env("SDBUILD_LEASE_SECONDS", "3600");
    run(&mut command)
}

/// A directory with the provider and its Terraform.
fn provider() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::copy(root().join("deploy/terraform/rent"), dir.path().join("rent")).unwrap();
    program(&dir.path().join("terraform"), TERRAFORM);
    dir
}

fn program(path: &Path, text: &str) {
    write_program(path, text);
}

/// The machine of `--on aws` has the same script, which has tests of its own.
#[test]
fn a_machine_of_terraform_has_the_lease_of_those_of_sdbuild() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    assert_eq!(
        read("deploy/terraform/builder/lease.sh"),
        read("crates/cloud/src/machine/aws/lease.sh")
    );
    assert!(read("deploy/terraform/rent").contains("sudo sh /run/sdbuild/extend"));
}

/// The program in docs/machines.md, with a `hcloud` that cannot reach anybody, and one that lists two machines.
#[test]
fn the_documented_program_fails_if_nothing_can_be_listed() {
    let text = fs::read_to_string(root().join("docs/machines.md")).unwrap();
    let mut programs = text.split("```sh\n").filter_map(|part| part.split_once("```"));
    let dir = tempfile::tempdir().unwrap();
    let (code, _) = programs.find(|(code, _)| code.starts_with("#!/bin/sh")).unwrap();
    program(&dir.path().join("rent"), code);
    let client = dir.path().join("hcloud");
    let destroy = || {
        let mut command = Command::new(dir.path().join("rent"));
        let path = format!("{}:/usr/bin:/bin", dir.path().display());
        let command = command.args(["destroy", "x"]).env("PATH", path);
        run(command.current_dir(&dir).env("SDBUILD_RUN", "0123456789ab"))
    };
    program(&client, "#!/bin/sh\nexit 1\n");
    assert_eq!(destroy().code, Some(1));
    let list = "#!/bin/sh\ncase $* in *list*) echo 7; echo 8 ;; *) echo $* >>calls ;; esac\n";
    program(&client, list);
    destroy().assert_exit_code(0);
    let calls = fs::read_to_string(dir.path().join("calls")).unwrap();
    assert_eq!(calls.lines().count(), 2, "{calls}");
    program(&client, &list.replace("echo 7; echo 8", "true"));
    destroy().assert_exit_code(0);
}

#[test]
fn the_program_of_terraform_makes_and_destroys_a_workspace() {
    needs!(tools_available(&["ssh-keygen"]));
    let dir = provider();
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();

    assert_eq!(rent(dir.path(), "price").code, Some(64));
    rent(dir.path(), "destroy").assert_exit_code(0);
    let made = rent(dir.path(), "create").assert_exit_code(0);
    let lines: Vec<&str> = made.stdout.lines().collect();
    let [host, host_key, id] = lines[..] else { panic!("{}", made.stdout) };
    assert_eq!((host, id), ("host=ec2-user@192.0.2.1", "id=i-1"));
    let key = host_key.strip_prefix("host-key=").unwrap();
    assert_eq!(key.split(' ').count(), 2, "{key}");
    let variables = read("variables");
    assert!(variables.contains(&format!("public = \"{key}\"")), "{variables}");
    assert!(variables.contains("KEY-----\\n\", "), "{variables}");
    assert!(variables.ends_with("/ 60\n"), "{variables}");
    rent(dir.path(), "destroy").assert_exit_code(0);
    rent(dir.path(), "destroy").assert_exit_code(0);
    let calls = read("calls");
    let calls: Vec<&str> = calls.lines().filter(|call| !call.contains(" output ")).collect();
    let expected = [
        "none: workspace list",
        "none: workspace new 0123456789ab",
        "0123456789ab: apply -auto-approve -no-color",
        "none: workspace list",
        "0123456789ab: destroy -auto-approve -no-color",
        "default: workspace delete 0123456789ab",
        "none: workspace list",
    ];
    assert_eq!(calls, expected);
}
