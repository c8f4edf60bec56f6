//! The rule about automatic upgrades. Pure.

use super::Severity;
use super::facts::ConfigFacts;
use super::rule::Rule;

pub(super) const RULES: [Rule; 1] = [Rule {
    id: "no-upgrade",
    severity: Severity::Warning,
    is: |facts, _| {
        let is_on = facts.upgrades_to_nothing && facts.card;
        is_on.then(|| "system.autoUpgrade.enable = true".into())
    },
    why: "without system.autoUpgrade.flake the board builds /etc/nixos/configuration.nix, which is not on the card, so \
          every upgrade fails",
    add: &["{upgrade}"],
}];

/// The line that names a flake.
pub(super) fn line_with_flake(facts: &ConfigFacts) -> String {
    let place = if facts.upgrade_has_channel {
        "replaces channel; "
    } else {
        ""
    };
    format!(
        "system.autoUpgrade.flake = \"github:me/config#NAME\"; # {place}the flake with the configuration of this machine"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::findings;
    use super::super::tests::{found, with};

    /// NixOS refuses a configuration with both.
    #[test]
    fn a_flake_is_in_place_of_a_channel() {
        for (has_channel, comment) in [(false, "# the flake"), (true, "# replaces channel; ")] {
            let facts = with(&[
                ("/upgrades_to_nothing", json!(true)),
                ("/upgrade_has_channel", json!(has_channel)),
            ]);
            let found = findings(&facts, "aarch64-linux", None);
            assert_eq!(found.len(), 1);
            assert!(found[0].add[0].contains(comment), "{:?}", found[0].add);
        }
    }

    #[test]
    fn upgrades_to_a_configuration_that_is_not_there_are_told() {
        let on = ("/upgrades_to_nothing", json!(true));
        assert_eq!(found(std::slice::from_ref(&on)), ["no-upgrade"]);
        assert_eq!(found(&[on, ("/card", json!(false))]), [""; 0]);
    }
}
