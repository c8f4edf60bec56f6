//! Users who cannot log in because of their shells. Pure.

use super::facts::{ConfigFacts, UserFacts};
use super::named_options::user_option;
use crate::common::attribute_path;

/// The users whose shell does not exist on NixOS, and that shell: of those who could log in with another one, or of the others.
fn without_shell(facts: &ConfigFacts, could_log_in: bool) -> impl Iterator<Item = (&str, &str)> {
    let is_meant = move |user: &&UserFacts| {
        let is_at_console = facts.autologin.as_ref() == Some(&user.name);
        (user.has_secret() || is_at_console) == could_log_in
    };
    let users = facts.users.iter().filter(is_meant);
    users.filter_map(|user| Some((user.name.as_str(), user.missing_shell()?)))
}

/// What is said of those users, if there are any.
pub(super) fn missing_shells(facts: &ConfigFacts, could_log_in: bool) -> Option<String> {
    let users = without_shell(facts, could_log_in);
    let settings = users.map(|(name, shell)| format!("{}.shell = \"{shell}\"", user_option(name)));
    let settings: Vec<String> = settings.collect();
    (!settings.is_empty()).then(|| settings.join(", "))
}

/// The lines that give those users the shells that are meant.
pub(super) fn lines_that_set_shells(facts: &ConfigFacts, could_log_in: bool) -> Vec<String> {
    let users: Vec<(&str, &str)> = without_shell(facts, could_log_in).collect();
    let shells = users.iter().map(|(name, shell)| {
        let name = attribute_path::text(&[(*name).to_owned()]);
        format!("users.users.{name}.shell = pkgs.{};", meant_shell(shell))
    });
    // NixOS refuses these shells for a user unless they are enabled as programs.
    let programs = ["fish", "zsh"].into_iter();
    let programs = programs.filter(|program| {
        users
            .iter()
            .any(|(_, shell)| meant_shell(shell) == *program)
    });
    let programs = programs.map(|program| format!("programs.{program}.enable = true;"));
    shells.chain(programs).collect()
}

/// The package of the shell that is meant by the path of one that does not exist.
fn meant_shell(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or_default();
    let is_package = ["bash", "dash", "fish", "ksh", "nushell", "zsh"].contains(&name);
    if is_package { name } else { "bash" }
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::Finding;
    use super::super::Severity;
    use super::super::findings;
    use super::super::tests::{KEY, user, wheel, with};

    fn in_shell(mut user: Value, shell: &str) -> Value {
        user["shell"] = json!(shell);
        user
    }

    /// What is found about shells.
    fn found(users: &[Value], autologin: Value) -> Vec<Finding> {
        let facts = with(&[("/users", json!(users)), ("/autologin", autologin)]);
        let mut found = findings(&facts, "aarch64-linux", None);
        found.retain(|finding| finding.id == "no-shell");
        found
    }

    #[test]
    fn each_shell_that_does_not_exist_is_told_once() {
        let users = [
            in_shell(wheel("ann", &[KEY], "set"), "/bin/zsh"),
            in_shell(user("bob", &[KEY], "none"), "/usr/bin/zsh"),
            in_shell(user("eve", &[], "none"), "/bin/fish"),
            user("root", &[KEY], "none"),
        ];
        let found_in = found(&users, Value::Null);
        let [error, warning] = found_in.as_slice() else {
            panic!("two findings");
        };
        assert_eq!(
            (error.severity, warning.severity),
            (Severity::Error, Severity::Warning)
        );
        let both = "users.users.ann.shell = \"/bin/zsh\", users.users.bob.shell = \"/usr/bin/zsh\"";
        assert_eq!(error.is, both);
        let lines = [
            "users.users.ann.shell = pkgs.zsh;",
            "users.users.bob.shell = pkgs.zsh;",
            "programs.zsh.enable = true;",
        ];
        assert_eq!(error.add, lines);
        assert_eq!(warning.is, "users.users.eve.shell = \"/bin/fish\"");
        let lines = [
            "users.users.eve.shell = pkgs.fish;",
            "programs.fish.enable = true;",
        ];
        assert_eq!(warning.add, lines);
        let at_console = found(&users[2..], json!("eve"));
        assert_eq!(at_console.len(), 1);
        assert_eq!(at_console[0].severity, Severity::Error);
    }
}
