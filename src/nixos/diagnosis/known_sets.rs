//! The options of known sets, and the values that people write in place of the sets. Pure.

use rnix::SyntaxKind::{NODE_LIST, NODE_LITERAL, NODE_STRING};
use rnix::SyntaxNode;

use super::names::is_at;
use super::value_kinds;
use crate::common::attribute_path;

/// Longest value that a hint repeats, in characters.
pub(super) const MAX_CHARS: usize = 80;

/// What a value looks like.
#[derive(Clone, Copy)]
enum Form {
    /// A text of which the function says that it fits.
    Text(fn(&str) -> bool),
    /// A number.
    Number,
    /// A list of numbers.
    Numbers,
    /// A list of texts.
    Texts,
}

/// Options that are sets, where `*` is a name or an element of a list; the values that people write in their place, and what the sets
/// have then, where `@` is the value, and `%` the same without its quotes. The first one that fits is taken. A text has to be of a
/// kind that no other member takes.
const MEMBERS: [(&str, Form, &str); 49] = [
    ("console", Form::Text(value_kinds::is_keymap), "keyMap = @;"),
    (
        "hardware.deviceTree",
        Form::Text(value_kinds::is_tree),
        "name = @;",
    ),
    (
        "hardware.deviceTree.overlays.*",
        Form::Text(value_kinds::is_source),
        "name = \"NAME\"; dtsFile = %;",
    ),
    (
        "hardware.deviceTree.overlays.*",
        Form::Text(value_kinds::is_word),
        "name = @; dtsFile = ./FILE.dts;",
    ),
    (
        "i18n",
        Form::Text(value_kinds::is_locale),
        "defaultLocale = @;",
    ),
    (
        "i18n.extraLocaleSettings",
        Form::Text(value_kinds::is_locale),
        "LC_TIME = @;",
    ),
    ("networking.bonds.*", Form::Texts, "interfaces = @;"),
    ("networking.bridges.*", Form::Texts, "interfaces = @;"),
    ("networking.firewall", Form::Numbers, "allowedTCPPorts = @;"),
    (
        "networking.firewall.interfaces.*",
        Form::Numbers,
        "allowedTCPPorts = @;",
    ),
    (
        "networking.wireguard.interfaces.*.peers.*",
        Form::Text(value_kinds::is_wireguard_key),
        "publicKey = @; allowedIPs = [ … ];",
    ),
    (
        "nix.gc",
        Form::Text(value_kinds::is_time),
        "automatic = true; dates = @;",
    ),
    (
        "nix.optimise",
        Form::Text(value_kinds::is_time),
        "automatic = true; dates = @;",
    ),
    (
        "nix.gc",
        Form::Text(value_kinds::is_age),
        "automatic = true; options = \"--delete-older-than %\";",
    ),
    (
        "nix.gc",
        Form::Text(value_kinds::is_flags),
        "automatic = true; options = @;",
    ),
    (
        "services.borgbackup.jobs.*",
        Form::Text(value_kinds::is_path),
        "paths = @; repo = \"…\"; encryption = { mode = \"repokey\"; passCommand = \"cat /…\"; };",
    ),
    (
        "services.caddy.virtualHosts.*",
        Form::Text(value_kinds::is_caddyfile),
        "extraConfig = @;",
    ),
    (
        "services.caddy.virtualHosts.*",
        Form::Text(value_kinds::is_server),
        "extraConfig = \"reverse_proxy %\";",
    ),
    ("services.hostapd.radios.*", Form::Number, "channel = @;"),
    (
        "services.hostapd.radios.*.networks.*",
        Form::Text(value_kinds::is_any),
        "ssid = \"…\";",
    ),
    ("services.mosquitto.listeners.*", Form::Number, "port = @;"),
    (
        "services.mosquitto.listeners.*.users.*",
        Form::Text(value_kinds::is_any),
        "password = \"…\";",
    ),
    (
        "services.nginx.virtualHosts.*",
        Form::Text(value_kinds::is_path),
        "root = @;",
    ),
    (
        "services.nginx.virtualHosts.*",
        Form::Text(value_kinds::is_url),
        "locations.\"/\".proxyPass = @;",
    ),
    (
        "services.nginx.virtualHosts.*.locations.*",
        Form::Text(value_kinds::is_path),
        "root = @;",
    ),
    (
        "services.nginx.virtualHosts.*.locations.*",
        Form::Text(value_kinds::is_url),
        "proxyPass = @;",
    ),
    (
        "services.nginx.virtualHosts.*.locations.*",
        Form::Text(value_kinds::is_directives),
        "extraConfig = @;",
    ),
    ("services.openssh", Form::Number, "ports = [ @ ];"),
    ("services.openssh", Form::Numbers, "ports = @;"),
    (
        "services.postgresql.ensureUsers.*",
        Form::Text(value_kinds::is_any),
        "name = @;",
    ),
    (
        "services.prometheus.scrapeConfigs.*",
        Form::Text(value_kinds::is_server),
        "job_name = \"NAME\"; static_configs = [ { targets = [ @ ]; } ];",
    ),
    (
        "services.restic.backups.*",
        Form::Text(value_kinds::is_path),
        "paths = [ @ ]; repository = \"…\"; passwordFile = \"/…\";",
    ),
    (
        "services.samba.settings.*",
        Form::Text(value_kinds::is_path),
        "path = @;",
    ),
    (
        "services.syncthing.settings.devices.*",
        Form::Text(value_kinds::is_device_id),
        "id = @;",
    ),
    (
        "services.syncthing.settings.folders.*",
        Form::Text(value_kinds::is_path),
        "path = @;",
    ),
    (
        "services.udev",
        Form::Text(value_kinds::is_rules),
        "extraRules = @;",
    ),
    (
        "swapDevices.*",
        Form::Text(value_kinds::is_path),
        "device = @;",
    ),
    (
        "system.autoUpgrade",
        Form::Text(value_kinds::is_time),
        "enable = true; dates = @;",
    ),
    (
        "system.autoUpgrade",
        Form::Text(value_kinds::is_channel),
        "enable = true; channel = @;",
    ),
    (
        "system.autoUpgrade",
        Form::Text(value_kinds::is_flake),
        "enable = true; flake = @;",
    ),
    (
        "systemd.services.*",
        Form::Text(value_kinds::is_command),
        "script = @;",
    ),
    (
        "systemd.services.*.serviceConfig",
        Form::Text(value_kinds::is_command),
        "ExecStart = @;",
    ),
    (
        "systemd.timers.*",
        Form::Text(value_kinds::is_time),
        "wantedBy = [ \"timers.target\" ]; timerConfig.OnCalendar = @;",
    ),
    (
        "systemd.timers.*.timerConfig",
        Form::Text(value_kinds::is_time),
        "OnCalendar = @;",
    ),
    ("time", Form::Text(value_kinds::is_zone), "timeZone = @;"),
    ("users.groups.*", Form::Number, "gid = @;"),
    ("users.groups.*", Form::Texts, "members = @;"),
    (
        "users.users.*",
        Form::Number,
        "isNormalUser = true; uid = @;",
    ),
    (
        "virtualisation.oci-containers.containers.*",
        Form::Text(value_kinds::is_image),
        "image = @;",
    ),
];

