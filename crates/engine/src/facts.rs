//! The kind of engine, and the machine that it runs on, which may be another one than this.

use bollard::models::{SystemInfo, SystemInfoCgroupVersionEnum, SystemVersion};

use sdbuild_core::system::ReportedArchitecture;

/// The operating system that Docker Desktop reports for its virtual machine.
const DESKTOP_SYSTEM: &str = "Docker Desktop";
/// The type of storage driver that Docker reports with containerd's image store.
const CONTAINERD_STORE: &str = "io.containerd.snapshotter.v1";

/// Facts about the engine and its host, read once when connecting.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "these are facts, not modes")]
pub struct EngineFacts {
    pub name: String,
    pub version: String,
    pub api: (u32, u32),
    /// `linux`, or an operating system that sdbuild does not support.
    pub os: String,
    pub architecture: ReportedArchitecture,
    /// Whether it runs without root, so that it cannot register handlers.
    pub rootless: bool,
    pub podman: bool,
    /// Whether it runs in the virtual machine of Docker Desktop, whose kernel has handlers of its own.
    pub desktop: bool,
    pub kernel: String,
    pub memory: u64,
    pub cpus: u32,
    /// `name=seccomp,profile=default`, `name=rootless`, …
    pub security_options: Vec<String>,
    pub root_dir: String,
    /// Whether it can limit a container's memory; the kernels of some boards cannot.
    pub limits_memory: bool,
    /// Whether its machine has control groups of version 2.
    pub cgroup_v2: bool,
    /// Whether it says how much of an image it has unpacked, while one is loaded.
    pub reports_unpacking: bool,
}

impl EngineFacts {
    pub(crate) fn new(version: SystemVersion, info: SystemInfo, api: (u32, u32)) -> Self {
        let security_options = info.security_options.unwrap_or_default();
        let root_dir = info.docker_root_dir.unwrap_or_default();
        let driver = info.driver_status.unwrap_or_default();
        let components = version.components.unwrap_or_default();
        let podman = components
            .iter()
            .any(|component| component.name.contains("Podman"));
        Self {
            name: info.name.unwrap_or_default(),
            version: version.version.unwrap_or_default(),
            api,
            os: info.os_type.or(version.os).unwrap_or_default(),
            architecture: (&*info.architecture.or(version.arch).unwrap_or_default()).into(),
            rootless: security_options
                .iter()
                .any(|option| option.contains("rootless"))
                || podman && is_in_a_home(&root_dir),
            podman,
            desktop: info.operating_system.as_deref() == Some(DESKTOP_SYSTEM),
            kernel: info
                .kernel_version
                .or(version.kernel_version)
                .unwrap_or_default(),
            // What an engine does not report, or reports as less than nothing, limits nothing, and one processor there is.
            memory: info
                .mem_total
                .and_then(|n| u64::try_from(n).ok())
                .unwrap_or(0),
            cpus: info.ncpu.and_then(|n| u32::try_from(n).ok()).unwrap_or(1),
            security_options,
            root_dir,
            limits_memory: info.memory_limit.unwrap_or(true),
            cgroup_v2: info.cgroup_version == Some(SystemInfoCgroupVersionEnum::_2),
            reports_unpacking: !podman
                && !driver.iter().flatten().any(|text| text == CONTAINERD_STORE),
        }
    }

    /// The name of the program: `Docker` or `Podman`.
    pub fn kind(&self) -> &'static str {
        if self.podman { "Podman" } else { "Docker" }
    }

    /// Name and version for messages: `Docker 20.10.24`.
    pub fn title(&self) -> String {
        let name = self.kind();
        let place = if self.desktop {
            " in Docker Desktop"
        } else {
            ""
        };
        format!("{name} {}{place}", self.version)
    }
}

/// Whether the engine stores its images in a home directory. Podman 4 reports that it runs rootless only in a field that
/// bollard does not have.
fn is_in_a_home(root_dir: &str) -> bool {
    root_dir.ends_with("/.local/share/containers/storage")
}

/// `1.41` → (1, 41).
pub(crate) fn api_version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.trim().split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert_eq!(api_version("1.41"), Some((1, 41)));
        assert!(api_version("1.5") < api_version("1.41"));
        assert_eq!(api_version("four"), None);
        assert_eq!(api_version(""), None);
    }

    #[test]
    fn rootless_podman_is_recognized_by_its_storage() {
        let facts = |podman: &str, root_dir: &str| {
            let component = bollard::models::SystemVersionComponents {
                name: podman.to_owned(),
                ..Default::default()
            };
            let version = SystemVersion {
                components: Some(vec![component]),
                ..SystemVersion::default()
            };
            let info = SystemInfo {
                docker_root_dir: Some(root_dir.to_owned()),
                ..SystemInfo::default()
            };
            EngineFacts::new(version, info, (1, 41)).rootless
        };
        let own = "/home/me/.local/share/containers/storage";
        assert!(facts("Podman Engine", own));
        assert!(!facts("Podman Engine", "/var/lib/containers/storage"));
        assert!(!facts("Engine", own));
    }

    #[test]
    fn only_dockers_own_image_store_reports_unpacking() {
        let facts = |program: &str, driver: &str| {
            let component = bollard::models::SystemVersionComponents {
                name: program.to_owned(),
                ..Default::default()
            };
            let version = SystemVersion {
                components: Some(vec![component]),
                ..SystemVersion::default()
            };
            let row = vec!["driver-type".to_owned(), driver.to_owned()];
            let info = SystemInfo {
                driver_status: Some(vec![row]),
                ..SystemInfo::default()
            };
            EngineFacts::new(version, info, (1, 41)).reports_unpacking
        };
        assert!(facts("Engine", "extfs"));
        assert!(!facts("Engine", "io.containerd.snapshotter.v1"));
        assert!(!facts("Podman Engine", "extfs"));
    }

    #[test]
    fn an_empty_answer_has_defaults() {
        let facts = EngineFacts::new(SystemVersion::default(), SystemInfo::default(), (1, 41));
        assert_eq!(
            (facts.cpus, facts.rootless, facts.podman),
            (1, false, false)
        );
    }
}
