//! What to do with a configuration that was written.

use crate::settings;
use crate::settings::InitArgs;
use sdbuild_core::context::Context;
use sdbuild_core::shell_word::quoted;
use sdbuild_core::text::listed;

/// What was written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    /// Whether there is a lock of the flake.
    pub(super) is_locked: bool,
    /// Whether someone can log in with a key.
    pub(super) has_key: bool,
}

/// Tells the next commands; those of a flake lock it first unless it is locked. Without a key, the next step is the one of the warning.
pub(super) fn tell_next(
    args: &InitArgs,
    settings: &settings::Init,
    written: Written,
    context: &Context,
) {
    let mut dirs = settings.config.ancestors();
    let in_repository = dirs.any(|dir| dir.join(".git").exists());
    let next = next_command(args, in_repository, written.is_locked);
    let files = if args.flake { "files" } else { "file" };
    let key = if written.has_key {
        ""
    } else {
        "create a key and run this command again, "
    };
    let text = format!("next: {key}look through the {files}, then {next}");
    context.events.notice(text);
}

/// The commands that check and build the configuration, in the words that the user wrote; those of a flake lock it first unless it
/// `is_locked`. Of a flake in a git repository only what git tracks is locked and built.
fn next_command(args: &InitArgs, in_repository: bool, is_locked: bool) -> String {
    let path = args.dir.as_ref().or(args.config.as_ref());
    let path = path.map(|path| quoted(&path.to_string_lossy()));
    // `lock` takes the names of inputs without a flag; the other commands of a flake are written alike.
    let flag = if args.flake { " --flake" } else { "" };
    let command = |words: &str| match &path {
        Some(path) => format!("`{words}{flag} {path}`"),
        None => format!("`{words}`"),
    };
    let lock = command("sdbuild lock");
    let add = format!("`git add {}`", path.as_deref().unwrap_or("."));
    let mut commands = match (args.flake, in_repository, is_locked) {
        (false, _, _) | (true, false, true) => Vec::new(),
        (true, false, false) => vec![lock],
        (true, true, false) => vec![add.clone(), lock, format!("{add} again")],
        (true, true, true) => vec![add],
    };
    commands.extend(["sdbuild check", "sdbuild build"].map(command));
    listed(&commands)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_command_builds_the_written_file() {
        let next = |args| next_command(&args, false, false);
        let none = InitArgs::default();
        assert_eq!(next(none), "`sdbuild check` and `sdbuild build`");
        let dir = InitArgs {
            dir: Some("my pi".into()),
            ..InitArgs::default()
        };
        assert_eq!(
            next(dir),
            "`sdbuild check 'my pi'` and `sdbuild build 'my pi'`"
        );
        let file = InitArgs {
            config: Some("a.nix".into()),
            ..InitArgs::default()
        };
        assert_eq!(
            next(file),
            "`sdbuild check a.nix` and `sdbuild build a.nix`"
        );
        let elsewhere = InitArgs {
            dir: Some("fl".into()),
            flake: true,
            ..InitArgs::default()
        };
        assert_eq!(
            next(elsewhere),
            "`sdbuild lock --flake fl`, `sdbuild check --flake fl` and `sdbuild build --flake fl`"
        );
        let flake = InitArgs {
            flake: true,
            ..InitArgs::default()
        };
        let build = "`sdbuild check` and `sdbuild build`";
        for (in_repository, is_locked, before) in [
            (false, false, "`sdbuild lock`, "),
            (
                true,
                false,
                "`git add .`, `sdbuild lock`, `git add .` again, ",
            ),
            (false, true, ""),
            (true, true, "`git add .`, "),
        ] {
            let next = next_command(&flake, in_repository, is_locked);
            assert_eq!(next, format!("{before}{build}"));
        }
    }
}
