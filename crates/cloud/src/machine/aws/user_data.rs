//! What cloud-init does when the machine starts: its lease, its host key, who may log in, and Docker.

use std::time::Duration;

use serde_json::json;

use sdbuild_core::new_ssh_key::KeyPair;

/// Switches the machine off at the end of its lease.
const LEASE_SCRIPT: &str = include_str!("lease.sh");
/// Where that script puts others.
const DIR: &str = "/run/sdbuild";
const UNITS: &str = "/run/systemd/system";
/// The account of Amazon Linux that may log in.
pub(super) const USER: &str = "ec2-user";
/// Command on the machine that extends the lease.
pub(super) const EXTEND: &str = "sudo sh /run/sdbuild/extend";

/// The user data of a machine with the host key `host`, where `login` may log in. JSON is YAML too.
pub(super) fn user_data(host: &KeyPair, login: &KeyPair, lease: Duration) -> String {
    let lease = lease.as_secs().to_string();
    let config = json!({
        // Runs before all that follows.
        "bootcmd": [["sh", "-c", LEASE_SCRIPT, "sdbuild-lease", lease, DIR, UNITS]],
        "ssh_deletekeys": true,
        "ssh_keys": { "ed25519_private": host.private, "ed25519_public": host.public },
        "ssh_pwauth": false,
        "ssh_authorized_keys": [login.public],
        "packages": ["docker"],
        "runcmd": [
            ["systemctl", "enable", "--now", "docker"],
            ["usermod", "--append", "--groups", "docker", USER],
        ],
    });
    format!("#cloud-config\n{config}\n")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;
    use std::process::Command;

    use super::*;

    fn run(dir: &Path, words: &[&str]) {
        let path = format!("{}:/usr/bin:/bin", dir.join("bin").display());
        let mut command = Command::new("sh");
        let done = command.args(words).env("PATH", path).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    }

    #[test]
    fn a_machine_is_switched_off_when_its_lease_has_ended() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("bin")).unwrap();
        let calls = at("calls").display().to_string();
        fs::write(
            at("bin/systemctl"),
            format!("#!/bin/sh\necho \"$*\" >>{calls}\n"),
        )
        .unwrap();
        fs::set_permissions(at("bin/systemctl"), fs::Permissions::from_mode(0o755)).unwrap();
        let calls = || fs::read_to_string(at("calls")).unwrap();
        let [scripts, units, check, extend] =
            ["run", "units", "run/check", "run/extend"].map(|name| at(name).display().to_string());
        let words = ["-c", LEASE_SCRIPT, "lease", "600", &scripts, &units];
        run(dir.path(), &words);
        let started = "daemon-reload\n--no-block start sdbuild-lease.timer\n";
        assert_eq!(calls(), started);
        let unit = fs::read_to_string(at("units/sdbuild-lease.service")).unwrap();
        assert!(
            unit.contains(&format!("ExecStart=/bin/sh {check}\n")),
            "{unit}"
        );
        run(dir.path(), &[&check]);
        assert_eq!(calls(), started, "nobody has come so far");
        for end in ["1", "", "x"] {
            fs::write(at("run/end"), end).unwrap();
            run(dir.path(), &[&check]);
            let switched_off = format!("{started}--force --force poweroff\n");
            assert_eq!(calls(), switched_off, "{end}");
            fs::write(at("calls"), started).unwrap();
            run(dir.path(), &[&extend]);
            run(dir.path(), &[&check]);
            assert_eq!(calls(), started, "extended");
        }
    }

    #[test]
    fn user_data_has_the_keys_and_the_lease() {
        let [host, login] = ["host", "login"].map(|name| KeyPair::generate(name).unwrap());
        let text = user_data(&host, &login, Duration::from_secs(900));
        let json = text.strip_prefix("#cloud-config\n").unwrap();
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(json["ssh_keys"]["ed25519_private"], host.private.as_str());
        assert_eq!(json["ssh_authorized_keys"][0], login.public.as_str());
        assert_eq!(json["bootcmd"][0][4], "900");
        // The first lines of both say what they are.
        assert!(!text.contains(login.private.lines().nth(3).unwrap()));
        // EC2 takes 16 KiB.
        assert!(text.len() < 8 << 10, "{}", text.len());
        assert_eq!(EXTEND, format!("sudo sh {DIR}/extend"));
    }
}
