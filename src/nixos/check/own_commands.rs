//! Services of the user's own that run as nobody who exists, or whose commands are those of a shell. Pure.

use std::path::Path;

use super::facts::ConfigFacts;
use super::own_facts::{AccountFacts, BarePathFacts, ShellCommandFacts};
use super::{Finding, Severity};
use crate::common::attribute_path;
use crate::common::nearest::similar_names;

/// One for each name of users and groups that do not exist, and one for each option with a command for a shell.
pub(super) fn findings(facts: &ConfigFacts) -> impl Iterator<Item = Finding> {
    let accounts = facts.own_units.missing_accounts.as_slice();
    let first_of_name = |n: &usize| {
        let name = accounts.get(*n).map(|account| &account.name);
        let mut before = accounts.iter().take(*n).map(|account| &account.name);
        !before.any(|other| Some(other) == name)
    };
    let first = (0..accounts.len()).filter(first_of_name);
    let missing = first.filter_map(|n| accounts.get(n));
    let missing = missing.map(|account| missing_account(facts, &account.name));
    let commands = facts.own_units.shell_commands.iter();
    let paths = facts.own_units.bare_paths.iter().map(bare_path);
    let login = facts.own_units.missing_login.iter();
    let login = login.map(|name| missing_login(facts, name));
    missing
        .chain(login)
        .chain(commands.map(shell_command))
        .chain(paths)
}

/// What is said of the user `name`, who does not exist and whom the console is to log in.
fn missing_login(facts: &ConfigFacts, name: &str) -> Finding {
    const OPTION: &str = "services.getty.autologinUser";
    let users = facts.users.iter().map(|user| user.name.as_str());
    let meant = similar_names(name, users);
    let said = meant
        .as_ref()
        .map(|meant| format!(" (did you mean {meant}?)"));
    let user = attribute_path::text(&["users", "users", name].map(str::to_owned));
    let line = match meant {
        None => Some(format!("{user}.isNormalUser = true;")),
        Some(meant) => (!meant.contains(' ')).then(|| format!("{OPTION} = \"{meant}\";")),
    };
    Finding {
        id: "no-account",
        severity: Severity::Warning,
        is: format!("{OPTION} = \"{name}\"{}", said.unwrap_or_default()),
        why: "the machine has no such user, so the login at the console fails".to_owned(),
        add: line.into_iter().collect(),
        place: None,
    }
}

fn option(service: &str, option: &str) -> String {
    let path = ["systemd", "services", service, "serviceConfig", option];
    attribute_path::text(&path.map(str::to_owned))
}

/// What is said of a path without quotes.
fn bare_path(path: &BarePathFacts) -> Finding {
    let file = &path.file;
    let is_program = path.option.starts_with("Exec");
    let interpreter = interpreter(file).filter(|_| is_program);
    let interpreter = interpreter.map_or_else(String::new, |program| format!("{program} "));
    let how = format!("\"{interpreter}${{{file}}}\"");
    let option = option(&path.service, &path.option);
    Finding {
        id: "bare-path",
        severity: Severity::Warning,
        is: format!("{option} has the path {file} without quotes"),
        why: "NixOS does not copy that file, so the card does not have it. In quotes and ${…} it is copied".to_owned(),
        add: vec![format!("{option} = {how};")],
        place: None,
    }
}

/// What runs the script `file`, which need not be executable.
fn interpreter(file: &str) -> Option<&'static str> {
    match Path::new(file).extension()?.to_str()? {
        "sh" => Some("${pkgs.runtimeShell}"),
        "py" => Some("${pkgs.python3}/bin/python3"),
        "pl" => Some("${pkgs.perl}/bin/perl"),
        "js" => Some("${pkgs.nodejs}/bin/node"),
        _ => None,
    }
}

/// What is said of all services that are to run as `name`.
fn missing_account(facts: &ConfigFacts, name: &str) -> Finding {
    let all = facts.own_units.missing_accounts.iter();
    let named: Vec<&AccountFacts> = all.filter(|account| account.name == name).collect();
    let is_user = named.iter().any(|account| account.option == "User");
    let meant = |account: &AccountFacts| {
        let known = match account.option.as_str() {
            "User" => &facts.own_units.accounts,
            _ => &facts.groups,
        };
        similar_names(name, known.iter().map(String::as_str))
    };
    let options = named.iter().map(|account| {
        let option = option(&account.service, &account.option);
        let meant = meant(account).map(|meant| format!(" (did you mean {meant}?)"));
        format!("{option} = \"{name}\"{}", meant.unwrap_or_default())
    });
    let options: Vec<String> = options.collect();
    let what = if is_user { "user" } else { "group" };
    let is_group = facts.groups.iter().any(|group| group == name);
    let user = attribute_path::text(&["users", "users", name].map(str::to_owned));
    let group = attribute_path::text(&["users", "groups", name].map(str::to_owned));
    let account = format!("{user} = {{ isSystemUser = true; group = \"{name}\"; }};");
    let lines = [
        is_user.then_some(account),
        (!is_group).then(|| format!("{group} = {{ }};")),
    ];
    let are_lines = named.iter().all(|account| meant(account).is_none());
    Finding {
        id: "no-account",
        severity: Severity::Warning,
        is: options.join(", "),
        why: format!("the machine has no such {what}, so the service does not start"),
        add: lines.into_iter().flatten().filter(|_| are_lines).collect(),
        place: None,
    }
}

