//! Architectures and systems: what an image is for, and what a machine is.

use std::fmt;

use clap::ValueEnum;

use super::choice::named_like_its_flag;
use super::failure::Failure;

/// A processor architecture that sdbuild supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Architecture {
    /// 64-bit ARM.
    Aarch64,
    /// 64-bit PC.
    X86_64,
}

impl Architecture {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::Aarch64, Self::X86_64];

    /// The name that Linux, Nix and QEMU use.
    pub fn kernel_name(self) -> &'static str {
        match self {
            Self::Aarch64 => "aarch64",
            Self::X86_64 => "x86_64",
        }
    }

    /// The name that Debian, Docker and Go use.
    pub fn debian_name(self) -> &'static str {
        match self {
            Self::Aarch64 => "arm64",
            Self::X86_64 => "amd64",
        }
    }

    /// The architecture whose programs sdbuild can run on machines of this one, with an emulator that it brings.
    #[must_use]
    pub fn emulates(self) -> Self {
        match self {
            Self::X86_64 => Self::Aarch64,
            Self::Aarch64 => Self::X86_64,
        }
    }

    /// QEMU's program that runs programs of this architecture, and the name of the handler that Linux distributions
    /// register for it.
    pub fn qemu_user(self) -> String {
        format!("qemu-{}", self.kernel_name())
    }

    /// The architecture that Linux, Nix and QEMU call `name`.
    pub fn by_kernel_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.kernel_name() == name)
    }

    /// The architecture that has `name` in either convention.
    fn by_name(name: &str) -> Option<Self> {
        let by_debian_name = || Self::ALL.into_iter().find(|one| one.debian_name() == name);
        Self::by_kernel_name(name).or_else(by_debian_name)
    }
}

/// The architecture of a machine or a container image, as an engine reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReportedArchitecture {
    /// One that sdbuild supports.
    Supported(Architecture),
    /// Any other, by the name that was reported.
    Other(String),
}

impl ReportedArchitecture {
    /// Whether it is `architecture`.
    pub fn is(&self, architecture: Architecture) -> bool {
        *self == Self::Supported(architecture)
    }

    /// The architecture, or an error of class `Environment` if sdbuild has no container images for it.
    pub fn supported(&self) -> Result<Architecture, Failure> {
        match self {
            Self::Supported(architecture) => Ok(*architecture),
            Self::Other(name) => Err(Failure::environment(format!(
                "there are no container images for hosts of architecture {name}"
            ))
            .hint("use an engine on an x86_64 or aarch64 host")),
        }
    }
}

impl From<&str> for ReportedArchitecture {
    fn from(name: &str) -> Self {
        let known = Architecture::by_name(name).map(Self::Supported);
        known.unwrap_or_else(|| Self::Other(name.to_owned()))
    }
}

impl fmt::Display for ReportedArchitecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Supported(architecture) => architecture.kernel_name(),
            Self::Other(name) => name,
        })
    }
}

/// `--system`: what an image is for, by Nix's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, PartialOrd, Ord)]
pub enum System {
    /// 64-bit ARM boards.
    #[default]
    #[value(name = "aarch64-linux")]
    Aarch64Linux,
    /// 64-bit PCs.
    #[value(name = "x86_64-linux")]
    X8664Linux,
}

named_like_its_flag!(System);

impl System {
    /// The one of this machine; `None` if its processor is of another architecture.
    pub fn of_this_machine() -> Option<Self> {
        Architecture::by_kernel_name(std::env::consts::ARCH).map(
            |architecture| match architecture {
                Architecture::Aarch64 => Self::Aarch64Linux,
                Architecture::X86_64 => Self::X8664Linux,
            },
        )
    }

    /// The processor architecture of the system.
    pub fn architecture(self) -> Architecture {
        match self {
            Self::Aarch64Linux => Architecture::Aarch64,
            Self::X8664Linux => Architecture::X86_64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_naming_conventions_mean_one_architecture() {
        for (names, architecture) in [
            (["x86_64", "amd64"], Architecture::X86_64),
            (["aarch64", "arm64"], Architecture::Aarch64),
        ] {
            for name in names {
                let reported = ReportedArchitecture::from(name);
                assert_eq!(reported.supported().unwrap(), architecture);
                assert_eq!(reported.to_string(), architecture.kernel_name());
            }
        }
        let other = ReportedArchitecture::from("riscv64");
        assert_eq!(other.to_string(), "riscv64");
        assert!(other.supported().is_err());
    }

    #[test]
    fn each_architecture_emulates_the_other() {
        for host in Architecture::ALL {
            assert_ne!(host.emulates(), host);
            assert_eq!(host.emulates().emulates(), host);
        }
        assert_eq!(Architecture::X86_64.qemu_user(), "qemu-x86_64");
    }

    #[test]
    fn a_system_is_named_after_its_architecture() {
        for system in System::value_variants() {
            let name = format!("{}-linux", system.architecture().kernel_name());
            assert_eq!(system.to_string(), name);
            assert_eq!(name.parse::<System>(), Ok(*system));
        }
    }
}
