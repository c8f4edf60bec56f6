//! What is said of flags of other programs that a command takes in another way, or has no use for.

mod build;
mod images;
mod others;
mod table;

use super::engine;
use super::flags_of::is_beginning;
use crate::settings::memory_mib;
use sdbuild_core::shell_word::quoted;
use table::Answers;

/// The memory in an answer about a value that is not an amount of memory.
const SOME_MEMORY_MIB: u32 = 8192;

/// The answers of the command `name`, and what stands in them for a value that is not given.
fn of_command(name: &str) -> (&'static [Answers], &'static str) {
    match name {
        "build" => (&[build::OF_BUILD, build::OF_ANY_BUILD], "VALUE"),
        "check" => (
            &[build::OF_CHECK, build::OF_BUILD, build::OF_ANY_BUILD],
            "VALUE",
        ),
        "try" => (&[others::OF_TRY, build::OF_ANY_BUILD], "PATH"),
        "boot" => (&[images::OF_BOOT], "IMAGE"),
        "flash" => (&[images::OF_FLASH], "IMAGE"),
        "inspect" => (&[images::OF_INSPECT], "IMAGE"),
        "init" => (&[others::OF_INIT], "DIR"),
        "clean" => (&[others::OF_CLEAN], "N"),
        "lock" => (&[others::OF_LOCK], "INPUT"),
        "shell" => (&[others::OF_SHELL], ""),
        "status" => (&[others::OF_STATUS], ""),
        "boards" | "formats" => (&[others::OF_LISTS], ""),
        "completions" => (&[others::OF_COMPLETIONS], "bash"),
        "doctor" => (&[others::OF_DOCTOR], ""),
        "publish" => (&[others::OF_PUBLISH], ""),
        "settings" => (&[others::OF_SETTINGS], ""),
        _ => (&[], ""),
    }
}

/// The tip for the unknown `flag` in the `words` of the command `name`.
pub(super) fn tip(name: &str, flag: &str, words: &[String]) -> Option<String> {
    let given = as_written(flag, words);
    let (tables, general) = of_command(name);
    let names = [given.as_str(), flag];
    let names = names.map(|name| name.trim_start_matches('-'));
    let answer = |name: &str| {
        let mut rows = tables.iter().copied().flatten();
        rows.find(|(flags, _)| flags.contains(&name))
    };
    let (_, text) = names.iter().find_map(|name| answer(name))?;
    let value = value_of(&given, words).map(|value| path_of_drive(&value).to_owned());
    let mib = value.as_deref().and_then(|value| memory_mib(value).ok());
    let mib = mib.unwrap_or(SOME_MEMORY_MIB).to_string();
    let value = value.map_or_else(|| general.to_owned(), |value| quoted(&value));
    let text = text.replace("{mib}", &mib).replace("{}", &value);
    // Only some answers are about the engine.
    let line = text.contains("{engine}").then(|| engine::line(flag, words));
    Some(text.replace("{engine}", &line.unwrap_or_default()))
}

/// The flag in the only answer of the command `name` that has one which begins with `beginning`, all without dashes.
pub(super) fn beginning_with(name: &str, beginning: &str) -> Option<&'static str> {
    let (tables, _) = of_command(name);
    let rows = tables.iter().copied().flatten();
    let mut found = rows.filter_map(|(flags, _)| {
        let mut flags = flags.iter().copied();
        flags.find(|flag| is_beginning(beginning, flag))
    });
    found.next().filter(|_| found.next().is_none())
}

/// The path in `value`, where that is a list of QEMU: `file=x.img,format=raw`.
fn path_of_drive(value: &str) -> &str {
    let behind = value.strip_prefix("file=");
    let path = behind.and_then(|path| path.split(',').next());
    path.unwrap_or(value)
}

/// `flag` with all its letters: of `-nographic`, as QEMU has it, only `-n` is told.
fn as_written(flag: &str, words: &[String]) -> String {
    let is_whole = |word: &&String| {
        let is_single = |text: &str| !text.starts_with("--");
        is_single(flag) && is_single(word) && flag.starts_with('-') && word.starts_with(flag)
    };
    words
        .iter()
        .find(is_whole)
        .map_or(flag, |word| word)
        .to_owned()
}

/// The value that `words` give to `flag`, behind it or in the same word.
pub(super) fn value_of(flag: &str, words: &[String]) -> Option<String> {
    let joined = |word: &String| {
        word.strip_prefix(flag)?
            .strip_prefix('=')
            .map(str::to_owned)
    };
    let at = words.iter().position(|word| word == flag);
    let next = at.and_then(|at| words.get(at + 1));
    let next = next.filter(|next| !next.starts_with('-') && !next.is_empty());
    next.cloned().or_else(|| words.iter().find_map(joined))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    fn tip_for(line: &str, flag: &str) -> Option<String> {
        let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
        tip(words.first()?, flag, &words)
    }

    #[test]
    fn a_command_has_no_flag_that_is_answered() {
        for name in [
            "build",
            "check",
            "try",
            "boot",
            "flash",
            "inspect",
            "init",
            "clean",
            "lock",
            "shell",
            "status",
            "boards",
            "formats",
            "completions",
            "doctor",
            "publish",
            "settings",
        ] {
            let (tables, _) = of_command(name);
            let mut command = Cli::command();
            // Only then the command has the flags of sdbuild itself, and --help.
            command.build();
            let command = command.find_subcommand(name).unwrap();
            let mut seen = Vec::new();
            let rows = tables.iter().copied().flatten();
            for flag in rows.flat_map(|(flags, _)| flags.iter()) {
                let is_taken = |arg: &clap::Arg| {
                    let short = arg.get_short().map(String::from);
                    arg.get_long() == Some(flag) || short.as_deref() == Some(flag)
                };
                assert!(!command.get_arguments().any(is_taken), "{name} {flag}");
                assert!(!seen.contains(&flag), "{name} {flag} twice");
                seen.push(flag);
            }
        }
    }

    #[test]
    fn the_value_is_in_the_answer() {
        for (line, flag, told) in [
            (
                "build --build-host me@pc",
                "--build-host",
                "to build on a machine of your own, use its Docker: DOCKER_HOST=ssh://me@pc sdbuild …",
            ),
            (
                "build --memory 4096",
                "--memory",
                "no flag limits the builder's memory. Write this line into sdbuild.toml: memory-mib = 4096",
            ),
            (
                "build --ram=16G",
                "--ram",
                "no flag limits the builder's memory. Write this line into sdbuild.toml: memory-mib = 16384",
            ),
            (
                "build --memory all",
                "--memory",
                "no flag limits the builder's memory. Write this line into sdbuild.toml: memory-mib = 8192",
            ),
            (
                "try -H tcp://pc:2375",
                "-H",
                "choose a Docker context, or name the engine in a variable: DOCKER_HOST=tcp://pc:2375 sdbuild try",
            ),
            (
                "lock --input=nixpkgs",
                "--input",
                "give inputs without a flag: sdbuild lock nixpkgs",
            ),
            (
                "lock --input",
                "--input",
                "give inputs without a flag: sdbuild lock INPUT",
            ),
            (
                "boot -drive file=a.img,format=raw",
                "-d",
                "give the image without a flag: sdbuild boot a.img",
            ),
            (
                "boot -nographic a.img",
                "-n",
                "boot opens no window; it shows the machine's serial console in the terminal",
            ),
        ] {
            assert_eq!(tip_for(line, flag).as_deref(), Some(told), "{line}");
        }
        assert_eq!(tip_for("boot -nothing a.img", "-n"), None);
        assert_eq!(tip_for("man --input a", "--input"), None);
    }
}
