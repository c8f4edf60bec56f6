//! Statements, as other languages have them, in place of a definition or a value.

use super::super::defined_already;
use super::super::option_names::OTHER_NAMES;
use super::super::secret_values::is_name_of_secret;
use super::conditions::function;
use super::packages::installed;
use super::place::Place;
use super::variables;
use crate::common::nix_name::{is_of_path, path_of};
use crate::common::nixos_option::NAMESPACES;

/// What lines of a Dockerfile and commands for a terminal begin with.
const COMMANDS: [&str; 16] = [
    "ADD",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "FROM",
    "RUN",
    "WORKDIR",
    "apt",
    "apt-get",
    "curl",
    "docker",
    "echo",
    "nix-env",
    "pip",
    "sudo",
    "systemctl",
];

/// What other languages call `imports`.
const IMPORTS: [&str; 6] = [
    "import", "imports", "include", "includes", "require", "source",
];

/// The hint for a statement that the place is a part of.
pub(super) fn hint(place: &Place<'_>, summary: &str) -> Option<String> {
    if summary.contains("unexpected '.'") {
        return inherit(place);
    }
    if summary.contains("unexpected ':', expecting ';'") {
        return choice(place);
    }
    if summary.contains("expecting INHERIT") {
        return import_with_sign(place);
    }
    if !summary.contains("expecting '.' or '='") {
        return None;
    }
    let begun = place.begun().trim_end();
    match begun {
        _ if IMPORTS.contains(&begun) => import(place, end_of_statement(place)),
        "enable" | "start" => enable(place),
        "install" => install(place),
        "export" | "ENV" => variable(place),
        "EXPOSE" => Some(ports(place)),
        "for" | "foreach" => Some(
            "Nix has no loops. Make a list with map (x: …) [ … ], or a set with lib.genAttrs [ … ] (x: …)"
                .to_owned(),
        ),
        "var" | "const" | "local" | "def" => Some(variables::keyword(place)),
        "do" => script(place),
        _ => function(place, begun).or_else(|| command(place, begun)),
    }
}

/// A file that is imported with a sign in front, as CSS and YAML have it: `@import wifi.nix;` and `!include wifi.nix`.
fn import_with_sign(place: &Place<'_>) -> Option<String> {
    let statement = end_of_statement(place).strip_prefix(['@', '!'])?;
    let (keyword, files) = statement.split_once(' ')?;
    import(place, files).filter(|_| IMPORTS.contains(&keyword))
}

/// The `files` that the statement at the place imports: `import ./wifi.nix;`, `include "wifi.nix"`.
fn import(place: &Place<'_>, files: &str) -> Option<String> {
    let is_shell = |file: &String| {
        [".sh", ".bash", ".env"]
            .iter()
            .any(|end| file.ends_with(end))
    };
    let paths: Option<Vec<String>> = files.split_whitespace().map(path_of_file).collect();
    let paths = paths.filter(|paths| !paths.is_empty())?;
    if paths.iter().any(is_shell) {
        let script = paths.first()?;
        return Some(format!(
            "a shell script is not a module. To run it in each interactive shell, write \
             environment.interactiveShellInit = builtins.readFile {script};"
        ));
    }
    let paths = paths.join(" ");
    let added = defined_already::imports(&place.text(), place.line(), &paths);
    Some(added.unwrap_or_else(|| {
        format!("write other files as a list, with `=` before it: imports = [ {paths} ];")
    }))
}

/// The path of the file that is `written`, which may be in quotes, and a file of Nix without `./` in front.
fn path_of_file(written: &str) -> Option<String> {
    let string = written.strip_prefix('"');
    let file = string.map_or(Some(written), |string| string.strip_suffix('"'))?;
    if ["./", "../"].iter().any(|start| file.starts_with(start)) {
        return Some(file.to_owned());
    }
    let is_part = |c: char| is_of_path(c) || c == '/';
    let name = file.strip_suffix(".nix")?;
    let is_file = !name.starts_with('/') && name.chars().all(is_part);
    is_file.then(|| format!("./{file}"))
}

/// What the line has of the statement from the place on.
fn end_of_statement<'a>(place: &Place<'a>) -> &'a str {
    place
        .here
        .split([';', '#'])
        .next()
        .unwrap_or_default()
        .trim()
}

