//! The types of machines that builds fit on.

use sdbuild_core::system::System;

/// Processors, unless the user asks for more.
const CPUS: u32 = 4;
/// GiB of memory: less is not enough for the evaluation of a system beside a build.
const MEMORY_GIB: u32 = 8;

/// Families of types, the ones with the lowest list price first, with their GiB of memory for each processor. Without t4g and t3: while all
/// of their processors are busy they cost a surcharge that no price list of spot instances has.
const ARM: [(&str, u32); 6] = [
    ("c6g", 2),
    ("c7g", 2),
    ("m6g", 4),
    ("c8g", 2),
    ("m7g", 4),
    ("m8g", 4),
];
const INTEL_AND_AMD: [(&str, u32); 8] = [
    ("c6a", 2),
    ("c6i", 2),
    ("m6a", 4),
    ("c7i", 2),
    ("m6i", 4),
    ("m7i", 4),
    ("c7a", 2),
    ("m7a", 4),
];
/// The sizes that all of them have, with their processors.
const SIZES: [(&str, u32); 4] = [
    ("xlarge", 4),
    ("2xlarge", 8),
    ("4xlarge", 16),
    ("8xlarge", 32),
];

/// A type of machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MachineType {
    /// For instance `c7g.xlarge`.
    pub(super) name: String,
    pub(super) cpus: u32,
    pub(super) memory_gib: u32,
}

/// The types of `system` with at least `cpus` processors, and not many more; those with the lowest list price first.
pub(super) fn fitting(system: System, cpus: Option<u32>) -> Vec<MachineType> {
    let families: &[(&str, u32)] = match system {
        System::Aarch64Linux => &ARM,
        System::X8664Linux => &INTEL_AND_AMD,
    };
    let enough = cpus.unwrap_or(CPUS);
    let sizes = SIZES.iter().filter(|(_, cpus)| *cpus >= enough);
    // A larger one may be cheaper for the moment.
    sizes
        .take(2)
        .flat_map(|(size, cpus)| {
            families.iter().map(move |(family, gib)| MachineType {
                name: format!("{family}.{size}"),
                cpus: *cpus,
                memory_gib: cpus * gib,
            })
        })
        .filter(|one| one.memory_gib >= MEMORY_GIB)
        .collect()
}

/// The parameter of AWS that has the newest image of Amazon Linux 2023 for `system`.
pub(super) fn image_parameter(system: System) -> String {
    let architecture = match system {
        System::Aarch64Linux => "arm64",
        System::X8664Linux => "x86_64",
    };
    format!("/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{architecture}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_fit_the_system_and_the_processors() {
        let names = |system, cpus| -> Vec<String> {
            let types = fitting(system, cpus).into_iter();
            types.map(|one| one.name).collect()
        };
        let arm = names(System::Aarch64Linux, None);
        assert_eq!(arm.len(), 12);
        assert_eq!(
            (arm[0].as_str(), arm[6].as_str()),
            ("c6g.xlarge", "c6g.2xlarge")
        );
        assert_eq!(names(System::Aarch64Linux, Some(5))[0], "c6g.2xlarge");
        assert_eq!(names(System::Aarch64Linux, Some(32)).len(), 6);
        assert_eq!(names(System::X8664Linux, None)[0], "c6a.xlarge");
        for one in fitting(System::Aarch64Linux, Some(1)) {
            assert!(one.cpus >= 4 && one.memory_gib >= 8, "{one:?}");
        }
    }
}
