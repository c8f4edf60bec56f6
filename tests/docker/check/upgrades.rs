//! Findings of `check` about automatic upgrades.

use super::{IMAGE, check, ids};
use crate::support::*;

/// What `check` tells of a configuration without mistakes and these definitions, which begin in line 3.
fn told(user: &TestUser, public: &str, more: &str) -> Outcome {
    let text = format!(
        "{{ lib, pkgs, ... }}: {{ {IMAGE} system.stateVersion = \"26.05\"; services.openssh.enable = true;\n  \
         users.users.root.openssh.authorizedKeys.keys = [ \"{public}\" ];\n{more}\n}}\n"
    );
    check(user, "pi.nix", &text).assert_exit_code(0)
}

#[test]
fn upgrades_without_a_configuration_are_found() {
    needs!(engine_ready());
    let user = TestUser::new();
    let (_, public) = key(&user);
    let told = |more: &str| {
        let upgrade = "system.autoUpgrade.enable = true;";
        told(&user, &public, &format!("{upgrade}\n{more}"))
    };
    for wrong in ["", "system.autoUpgrade.flags = [ \"-L\" \"-I x\" ];"] {
        let checked = told(wrong);
        assert_eq!(ids(&checked), ["no-upgrade"], "{wrong}");
        assert_eq!(checked.json()["findings"][0]["line"], 3);
    }
    for fine in [
        "system.autoUpgrade.flake = \"github:me/config\";",
        "system.autoUpgrade.flags = [ \"-I nixos-config=/srv/pi.nix\" ];",
        "system.autoUpgrade.flags = [ \"--file\" \"/srv\" ];",
        "environment.etc.\"nixos/configuration.nix\".source = ./pi.nix;",
        "systemd.tmpfiles.rules = [ \"C /etc/nixos - - - - ${./.}\" ];",
        "systemd.services.nixos-upgrade = { startAt = \"daily\"; script = lib.mkForce \"nixos-rebuild switch -f /srv/pi\"; };",
        "fileSystems.\"/etc/nixos\" = { device = \"/srv/c\"; fsType = \"none\"; options = [ \"bind\" \"nofail\" ]; };",
        "systemd.services.get = { script = \"cp -r /srv/c /etc/nixos\"; startAt = \"daily\"; };",
        "sdImage.populateRootCommands = lib.mkAfter \"cp ${./pi.nix} ./files/etc/nixos/\";",
    ] {
        assert_eq!(ids(&told(fine)), [""; 0], "{fine}");
    }
}
