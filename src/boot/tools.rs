//! The host's own programs and firmware that a boot needs, or what to install.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::boot::Request;
use crate::boot::qemu::Architecture;
use crate::failure::{Failure, OrFail as _};

/// Where packages put U-Boot for QEMU's aarch64 machine: Debian and Ubuntu, Fedora, Alpine, openSUSE.
const U_BOOT: [&str; 4] = [
    "/usr/lib/u-boot/qemu_arm64/u-boot.bin",
    "/usr/share/uboot/qemu_arm64/u-boot.bin",
    "/usr/share/u-boot/qemu_arm64/u-boot.bin",
    "/usr/share/u-boot/qemu-arm64/u-boot.bin",
];

/// What a boot runs.
#[derive(Clone, Debug)]
pub(super) struct Tools {
    /// QEMU's system emulator for the machine's architecture.
    pub(super) qemu: PathBuf,
    /// OpenSSH's client, when it is there.
    pub(super) ssh: Option<PathBuf>,
    /// The machine's firmware; `None` for QEMU's own.
    pub(super) firmware: Option<PathBuf>,
    /// Whether the host's processor can run the machine itself.
    pub(super) kvm: bool,
}

/// Finds what `request` needs; everything that is missing is told at once.
pub(super) fn find(request: &Request) -> Result<Tools, Failure> {
    let architecture = request.architecture;
    let mut missing = Vec::new();
    let qemu = format!("qemu-system-{}", architecture.name());
    let found = program(&qemu, &request.path);
    if found.is_none() {
        missing.push(lacking(&qemu, architecture.packages()));
    }
    let ssh = program("ssh", &request.path);
    if request.login.is_some() && ssh.is_none() {
        let packages = "openssh-client (Debian, Ubuntu), openssh-clients (Fedora), openssh (Arch)";
        missing.push(lacking("ssh", packages));
    }
    let firmware = firmware(request).unwrap_or_else(|failure| {
        missing.push(failure);
        None
    });
    if let Some(login) = &request.login
        && let Some(key) = &login.key
        && let Err(failure) = std::fs::File::open(key).or_usage(format!("read {}", key.display()))
    {
        missing.push(failure);
    }
    let mut missing = missing.into_iter();
    match (found, missing.next()) {
        (Some(qemu), None) => Ok(Tools {
            qemu,
            ssh,
            firmware,
            kvm: architecture.is_the_hosts() && kvm_is_usable(Path::new("/dev/kvm")),
        }),
        (_, first) => {
            let mut first = first.unwrap_or_else(|| lacking(&qemu, architecture.packages()));
            first.also.extend(missing);
            Err(first)
        }
    }
}

fn lacking(program: &str, packages: &str) -> Failure {
    Failure::environment(format!("{program} is not on this machine"))
        .hint(format!("install it: {packages}"))
}

/// The executable file `name` in one of the folders of `path`.
fn program(name: &str, path: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|file| {
            let metadata = file.metadata();
            metadata.is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
        })
}

/// The firmware that was named, or the one that a package brought.
fn firmware(request: &Request) -> Result<Option<PathBuf>, Failure> {
    if let Some(named) = &request.firmware {
        let file = std::fs::File::open(named);
        file.or_usage(format!("open the firmware {}", named.display()))?;
        return Ok(Some(named.clone()));
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

    fn request() -> Request {
        Request {
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
        let failure = find(&request()).unwrap_err();
        assert_eq!(failure.class, crate::failure::Class::Environment);
        assert!(failure.to_string().contains("qemu-system-aarch64"));
        assert!(failure.hints[0].contains("qemu-system-arm"), "{failure:?}");
        assert_eq!(failure.also.len(), 1);
        assert!(failure.also[0].to_string().contains("/nowhere/u-boot.bin"));
    }

    #[test]
    fn only_an_executable_file_is_a_program() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().as_os_str();
        std::fs::write(folder.path().join("ssh"), "").unwrap();
        assert_eq!(program("ssh", path), None);
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.path().join("ssh"), mode).unwrap();
        assert_eq!(program("ssh", path), Some(folder.path().join("ssh")));
        std::fs::create_dir(folder.path().join("qemu")).unwrap();
        assert_eq!(program("qemu", path), None);
    }
}