/// A service that is switched on: `enable services.openssh;`.
fn enable(place: &Place<'_>) -> Option<String> {
    let option = path_of(end_of_statement(place))?;
    let option = option.strip_suffix(".enable").unwrap_or(option);
    let (namespace, name) = option.split_once('.').unwrap_or_default();
    if namespace.is_empty() {
        return Some(
            "switch it on with an option, such as services.NAME.enable = true;".to_owned(),
        );
    }
    if namespace == "pkgs" {
        return Some(installed(&[option]));
    }
    let mut parts = name.split('.');
    if !NAMESPACES.contains(&namespace) || parts.any(|part| part == "enable") {
        return None;
    }
    let is_module = ["programs", "services"].contains(&namespace) && !name.contains('.');
    let is_setting = name.split('.').any(|part| part == "settings");
    // Below the name of a module, an option may itself be a switch.
    let last = name.rsplit('.').next().unwrap_or_default();
    let is_switch = ["allow", "use"].iter().any(|verb| {
        let noun = last.strip_prefix(verb);
        noun.is_some_and(|noun| noun.starts_with(|c: char| c.is_ascii_uppercase()))
    });
    Some(if is_switch {
        format!("write {option} = true;")
    } else if is_module {
        format!("write {option}.enable = true;")
    } else if is_setting {
        format!("if the setting takes true or false, write {option} = true;")
    } else {
        format!(
            "write {option}.enable = true; or, if the option itself takes true or false, {option} = true;"
        )
    })
}

/// Packages that are installed: `install pkgs.vim;` and `install -y vim`.
fn install(place: &Place<'_>) -> Option<String> {
    let packages: Option<Vec<&str>> = end_of_statement(place)
        .split_whitespace()
        .filter(|word| !word.starts_with('-'))
        .map(path_of)
        .collect();
    let packages = packages.filter(|packages| !packages.is_empty())?;
    Some(installed(&packages))
}

/// Ports that are opened, as in a Dockerfile: `EXPOSE 80` and `EXPOSE 80/tcp 53/udp`.
fn ports(place: &Place<'_>) -> String {
    let (mut of_tcp, mut of_udp, mut are_ports) = (Vec::new(), Vec::new(), true);
    for port in end_of_statement(place).split_whitespace() {
        let (number, kind) = port.split_once('/').unwrap_or((port, "tcp"));
        are_ports &= number.parse::<u16>().is_ok();
        match kind {
            "tcp" => of_tcp.push(number),
            "udp" => of_udp.push(number),
            _ => are_ports = false,
        }
    }
    let lists = [("TCP", of_tcp), ("UDP", of_udp)];
    let lists = lists.iter().filter(|(_, ports)| !ports.is_empty());
    let lists = lists.map(|(kind, ports)| {
        let ports = ports.join(" ");
        format!("networking.firewall.allowed{kind}Ports = [ {ports} ];")
    });
    let lists: Vec<String> = lists.filter(|_| are_ports).collect();
    let lists = if lists.is_empty() {
        "networking.firewall.allowedTCPPorts = [ PORT ];".to_owned()
    } else {
        lists.join(" ")
    };
    format!("write open ports as a list: {lists}")
}

/// A line that `begun` as one of a Dockerfile, or a command: `sudo apt-get install vim`.
fn command(place: &Place<'_>, begun: &str) -> Option<String> {
    let first = begun.split_whitespace().next()?;
    if !COMMANDS.contains(&first) {
        return None;
    }
    let line = format!("{begun} {}", end_of_statement(place));
    let words = line
        .split_whitespace()
        .skip_while(|word| !["enable", "install"].contains(word));
    let mut words = words.filter(|word| !word.starts_with('-'));
    let verb = words.next();
    let names: Vec<&str> = words.map_while(path_of).collect();
    let option = match (verb, names.as_slice()) {
        (Some("install"), [_, ..]) if first.starts_with("pip") => format!(
            "add Python with its packages: environment.systemPackages = [ (pkgs.python3.withPackages (p: with p; [ {} ])) ];",
            names.join(" ")
        ),
        (Some("install"), [_, ..]) => installed(&names),
        (Some(_), [name]) => {
            let name = match name.trim_end_matches(".service") {
                "ssh" | "sshd" => "openssh",
                name => name,
            };
            let service = format!("services.{name}");
            let other = OTHER_NAMES.iter().find(|(name, _)| *name == service);
            let option = other.map_or(service.as_str(), |(_, option)| option);
            format!("switch a service on with an option: {option}.enable = true;")
        }
        _ => "add packages with environment.systemPackages = with pkgs; [ … ]; and switch on a service with services.NAME.enable \
              = true;"
            .to_owned(),
    };
    Some(format!(
        "commands are not part of a configuration. Instead, {option}"
    ))
}

/// Where a secret belongs: what a configuration has is in the Nix store of the image, which every user can read.
const OF_SECRET: &str = "a configuration keeps no secrets, because everyone who has the image can read it. Put the secret into a file on the \
                         card, and name the file in the service that needs it: serviceConfig.EnvironmentFile = \"/etc/NAME\";";

