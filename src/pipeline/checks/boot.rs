//! How fast `sdbuild boot` runs an image here.

use crate::pipeline::checks::check::Check;
use crate::pipeline::checks::machine::Machine;
use sdbuild_core::kvm::Kvm;
use sdbuild_core::system::System;

/// Whether the kernel helps QEMU to run an image. Without that `boot` works as well, but takes longer.
pub(super) fn kvm(machine: &Machine<'_>) -> Option<Check> {
    let system = machine.request.target.system;
    machine.doctor.map(|facts| check(system, facts.kvm))
}

fn check(system: System, kvm: Kvm) -> Check {
    let topic = "virtual machine";
    let architecture = system.architecture().kernel_name();
    if architecture != std::env::consts::ARCH {
        return Check::good(
            topic,
            format!(
                "`sdbuild boot` emulates {system}, because KVM runs only this machine's own architecture"
            ),
        );
    }
    match kvm {
        Kvm::Usable => Check::good(
            topic,
            "`sdbuild boot` uses KVM only if QEMU is installed; in a container it emulates",
        ),
        Kvm::Missing => Check::good(
            topic,
            "this machine has no KVM, so `sdbuild boot` emulates, which is slower",
        ),
        Kvm::Denied => Check::warning(
            topic,
            "this user may not open /dev/kvm, so `sdbuild boot` emulates, which is slower",
        )
        .remedy("add yourself to the group of /dev/kvm, usually `sudo usermod -aG kvm $USER`, and log in again"),
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;
    use crate::pipeline::checks::check::Verdict;
    use sdbuild_core::system::Architecture;

    #[test]
    fn only_a_device_that_may_not_be_opened_is_a_warning() {
        let own = Architecture::by_kernel_name(std::env::consts::ARCH).unwrap();
        let [native, foreign] = [own, own.emulates()].map(|architecture| {
            let mut all = System::value_variants().iter().copied();
            all.find(|system| system.architecture() == architecture)
                .unwrap()
        });
        let text = check(native, Kvm::Denied);
        assert_eq!((text.verdict, text.remedies.len()), (Verdict::Warning, 1));
        assert!(check(native, Kvm::Usable).text.contains("uses KVM"));
        assert!(check(native, Kvm::Missing).text.contains("no KVM"));
        for kvm in [Kvm::Usable, Kvm::Denied, Kvm::Missing] {
            let emulated = check(foreign, kvm);
            assert_eq!(emulated.verdict, Verdict::Good);
            assert!(emulated.text.contains("emulates"), "{}", emulated.text);
        }
    }
}
