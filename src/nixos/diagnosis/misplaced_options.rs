//! Options without the namespace that they are in, such as `tailscale.enable`, and those of Home Manager.

use rnix::SyntaxKind::NODE_INHERIT;
use rnix::SyntaxNode;

use super::evidence::ExitContext;
use super::flake_arguments::add_to_outputs;
use super::input_declaration::declare;
use super::unit_directives;
use super::written_values::values_below;
use crate::common::configuration_file::FLAKE_FILE;
use crate::common::nixos_option::NAMESPACES;
use crate::nixos::flake::InputNames;
use crate::nixos::layout::CONFIG_DIR;
use crate::nixos::nix_definitions::{defines, line_number_of};
use crate::nixos::nix_syntax::parse;

/// Parts of namespaces that people name alone, and the namespace: `services` has `tailscale`.
const PARTS: [(&str, &[&str]); 7] = [
    (
        "services",
        &[
            "adguardhome",
            "avahi",
            "blueman",
            "caddy",
            "chrony",
            "cron",
            "dnsmasq",
            "fail2ban",
            "fstrim",
            "gitea",
            "grafana",
            "home-assistant",
            "jellyfin",
            "k3s",
            "mosquitto",
            "netdata",
            "nextcloud",
            "nginx",
            "node-red",
            "octoprint",
            "openssh",
            "pipewire",
            "plex",
            "postgresql",
            "printing",
            "prometheus",
            "samba",
            "syncthing",
            "tailscale",
            "timesyncd",
            "transmission",
            "unbound",
            "vaultwarden",
            "xserver",
            "zigbee2mqtt",
        ],
    ),
    (
        "programs",
        &[
            "direnv", "fish", "git", "htop", "mosh", "mtr", "nano", "neovim", "starship", "tmux",
            "vim", "zsh",
        ],
    ),
    ("virtualisation", &["docker", "libvirtd", "podman"]),
    (
        "networking",
        &["firewall", "nameservers", "networkmanager", "wireless"],
    ),
    ("hardware", &["bluetooth", "enableRedistributableFirmware"]),
    (
        "boot",
        &["kernelModules", "kernelPackages", "kernelParams", "loader"],
    ),
    ("security", &["sudo"]),
];

/// What to write in place of `inherit (pkgs) option;`, which makes an option of a package.
fn inherited_package(context: &ExitContext<'_>, option: &str) -> Option<String> {
    let is_meant = |node: &SyntaxNode| {
        let mut parts = node.children();
        node.kind() == NODE_INHERIT
            && defines(node).is_empty()
            && parts.next().is_some_and(|from| from.text() == "(pkgs)")
            && parts.any(|name| name.text() == option)
    };
    let files = context.files?;
    files.only_place(|text| {
        let inherits = parse(text).syntax().descendants().filter(is_meant);
        inherits
            .map(|node| (line_number_of(text, &node), ()))
            .collect()
    })?;
    Some(format!(
        "a package is not an option. Write environment.systemPackages = [ pkgs.{option} ];"
    ))
}

/// What may be meant by the root `option`, which does not exist, where the user's files show what is defined below it.
pub(super) fn hint(context: &ExitContext<'_>, option: &str) -> Option<String> {
    if let Some(hint) = inherited_package(context, option) {
        return Some(hint);
    }
    if let Some(meant) = inside(option) {
        return Some(format!("did you mean {meant}?"));
    }
    match option {
        "enable" => enabled(context),
        "home" => of_home_manager(context),
        _ => {
            let namespace = namespace_of(option)?;
            let written = only_below(context, option).map(|(_, path)| path);
            let written = written.unwrap_or_else(|| option.to_owned());
            Some(format!("did you mean {namespace}.{written}?"))
        }
    }
}

/// What is meant by an option that its set has in another place, or by another name.
fn inside(option: &str) -> Option<String> {
    let (set, name) = option.rsplit_once('.')?;
    if set.starts_with("networking.wireless.networks.") {
        let is_key = ["key", "pass", "passphrase", "password", "wpa"].contains(&name);
        return is_key.then(|| format!("{set}.psk"));
    }
    unit_directives::meant(option)
}