/// Variables of the environment: `export EDITOR=vim`, and `ENV EDITOR=vim A=b` of a Dockerfile.
fn variable(place: &Place<'_>) -> Option<String> {
    let (name, _, _) = assignment(place.here)?;
    // The variables of other places, such as $PATH, are known in a shell only.
    if place.here.contains('$') {
        if is_name_of_secret(name) {
            return Some(OF_SECRET.to_owned());
        }
        return Some(format!(
            "put the lines of a shell into a string: environment.extraInit = '' export {name}=… '';"
        ));
    }
    // Of more than assignments, it is not known what belongs to the value.
    let variables = assignments(place.here).unwrap_or_else(|| vec![(name, "")]);
    let is_secret = |(name, _): &(&str, &str)| is_name_of_secret(name);
    let (secrets, others): (Vec<_>, Vec<_>) = variables.into_iter().partition(is_secret);
    let definitions = others.iter().map(|(name, value)| {
        let is_plain = |c: char| c.is_alphanumeric() || " _-./:,+@%=".contains(c);
        let is_shown = !value.is_empty() && value.chars().all(is_plain);
        let value = if is_shown { value } else { "…" };
        format!("environment.variables.{name} = \"{value}\";")
    });
    let definitions: Vec<String> = definitions.collect();
    let options = (!definitions.is_empty()).then(|| {
        format!(
            "set environment variables with options: {}",
            definitions.join(" ")
        )
    });
    let secret = (!secrets.is_empty()).then(|| OF_SECRET.to_owned());
    let hints: Vec<String> = options.into_iter().chain(secret).collect();
    Some(hints.join("\n  "))
}

/// The names and values in `text` up to the end of the statement; `None` if it has something else.
fn assignments(text: &str) -> Option<Vec<(&str, &str)>> {
    let mut found = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() && !rest.starts_with([';', '#']) {
        let (name, value, behind) = assignment(rest)?;
        found.push((name, value));
        rest = behind.trim_start();
    }
    Some(found)
}

/// The name that `text` begins with, its value without quotes, and what follows: `A=b c=d`.
fn assignment(text: &str) -> Option<(&str, &str, &str)> {
    let (name, value) = text.split_once('=')?;
    let name = path_of(name).filter(|name| !name.contains('.'))?;
    let value = value.trim_start();
    let quote = ['"', '\'']
        .into_iter()
        .find(|quote| value.starts_with(*quote));
    let (value, rest) = if let Some(quote) = quote {
        let value = value.strip_prefix(quote)?;
        value.split_once(quote).unwrap_or((value, ""))
    } else {
        let is_end = |c: char| c == ';' || c.is_whitespace();
        value.split_at_checked(value.find(is_end).unwrap_or(value.len()))?
    };
    Some((name, value, rest))
}

/// A loop of a shell that is a value: `script = while true; do …`.
fn script(place: &Place<'_>) -> Option<String> {
    let line = place.before.rsplit('\n').next()?;
    let (name, value) = line.split_once('=')?;
    let keyword = value.split_whitespace().next()?;
    let name = path_of(name)?;
    ["while", "until", "for"]
        .contains(&keyword)
        .then(|| format!("write shell commands as a string: {name} = '' {keyword} … '';"))
}

/// The attribute of a set in `inherit`: `inherit pkgs.vim;`.
fn inherit(place: &Place<'_>) -> Option<String> {
    let statement = place.begun();
    let mut words = statement.split_whitespace();
    let is_inherit = words.next() == Some("inherit") && !statement.contains(['(', '#', '"']);
    let first = words.next_back().filter(|_| is_inherit)?;
    let is_end = |c: char| c.is_whitespace() || c == ';';
    let rest = place.here.split(is_end).next()?;
    let path = format!("{first}{rest}");
    let (set, name) = path_of(&path)?.rsplit_once('.')?;
    if set.is_empty() || name.is_empty() {
        return None;
    }
    let package = if set == "pkgs" {
        format!(" To install a package, {}", installed(&[&path]))
    } else {
        String::new()
    };
    Some(format!(
        "`inherit` takes names without a dot, and the set that has them in parentheses: inherit ({set}) {name};{package}"
    ))
}

/// A choice as C has it: `a = b ? 1 : 2;`.
fn choice(place: &Place<'_>) -> Option<String> {
    let line = place.before.rsplit(['\n', ';', '{']).next()?;
    let (name, value) = line.split_once(" = ")?;
    let (condition, first) = value.split_once('?')?;
    let (second, _) = place.here.strip_prefix(':')?.split_once(';')?;
    let name = path_of(name)?;
    let [condition, first, second] = [condition, first, second].map(str::trim);
    let is_whole = ![condition, first, second].contains(&"") && !second.contains(['?', ':', '}']);
    is_whole.then(|| {
        format!("write a choice with `if`: {name} = if {condition} then {first} else {second};")
    })
}