impl Form {
    /// Whether `value` looks like that.
    fn is_of(self, value: &SyntaxNode) -> bool {
        let written = value.text().to_string();
        let all = |form: Self| {
            let is_whole = value.kind() == NODE_LIST && value.first_child().is_some();
            is_whole && value.children().all(|node| form.is_of(&node))
        };
        match self {
            Self::Text(fits) => value.kind() == NODE_STRING && fits(without_quotes(&written)),
            Self::Number => {
                value.kind() == NODE_LITERAL && written.bytes().all(|byte| byte.is_ascii_digit())
            }
            Self::Numbers => all(Self::Number),
            Self::Texts => all(Self::Text(value_kinds::is_any)),
        }
    }
}

/// The definitions in the set that is meant by `value` at `path`.
pub(super) fn members(path: &str, value: &SyntaxNode) -> Option<String> {
    let names = attribute_path::parse(path).ok()?;
    let mut known = MEMBERS.iter();
    let (_, _, members) =
        known.find(|(pattern, form, _)| is_at(&names, pattern) && form.is_of(value))?;
    let shown = shown(value);
    Some(
        members
            .replace('@', &shown)
            .replace('%', without_quotes(&shown)),
    )
}

/// The string `written` without its quotes, of both kinds.
pub(super) fn without_quotes(written: &str) -> &str {
    written.trim_matches(['"', '\''])
}

/// `value`, if it is short enough to be repeated.
pub(super) fn shown(value: &SyntaxNode) -> String {
    let written = value.text().to_string();
    let is_short = written.chars().count() <= MAX_CHARS && !written.contains('\n');
    if is_short {
        written
    } else if value.kind() == NODE_LIST {
        "[ … ]".to_owned()
    } else {
        "''…''".to_owned()
    }
}
