//! Options that have no value, and that what the user enables needs.

use super::evidence::ExitContext;
use super::written_values::definitions_of;

/// The option of which `summary` says that it has no value.
fn option_in(summary: &str) -> Option<&str> {
    let (_, rest) = summary.split_once("The option `")?;
    let (option, rest) = rest.split_once('\'')?;
    let is_missing = rest.starts_with(" was accessed but has no value defined");
    // Of an element the user does not see the name.
    (is_missing && !option.contains(['"', '<', '*', '['])).then_some(option)
}

/// What enables a part that `option` belongs to, and the only place of the user's files that defines it.
fn enabled_by(context: &ExitContext<'_>, option: &str) -> Option<(String, String)> {
    let mut part = option;
    while let Some((outer, _)) = part.rsplit_once('.') {
        let enable = format!("{outer}.enable");
        let found = context.files?.only_place(|text| {
            let found = definitions_of(text, &enable).into_iter();
            found.map(|value| (value.line, ())).collect()
        });
        if let Some((place, ())) = found {
            return Some((enable, place));
        }
        part = outer;
    }
    None
}

/// What to import in the only line of the user's files that imports nixpkgs' module for images of any board, which leaves this `option` to others.
fn part_of_image(context: &ExitContext<'_>, option: &str) -> Option<String> {
    let files = context.files.filter(|_| option.starts_with("sdImage."))?;
    let (place, line) = files.only_place(|text| {
        let lines = (1..).zip(text.lines());
        let found = lines.filter(|(_, text)| text.contains("installer/sd-card/sd-image.nix"));
        found
            .map(|(line, text)| (line, text.trim().to_owned()))
            .collect()
    })?;
    let line = line.replace("sd-image.nix", "sd-image-aarch64.nix");
    Some(format!(
        "{}{place} imports sd-image.nix, which is only a part of an image. Import sd-image-aarch64.nix of the same directory \
         instead: {line}",
        context.shown_dir
    ))
}

/// Where the user's files enable what needs the option that `summary` speaks of, as `sd-card.nix:9`.
pub(super) fn place(context: &ExitContext<'_>, summary: &str) -> Option<String> {
    Some(enabled_by(context, option_in(summary)?)?.1)
}

/// What to define besides, if the user's files enable what needs the option that `summary` speaks of.
pub(super) fn hint(context: &ExitContext<'_>, summary: &str) -> Option<String> {
    let option = option_in(summary)?;
    if let Some(hint) = part_of_image(context, option) {
        return Some(hint);
    }
    let (enable, _) = enabled_by(context, option)?;
    Some(format!(
        "{enable} also needs this option. Write {option} = …; with your own value: https://search.nixos.org/options"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nixos::user_files::UserFiles;

    /// As Nix says it.
    #[test]
    fn what_needs_an_option_is_named_with_its_line() {
        let message = |option: &str| {
            format!(
                "The option `{option}' was accessed but has no value defined. Try setting the option."
            )
        };
        for (nix, option, enable) in [
            (
                "services.mysql.enable = true;",
                "services.mysql.package",
                "services.mysql.enable",
            ),
            (
                "services = { a.enable = true; };",
                "services.a.settings.b",
                "services.a.enable",
            ),
        ] {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(
                dir.path().join("c.nix"),
                format!("{{ ... }}: {{\n{nix}\n}}\n"),
            )
            .unwrap();
            let context = ExitContext {
                files: Some(&UserFiles::new(dir.path())),
                ..ExitContext::default()
            };
            let summary = message(option);
            assert_eq!(
                place(&context, &summary).as_deref(),
                Some("c.nix:2"),
                "{nix}"
            );
            let told = hint(&context, &summary).unwrap();
            let expected = format!("{enable} also needs this option. Write {option} = …;");
            assert!(told.starts_with(&expected), "{told}");
            for other in [
                message("services.other.package"),
                message("services.mysql.\"[definition 1-entry 1]\".a"),
                format!("The option `{option}' does not exist"),
            ] {
                assert_eq!(hint(&context, &other), None, "{other}");
            }
        }
    }
}
