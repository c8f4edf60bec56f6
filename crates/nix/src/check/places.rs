//! Where the user's files define the options of findings.

use super::facts::ConfigFacts;
use super::finding::{Change, Finding, OptionPath, Place, Replaced, Value};
use crate::attribute_path;
use crate::cli_module::CliModule;
use crate::layout::CONFIG_DIR;
use crate::nix_definitions::{WrittenDefinition, definitions};
use crate::user_files::UserFiles;

/// Sets of objects, each of which has a name: the definition of `users.users.ann` may be that of all her options.
const OBJECTS: [&[&str]; 7] = [
    &["disko"],
    &["fileSystems"],
    &["networking", "interfaces"],
    &["networking", "wg-quick", "interfaces"],
    &["networking", "wireguard", "interfaces"],
    &["networking", "wireless", "networks"],
    &["users", "users"],
];

/// Options whose values may write files that the configuration does not name.
const MAKING_FILES: [&[&str]; 4] = [
    &["boot", "postBootCommands"],
    &["networking", "localCommands"],
    &["sdImage", "populateRootCommands"],
    &["system", "activationScripts"],
];

/// What the user's files, and the command line, define.
#[derive(Clone, Debug, Default)]
pub struct OwnDefinitions {
    /// The definitions in files, each behind the file as messages name it.
    in_files: Vec<(String, WrittenDefinition)>,
    cli_module: CliModule,
}

impl OwnDefinitions {
    /// The definitions in those of `files` that are imported, of which messages begin with `shown_dir`, and those in `cli_module`.
    pub fn read(files: Option<&UserFiles>, shown_dir: &str, cli_module: &CliModule) -> Self {
        let imported = files.map(UserFiles::imported).unwrap_or_default();
        let in_files = imported.into_iter().flat_map(|(file, text)| {
            let file = format!("{shown_dir}{}", file.display());
            let found = definitions(&text).into_iter();
            found.map(move |one| (file.clone(), one))
        });
        Self {
            in_files: in_files.collect(),
            cli_module: cli_module.clone(),
        }
    }

    /// Gives each of `findings` the place of its option, and each change the definition that it replaces: a file cannot define an
    /// option twice. Changes that the files have already are left out.
    pub fn locate(&self, findings: &mut [Finding]) {
        for finding in findings {
            if let Some(option) = &finding.option {
                finding.place = self.place(option, finding.value.as_deref());
                finding.flag = self.overriding(option);
            }
            finding.fix.retain(|change| !self.has(change));
            for change in &mut finding.fix {
                change.replaces = self.replaced(change);
            }
        }
    }

    /// Adds to the facts what only the files say, and removes what commands in them may explain: those can do anything, and their
    /// texts are not evaluated, because they may need the whole system.
    pub fn complete(&self, facts: &mut ConfigFacts) {
        if MAKING_FILES.iter().any(|option| self.defines(option)) {
            facts.upgrades_to_nothing = false;
        }
        // A build does not evaluate the options of Wi-Fi that is off.
        if !facts.network.wireless && facts.network.secrets_file.is_none() {
            facts.network.secrets_file = self.secrets_file();
        }
        let makes_root = self.defines(&["sdImage", "populateRootCommands"]);
        facts.sd.makes_menu = facts.sd.makes_menu && !makes_root;
        let messages = facts.assertions.iter_mut().chain(&mut facts.warnings);
        messages.for_each(|text| self.name_own_file(text));
    }

    /// Names the user's file in a message about an option that one of them defines. NixOS names nixpkgs' own `flake.nix` for each
    /// module that a flake passes as a value (`modulesLocation` in `nixos/lib/eval-config.nix`).
    fn name_own_file(&self, text: &mut String) {
        let between = |start: &str, end: &str| Some(text.split_once(start)?.1.split_once(end)?.0);
        let Some(file) =
            between(" `/nix/store/", "'").filter(|it| it.ends_with("-source/flake.nix"))
        else {
            return;
        };
        let option = between("`", "'").and_then(|option| attribute_path::parse(option).ok());
        let mut defined = option.iter().flat_map(|option| self.defining(option));
        if let (Some((own, _)), None) = (defined.next(), defined.next()) {
            *text = text.replace(&format!("/nix/store/{file}"), &format!("{CONFIG_DIR}{own}"));
        }
    }

