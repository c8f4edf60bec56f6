//! Commands that ask for the machine in every way that the generator below knows: the native ones are answered as under
//! emulation.

use std::collections::BTreeMap;

use serde_json::json;

use super::tree::{Tree, tree};
use super::{built, emulated};
use crate::support::*;

/// The shell's and the derivation's variables that tell the machine.
const VARIABLES: [&str; 5] = [
    "system",
    "HOSTTYPE",
    "MACHTYPE",
    "OSTYPE",
    "BASH_VERSINFO[5]",
];
/// Ways to read the variable NAME.
const READING: [&str; 16] = [
    "echo \"${NAME}\"",
    "echo ${NAME:-none}",
    "v='NAME'; echo \"${!v}\"",
    "declare -n r='NAME'; echo \"$r\"",
    "eval 'echo \"${NAME}\"'",
    "printenv 'NAME'",
    "env | grep '^NAME='",
    "set | grep '^NAME='",
    "export -p | grep ' NAME='",
    "declare -p 'NAME'",
    "awk 'BEGIN { print ENVIRON[\"NAME\"] }'",
    "echo '@NAME@' >in; substitute in out --subst-var 'NAME'; cat out",
    "answer() { echo \"${NAME}\"; }; answer",
    "export 'NAME'; sh -c 'echo \"${NAME}\"'",
    "bash -c 'echo \"${NAME}\"'",
    "env -i bash -c 'echo \"${NAME}\"'",
];
/// Programs and builtins that tell the machine, or whose results depend on it.
const ASKING: [&str; 11] = [
    "uname -m",
    "uname -srm",
    "arch",
    "busybox uname -m",
    "bash --version",
    "sh --version",
    "help",
    "printf '%.25f' 0.1",
    "printf '%a' 1",
    "env printf '%.25f' 0.1",
    "seq 0 0.1 0.3",
];
/// Files that do: the kernel's, and the derivation's own programs.
const LOOKING: [&str; 7] = [
    "grep -c implementer /proc/cpuinfo",
    "cat /proc/sys/kernel/ostype /proc/sys/kernel/osrelease",
    "sed -n s/Linux//p /proc/version",
    "readlink /proc/self/exe",
    "od -An -tx1 -j18 -N1 $(type -P cat)",
    "od -An -tx1 -j18 -N1 \"$BASH\"",
    "od -An -tx1 -j18 -N1 \"$(command -v sed)\"",
];
/// Ways to run COMMAND.
const RUNNING: [&str; 5] = [
    "COMMAND",
    "echo \"$(COMMAND)\"",
    "eval \"COMMAND\"",
    "env sh -c \"COMMAND\"",
    "answer() { COMMAND; }; answer",
];
/// Ways to run a command in a FILE: with and without an ending, in a directory.
const CALLING: [&str; 4] = [
    "sh @scripts@/FILE",
    "bash @scripts@/FILE.sh",
    ". @scripts@/FILE",
    "cp @scripts@/FILE run; chmod +x run; env ./run",
];
/// A system that runs every command of `commands.json` twice.
const CONFIGURATION: &str = include_str!("idioms.nix");

/// All commands, and the files that they call.
fn generate() -> (Vec<String>, BTreeMap<String, String>) {
    let variables = VARIABLES
        .iter()
        .flat_map(|name| READING.map(|way| way.replace("NAME", name)));
    let asked = ASKING
        .iter()
        .chain(&LOOKING)
        .flat_map(|command| RUNNING.map(|way| way.replace("COMMAND", command)));
    let mut commands: Vec<String> = variables.chain(asked).collect();

    // Not those that look at files: what a script does that a command of NixOS calls is not known.
    let direct = VARIABLES.map(|name| format!("echo \"${{{name}}}\""));
    let in_files = direct.iter().map(String::as_str).chain(ASKING);
    let mut files = BTreeMap::new();
    for (n, command) in in_files.enumerate() {
        let (name, text) = (format!("f{n}"), format!("#!/usr/bin/env bash\n{command}\n"));
        commands.extend(CALLING.map(|way| way.replace("FILE", &name)));
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
    let texts: Vec<_> = found
        .map(|(path, (.., content))| (path, String::from_utf8_lossy(content)))
        .collect();
    // Five builders of the user's and of NixOS's, three names, three hooks.
    assert_eq!(texts.len(), 16, "{texts:?}");
    assert!(
        texts.iter().all(|(_, text)| text.starts_with("aarch64")),
        "{texts:?}"
    );
}

#[test]
fn native_commands_see_the_images_machine() {
    if !engine_available() {
        return;
    }
    let user = TestUser::new();
    let (commands, scripts) = generate();
    for (name, text) in scripts {
        user.write(&format!("scripts/{name}"), &text);
    }
    user.write("commands.json", &json!(commands).to_string());
    user.write("sd-card.nix", &configuration(CONFIGURATION));
    let done = run(&mut user.build(&["--glue", "native", "--force"])).assert_exit_code(0);
    let files = tree(&done.image());

    let (slow, fast) = (
        printed(&files, "all-emulated"),
        printed(&files, "all-native"),
    );
    assert_eq!((slow.len(), commands.len()), (234, 234));
    // The others show in their texts that they may depend on the machine.
    assert_eq!(fast.len(), 120);
    let differing = fast.iter().filter(|(number, seen)| slow[*number] != **seen);
    let differing: Vec<_> = differing
        .map(|(number, seen)| (&commands[*number], &slow[number], seen))
        .collect();
    assert!(differing.is_empty(), "{differing:#?}");
    name_the_image_machine(&files);

    // If the store has them already, another test of the same tree has built them, and has looked.
    let built = built(&user).into_iter().collect();
    let emulated = emulated(&built);
    assert!(
        !emulated.iter().any(|drv| drv.ends_with("-all-native.drv")),
        "{emulated:?}"
    );
}
