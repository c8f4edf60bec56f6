//! Tips for several images or configurations: a command takes one.

use std::path::Path;

use clap::Command;

use super::flags_of::takes;
use crate::common::configuration_file::FLAKE_FILE;
use crate::common::nix_name::path_of;
use sdbuild_core::shell_word::quoted;
use sdbuild_image::image_name::{is_image, is_image_or_sidecar, newest_of};

/// Images that a tip names; the rest is counted.
const MAX_NAMED: usize = 3;

/// The tips for a word too many in `words`, where images or configurations are given.
pub(super) fn tips(command: &Command, words: &[String]) -> Vec<String> {
    let Some((name, given)) = words.split_first() else {
        return Vec::new();
    };
    let Some(sub) = command.find_subcommand(name) else {
        return Vec::new();
    };
    let words: Vec<&str> = given.iter().map(String::as_str).collect();
    // What follows `--` is for another program.
    if words.contains(&"--") {
        return Vec::new();
    }
    match name.as_str() {
        "boot" | "flash" | "inspect" => tips_for_images(sub, &words),
        "build" | "check" => tips_for_configurations(sub, &words),
        "try" => tip_for_configuration_of_try(sub, &words)
            .into_iter()
            .collect(),
        _ => Vec::new(),
    }
}

/// Those of `words` that are no values of flags of `sub`, for which `is_meant` holds, and all others.
pub(super) fn split<'a>(
    sub: &Command,
    words: &[&'a str],
    is_meant: impl Fn(&str) -> bool,
) -> (Vec<&'a str>, Vec<&'a str>) {
    let mut values = 0_usize;
    words.iter().copied().partition(|&word| {
        let is_value = values > 0;
        values = match values.checked_sub(1) {
            Some(left) => left,
            None => values_of(sub, word),
        };
        !is_value && is_meant(word)
    })
}

/// The tips for several images, as a shell makes them of `*.img.zst`, or for one with the files beside it.
fn tips_for_images(sub: &Command, words: &[&str]) -> Vec<String> {
    let (given, rest) = split(sub, words, is_image_or_sidecar);
    let images: Vec<&str> = given
        .iter()
        .copied()
        .filter(|word| is_image(word))
        .collect();
    let name = sub.get_name();
    let line = |image: &str| joined(name, [image].into_iter().chain(rest.iter().copied()));
    match &images[..] {
        [image] if given.len() > 1 => {
            vec![format!("give only the image: {}", line(image))]
        }
        [] | [_] => Vec::new(),
        [..] => {
            let named = images.iter().take(MAX_NAMED).map(|image| quoted(image));
            let named: Vec<String> = named.collect();
            let more = match images.len().saturating_sub(MAX_NAMED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let (count, named) = (images.len(), named.join(", "));
            let told = format!("{name} takes one image, and there are {count}: {named}{more}");
            let newest = newest_of(&images);
            let newest = newest.map(|newest| format!("the newest one: {}", line(newest)));
            [told].into_iter().chain(newest).collect()
        }
    }
}

/// The tips for several configurations of `sub`: one run after the other, or modules of one configuration.
fn tips_for_configurations(sub: &Command, words: &[&str]) -> Vec<String> {
    let (given, rest) = split(sub, words, is_configuration);
    if given.len() < 2 {
        return Vec::new();
    }
    let name = sub.get_name();
    let line = |word: &str| joined(name, [word].into_iter().chain(rest.iter().copied()));
    if let [flake, attribute] = given[..]
        && attribute.starts_with('#')
        && !flake.contains('#')
    {
        return vec![one_word(&line(&format!("{flake}{attribute}")))];
    }
    if let Some(file) = file_of_docker(sub, words) {
        return vec![format!(
            "-f is --force here. Give the file without a flag: {}",
            joined(name, [file].into_iter())
        )];
    }
    let lines = given.iter().map(|word| line(word));
    let lines: Vec<String> = lines.collect();
    let told = format!(
        "{name} takes only one configuration. Run it once for each: {}",
        lines.join(" && ")
    );
    let modules: Option<Vec<String>> = given.iter().map(|word| module_path(word)).collect();
    let modules = modules.map(|paths| {
        let paths = paths.join(" ");
        format!(
            "to combine them in one image, import them in its configuration: imports = [ {paths} ];"
        )
    });
    [told].into_iter().chain(modules).collect()
}

/// The file in docker's `-f FILE DIRECTORY`.
fn file_of_docker<'a>(sub: &Command, words: &[&'a str]) -> Option<&'a str> {
    let mut files = words.iter().zip(words.iter().skip(1));
    let (_, file) = files.find(|(flag, file)| **flag == "-f" && is_configuration(file))?;
    takes(sub, "--force").then_some(*file)
}