fn shell_command(command: &ShellCommandFacts) -> Finding {
    let option = option(&command.service, &command.option);
    let script = match command.option.as_str() {
        "ExecStart" => "script",
        _ => "preStart",
    };
    if command.sign == "&" {
        return Finding {
            id: "shell-command",
            severity: Severity::Warning,
            is: format!("{option} has \"&\""),
            why: "systemd does not use a shell, so the program gets that sign as an argument. Remove it; services run in \
                  the background anyway"
                .to_owned(),
            add: Vec::new(),
            place: None,
        };
    }
    let remove = if command.is_list {
        format!("remove it from {}", command.option)
    } else {
        format!("remove {}", command.option)
    };
    let script =
        attribute_path::text(&["systemd", "services", &command.service, script].map(str::to_owned));
    Finding {
        id: "shell-command",
        severity: Severity::Warning,
        is: format!("{option} has \"{}\"", command.sign),
        why: format!(
            "systemd does not use a shell, so the program gets that sign and the rest as arguments. Write the command \
             into {script}, and {remove}"
        ),
        add: Vec::new(),
        place: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::findings;
    use super::super::tests::with;

    #[test]
    fn a_path_without_quotes_is_not_copied() {
        let told = |option: &str, file: &str| {
            let path = json!([{ "service": "web", "option": option, "file": file }]);
            let found = findings(
                &with(&[("/own_units/bare_paths", path)]),
                "aarch64-linux",
                None,
            );
            let [finding] = found.as_slice() else {
                panic!("{found:?}");
            };
            assert_eq!(finding.id, "bare-path");
            finding.add.concat()
        };
        let script = told("ExecStart", "./scripts/run.sh");
        assert!(
            script.ends_with(" = \"${pkgs.runtimeShell} ${./scripts/run.sh}\";"),
            "{script}"
        );
        let python = told("ExecStart", "../app.py");
        let line = "\"${pkgs.python3}/bin/python3 ${../app.py}\";";
        assert!(python.ends_with(line), "{python}");
        let file = told("EnvironmentFile", "./env");
        assert!(file.ends_with(" = \"${./env}\";"), "{file}");
    }

    #[test]
    fn nobody_who_does_not_exist_is_logged_in() {
        let told = |name: &str| {
            let facts = with(&[("/own_units/missing_login", json!(name))]);
            let found = findings(&facts, "aarch64-linux", None).into_iter();
            let found: Vec<_> = found.map(|one| (one.id, one.is, one.add)).collect();
            found
        };
        let is = |said: &str| format!("services.getty.autologinUser = {said}");
        let line = |line: &str| vec![line.to_owned()];
        let new = line("users.users.ann.isNormalUser = true;");
        assert_eq!(told("ann"), [("no-account", is("\"ann\""), new)]);
        let slip = is("\"roott\" (did you mean root?)");
        let meant = vec![is("\"root\";")];
        assert_eq!(told("roott"), [("no-account", slip, meant)]);
    }

    #[test]
    fn a_service_of_nobody_who_exists_has_the_lines_of_an_account() {
        let account =
            |option: &str, name: &str| json!({ "service": "web", "option": option, "name": name });
        let told = |missing: serde_json::Value| {
            let facts = with(&[
                ("/own_units/missing_accounts", missing),
                ("/own_units/accounts", json!(["root", "nobody"])),
            ]);
            let found = findings(&facts, "aarch64-linux", None).into_iter();
            let told = found.map(|one| {
                assert_eq!(one.id, "no-account");
                (one.is, one.add)
            });
            told.collect::<Vec<_>>()
        };
        let start = "systemd.services.web.serviceConfig";
        let both = told(json!([account("User", "app"), account("Group", "app")]));
        let is = format!("{start}.User = \"app\", {start}.Group = \"app\"");
        let lines = [
            "users.users.app = { isSystemUser = true; group = \"app\"; };",
            "users.groups.app = { };",
        ];
        assert_eq!(both, [(is, lines.map(str::to_owned).to_vec())]);
        let slip = told(json!([account("User", "nobody2")]));
        let is = format!("{start}.User = \"nobody2\" (did you mean nobody?)");
        assert_eq!(slip, [(is, vec![])]);
        // Of a group another one may be meant than of a user.
        let both = told(json!([
            account("User", "nobody2"),
            account("Group", "nobody2")
        ]));
        let is = format!(
            "{start}.User = \"nobody2\" (did you mean nobody?), {start}.Group = \"nobody2\""
        );
        assert_eq!(both, [(is, vec![])]);
        let group = told(json!([account("Group", "web-data")]));
        assert_eq!(group[0].1, ["users.groups.web-data = { };"]);
        let known = told(json!([
            account("User", "video-x"),
            account("Group", "wheels")
        ]));
        assert_eq!(known.len(), 2);
    }

    #[test]
    fn a_command_for_a_shell_is_told_with_the_script() {
        let told = |option: &str, sign: &str, is_list: bool| {
            let command =
                json!([{ "service": "a.b", "option": option, "sign": sign, "is_list": is_list }]);
            let facts = with(&[("/own_units/shell_commands", command)]);
            let found = findings(&facts, "aarch64-linux", None).remove(0);
            assert_eq!(found.id, "shell-command");
            let start = "systemd.services.\"a.b\"";
            assert_eq!(
                found.is,
                format!("{start}.serviceConfig.{option} has \"{sign}\"")
            );
            found.why
        };
        for (option, is_list, end) in [
            // Beside a script it is a second definition.
            ("ExecStart", false, "script, and remove ExecStart"),
            ("ExecStart", true, "script, and remove it from ExecStart"),
            ("ExecStartPre", false, "preStart, and remove ExecStartPre"),
        ] {
            let why = told(option, "&&", is_list);
            let end = format!("into systemd.services.\"a.b\".{end}");
            assert!(why.ends_with(&end), "{why}");
        }
        let why = told("ExecStart", "&", false);
        assert!(
            why.ends_with("Remove it; services run in the background anyway"),
            "{why}"
        );
    }
}
