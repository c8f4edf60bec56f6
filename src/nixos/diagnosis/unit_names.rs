//! Names of units of systemd without their kind, which the types of nixpkgs refuse.

use super::listed_definitions::values;

/// Targets that people name so, without `.target`.
const TARGETS: [&str; 14] = [
    "basic",
    "default",
    "graphical",
    "local-fs",
    "multi-user",
    "network",
    "network-online",
    "network-pre",
    "nss-lookup",
    "remote-fs",
    "sockets",
    "sysinit",
    "time-sync",
    "timers",
];

/// What to write in place of the name in `summary`, which is not of the type `kind`.
pub(super) fn hint(kind: &str, summary: &str) -> Option<String> {
    if !kind.contains("[.](service|socket|") {
        return None;
    }
    let mut names = values(summary).filter_map(|value| value.strip_prefix('"')?.strip_suffix('"'));
    let name = names.find(|name| !name.is_empty() && !name.contains(['.', '\\']))?;
    let end = "end the name of a unit with its kind";
    Some(if TARGETS.contains(&name) {
        format!("{end}: \"{name}.target\"")
    } else {
        format!("{end}, as in \"sshd.service\" or \"multi-user.target\"")
    })
}

#[cfg(test)]
mod tests {
    use super::super::definitions::wrong_type;

    /// Only the search for options was told.
    #[test]
    fn a_unit_is_named_with_its_kind() {
        let told = |value: &str| {
            let summary = format!(
                "A definition for option `systemd.services.a.wantedBy.\"[definition 1-entry 1]\"' is not of type `string matching the pattern \
                 [a-zA-Z0-9@%:_.\\\\-]+[.](service|socket|device|mount|automount|swap|target|path|timer|scope|slice)'. Definition values:\n\
                 - In `/build/config/sd-card.nix': {value}"
            );
            wrong_type(&summary, false).unwrap()
        };
        let end = "end the name of a unit with its kind";
        assert_eq!(
            told("\"multi-user\""),
            format!("{end}: \"multi-user.target\"")
        );
        let others = format!("{end}, as in \"sshd.service\" or \"multi-user.target\"");
        assert_eq!(told("\"nginx\""), others);
        for value in ["\"multi user.target\"", "1"] {
            assert!(!told(value).contains(end), "{value}");
        }
    }
}