fn namespace_of(name: &str) -> Option<&'static str> {
    let mut parts = PARTS.iter();
    let (namespace, _) = parts.find(|(_, names)| names.contains(&name))?;
    Some(namespace)
}

/// The only definition of the user's files below `option`: its place, and its path.
fn only_below(context: &ExitContext<'_>, option: &str) -> Option<(String, String)> {
    let (place, path) = context.files?.only_place(|text| {
        let values = values_below(text, option).into_iter();
        values.map(|value| (value.line, value.defines)).collect()
    })?;
    Some((format!("{}{place}", context.shown_dir), path))
}

/// What is meant by `enable.tailscale = true;`.
fn enabled(context: &ExitContext<'_>) -> Option<String> {
    let (_, path) = only_below(context, "enable")?;
    let name = path.strip_prefix("enable.")?;
    let namespace = match name.split_once('.') {
        None => namespace_of(name),
        Some((namespace, _)) if NAMESPACES.contains(&namespace) => {
            return Some(format!("`enable` comes last. Did you mean {name}.enable?"));
        }
        Some(_) => return None,
    };
    Some(match namespace {
        Some(namespace) => {
            format!("`enable` comes last. Did you mean {namespace}.{name}.enable?")
        }
        None => format!(
            "`enable` comes last, as in services.openssh.enable = true; (all options: \
             https://search.nixos.org/options?query={name})"
        ),
    })
}

/// The usual name of the input that is Home Manager.
const HOME_MANAGER: &str = "home-manager";

/// What to do about an option in a module for the home of a user, which a flake has besides the machine.
const OF_HOME: &str = "home is an option of Home Manager, for the home of a user. A module with it is not one of the machine: write it \
 as home-manager.users.NAME = { home.… = …; }; beside the module home-manager.nixosModules.home-manager, or remove it";

/// What NixOS has in place of options of Home Manager.
fn of_home_manager(context: &ExitContext<'_>) -> Option<String> {
    let of_option = of_known_option(context);
    of_option.or_else(|| context.is_flake.then(|| of_home(context)))
}

/// The same with the declaration of the input that has the module, if the flake lacks it.
fn of_home(context: &ExitContext<'_>) -> String {
    let files = context.files;
    let text = files.and_then(|files| files.text(&format!("{CONFIG_DIR}{FLAKE_FILE}")));
    let text = text.unwrap_or_default();
    let names = InputNames::read(&text);
    if names.inputs.contains(HOME_MANAGER) {
        return OF_HOME.to_owned();
    }
    let declare = declare(context, &text, HOME_MANAGER);
    let lacks = format!("The flake has no input {HOME_MANAGER}: {declare}");
    if let Some(all) = names.all {
        let module = format!("module {HOME_MANAGER}.");
        let of_all = OF_HOME.replace(&module, &format!("module {all}.{HOME_MANAGER}."));
        return format!("{of_all}\n  {lacks}");
    }
    let add = add_to_outputs(&text, HOME_MANAGER);
    format!("{OF_HOME}\n  {lacks}\n  In flake.nix, {add}")
}

fn of_known_option(context: &ExitContext<'_>) -> Option<String> {
    let (_, path) = context.files?.only_place(|text| {
        let values = values_below(text, "home").into_iter();
        let known = values.filter(|value| in_place_of(&value.defines).is_some());
        // One is as wrong as the others.
        known
            .take(1)
            .map(|value| (value.line, value.defines))
            .collect()
    })?;
    let instead = in_place_of(&path)?;
    Some(format!(
        "{path} is an option of Home Manager, not of NixOS. {instead}"
    ))
}

/// What to write in place of the option `path` of Home Manager.
fn in_place_of(path: &str) -> Option<&'static str> {
    Some(match path.strip_prefix("home.")?.split('.').next()? {
        "packages" => {
            "Write users.users.NAME.packages for one user, or environment.systemPackages for all"
        }
        "stateVersion" => "Write system.stateVersion",
        "sessionVariables" => "Write environment.variables",
        "file" | "homeDirectory" | "username" => {
            "In its module such options are in home-manager.users.NAME"
        }
        _ => return None,
    })
}
