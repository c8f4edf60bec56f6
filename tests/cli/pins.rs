//! `scripts/refresh-pins` with forged metadata of an archive: apt is replaced, as if it had verified their signature.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::*;

/// Stands for apt-get, apt-cache and apt-config: an archive of the date `$FORGED_DATE`, in which every package has the
/// version `$FORGED_VERSION`.
const APT: &str = r#"#!/bin/sh
case "${0##*/} $*" in
  "apt-get "*update) echo "Date: $FORGED_DATE" >"${APT_CONFIG%/apt.conf}/lists/x_InRelease" ;;
  "apt-get "*install*) for name; do echo "Inst $name (1 x [y])"; done | grep -v -e ' -' -e ' install ' ;;
  "apt-cache "*) shift 2
    for name; do
      printf 'Package: %s\nVersion: %s\nFilename: pool/%s.deb\nSize: 1\nSHA256: 00\n\n' "$name" "$FORGED_VERSION" "$name"
    done ;;
esac
"#;

/// Resolves the locks of the builder, in `out` in place of the tree, from an archive of this date and version.
fn refresh(out: &Path, date: &str, version: &str, flags: &[&str]) -> Outcome {
    let bin = tempfile::tempdir().unwrap();
    for name in ["apt-get", "apt-cache", "apt-config"] {
        let path = bin.path().join(name);
        write_program(&path, APT);
    }
    let path = std::env::var_os("PATH").unwrap();
    let path = format!("{}:{}", bin.path().display(), path.display());
    let mut command = Command::new(root().join("scripts/refresh-pins"));
    command.args(["--out"]).arg(out).args(flags).arg("builder");
    command.env("PATH", path).env("FORGED_DATE", date).env("FORGED_VERSION", version);
    run(&mut command)
}

/// The date of the archive that the lock of the builder was made from, `hours` later, as in the metadata of an archive.
fn date_of_lock(hours: i64) -> String {
    let lock = fs::read_to_string(root().join("containers/builder/amd64.lock.json")).unwrap();
    let lock: serde_json::Value = serde_json::from_str(&lock).unwrap();
    let moment = lock["snapshot"].as_str().unwrap().trim_end_matches('Z');
    let moment = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%S", moment).unwrap();
    // The script looks for the snapshot after the archive's date.
    let moment = moment - jiff::Span::new().hours(6) + jiff::Span::new().hours(hours);
    moment.strftime("%a, %d %b %Y %H:%M:%S UTC").to_string()
}

#[test]
fn pins_are_never_rolled_back() {
    let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
    needs!(tools_available(&["bash", "jq", "dpkg", keyring]));
    let (newer, lower) = ("9999:1", "0~1");
    for (hours, version, flags, refusal) in [
        (0, newer, &[][..], None),
        (-1, newer, &[], Some("the mirror's metadata are older")),
        (-1, newer, &["--allow-older"], Some("the mirror's metadata are older")),
        (0, lower, &[], Some(" -> 0~1")),
        (0, lower, &["--allow-older"], None),
    ] {
        let out = tempfile::tempdir().unwrap();
        let outcome = refresh(out.path(), &date_of_lock(hours), version, flags);
        let lock = out.path().join("containers/builder/amd64.lock.json");
        if let Some(refusal) = refusal {
            outcome.assert_exit_code(1).assert_stderr_contains(&[
                "containers/builder/amd64.lock.json: ",
                refusal,
                "nothing was written",
            ]);
            assert!(!lock.exists(), "{hours} {version}");
        } else {
            outcome.assert_exit_code(0);
            let text = fs::read_to_string(lock).unwrap();
            assert!(text.contains(&format!("\"version\":\"{version}\"")), "{text}");
        }
    }
}
