//! Definitions of an option by another name that it has, such as `services.sshd.enable`: Nix reports the option's own name, and the
//! module of nixpkgs that passes the value on.

use rnix::SyntaxKind;
use rnix::SyntaxKind::{NODE_IDENT, NODE_LITERAL, NODE_STRING};

use super::evidence::ExitContext;
use super::listed_definitions::listed;
use super::written_values;
use crate::nixos::layout::CONFIG_DIR;
use crate::nixos::log::NixError;

/// Values that Nix shows as they are written.
pub(super) const SHOWN_AS_WRITTEN: [SyntaxKind; 3] = [NODE_IDENT, NODE_LITERAL, NODE_STRING];

/// `error` about the type of an option as if the option had the name by which the user's files define it, if they have the value
/// exactly once.
pub(super) fn of_user(context: &ExitContext<'_>, error: &NixError) -> Option<NixError> {
    let rest = error.summary.strip_prefix("A definition for option `")?;
    let (option, _) = rest.split_once("' is not of type `")?;
    let mut definitions = listed(&error.summary);
    let (module, value) = definitions
        .next()
        .filter(|_| definitions.next().is_none())?;
    let last = option.rsplit('.').next()?;
    if !module.contains("/nixos/modules/") || value.is_empty() {
        return None;
    }
    let (place, alias) = context.files?.only_place(|text| {
        let mut found = written_values::named(text, last, &SHOWN_AS_WRITTEN);
        found.retain(|found| found.written == value && found.defines.contains('.'));
        found
            .into_iter()
            .map(|found| (found.line, found.defines))
            .collect()
    })?;
    let (file, _) = place.rsplit_once(':').filter(|_| alias != option)?;
    let summary = error
        .summary
        .replacen(&format!("`{option}'"), &format!("`{alias}'"), 1)
        .replacen(module, &format!("{CONFIG_DIR}{file}"), 1);
    Some(NixError {
        summary,
        ..error.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nixos::user_files::UserFiles;

    #[test]
    fn the_name_of_the_user_is_taken() {
        let of = |nix: &str, module: &str| {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("c.nix"), nix).unwrap();
            let context = ExitContext {
                files: Some(&UserFiles::new(dir.path())),
                ..ExitContext::default()
            };
            let error = NixError {
                summary: format!(
                    "A definition for option `services.openssh.enable' is not of type `boolean'. Definition values:\n- In `{module}': \"yes\""
                ),
                text: String::new(),
                position: None,
            };
            Some(of_user(&context, &error)?.summary)
        };
        let sshd = "/build/nixpkgs/x/nixos/modules/services/networking/ssh/sshd.nix";
        let named = of("{ services.sshd.enable = \"yes\"; }", sshd);
        let expected = "A definition for option `services.sshd.enable' is not of type `boolean'. Definition values:\n- In `/build/config/c.nix': \"yes\"";
        assert_eq!(named.as_deref(), Some(expected));
        for (nix, module) in [
            ("{ services.openssh.enable = \"yes\"; }", sshd),
            ("{ services.sshd.enable = \"no\"; }", sshd),
            (
                "{ services.sshd.enable = \"yes\"; a.enable = \"yes\"; }",
                sshd,
            ),
            ("{ services.sshd.enable = \"yes\"; }", "/build/config/c.nix"),
        ] {
            assert_eq!(of(nix, module), None, "{nix}");
        }
    }
}
