//! The programs and the firmware that a boot needs on the host.

use std::path::{Path, PathBuf};

use crate::keys::usable_key;
use crate::qemu::program_name;
use crate::request::BootRequest;
use sdbuild_core::failure::{Class, Failure, OrFail as _};
use sdbuild_core::kvm::Kvm;
use sdbuild_core::plain_file;
use sdbuild_core::program::{OPENSSH_PACKAGES, find_program, missing_program};

/// The host's QEMU.
#[derive(Clone, Debug)]
pub(super) struct HostQemu {
    /// The system emulator for the machine's architecture.
    pub(super) program: PathBuf,
    /// The machine's firmware; `None` for the one that QEMU brings.
    pub(super) firmware: Option<PathBuf>,
    /// Whether the host's processor can run the machine.
    pub(super) kvm: bool,
}

/// The programs that a boot runs.
#[derive(Clone, Debug)]
pub(super) struct BootTools {
    /// `None` when QEMU runs in a container.
    pub(super) qemu: Option<HostQemu>,
    /// OpenSSH's client, if it is installed.
    pub(super) ssh: Option<PathBuf>,
    /// The keys to log in with; empty for those that ssh finds itself.
    pub(super) keys: Vec<PathBuf>,
}

/// Why this host cannot run QEMU for `request`; `None` when it can. A firmware that the user named and
/// that does not exist is not such a reason: it is missing in a container too.
pub fn missing_on_host(request: &BootRequest) -> Option<Failure> {
    if !cfg!(target_os = "linux") {
        // A killed run would leave it behind, and it could not read an unpacked image, which has no name.
        let text = "sdbuild starts QEMU on Linux only";
        return Some(Failure::environment(text));
    }
    let mut missing = Vec::new();
    host_qemu(request, &mut missing);
    missing.retain(|failure| failure.class == Class::Environment);
    combine(missing)
}

/// Finds what `request` needs, with `on_host` QEMU on the host too; all that is missing is one failure.
pub(super) fn find(request: &BootRequest, on_host: bool) -> Result<BootTools, Failure> {
    let mut missing = Vec::new();
    let qemu = if on_host {
        host_qemu(request, &mut missing)
    } else {
        missing.extend(requested_firmware(request).err());
        None
    };
    let mut keys = Vec::new();
    let ssh = find_program("ssh", &request.path);
    if let Some(login) = &request.login {
        if ssh.is_none() && request.prompt.is_none() {
            missing.push(missing_program("ssh", OPENSSH_PACKAGES));
        }
        if let Some(key) = &login.key {
            match usable_key(key, &request.path) {
                Ok(key) => keys.push(key),
                Err(failure) => missing.push(failure),
            }
        }
    }
    combine(missing).map_or(Ok(BootTools { qemu, ssh, keys }), Err)
}

/// All failures as one.
fn combine(failures: Vec<Failure>) -> Option<Failure> {
    let mut failures = failures.into_iter();
    let mut first = failures.next()?;
    first.others.extend(failures);
    Some(first)
}

fn host_qemu(request: &BootRequest, missing: &mut Vec<Failure>) -> Option<HostQemu> {
    let model = request.model;
    let name = program_name(model);
    let program = find_program(&name, &request.path);
    if program.is_none() {
        missing.push(missing_program(&name, model.packages));
    }
    if let Some(program) = &program {
        missing.extend(too_old(program, request));
    }
    let firmware = find_firmware(request)
        .map_err(|failure| missing.push(failure))
        .ok();
    let is_same_architecture = std::env::consts::ARCH == model.architecture.kernel_name();
    let may_use_kvm = request.kvm && is_same_architecture;
    Some(HostQemu {
        program: program?,
        firmware: firmware?,
        kvm: may_use_kvm && Kvm::of_this_machine() == Kvm::Usable,
    })
}

/// Why the host's QEMU does not have the board's model; `None` when it has, or does not tell its version.
fn too_old(program: &Path, request: &BootRequest) -> Option<Failure> {
    let since = request.model.since?;
    let output = std::process::Command::new(program)
        .arg("--version")
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = qemu_version(&text)?;
    let major: u32 = version.split('.').next()?.parse().ok()?;
    (major < since).then(|| {
        Failure::environment(format!(
            "this machine's QEMU {version} has no model of the board {} ({}), which QEMU {since} and newer have", request.board.name, request.board.title
        ))
        .hint("use --emulator container, whose QEMU is newer")
    })
}

