//! Where a `flake.nix` declares its inputs. Pure.

use super::declared_inputs::InputNames;
use crate::common::configuration_file::FLAKE_FILE;
use crate::nixos::known_repository::NIXPKGS_URL;

/// How a flake without configurations, whose `flake.nix` has this `text`, defines one; `lock` completes its lock.
pub fn first_configuration(text: &str, lock: &str) -> String {
    let names = InputNames::read(text);
    let all = names.all.filter(|_| !names.arguments.contains("nixpkgs"));
    let of_all = all.as_ref().map_or(String::new(), |all| format!("{all}."));
    let define = format!(
        "the flake has no configuration. Define one in its outputs: nixosConfigurations.NAME = \
         {of_all}nixpkgs.lib.nixosSystem {{ modules = [ … ]; }};"
    );
    if text.is_empty() || text.contains("nixpkgs") {
        return define;
    }
    let add = if all.is_some() {
        ""
    } else {
        "add nixpkgs to the { … } of the outputs; "
    };
    format!(
        "{define} For that, declare the input nixpkgs: inputs.nixpkgs.url = \"{NIXPKGS_URL}\"; {add}then run {lock}"
    )
}

/// What to write in the `flake.nix` with this `text`, whose inputs follow each other as the `circle` says.
pub(super) fn url_in_circle(text: &str, circle: &str) -> String {
    let names: Vec<&str> = circle.split(" → ").collect();
    let pairs = names.iter().zip(names.iter().skip(1));
    let is_it = |line: &str, (input, target): (&str, &str)| {
        let before = line.split(".follows").next().unwrap_or_default();
        let is_of_input = before.rsplit([' ', '.', '{']).next() == Some(input);
        is_of_input && line.contains(&format!(".follows = \"{target}\";"))
    };
    let places: String = pairs
        .clone()
        .map(|(input, target)| only_line(text, |line| is_it(line, (input, target))))
        .map(|place| place.replace(": ", ", "))
        .collect();
    let url = pairs.take(1).filter_map(|(input, target)| {
        let line = text.lines().find(|line| is_it(line, (input, target)))?;
        let (follows, url) = (
            format!(".follows = \"{target}\";"),
            ".url = \"github:OWNER/REPOSITORY\";",
        );
        Some(format!(
            ", such as: {}",
            line.trim().replacen(&follows, url, 1)
        ))
    });
    let place = places
        .strip_suffix(", ")
        .map(|places| format!("{places}: "));
    format!(
        "{}give one of them a URL in place of follows{}",
        place.unwrap_or_default(),
        url.collect::<String>()
    )
}

/// The line of the `flake.nix` with this `text` that has `value` in quotes, before a hint; empty if there are several.
pub(super) fn place_of(text: &str, value: &str) -> String {
    only_line(text, |line| line.contains(&format!("\"{value}\"")))
}

/// The same for the only line that `is_it`.
pub(super) fn only_line(text: &str, is_it: impl Fn(&str) -> bool) -> String {
    let lines = (1..).zip(text.lines());
    let mut having = lines.filter(|(_, line)| is_it(line));
    match (having.next(), having.next()) {
        (Some((line, _)), None) => format!("{FLAKE_FILE}:{line}: "),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nixpkgs_is_declared_for_a_first_configuration() {
        let told = |text: &str| first_configuration(text, "sdbuild lock");
        let declares = "declare the input nixpkgs: inputs.nixpkgs.url = \"github:NixOS/nixpkgs/";
        let told_plainly = told("{ outputs = { self }: { }; }");
        assert!(told_plainly.contains(declares), "{told_plainly}");
        let of_all = told("{ outputs = inputs: { }; }");
        assert!(
            of_all.contains("= inputs.nixpkgs.lib.") && !of_all.contains("add nixpkgs"),
            "{of_all}"
        );
        for text in [
            "",
            "{ inputs.nixpkgs.url = \"x\"; outputs = { nixpkgs, ... }: { }; }",
        ] {
            let told = told(text);
            assert!(
                told.ends_with(" = nixpkgs.lib.nixosSystem { modules = [ … ]; };"),
                "{told}"
            );
        }
    }

    #[test]
    fn a_url_is_proposed_for_the_first_input_of_a_circle() {
        for (text, told) in [
            (
                "{\n  inputs.a.follows = \"b\";\n  inputs.b.follows = \"a\";\n}",
                "flake.nix:2, flake.nix:3: give one of them a URL in place of follows, such as: inputs.a.url = \"github:OWNER/REPOSITORY\";",
            ),
            (
                "{\n  inputs = { aa.follows = \"a\"; };\n}",
                "give one of them a URL in place of follows",
            ),
        ] {
            assert_eq!(url_in_circle(text, "a → b → a"), told, "{text}");
        }
    }
}
