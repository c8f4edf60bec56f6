//! What is proposed for wrong outputs, attributes and configurations.

use super::ExitContext;
use super::missing_output_hint;
use super::source_lines;
use super::wrong_attribute_hint;

#[test]
fn wrong_attributes_are_proposed() {
    let context = ExitContext::default();
    let unsupported = |name: &str| {
        let text = format!("flake '.' has an unsupported attribute '{name}', at flake.nix:2:3");
        wrong_attribute_hint(&context, &text).unwrap()
    };
    assert_eq!(unsupported("input"), "rename input to inputs in flake.nix");
    assert!(unsupported("packages").ends_with("description, inputs, outputs, nixConfig"));
    let none = ".#pi is neither a NixOS configuration nor a derivation";
    assert!(
        wrong_attribute_hint(&context, none)
            .unwrap()
            .contains("nixosSystem")
    );
    let derivation = ".#image is a derivation, not a NixOS configuration: nothing in it";
    let hint = wrong_attribute_hint(&context, derivation).unwrap();
    assert!(hint.ends_with("takes only a configuration"), "{hint}");
    let beside = format!("{derivation}. The configurations of the flake are .#nas, .#pi");
    let hint = wrong_attribute_hint(&context, &beside).unwrap();
    assert!(hint.contains("a configuration, for instance: "), "{hint}");
    assert!(hint.ends_with(" .#nas"), "{hint}");
    let part = ".#pi.config.system.build.toplevel is not an image of the configuration .#pi";
    let hint = wrong_attribute_hint(&context, part).unwrap();
    assert!(hint.starts_with("write .#pi, "), "{hint}");
    let empty = "the flake . has a nixosConfigurations without a configuration";
    assert!(
        wrong_attribute_hint(&context, empty)
            .unwrap()
            .contains("nixosSystem")
    );
    let itself = "the flake . has a nixosConfigurations that is a configuration itself";
    let hint = wrong_attribute_hint(&context, itself).unwrap();
    assert!(hint.contains("nixosConfigurations.pi = "), "{hint}");
    let other = wrong_attribute_hint(&context, "undefined variable 'x'");
    assert_eq!(other, None);
}

#[test]
fn missing_outputs_are_proposed() {
    for (summary, hint) in [
        (
            "the flake in this directory has no nixosConfigurations. It has nixosConfiguration, packages",
            "rename the output nixosConfiguration to nixosConfigurations",
        ),
        (
            "the flake . has no nixosConfigurations. It has nixosConfigs, nixosModules",
            "rename the output nixosConfigs to nixosConfigurations",
        ),
        (
            "the flake ../pi has no nixosConfigurations. It has packages",
            "define one in the outputs: nixosConfigurations.NAME = nixpkgs.lib.nixosSystem { modules = [ ./configuration.nix ]; };",
        ),
        (
            "the flake . has no nixosConfigurations. It has no outputs",
            "define one in the outputs: nixosConfigurations.NAME = nixpkgs.lib.nixosSystem { modules = [ ./configuration.nix ]; };",
        ),
        (
            "the flake github:a/b has no configuration kitchn. Its configurations are github:a/b#garage, github:a/b#kitchen",
            "did you mean github:a/b#kitchen?",
        ),
        (
            "the flake . has no attribute nixosConfigurations.pie, because nixosConfigurations has no pie. It has pi",
            "did you mean pi?",
        ),
        (
            "the flake . has no attribute packages.a.image, because the flake has no packages. It has nixosConfigurations. Its configurations are .#pi",
            "did you mean .#pi?",
        ),
        (
            "the flake . has no attribute nixosConfiguration.a, because the flake has no nixosConfiguration. It has nixosConfigurations. Its configurations are .#pi",
            "did you mean nixosConfigurations?",
        ),
        (
            "the flake . has no attribute nixosConfigration.nas, because the flake has no nixosConfigration. It has nixosConfigurations. Its configurations are .#nas, .#pi",
            "did you mean .#nas?",
        ),
        (
            "the flake . has no configuration pj. Its configurations are .#nas, .#pi",
            "did you mean .#pi?",
        ),
    ] {
        assert_eq!(
            missing_output_hint(&ExitContext::default(), summary).as_deref(),
            Some(hint)
        );
    }
    let text =
        "{\n  # nixosConfiguration\n  nixosConfiguration.pi = 1;\n  nixosConfigurations.x = 2;\n}";
    assert_eq!(
        source_lines::with_name(text, "nixosConfiguration"),
        [(3, ())]
    );
}

#[test]
fn outputs_that_no_other_is_like_have_no_proposal() {
    for summary in [
        "the flake . has no configuration pj. Its configurations are .#pi, .#pk",
        "the flake ../pi has no attribute a.b, because the flake has no a. It has packages",
        "the flake . has no attribute a.b, because the flake has no a. It has nixosConfigurations. Its configurations are .#nas, .#pi",
        "the module has no nixosConfiguration. It has nixosConfigurations",
    ] {
        assert_eq!(
            missing_output_hint(&ExitContext::default(), summary),
            None,
            "{summary}"
        );
    }
}