/// The tip for `word`, the name of a configuration behind the directory of its flake: `check . pi`.
pub(super) fn name_behind_flake(sub: &Command, word: &str, given: &[String]) -> Option<String> {
    let name = sub.get_name();
    let words: Vec<&str> = given.iter().map(String::as_str).collect();
    let (given, rest) = split(sub, &words, |word| !word.starts_with('-'));
    let &[flake, second] = given.as_slice() else {
        return None;
    };
    let is_name = second == word && path_of(word) == Some(word) && !word.contains('.');
    let is_flake = !flake.contains('#') && Path::new(flake).join(FLAKE_FILE).is_file();
    let is_meant = ["build", "check"].contains(&name) && is_name && is_flake;
    is_meant.then(|| {
        let reference = format!("{flake}#{word}");
        one_word(&joined(name, [reference.as_str()].into_iter().chain(rest)))
    })
}

/// What to write in place of a flake and the name of its configuration as two words.
fn one_word(line: &str) -> String {
    format!("write the flake and the name of its configuration as one word: {line}")
}

/// The tip for the configuration of the user behind `try`, which has one of its own.
fn tip_for_configuration_of_try(sub: &Command, words: &[&str]) -> Option<String> {
    let (given, _) = split(sub, words, is_configuration);
    let line = joined("build", [*given.first()?].into_iter());
    Some(format!(
        "try builds its own configuration; to build yours: {line}"
    ))
}

/// Whether `word` is certainly a configuration: a file of Nix, one of a flake, or a directory.
fn is_configuration(word: &str) -> bool {
    let is_module = Path::new(word).extension().is_some_and(|end| end == "nix");
    !word.starts_with('-') && (is_module || word.contains('#') || Path::new(word).is_dir())
}

/// How many words behind `flag` are its values.
fn values_of(sub: &Command, flag: &str) -> usize {
    let is_meant = |arg: &&clap::Arg| {
        let long = arg.get_long().map(|long| format!("--{long}"));
        let short = arg.get_short().map(|short| format!("-{short}"));
        [long, short].into_iter().flatten().any(|name| name == flag)
    };
    let arg = sub.get_arguments().find(is_meant);
    let arg = arg.filter(|arg| arg.get_action().takes_values() && !arg.is_require_equals_set());
    arg.map_or(0, |arg| {
        arg.get_num_args().map_or(1, |count| count.max_values())
    })
}

/// The file `word` as Nix writes its path; `None` for anything else.
fn module_path(word: &str) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/.-_".contains(c);
    let is_module = Path::new(word).extension().is_some_and(|end| end == "nix");
    let has_start = ["/", "./", "../"]
        .iter()
        .any(|start| word.starts_with(start));
    let start = if has_start { "" } else { "./" };
    (is_module && word.chars().all(is_plain)).then(|| format!("{start}{word}"))
}

