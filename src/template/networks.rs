//! The wireless networks that this machine has seen: asked of programs that need no privileges, which start no scan and change
//! nothing. Their names come from networks nearby and are untrusted.

use std::cmp::Reverse;
use std::ffi::OsStr;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use super::Wifi;
use sdbuild_core::program::find_program;
use sdbuild_core::timeout::timeout;

/// How long all programs together may take: they tell what they know already.
const SCAN_TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes of a program's output that are read; a network takes some 2 kB in that of `iw`.
const MAX_OUTPUT_BYTES: u64 = 1 << 20;
/// Networks that a user can choose from.
const MAX_NETWORKS: usize = 9;

/// The names of the networks that this machine has seen lately, the nearest first, each once. Empty if no program lists them. `path`
/// is the value of `PATH`.
pub async fn wireless_networks(path: &OsStr) -> Vec<String> {
    let found = async {
        let words = [
            "-t", "-f", "SSID", "device", "wifi", "list", "--rescan", "no",
        ];
        let listed = output_of("nmcli", &words, path).await;
        let names = named_by_nmcli(&listed.unwrap_or_default());
        if !names.is_empty() {
            return names;
        }
        let mut seen = String::new();
        let devices = output_of("iw", &["dev"], path).await.unwrap_or_default();
        for device in devices_of_iw(&devices) {
            let words = ["dev", device, "scan", "dump"];
            seen += &output_of("iw", &words, path).await.unwrap_or_default();
        }
        seen_by_iw(&seen)
    };
    let found = timeout(SCAN_TIMEOUT, found).await.unwrap_or_default();
    let mut names: Vec<String> = Vec::new();
    for name in found {
        if Wifi::check(&name).is_ok() && !names.contains(&name) {
            names.push(name);
        }
    }
    names.truncate(MAX_NETWORKS);
    names
}

/// The standard output of `program`; `None` unless it is installed and succeeds.
async fn output_of(program: &str, words: &[&str], path: &OsStr) -> Option<String> {
    let mut command = Command::new(find_program(program, path)?);
    command
        .args(words)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let mut child = command.spawn().ok()?;
    let mut bytes = Vec::new();
    let mut start = child.stdout.take()?.take(MAX_OUTPUT_BYTES);
    start.read_to_end(&mut bytes).await.ok()?;
    // A program that has more to say would wait for a reader.
    drop(start);
    let ended = child.wait().await.ok()?;
    (ended.success()).then(|| String::from_utf8_lossy(&bytes).into_owned())
}

/// The names in the lines of `nmcli -t`, which writes `\` before `:` and `\`. A hidden network has none.
fn named_by_nmcli(listed: &str) -> Vec<String> {
    let name = |line: &str| {
        let mut name = String::new();
        let mut chars = line.chars();
        while let Some(c) = chars.next() {
            name.extend(if c == '\\' { chars.next() } else { Some(c) });
        }
        name
    };
    listed.lines().map(name).collect()
}

/// The interfaces in the output of `iw dev`.
fn devices_of_iw(listed: &str) -> impl Iterator<Item = &str> {
    let lines = listed.lines().map(str::trim);
    lines.filter_map(|line| line.strip_prefix("Interface "))
}

/// The names in the output of `iw dev NAME scan dump`, the strongest signal first. `iw` writes other bytes than printable
/// ASCII as `\xc3`.
fn seen_by_iw(dump: &str) -> Vec<String> {
    let mut seen: Vec<(i32, String)> = Vec::new();
    let mut strength = i32::MIN;
    for line in dump.lines().map(str::trim_start) {
        if line.starts_with("BSS ") {
            strength = i32::MIN;
        } else if let Some(signal) = line.strip_prefix("signal: ") {
            let whole = signal.split(['.', ' ']).next().unwrap_or_default();
            strength = whole.parse().unwrap_or(i32::MIN);
        } else if let Some(name) = line.strip_prefix("SSID: ") {
            seen.extend(unescaped(name).map(|name| (strength, name)));
        }
    }
    // Stable: networks without a strength stay in order.
    seen.sort_by_key(|(strength, _)| Reverse(*strength));
    seen.into_iter().map(|(_, name)| name).collect()
}

/// The name that `iw` wrote; `None` if it is not UTF-8.
fn unescaped(written: &str) -> Option<String> {
    let mut parts = written.split("\\x");
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend(part.get(2..)?.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// A `PATH` with these programs, each a shell script.
    fn programs(scripts: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, script) in scripts {
            let file = dir.path().join(name);
            std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        dir
    }

    async fn found(scripts: &[(&str, &str)]) -> Vec<String> {
        let dir = programs(scripts);
        wireless_networks(dir.path().as_os_str()).await
    }

    const IW: &str = r"case $*$1 in
        devdev) printf 'phy#0\n\tInterface wlan0\n\t\ttype managed\n' ;;
        *) printf 'BSS 0a:00(on wlan0)\n\tsignal: -80.00 dBm\n\tSSID: Far\n'
           printf 'BSS 0b:00(on wlan0)\n\tsignal: -41.00 dBm\n\tSSID: %s\n' 'Caf\xc3\xa9'
           printf 'BSS 0c:00(on wlan0)\n\tsignal: -50.00 dBm\n\tSSID: \n' ;;
        esac";

    #[tokio::test]
    async fn network_manager_names_what_it_has_seen() {
        let nmcli = r"[ $8 = no ] && printf 'Home\n\nA\\:b\\\\c\nHome\nbad\033name\n'";
        assert_eq!(
            found(&[("nmcli", nmcli), ("iw", IW)]).await,
            ["Home", "A:b\\c"]
        );
        let many = "seq 1 40";
        assert_eq!(found(&[("nmcli", many)]).await.len(), MAX_NETWORKS);
    }

    #[tokio::test]
    async fn kernel_names_what_it_has_seen() {
        for nmcli in ["exit 1", "echo Not; exit 8", ":"] {
            assert_eq!(
                found(&[("nmcli", nmcli), ("iw", IW)]).await,
                ["Café", "Far"]
            );
        }
    }

    #[tokio::test]
    async fn machine_without_such_programs_names_none() {
        assert!(found(&[]).await.is_empty());
        assert!(found(&[("iw", "exit 1")]).await.is_empty());
        let endless = "while :; do echo x; done";
        assert!(found(&[("nmcli", endless)]).await.is_empty());
    }

    #[tokio::test]
    async fn program_that_hangs_is_not_waited_for() {
        let began = std::time::Instant::now();
        assert!(found(&[("nmcli", "exec sleep 60")]).await.is_empty());
        assert!(began.elapsed() < SCAN_TIMEOUT * 5);
    }
}
