//! What to write in place of a value that is no set: the set that has it as the value of one of its options. Pure.

use rnix::SyntaxKind::{NODE_ATTR_SET, NODE_ATTRPATH_VALUE, NODE_LIST, NODE_LITERAL, NODE_STRING};
use rnix::SyntaxNode;

use super::names::is_name;
use super::wrong_value::Wrong;
use crate::common::attribute_path;
use crate::nixos::nix_syntax::parse;

/// Longest value that a hint repeats, in characters.
const MAX_CHARS: usize = 80;

/// What a value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A text.
    Text,
    /// A text without slashes.
    Name,
    /// A text that names a source of the device tree beside the configuration.
    Source,
    /// A text that begins with a slash.
    Path,
    /// A text that begins with `http`.
    Url,
    /// A number.
    Number,
    /// A list of numbers.
    Numbers,
    /// A list of texts.
    Texts,
}

/// Options that are sets, where `*` is a name or an element of a list; the values that people write in their place, and what the sets
/// have then, where `@` is the value, and `%` the same without its quotes. The first one that fits is taken.
const MEMBERS: [(&str, Form, &str); 41] = [
    ("console", Form::Text, "keyMap = @;"),
    ("hardware.deviceTree", Form::Text, "name = @;"),
    (
        "hardware.deviceTree.overlays.*",
        Form::Source,
        "name = \"NAME\"; dtsFile = %;",
    ),
    (
        "hardware.deviceTree.overlays.*",
        Form::Name,
        "name = @; dtsFile = ./FILE.dts;",
    ),
    ("i18n", Form::Text, "defaultLocale = @;"),
    ("i18n.extraLocaleSettings", Form::Text, "LC_TIME = @;"),
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
        Form::Text,
        "publicKey = @; allowedIPs = [ … ];",
    ),
    ("nix.gc", Form::Text, "automatic = true; dates = @;"),
    ("nix.optimise", Form::Text, "automatic = true; dates = @;"),
    (
        "services.caddy.virtualHosts.*",
        Form::Text,
        "extraConfig = @;",
    ),
    ("services.hostapd.radios.*", Form::Number, "channel = @;"),
    (
        "services.hostapd.radios.*.networks.*",
        Form::Text,
        "ssid = @;",
    ),
    ("services.mosquitto.listeners.*", Form::Number, "port = @;"),
    (
        "services.mosquitto.listeners.*.users.*",
        Form::Text,
        "password = @;",
    ),
    ("services.nginx.virtualHosts.*", Form::Path, "root = @;"),
    (
        "services.nginx.virtualHosts.*.locations.*",
        Form::Path,
        "root = @;",
    ),
    (
        "services.nginx.virtualHosts.*.locations.*",
        Form::Url,
        "proxyPass = @;",
    ),
    (
        "services.nginx.virtualHosts.*.locations.*",
        Form::Text,
        "extraConfig = @;",
    ),
    ("services.openssh", Form::Number, "ports = [ @ ];"),
    ("services.openssh", Form::Numbers, "ports = @;"),
    ("services.postgresql.ensureUsers.*", Form::Text, "name = @;"),
    (
        "services.prometheus.scrapeConfigs.*",
        Form::Text,
        "job_name = \"NAME\"; static_configs = [ { targets = [ @ ]; } ];",
    ),
    ("services.samba.settings.*", Form::Path, "path = @;"),
    (
        "services.syncthing.settings.devices.*",
        Form::Text,
        "id = @;",
    ),
    (
        "services.syncthing.settings.folders.*",
        Form::Path,
        "path = @;",
    ),
    ("services.udev", Form::Text, "extraRules = @;"),
    ("swapDevices.*", Form::Path, "device = @;"),
    (
        "system.autoUpgrade",
        Form::Text,
        "enable = true; dates = @;",
    ),
    ("systemd.services.*", Form::Text, "script = @;"),
    (
        "systemd.services.*.serviceConfig",
        Form::Text,
        "ExecStart = @;",
    ),
    (
        "systemd.timers.*",
        Form::Text,
        "wantedBy = [ \"timers.target\" ]; timerConfig.OnCalendar = @;",
    ),
    (
        "systemd.timers.*.timerConfig",
        Form::Text,
        "OnCalendar = @;",
    ),
    ("time", Form::Text, "timeZone = @;"),
    ("users.groups.*", Form::Number, "gid = @;"),
    ("users.groups.*", Form::Texts, "members = @;"),
    (
        "users.users.*",
        Form::Number,
        "isNormalUser = true; uid = @;",
    ),
    (
        "virtualisation.oci-containers.containers.*",
        Form::Text,
        "image = @;",
    ),
];

