//! The host's own programs and firmware that a boot needs, or what is missing.

use std::path::{Path, PathBuf};

use crate::boot::BootRequest;
use crate::common::failure::{Class, Failure, OrFail as _};
use crate::common::plain_file;
use crate::common::program::{OPENSSH_PACKAGES, find_program, missing_program};
use crate::common::system::Architecture;

/// Where packages put U-Boot for QEMU's aarch64 machine: Debian and Ubuntu, Fedora, Alpine, openSUSE.
const U_BOOT: [&str; 4] = [
    "/usr/lib/u-boot/qemu_arm64/u-boot.bin",
    "/usr/share/uboot/qemu_arm64/u-boot.bin",
    "/usr/share/u-boot/qemu_arm64/u-boot.bin",
    "/usr/share/u-boot/qemu-arm64/u-boot.bin",
];

/// The host's own QEMU.
#[derive(Clone, Debug)]
pub(super) struct Qemu {
    /// The system emulator for the machine's architecture.
    pub(super) program: PathBuf,
    /// The machine's firmware; `None` for QEMU's own.
    pub(super) firmware: Option<PathBuf>,
    /// Whether the host's processor can run the machine itself.
    pub(super) kvm: bool,
}

/// What a boot runs.
#[derive(Clone, Debug)]
pub(super) struct Tools {
    /// `None` when QEMU runs in a container.
    pub(super) qemu: Option<Qemu>,
    /// OpenSSH's client, when it is there.
    pub(super) ssh: Option<PathBuf>,
}

/// Why this host cannot boot the image itself; `None` when it can. What the user named wrongly is
/// no such reason.
pub fn host_lacks(request: &BootRequest) -> Option<Failure> {
    let mut missing = Vec::new();
    qemu(request, &mut missing);
    missing.retain(|failure| failure.class == Class::Environment);
    together(missing)
}

/// Finds what `request` needs, QEMU itself when it is the host's; everything that is missing is told
/// at once.
pub(super) fn find(request: &BootRequest, on_host: bool) -> Result<Tools, Failure> {
    let mut missing = Vec::new();
    let qemu = if on_host {
        qemu(request, &mut missing)
    } else {
        missing.extend(named_firmware(request).err());
        None
    };
    let ssh = find_program("ssh", &request.path);
    if request.login.is_some() && ssh.is_none() {
        missing.push(missing_program("ssh", OPENSSH_PACKAGES));
    }
    if let Some(login) = &request.login
        && let Some(key) = &login.key
        && let Err(failure) = plain_file::open(key).or_usage(format!("read {}", key.display()))
    {
        missing.push(failure);
    }
    together(missing).map_or(Ok(Tools { qemu, ssh }), Err)
}

fn together(missing: Vec<Failure>) -> Option<Failure> {
    let mut missing = missing.into_iter();
    let mut first = missing.next()?;
    first.others.extend(missing);
    Some(first)
}

fn qemu(request: &BootRequest, missing: &mut Vec<Failure>) -> Option<Qemu> {
    let architecture = request.architecture;
    let name = format!("qemu-system-{}", architecture.kernel_name());
    let found = find_program(&name, &request.path);
    if found.is_none() {
        missing.push(missing_program(&name, architecture.qemu_packages()));
    }
    let firmware = firmware(request)
        .map_err(|failure| missing.push(failure))
        .ok();
    Some(Qemu {
        program: found?,
        firmware: firmware?,
        kvm: architecture.is_host() && kvm_is_usable(Path::new("/dev/kvm")),
    })
}

/// The firmware that was named, or the one that a package brought.
fn firmware(request: &BootRequest) -> Result<Option<PathBuf>, Failure> {
    if let Some(named) = named_firmware(request)? {
        return Ok(Some(named));
    }
    if request.architecture == Architecture::X86_64 {
        return Ok(None);
    }
    let found = U_BOOT.iter().map(PathBuf::from).find(|file| file.is_file());
    found.map(Some).ok_or_else(|| {
        Failure::environment("U-Boot for QEMU's aarch64 machine is not on this machine")
            .hint("install it: u-boot-qemu (Debian, Ubuntu, Alpine), uboot-images-armv8 (Fedora)")
            .hint("or name one with --firmware; nixpkgs has it as ubootQemuAarch64 (u-boot.bin)")
    })
}

fn named_firmware(request: &BootRequest) -> Result<Option<PathBuf>, Failure> {
    if let Some(named) = &request.firmware {
        let file = plain_file::open(named);
        file.or_usage(format!("open the firmware {}", named.display()))?;
    }
    Ok(request.firmware.clone())
}

/// Whether this user may make machines; QEMU still falls back when the kernel refuses one.
fn kvm_is_usable(device: &Path) -> bool {
    let open = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(device);
    open.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::Login;

    fn request() -> BootRequest {
        BootRequest {
            image: "/nowhere.img".into(),
            scratch: "/nowhere".into(),
            architecture: Architecture::Aarch64,
            firmware: Some("/nowhere/u-boot.bin".into()),
            memory_mib: 1024,
            port: None,
            path: "relative:/nowhere/bin".into(),
            login: None,
        }
    }

    #[test]
    fn everything_that_is_missing_is_told_at_once() {
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
    fn a_firmware_that_is_not_there_is_no_reason_for_another_qemu() {
        let lacks = host_lacks(&request()).unwrap();
        assert!(lacks.to_string().contains("qemu-system-aarch64"));
        assert!(lacks.others.is_empty(), "{lacks:?}");
        let failure = find(&request(), false).unwrap_err();
        assert_eq!(failure.class, Class::Usage, "{failure:?}");
    }

    /// Opening a pipe waited for its writer, deaf to signals.
    #[test]
    fn a_pipe_is_neither_a_firmware_nor_a_key_nor_an_image() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let named = BootRequest {
            firmware: Some(pipe.clone()),
            login: Some(Login {
                key: Some(pipe.clone()),
                user: "root".into(),
                timeout: std::time::Duration::from_secs(1),
                command: None,
            }),
            ..request()
        };
        let failure = find(&named, false).unwrap_err();
        let told = failure.others.iter().chain([&failure]);
        let told = told.filter(|failure| failure.class == Class::Usage);
        let told: Vec<String> = told.map(ToString::to_string).collect();
        assert!(told.iter().all(|text| text.contains("not a plain file")));
        assert_eq!(told.len(), 2, "{told:?}");
        let failure = crate::boot::disk::open_image(&pipe).unwrap_err();
        assert!(failure.to_string().contains("nor a disk"), "{failure}");
    }
}