/// The version in what QEMU says of itself.
fn qemu_version(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("version ")?;
    rest.split_whitespace().next()
}

/// The firmware that the user named, or the one that a package installed; `None` when the machine needs none.
fn find_firmware(request: &BootRequest) -> Result<Option<PathBuf>, Failure> {
    if let Some(requested) = requested_firmware(request)? {
        return Ok(Some(requested));
    }
    let Some(firmware) = request.own_firmware() else {
        return Ok(None);
    };
    let mut paths = firmware.host_paths.iter().map(PathBuf::from);
    let found = paths.find(|path| path.is_file());
    found.map(Some).ok_or_else(|| {
        let failure = Failure::environment(format!("{} is not on this machine", firmware.name));
        firmware
            .hints
            .iter()
            .fold(failure, |failure, hint| failure.hint(*hint))
    })
}

fn requested_firmware(request: &BootRequest) -> Result<Option<PathBuf>, Failure> {
    if let Some(path) = &request.firmware {
        plain_file::open(path).or_usage(format!("open the firmware {}", path.display()))?;
    }
    Ok(request.firmware.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Login;
    use sdbuild_image::board::BoardName;

    fn request() -> BootRequest {
        BootRequest {
            firmware: Some("/nowhere/u-boot.bin".into()),
            path: "relative:/nowhere/bin".into(),
            ..BootRequest::example()
        }
    }

    #[test]
    fn version_is_in_the_first_line() {
        let debian = "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)\nCopyright (c) 2003-2022\n";
        assert_eq!(qemu_version(debian), Some("7.2.22"));
        assert_eq!(
            qemu_version("QEMU emulator version 10.0.13\n"),
            Some("10.0.13")
        );
        assert_eq!(qemu_version("qemu: no such option"), None);
    }

    /// QEMU 7.2 has no raspi4b.
    #[test]
    fn qemu_that_lacks_the_board_is_as_good_as_none() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("qemu-system-aarch64");
        let write = |version: &str| {
            let text = format!("#!/bin/sh\necho QEMU emulator version {version}\n");
            std::fs::write(&program, text).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(&program, mode).unwrap();
        };
        let BoardName(board) = "rpi4".parse().unwrap();
        let request = BootRequest {
            board,
            model: board.qemu.as_ref().unwrap(),
            path: dir.path().into(),
            ..BootRequest::example()
        };
        write("7.2.22");
        let missing = missing_on_host(&request).unwrap().to_string();
        assert!(
            missing.contains("QEMU 7.2.22 has no model of the board rpi4 (Raspberry Pi 4,"),
            "{missing}"
        );
        write("9.2.0");
        assert!(missing_on_host(&request).is_none());
    }

    #[test]
    fn all_missing_tools_are_one_failure() {
        let failure = find(&request(), true).unwrap_err();
        assert_eq!(failure.class, Class::Environment);
        assert!(failure.to_string().contains("qemu-system-aarch64"));
        assert!(failure.hints[0].contains("qemu-system-arm"), "{failure:?}");
        assert_eq!(failure.others.len(), 1);
        assert!(
            failure.others[0]
                .to_string()
                .contains("/nowhere/u-boot.bin")
        );
    }

    #[test]
    fn missing_firmware_is_no_reason_for_a_container() {
        let missing = missing_on_host(&request()).unwrap();
        assert!(missing.to_string().contains("qemu-system-aarch64"));
        assert!(missing.others.is_empty(), "{missing:?}");
        let failure = find(&request(), false).unwrap_err();
        assert_eq!(failure.class, Class::Usage, "{failure:?}");
    }

    /// Opening a pipe waited for its writer, deaf to signals.
    #[test]
    fn pipe_is_not_accepted_as_firmware_or_key() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let request = BootRequest {
            firmware: Some(pipe.clone()),
            login: Some(Login {
                key: Some(pipe.clone()),
                user: "root".into(),
                is_default_user: false,
                timeout: std::time::Duration::from_secs(1),
                command: None,
            }),
            ..request()
        };
        let failure = find(&request, false).unwrap_err();
        let failures = failure.others.iter().chain([&failure]);
        let usage = failures.filter(|failure| failure.class == Class::Usage);
        let texts: Vec<String> = usage.map(ToString::to_string).collect();
        assert!(texts.iter().all(|text| text.contains("not a plain file")));
        assert_eq!(texts.len(), 2, "{texts:?}");
        let failure = crate::disk::open_image(&pipe).unwrap_err();
        assert!(failure.to_string().contains("nor a disk"), "{failure}");
    }
}