    /// The file with the secrets of Wi-Fi that the files name; empty if its path is an expression, `None` also for `null`.
    fn secrets_file(&self) -> Option<String> {
        let path = ["networking", "wireless", "secretsFile"].map(str::to_owned);
        let (_, definition) = self.defining(&path).next()?;
        let literal = definition.literal.as_deref().unwrap_or_default();
        let text = literal.trim_matches('"').to_owned();
        (literal != "null").then_some(text)
    }

    fn defines(&self, option: &[&str]) -> bool {
        let option: OptionPath = option.iter().map(|&name| name.to_owned()).collect();
        self.defining(&option).next().is_some()
    }

    /// The flag that overrides the option of the files.
    fn overriding(&self, option: &[String]) -> Option<String> {
        self.cli_module.overriding(&attribute_path::text(option))
    }

    /// The place of the only definition that can give `option` its `value`.
    fn place(&self, option: &[String], value: Option<&str>) -> Option<Place> {
        let mut found = self.closest(option);
        let (file, definition) = found.next().filter(|_| found.next().is_none())?;
        let is_overridden = self
            .cli_module
            .flag_of(&attribute_path::text(option))
            .is_some();
        // A part of the option says nothing of the whole, unless that is an object.
        let is_part = !option.starts_with(&definition.path) && object_of(option) != Some(option);
        let both = definition.literal.as_deref().zip(value);
        let is_other_value = both.is_some_and(|(literal, value)| literal != value);
        if is_overridden || is_part || is_other_value || definition.is_conditional {
            return None;
        }
        Some(place(file, definition))
    }

    /// The definitions of an option; if there are none, those of the object that has it.
    fn closest(&self, option: &[String]) -> impl Iterator<Item = &(String, WrittenDefinition)> {
        let shortest = object_of(option).map_or(option.len(), <[String]>::len);
        let mut candidates = (shortest..=option.len())
            .rev()
            .filter_map(|n| option.get(..n));
        let defined = candidates.find(|path| self.defining(path).next().is_some());
        defined.into_iter().flat_map(|path| self.defining(path))
    }

    /// The outermost definitions of an option or of what is in it.
    fn defining(&self, option: &[String]) -> impl Iterator<Item = &(String, WrittenDefinition)> {
        self.in_files.iter().filter(move |(_, definition)| {
            definition.path.starts_with(option) && definition.outer < option.len()
        })
    }

    /// Whether the files have that definition already, and no flag overrides it.
    fn has(&self, change: &Change) -> bool {
        let Value::Source(value) = &change.value else {
            return false;
        };
        let is_same = |(_, one): &(String, WrittenDefinition)| {
            one.path == change.option
                && one.is_plain
                && !one.is_conditional
                && one.literal.as_ref() == Some(value)
        };
        self.overriding(&change.option).is_none() && self.in_files.iter().any(is_same)
    }

    /// What the change replaces: a flag, or the only definition in the files.
    fn replaced(&self, change: &Change) -> Option<Replaced> {
        let option = match &change.value {
            Value::Definitions(_) => return None,
            Value::Of(old) => old,
            Value::Source(_) | Value::With(_) | Value::OwnKey => &change.option,
        };
        if let Some(flag) = self.overriding(option) {
            return Some(Replaced::Flag(flag));
        }
        let mut same = self.in_files.iter().filter(|(_, one)| one.path == *option);
        let (file, definition) = same.next().filter(|_| same.next().is_none())?;
        let member = definition.path.iter().skip(definition.outer).cloned();
        (!definition.is_conditional).then(|| Replaced::Definition {
            place: place(file, definition),
            member: member.collect(),
            numbers: definition.numbers.clone(),
        })
    }
}