/// The command line of the command `name` with `words`.
pub(super) fn joined<'a>(name: &str, words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.map(quoted).collect();
    format!("sdbuild {name} {}", words.join(" "))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    fn tips_for(line: &str) -> Vec<String> {
        let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
        tips(&Cli::command(), &words)
    }

    #[test]
    fn configurations_are_built_one_after_the_other() {
        let two = tips_for("build a.nix -v b.nix --jobs 2");
        assert_eq!(
            two,
            [
                "build takes only one configuration. Run it once for each: sdbuild build a.nix -v --jobs 2 && sdbuild build b.nix \
                 -v --jobs 2",
                "to combine them in one image, import them in its configuration: imports = [ ./a.nix ./b.nix ];",
            ]
        );
        let flakes = tips_for("build .#pi .#router -o out");
        assert_eq!(
            flakes,
            ["build takes only one configuration. Run it once for each: sdbuild build '.#pi' -o out && sdbuild build '.#router' -o \
              out".replace('\'', "")]
        );
        let overridden = tips_for("check .#pi .#nas --override-input nixpkgs /");
        assert_eq!(
            overridden,
            [
                "check takes only one configuration. Run it once for each: sdbuild check .#pi --override-input nixpkgs / && \
                 sdbuild check .#nas --override-input nixpkgs /"
            ]
        );
        let of_docker = tips_for("build -f a.nix .");
        assert_eq!(
            of_docker,
            ["-f is --force here. Give the file without a flag: sdbuild build a.nix"]
        );
        let check = tips_for("check a.nix b.nix");
        assert!(
            check[0].ends_with(": sdbuild check a.nix && sdbuild check b.nix"),
            "{check:?}"
        );
        for other in [
            "build a.nix now",
            "build --config a.nix b.nix",
            "build -c a.nix now",
            "build a.nix -- b.nix",
            "build a.nix --override-input b.nix c.nix",
        ] {
            assert_eq!(tips_for(other), [""; 0], "{other}");
        }
    }

    #[test]
    fn a_flake_and_its_configuration_are_one_word() {
        let tip = tips_for("check / #pi -v --override-input nixpkgs /");
        let line = "sdbuild check '/#pi' -v --override-input nixpkgs /".replace('\'', "");
        assert_eq!(
            tip,
            [format!(
                "write the flake and the name of its configuration as one word: {line}"
            )]
        );
    }

    #[test]
    fn the_name_behind_a_flake_is_part_of_its_word() {
        let dir = tempfile::tempdir().unwrap();
        let flake = dir.path().to_str().unwrap();
        let tip_for = |name: &str, line: &[&str], word: &str| {
            let words: Vec<_> = line.iter().map(|word| (*word).to_owned()).collect();
            name_behind_flake(Cli::command().find_subcommand(name).unwrap(), word, &words)
        };
        assert_eq!(tip_for("check", &[flake, "pi"], "pi"), None);
        std::fs::write(dir.path().join(FLAKE_FILE), "{ }").unwrap();
        let told = tip_for("check", &[flake, "pi", "--override-input", "a", "b"], "pi");
        let line = format!("sdbuild check {flake}#pi --override-input a b");
        assert_eq!(told, Some(one_word(&line)));
        for (name, line, word) in [
            ("build", &[flake, "pi", "nas"][..], "pi"),
            ("build", &[flake, "a.b"], "a.b"),
            ("init", &[flake, "pi"], "pi"),
        ] {
            assert_eq!(tip_for(name, line, word), None, "{line:?}");
        }
    }

    #[test]
    fn a_configuration_behind_try_is_one_for_build() {
        let tip = "try builds its own configuration; to build yours: sdbuild build a.nix";
        assert_eq!(tips_for("try a.nix"), [tip]);
        assert_eq!(tips_for("try now"), [""; 0]);
    }

    #[test]
    fn one_image_of_several_is_wanted() {
        let several = tips_for("boot a.img b.img c.img.zst d.img");
        let named = "boot takes one image, and there are 4: a.img, b.img, c.img.zst and 1 more";
        assert_eq!(several, [named]);
        let alone = tips_for("boot --until-ssh a.img a.img.sha256");
        assert_eq!(
            alone,
            ["give only the image: sdbuild boot a.img --until-ssh"]
        );
        let beside = tips_for("boot --until-ssh a.img a.img.sha256 --seed cidata.img");
        assert_eq!(
            beside,
            ["give only the image: sdbuild boot a.img --until-ssh --seed cidata.img"]
        );
        for other in ["boot a.img uname", "boot a.img --seed cidata.img now"] {
            assert_eq!(tips_for(other), [""; 0], "{other}");
        }
    }
}
