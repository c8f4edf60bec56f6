//! What helps with known mistakes, said after the failure itself. Pure.

use super::symptom::Symptom;

/// What helps with common mistakes in a configuration.
pub(super) fn for_evaluation(summary: &str) -> Vec<&'static str> {
    let says = |words: &str| summary.contains(words);
    let mut hints = Vec::new();
    if says("sdImage") && (says("missing") || says("not found")) {
        hints.push(
            "import <nixpkgs/nixos/modules/installer/sd-card/sd-image-aarch64.nix> in the configuration",
        );
    } else if says("The option `") && says("does not exist") {
        hints.push("check its spelling: https://search.nixos.org/options");
    } else if says("attribute '") && says("missing") {
        hints.push("check the name: https://search.nixos.org/packages");
    } else if says("/build/") && (says("does not exist") || says("No such file")) {
        hints.push(
            "only the configuration's folder goes into the builder, without what .gitignore and \
             .sdbuildignore name and without *.img files",
        );
    } else if says("is required to build") || says("required system or feature") {
        hints.push(
            "the configuration asks for another platform or for KVM: set nixpkgs.hostPlatform",
        );
    }
    hints
}

/// What helps when an image could not be put together.
pub(super) fn for_build(symptom: Symptom, emulated: bool) -> Option<&'static str> {
    match symptom {
        Symptom::RootTooSmall => Some(
            "the root file system was made too small for its content, a known weakness of make-ext4-fs \
             with very many small files",
        ),
        Symptom::FirmwareTooSmall => {
            Some("make the firmware partition larger: sdImage.firmwareSize")
        }
        Symptom::EmulatorCrash => Some(
            "an emulated program crashed, which may be the emulator's fault: a native engine (DOCKER_HOST) \
             would tell",
        ),
        Symptom::WrongHash => {
            Some("the server's file has changed, or the configuration's hash is wrong")
        }
        Symptom::NoHandler if !emulated => {
            Some("a program of another architecture was run, and this engine emulates none")
        }
        Symptom::NoHandler
        | Symptom::DiskFull
        | Symptom::ProcessLimit
        | Symptom::Network
        | Symptom::MissingProgram => None,
    }
}