impl Form {
    /// Whether `value` looks like that.
    fn is_of(self, value: &SyntaxNode) -> bool {
        let written = value.text().to_string();
        let is_text = |node: &SyntaxNode| node.kind() == NODE_STRING;
        let begins =
            |start: &str| is_text(value) && written.trim_matches(['"', '\'']).starts_with(start);
        let all = |form: Self| {
            value.kind() == NODE_LIST && value.children().all(|node| form.is_of(&node))
        };
        match self {
            Self::Text => is_text(value),
            Self::Name => is_text(value) && !written.contains('/'),
            Self::Source => begins("./") && written.ends_with(".dts\""),
            Self::Path => begins("/"),
            Self::Url => begins("http://") || begins("https://"),
            Self::Number => {
                value.kind() == NODE_LITERAL && written.bytes().all(|byte| byte.is_ascii_digit())
            }
            Self::Numbers => all(Self::Number) && value.first_child().is_some(),
            Self::Texts => all(Self::Text) && value.first_child().is_some(),
        }
    }
}

/// The definition in place of `wrong`, which is `written` or shown so by Nix; `None` if its set is not known.
pub(super) fn definition(wrong: &Wrong<'_>, path: &str, written: &str) -> Option<String> {
    let root = parse(written);
    let value = root
        .syntax()
        .first_child()
        .filter(|_| root.errors().is_empty())?;
    let kinds = [
        "attribute set of (submodule)",
        "attribute set of (open submodule",
    ];
    if !wrong.is_part && kinds.iter().any(|kind| wrong.kind.contains(kind)) {
        return named_elements(wrong.option, &value)
            .or_else(|| definition_with_members(wrong, path, &value));
    }
    if let Some(range) = range(wrong, &value) {
        return Some(range);
    }
    let element = format!("{path}.*");
    if wrong.kind == "list of (submodule)" && !wrong.is_part {
        let one = if value.kind() == NODE_ATTR_SET {
            Some("…".to_owned())
        } else {
            members(&element, &value)
        };
        return Some(format!(
            "write a list: {} = [ {{ {} }} ];",
            wrong.option, one?
        ));
    }
    definition_with_members(wrong, path, &value)
}

/// The definition of the option at `path`, or the set in place of `value`, with what is known of its set.
fn definition_with_members(wrong: &Wrong<'_>, path: &str, value: &SyntaxNode) -> Option<String> {
    let members = members(path, value)?;
    let written = shown(value);
    if wrong.is_part {
        return Some(format!("write {{ {members} }} in place of {written}"));
    }
    let option = wrong.option;
    Some(if members.matches("; ").count() == 0 {
        format!("write {option}.{members}")
    } else {
        format!("write {option} = {{ {members} }};")
    })
}

/// The definitions in the set that is meant by `value` at `path`.
pub(super) fn members(path: &str, value: &SyntaxNode) -> Option<String> {
    let names = attribute_path::parse(path).ok()?;
    let is_at = |pattern: &str| {
        let parts: Vec<&str> = pattern.split('.').collect();
        let mut pairs = parts.iter().zip(&names);
        parts.len() == names.len() && pairs.all(|(part, name)| *part == "*" || part == name)
    };
    let mut known = MEMBERS.iter();
    let (_, _, members) = known.find(|(pattern, form, _)| is_at(pattern) && form.is_of(value))?;
    let shown = shown(value);
    Some(
        members
            .replace('@', &shown)
            .replace('%', shown.trim_matches('"')),
    )
}