fn place(file: &str, definition: &WrittenDefinition) -> Place {
    Place {
        file: file.to_owned(),
        line: definition.line,
    }
}

/// The path of the object that `option` leads into, or is.
fn object_of(option: &[String]) -> Option<&[String]> {
    let is_in =
        |set: &&&[&str]| option.len() > set.len() && option.iter().zip(**set).all(|(a, b)| a == b);
    let set = OBJECTS.iter().find(is_in)?;
    option.get(..=set.len())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::finding::{Severity, path};
    use super::super::tests::with;
    use super::*;
    use crate::user_files::UserFiles;

    /// What these files define, of which `sd-card.nix` is the first, and these flags.
    fn own(files: &[(&str, &str)], flags: &[&str]) -> OwnDefinitions {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let mut cli_module = CliModule::default();
        for flag in flags {
            cli_module.set(flag).unwrap();
        }
        let files = UserFiles::new(dir.path()).beginning_with("sd-card.nix");
        OwnDefinitions::read(Some(&files), "pi/", &cli_module)
    }

    /// The line of the option in a `sd-card.nix`.
    fn line(option: &str, value: Option<&str>, text: &str) -> Option<usize> {
        let found = own(&[("sd-card.nix", text)], &[]).place(&path(option), value)?;
        assert_eq!(found.file, "pi/sd-card.nix");
        Some(found.line)
    }

    #[test]
    fn a_module_in_a_flake_is_the_users() {
        let own = own(&[("sd-card.nix", "{ a.b = true; }")], &[]);
        for (option, file, expected) in [
            ("a.b", "x-source/flake.nix", "/build/config/pi/sd-card.nix"),
            ("a.b", "x-source/y.nix", "/nix/store/x-source/y.nix"),
            ("a.c", "x-source/flake.nix", "/nix/store/x-source/flake.nix"),
        ] {
            let text =
                |file: &str| format!("The option `{option}' defined in `{file}' has been renamed");
            let mut facts = with(&[]);
            facts.warnings = vec![text(&format!("/nix/store/{file}"))];
            own.complete(&mut facts);
            assert_eq!(facts.warnings, [text(expected)]);
        }
    }

    #[test]
    fn the_only_definition_is_the_place() {
        for (expected, text) in [
            (Some(2), "{\n  networking.hostName = \"my_pi\";\n}"),
            (
                Some(2),
                "{ networking = {\n  hostName = lib.mkDefault \"my_pi\"; }; }",
            ),
            (
                Some(2),
                "{ config = { networking =\n { hostName = name; }; }; }",
            ),
            (None, "{ networking = { }; }"),
            (None, "{ networking.hostName = \"other\"; }"),
            (
                None,
                "{ specialisation.x.networking.hostName = \"my_pi\"; }",
            ),
            (
                None,
                "{ networking = lib.mkIf false { hostName = \"my_pi\"; }; }",
            ),
        ] {
            let found = line("networking.hostName", Some("\"my_pi\""), text);
            assert_eq!(found, expected, "{text}");
        }
        let one = "{ networking.hostName = name; }";
        let host_name = path("networking.hostName");
        let flag = own(&[("sd-card.nix", one)], &["networking.hostName=my_pi"]);
        assert_eq!(flag.place(&host_name, None), None);
        let importing = "{ imports = [ ./other.nix ]; networking.hostName = name; }";
        let two = own(&[("sd-card.nix", importing), ("other.nix", one)], &[]);
        assert_eq!(two.place(&host_name, None), None);
        // A file of another machine.
        let other = own(&[("sd-card.nix", "{ }"), ("other.nix", one)], &[]);
        assert_eq!(other.place(&host_name, None), None);
    }

    #[test]
    fn an_object_is_the_place_where_no_option_is() {
        for (text, expected) in [
            (
                "{ users.users.ann = {\n  shell = \"/bin/zsh\"; }; }",
                Some(2),
            ),
            ("{\n  users.users.ann = person \"/bin/zsh\"; }", Some(2)),
            ("{ users = {\n  users.ann = person; }; }", Some(2)),
            ("{ users.users.ann.isNormalUser = true; }", None),
            ("{ users.users.bob = person; }", None),
            ("{ users.users = people; }", None),
            ("{ users.users.ann.a = 1; users.users.ann.b = 2; }", None),
        ] {
            let found = line("users.users.ann.shell", Some("\"/bin/zsh\""), text);
            assert_eq!(found, expected, "{text}");
        }
        let disk = "{\n fileSystems.\"/data\" = { device = \"/dev/sda1\"; }; }";
        assert_eq!(line("fileSystems.\"/data\"", None, disk), Some(2));
    }

    #[test]
    fn a_change_knows_what_it_replaces() {
        let text = "{\n services.openssh = {\n enable = false; };\n a.ports = [ 1 ];\n c.d = lib.mkIf x 1; b.old = 1; }";
        let own = own(&[("sd-card.nix", text)], &["time.timeZone=Etc/UTC"]);
        let member = |change: &Change| match own.replaced(change) {
            Some(Replaced::Definition {
                place,
                member,
                numbers,
            }) => Some((
                place.line,
                attribute_path::text(&member),
                numbers.map(|all| all.len()),
            )),
            Some(Replaced::Flag(flag)) => Some((0, flag, None)),
            None => None,
        };
        let set = |option: &str| Change::set(path(option), "true");
        let found = |line, member: &str, numbers| Some((line, member.to_owned(), numbers));
        assert_eq!(
            member(&set("services.openssh.enable")),
            found(3, "enable", None)
        );
        let port = Change::add(path("a.ports"), ["2".to_owned()]);
        assert_eq!(member(&port), found(4, "a.ports", Some(1)));
        let renamed = Change::new(path("b.new"), Value::Of(path("b.old")));
        assert_eq!(member(&renamed), found(5, "b.old", None));
        assert_eq!(
            member(&set("time.timeZone")),
            found(0, "--set time.timeZone=…", None)
        );
        assert_eq!(member(&set("c.d")), None);
        assert_eq!(member(&set("e.f")), None);
    }

    #[test]
    fn what_the_files_have_is_not_proposed() {
        let text =
            "{ a.b = false;\n a.c = true;\n a.d = lib.mkIf x false;\n a.f = lib.mkDefault false; }";
        let own = own(&[("sd-card.nix", text)], &[]);
        for (option, is_there) in [
            ("a.b", true),
            ("a.c", false),
            ("a.d", false),
            ("a.e", false),
            ("a.f", false),
        ] {
            let fix = [Change::set(path(option), "false")];
            let mut found = [Finding::general("x", Severity::Warning, "", "").fix(fix)];
            own.locate(&mut found);
            assert_eq!(found[0].fix.is_empty(), is_there, "{option}");
        }
    }

    /// The line to add would have defined the option a second time.
    #[test]
    fn the_secrets_file_of_wireless_that_is_off_is_known() {
        let known = |value: &str| {
            let text = format!("{{ networking.wireless = {{ secretsFile = {value}; }}; }}");
            let mut facts = with(&[]);
            own(&[("sd-card.nix", &text)], &[]).complete(&mut facts);
            facts.network.secrets_file
        };
        assert_eq!(known("\"/run/wifi\"").as_deref(), Some("/run/wifi"));
        assert_eq!(known("config.age.secrets.wifi.path").as_deref(), Some(""));
        assert_eq!(known("null"), None);
    }

    #[test]
    fn commands_that_write_files_may_bring_a_configuration() {
        let upgrades = |text: &str| {
            let mut facts = with(&[("/upgrades_to_nothing", true.into())]);
            own(&[("sd-card.nix", text)], &[]).complete(&mut facts);
            (facts.upgrades_to_nothing, facts.sd.makes_menu)
        };
        assert_eq!(upgrades("{ }"), (true, true));
        assert_eq!(upgrades("{ boot.postBootCommands = x; }"), (false, true));
        assert_eq!(
            upgrades("{ sdImage.populateRootCommands = x; }"),
            (false, false)
        );
    }
}
