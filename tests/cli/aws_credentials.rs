//! Whose credentials sign the calls of AWS.

use crate::aws_double::{AwsDouble, SECRET};
use crate::publish::publisher;
use crate::support::*;

/// Writes a file of AWS's tools.
fn write(user: &TestUser, name: &str, text: &str) {
    let dir = user.state.path().join(".aws");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join(name), text).unwrap();
}

/// Asks the double, with the credentials of the files only.
fn list(user: &TestUser, more: &[&str]) -> Outcome {
    let mut list = user.sdbuild(&["publish", "list"]);
    list.args(more)
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_REGION")
        .env("PATH", "/usr/bin:/bin");
    run(&mut list)
}

#[test]
fn credentials_come_from_where_awss_tools_have_them() {
    let double = AwsDouble::start();
    let (user, _) = publisher(&double);
    let list = |more: &[&str]| list(&user, more);
    let write = |name: &str, text: &str| write(&user, name, text);
    list(&[]).assert_exit_code(2).assert_stderr_contains(&["no AWS region is set"]);
    list(&["--region", "eu-central-1"])
        .assert_exit_code(2)
        .assert_stderr_contains(&["no AWS credentials were found", "AWS_ACCESS_KEY_ID"]);
    list(&["--profile", "team"]).assert_exit_code(2).assert_stderr_contains(&["no profile team"]);
    let mut elsewhere = user.sdbuild(&["publish", "list", "--region", "eu-central-1"]);
    run(elsewhere.env("AWS_ENDPOINT_URL", "ftp://127.0.0.1"))
        .assert_exit_code(2)
        .assert_stderr_contains(&["AWS_ENDPOINT_URL"]);
    write(
        "credentials",
        &format!("[team]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = {SECRET}\n"),
    );
    write("config", "[profile team]\nregion = eu-central-1\n");
    list(&["--profile", "team"]).assert_exit_code(0);
    // A role is taken before keys of the same profile, whose account may be another one.
    write(
        "config",
        "[profile team]\nregion = eu-central-1\nrole_arn = arn:aws:iam::123456789012:role/images\nsource_profile = team\n",
    );
    list(&["--profile", "team"])
        .assert_exit_code(2)
        .assert_stderr_contains(&["takes a role", "AWS CLI"]);
    // Keys and token are of one section.
    write("credentials", "[team]\naws_access_key_id = AKIDEXAMPLE\n");
    write(
        "config",
        &format!("[profile team]\nregion = eu-central-1\naws_secret_access_key = {SECRET}\n"),
    );
    list(&["--profile", "team"])
        .assert_exit_code(2)
        .assert_stderr_contains(&["no aws_secret_access_key"]);
    assert_eq!(double.state().mistakes, [""; 0]);
}

#[test]
fn a_program_prints_credentials() {
    let double = AwsDouble::start();
    let (user, _) = publisher(&double);
    let list = |more: &[&str]| list(&user, more);
    let write = |name: &str, text: &str| write(&user, name, text);
    let printer = user.home.path().join("printer");
    let text = format!(
        "#!/bin/sh\n[ \"$1\" = 'a b' ] || exit 1\necho '{{\"Version\": 1, \"AccessKeyId\": \"AKIDEXAMPLE\", \"SecretAccessKey\": \"{SECRET}\"}}'\n"
    );
    write_program(&printer, text);
    let config = format!(
        "[profile process]\nregion = eu-central-1\ncredential_process = {} \"a b\"\n",
        printer.display().to_string().replace(' ', "\\ ")
    );
    write("config", &config);
    list(&["--profile", "process"]).assert_exit_code(0);
    write("config", &format!("[profile team]\n{SECRET}\n"));
    let damaged = list(&["--profile", "team"]).assert_exit_code(2);
    assert!(
        damaged.stderr.contains("KEY = VALUE") && !damaged.stderr.contains(SECRET),
        "{}",
        damaged.stderr
    );
    assert_eq!(double.state().mistakes, [""; 0]);
}