/// The definition that is meant by `written` in place of an `option` that has options of its own.
pub(super) fn of_options(option: &str, written: &str) -> Option<String> {
    let root = parse(written);
    let value = root
        .syntax()
        .first_child()
        .filter(|_| root.errors().is_empty())?;
    definition_with_members(&Wrong::at(option, false, "", written), option, &value)
}

/// `value`, if it is short enough to be repeated.
fn shown(value: &SyntaxNode) -> String {
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

/// The range of ports that is meant by `8000-8010`.
fn range(wrong: &Wrong<'_>, value: &SyntaxNode) -> Option<String> {
    if !wrong.option.contains("PortRanges") {
        return None;
    }
    let written = value.text().to_string();
    let text = written
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    let ends = text.and_then(|text| text.split_once(['-', ':']));
    let port = |text: &str| text.trim().parse::<u16>().ok();
    let ends = ends.and_then(|(from, to)| Some((port(from)?, port(to)?)));
    let Some((from, to)) = ends else {
        return Some(
            "each range of ports is a set, such as { from = 8000; to = 8010; }".to_owned(),
        );
    };
    let set = format!("{{ from = {from}; to = {to}; }}");
    Some(if wrong.kind.starts_with("list of ") && !wrong.is_part {
        format!("write a list: {} = [ {set} ];", wrong.option)
    } else {
        format!("write {set} in place of {written}")
    })
}

/// The definitions of the elements of the list `value`, of which each has a name: a text, or an attribute `name`.
fn named_elements(option: &str, value: &SyntaxNode) -> Option<String> {
    if value.kind() != NODE_LIST {
        return None;
    }
    let definitions = value.children().map(|element| {
        if element.kind() == NODE_STRING {
            let content = match option {
                "users.groups" => "{ }",
                "users.users" => "{ isNormalUser = true; }",
                _ => "{ … }",
            };
            return Some(format!("{option}.{} = {content};", name(&element)?));
        }
        let set = Some(element).filter(|element| element.kind() == NODE_ATTR_SET)?;
        let attributes = set
            .children()
            .filter(|node| node.kind() == NODE_ATTRPATH_VALUE);
        let is_its_name =
            |node: &SyntaxNode| node.first_child().is_some_and(|path| path.text() == "name");
        let (of_name, others): (Vec<_>, Vec<_>) = attributes.partition(is_its_name);
        let name = of_name
            .first()
            .and_then(SyntaxNode::last_child)
            .and_then(|value| name(&value));
        let others: Vec<String> = others.iter().map(|node| node.text().to_string()).collect();
        let others = others.join(" ");
        let is_short = others.chars().count() <= MAX_CHARS && !others.contains('\n');
        let content = if is_short { others } else { "…".to_owned() };
        let name = name.unwrap_or_else(|| "NAME".to_owned());
        Some(format!("{option}.{name} = {{ {content} }};"))
    });
    let definitions: Option<Vec<String>> = definitions.take(3).collect();
    let definitions = definitions.filter(|all| !all.is_empty())?;
    let first = definitions.join(" ");
    Some(format!("each one has a name: write {first}"))
}

/// The text `value` as a name in a path; `None` if it has variables.
fn name(value: &SyntaxNode) -> Option<String> {
    let written = value.text().to_string();
    let text = written.strip_prefix('"')?.strip_suffix('"')?;
    let is_whole = !text.is_empty() && !text.contains(['"', '\\', '$', '\n']);
    let starts =
        text.starts_with(|c: char| c.is_ascii_digit()) || text.contains(['.', '/', '+', ' ', ':']);
    is_whole.then(|| {
        if is_name(text) && !starts {
            text.to_owned()
        } else {
            written.clone()
        }
    })
}
