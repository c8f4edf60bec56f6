//! The rule about automatic upgrades. Pure.

use super::Severity;
use super::rule::Rule;

pub(super) const RULES: [Rule; 1] = [Rule {
    id: "no-upgrade",
    severity: Severity::Note,
    is: |facts, _| {
        let is_on = facts.upgrades_to_nothing && facts.card;
        is_on.then(|| "system.autoUpgrade.enable = true".into())
    },
    why: "without system.autoUpgrade.flake the board builds /etc/nixos/configuration.nix, which is not on the card: every upgrade fails \
          until you put one there",
    add: &[
        "system.autoUpgrade.flake = \"github:me/config#NAME\"; # the flake with the configuration of this machine",
    ],
}];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::found;

    #[test]
    fn upgrades_to_a_configuration_that_is_not_there_are_told() {
        let on = ("/upgrades_to_nothing", json!(true));
        assert_eq!(found(std::slice::from_ref(&on)), ["no-upgrade"]);
        assert_eq!(found(&[on, ("/card", json!(false))]), [""; 0]);
    }
}
