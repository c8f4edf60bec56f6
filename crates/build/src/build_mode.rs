//! What a user can choose about how something is done. The mode that a run really uses may differ: `auto` is resolved
//! when the engine is known.

use clap::ValueEnum;

use sdbuild_core::choice::named_like_its_flag;

/// `--emulation`: how programs of the image's architecture run on the engine's machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum EmulationChoice {
    /// No emulation if the engine's machine can run the programs itself; otherwise the first that works of register,
    /// private and host.
    #[default]
    Auto,
    /// Register QEMU in the kernel's `binfmt_misc` for the duration of the run.
    Register,
    /// Register QEMU only inside the builder (Linux 6.7 or later); nothing changes on the host.
    Private,
    /// Use the QEMU that `binfmt_misc` has already, after a test that it works.
    Host,
    /// Do not emulate.
    None,
}

/// `--glue`: whether small derivations, such as configuration files, and the image itself are built without emulation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Glue {
    /// Without emulation where the result is the same, otherwise under emulation.
    #[default]
    Auto,
    /// Without emulation; the build fails where that is impossible.
    Native,
    /// Under emulation.
    Emulated,
}

/// What is built of a configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Product {
    /// An image.
    #[default]
    Image,
    /// The system inside it, for a machine that runs.
    System,
}

/// `--emulator`: which QEMU boots an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum EmulatorChoice {
    /// This machine's QEMU if it is installed, otherwise one in a container.
    #[default]
    Auto,
    /// This machine's QEMU.
    Host,
    /// A QEMU in a container, from pinned packages; slower where this machine's QEMU could use KVM.
    Container,
}

named_like_its_flag!(EmulationChoice, Glue, EmulatorChoice);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_parsed_and_others_are_listed() {
        for choice in EmulationChoice::value_variants() {
            assert_eq!(choice.to_string().parse::<EmulationChoice>(), Ok(*choice));
            let json = serde_json::to_value(choice).unwrap();
            assert_eq!(json, choice.to_string());
            assert_eq!(
                serde_json::from_value::<EmulationChoice>(json).unwrap(),
                *choice
            );
        }
        let refused = "fast".parse::<Glue>().unwrap_err();
        assert_eq!(refused, "`fast` is not one of auto, native, emulated");
    }
}
