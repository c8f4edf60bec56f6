//! Commands that ask for the machine in every way that the generator below knows: the native ones are answered as under
//! emulation.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use super::tree::{Tree, tree};
use super::{built, emulated};
use crate::support::*;

/// What commands are generated from; `tests/real-nixpkgs/idioms` generates the same.
#[derive(Deserialize)]
struct Idioms {
    /// The shell's and the derivation's variables that tell the machine.
    variables: Vec<String>,
    /// Ways to read the variable NAME.
    reading: Vec<String>,
    /// Programs and builtins that tell the machine, or whose results depend on it.
    asking: Vec<String>,
    /// Files that do: the kernel's, and the derivation's own programs.
    looking: Vec<String>,
    /// Ways to run COMMAND.
    running: Vec<String>,
    /// Ways to run a command in a FILE: with and without an ending, in a directory.
    calling: Vec<String>,
}
/// A system that runs every command of `commands.json` twice.
const CONFIGURATION: &str = include_str!("idioms.nix");

/// `patterns` with `value` in the place of `word`.
fn filled<'a>(
    patterns: &'a [String],
    word: &'a str,
    value: &'a str,
) -> impl Iterator<Item = String> {
    patterns.iter().map(move |pattern| pattern.replace(word, value))
}

/// All commands, and the files that they call.
fn generate() -> (Vec<String>, BTreeMap<String, String>) {
    let it: Idioms = serde_json::from_str(include_str!("idioms.json")).unwrap();
    let variables = it.variables.iter();
    let variables = variables.flat_map(|name| filled(&it.reading, "NAME", name));
    let asked = it.asking.iter().chain(&it.looking);
    let asked = asked.flat_map(|command| filled(&it.running, "COMMAND", command));
    let mut commands: Vec<String> = variables.chain(asked).collect();

    // Not those that look at files: what a script does that a command of NixOS calls is not known.
    let direct = it.variables.iter().map(|name| format!("echo \"${{{name}}}\""));
    let mut files = BTreeMap::new();
    for (n, command) in direct.chain(it.asking.iter().cloned()).enumerate() {
        let (name, text) = (format!("f{n}"), format!("#!/usr/bin/env bash\n{command}\n"));
        commands.extend(filled(&it.calling, "FILE", &name));
        files.insert(format!("{name}.sh"), text.clone());
        files.insert(name, text);
    }
    (commands, files)
}

/// What the commands of the derivation `name` printed, by their numbers.
fn printed(files: &Tree, name: &str) -> BTreeMap<usize, String> {
    let marker = format!("-{name}/");
    let found = files.iter().filter_map(|(path, (.., content))| {
        let (_, number) = path.split_once(&marker)?;
        let text = String::from_utf8_lossy(content).into_owned();
        Some((number.parse().unwrap(), text))
    });
    found.collect()
}

/// Asserts that the files with one word about the machine, made by single builders and hooks, have the image's.
fn name_the_image_machine(files: &Tree) {
    let ends = [
        "-checked",
        "/machine",
        "-local",
        "-custom",
        "-udev-rules",
        "-system-units",
        "-initrd-units",
    ];
    let found = files.iter().filter(|(path, (.., content))| {
        ends.iter().any(|end| path.ends_with(end)) && !content.starts_with(b"/nix/store/")
    });
    let texts: Vec<_> =
        found.map(|(path, (.., content))| (path, String::from_utf8_lossy(content))).collect();
    // Five builders of the user's and of NixOS's, three names, three hooks.
    assert_eq!(texts.len(), 16, "{texts:?}");
    assert!(texts.iter().all(|(_, text)| text.starts_with("aarch64")), "{texts:?}");
}

#[test]
fn native_commands_see_the_images_machine() {
    needs!(engine_ready());
    let user = TestUser::new();
    let (commands, scripts) = generate();
    for (name, text) in scripts {
        user.write(&format!("scripts/{name}"), &text);
    }
    user.write("commands.json", &json!(commands).to_string());
    let done = user
        .build_of(&configuration(CONFIGURATION), &["--glue", "native", "--force"])
        .assert_exit_code(0);
    let files = tree(&done.image());

    let (slow, fast) = (printed(&files, "all-emulated"), printed(&files, "all-native"));
    assert_eq!((slow.len(), commands.len()), (234, 234));
    // The others show in their texts that they may depend on the machine.
    assert_eq!(fast.len(), 120);
    let differing = fast.iter().filter(|(number, seen)| slow[*number] != **seen);
    let differing: Vec<_> =
        differing.map(|(number, seen)| (&commands[*number], &slow[number], seen)).collect();
    assert!(differing.is_empty(), "{differing:#?}");
    name_the_image_machine(&files);

    // If the store has them already, another test of the same tree has built them, and has looked.
    let built = built(&user).into_iter().collect();
    let emulated = emulated(&built);
    assert!(!emulated.iter().any(|drv| drv.ends_with("-all-native.drv")), "{emulated:?}");
}
