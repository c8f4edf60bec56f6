//! Users who cannot log in because of their shells. Pure.

use super::facts::ConfigFacts;

/// The first user with a key or a password whose shell does not exist on NixOS, and that shell.
pub(super) fn without_shell(facts: &ConfigFacts) -> Option<(&str, &str)> {
    let mut users = facts.users.iter().filter(|user| user.has_secret());
    users.find_map(|user| Some((user.name.as_str(), user.missing_shell()?)))
}

/// The first user with a key or a password, and their shell, if every such user has one that ends the login.
pub(super) fn shut_out_by_shell(facts: &ConfigFacts) -> Option<(&str, &str)> {
    let mut users = facts.users.iter().filter(|user| user.has_secret());
    let first = users.clone().next()?;
    let shell = first.refusing_shell()?;
    let all = users.all(|user| user.refusing_shell().is_some());
    // A block for some users may run another program than the shell, such as internal-sftp.
    let has_block = facts.ssh.unread.iter().any(|keyword| keyword == "match");
    let is_certain = !facts.ssh.other_keys && !has_block && facts.autologin.is_none();
    (all && is_certain).then_some((&first.name, shell))
}

/// The package of the shell that is meant by one that does not exist.
pub(super) fn meant_shell(facts: &ConfigFacts) -> Option<&str> {
    let (_, path) = without_shell(facts)?;
    let name = path.rsplit('/').next()?;
    ["bash", "dash", "fish", "ksh", "nushell", "zsh"]
        .contains(&name)
        .then_some(name)
}
