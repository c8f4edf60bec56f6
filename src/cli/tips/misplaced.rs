//! Tips for words and flags that a command does not take.

use clap::Command;

use super::flags_of::{takes, takes_short};
use sdbuild_core::shell_word::quoted;
use sdbuild_image::image_name::is_image;

/// The beginnings of arguments of dd.
const DD_ARGUMENTS: [&str; 6] = ["bs=", "conv=", "count=", "iflag=", "oflag=", "status="];

/// What other programs call the argument with the disk, and the one with the image.
const DISK_FLAGS: [&str; 9] = [
    "--device", "--disk", "--drive", "--of", "--output", "--target", "--to", "-d", "-o",
];
const IMAGE_FLAGS: [&str; 5] = ["--if", "--image", "--input", "--source", "-i"];

/// What would change a setting.
const CHANGES: [&str; 3] = ["add", "set", "unset"];

/// Programs that would change files.
const CHANGING: [&str; 10] = [
    "add", "chmod", "cp", "edit", "mkdir", "mv", "nano", "rm", "touch", "write",
];

/// The arguments of `flash` where it is not certain which of the words given they are.
const GENERAL_LINE: &str = "IMAGE /dev/sdX";

/// The tip for the command line of Raspberry Pi Imager, `--cli IMAGE DISK`.
pub(super) fn tip_for_imager(words: &[String]) -> Option<String> {
    let (_, rest) = words.split_first().filter(|(first, _)| *first == "--cli")?;
    let files = rest.iter().filter(|word| !word.starts_with('-'));
    let files: Vec<_> = files.map(|word| quoted(word)).collect();
    let files = match files.as_slice() {
        [image, disk] => format!("{image} {disk}"),
        _ => GENERAL_LINE.to_owned(),
    };
    Some(format!(
        "that is how Raspberry Pi Imager is called; here: sdbuild flash {files}"
    ))
}

/// The tip for an argument `word` that the command of `words` does not take.
pub(super) fn tip(command: &Command, word: &str, words: &[String]) -> Option<String> {
    let name = words.first()?.as_str();
    if name == "flash" {
        return tip_for_order_of_flash(command, word, words);
    }
    if name == "inspect" && !word.starts_with('-') {
        return tip_for_order_of_inspect(words);
    }
    if name == "settings"
        && words
            .get(1)
            .is_some_and(|word| CHANGES.contains(&word.as_str()))
    {
        return words.get(1..).map(how_to_set);
    }
    let sub = command.find_subcommand(name)?;
    if takes(sub, &format!("--{word}")) {
        return Some(if name == "settings" {
            format!("settings shows one setting or all: sdbuild settings {word}")
        } else {
            format!("did you mean --{word}?")
        });
    }
    match name {
        "boot" if word.bytes().all(|c| c.is_ascii_lowercase()) => Some(format!(
            "to run a command on the machine: sdbuild boot IMAGE --run '{word} …'"
        )),
        _ => None,
    }
}

/// The tip for `settings set NAME VALUE`, of which `words` are `set` and what follows.
fn how_to_set(words: &[String]) -> String {
    let line = match words {
        [change, name, value] if change == "set" && !name.starts_with('-') => {
            Some(line_of_setting(name, value))
        }
        [change, both] if change == "set" => both
            .split_once('=')
            .map(|(name, value)| line_of_setting(name, value)),
        _ => None,
    };
    let line = line.unwrap_or_else(|| "NAME = VALUE".to_owned());
    format!(
        "`sdbuild settings` only shows settings. To change one, write into sdbuild.toml: {line}"
    )
}

/// The line of `sdbuild.toml`: a number and a switch as they are, other values as strings.
fn line_of_setting(name: &str, value: &str) -> String {
    let is_plain = value.parse::<u64>().is_ok() || ["true", "false"].contains(&value);
    let value = if is_plain {
        value.to_owned()
    } else {
        format!("{value:?}")
    };
    format!("{name} = {value}")
}

/// The tip for an argument of dd, or a flag with the image or the disk, which are the first and the second argument of `flash`.
fn tip_for_order_of_flash(command: &Command, word: &str, words: &[String]) -> Option<String> {
    let told = if is_of_dd(word) {
        "flash does not take dd's arguments; write"
    } else if IMAGE_FLAGS.contains(&word) || DISK_FLAGS.contains(&word) {
        "give the image first, then the disk"
    } else {
        return None;
    };
    let line = line_of_flash(command, words).unwrap_or_else(|| GENERAL_LINE.to_owned());
    Some(format!("{told}: sdbuild flash {line}"))
}

/// The arguments of `flash` in their order, if it is certain what each of `words` is.
fn line_of_flash(command: &Command, words: &[String]) -> Option<String> {
    let flash = command.find_subcommand("flash")?;
    let known = [flash, command];
    let (mut images, mut disks, mut rest) = (Vec::new(), Vec::new(), Vec::new());
    let mut given = words.iter().skip(1).map(String::as_str).peekable();
    while let Some(word) = given.next() {
        let (flag, joined) = match word.split_once('=') {
            Some((flag, value)) => (flag, Some(value)),
            None => (word, None),
        };
        let is_value = |next: &&str| !next.starts_with('-') && !is_of_dd(next);
        if IMAGE_FLAGS.contains(&flag) {
            images.extend(joined.or_else(|| given.next_if(is_value)));
        } else if DISK_FLAGS.contains(&flag) {
            disks.extend(joined.or_else(|| given.next_if(is_value)));
        } else if word.starts_with('-') {
            // None of them takes a value.
            let is_known = |sub: &&Command| takes(sub, word) || takes_short(sub, word);
            if !known.iter().any(is_known) {
                return None;
            }
            rest.push(quoted(word));
        } else if word.starts_with("/dev/") {
            disks.push(word);
        } else if joined.is_some() && ["if", "of"].contains(&flag) {
            return None;
        } else if !is_of_dd(word) {
            images.push(word);
        }
    }
    let (image, disk) = match (&images[..], &disks[..]) {
        ([], []) => ("IMAGE", "/dev/sdX"),
        ([image], []) => (*image, "/dev/sdX"),
        ([], [disk]) => ("IMAGE", *disk),
        ([image], [disk]) => (*image, *disk),
        (_, _) => return None,
    };
    let line: Vec<String> = [image, disk].into_iter().map(quoted).chain(rest).collect();
    let is_in_order = disk.starts_with("/dev/") && !image.starts_with("/dev/");
    is_in_order.then(|| line.join(" "))
}

/// Whether `word` is an argument of dd other than the image and the disk.
fn is_of_dd(word: &str) -> bool {
    DD_ARGUMENTS.iter().any(|name| word.starts_with(name))
}

/// The tip for a path in an image that does not stand where `inspect` takes it.
fn tip_for_order_of_inspect(words: &[String]) -> Option<String> {
    let given = || words.iter().skip(1).map(String::as_str);
    if given().take(2).any(|word| CHANGING.contains(&word)) {
        return Some(
            "inspect cannot change an image. Write into the configuration, for instance, environment.etc.NAME.source = ./FILE; and build again".to_owned(),
        );
    }
    let path = given().find(|word| is_path_in_image(word))?;
    let image = given().find(|word| is_image_or_disk(word));
    let image = image.map_or("IMAGE".into(), quoted);
    let path = quoted(path);
    Some(match given().find(|word| ["ls", "cat"].contains(word)) {
        Some(look) => {
            format!("give the image first and the path last: sdbuild inspect {image} {look} {path}")
        }
        None => format!("name what to do with the path: sdbuild inspect {image} ls {path}"),
    })
}

/// Whether `word` is `/path`, or `2:/path` of partition 2, and not the file of an image.
fn is_path_in_image(word: &str) -> bool {
    let path = match word.split_once(':') {
        Some((number, path)) if number.parse::<u32>().is_ok() => path,
        Some(_) | None => word,
    };
    path.starts_with('/') && !is_image_or_disk(word)
}

fn is_image_or_disk(word: &str) -> bool {
    is_image(word) || word.starts_with("/dev/")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    fn tip_for(word: &str, line: &str) -> Option<String> {
        let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
        tip(&Cli::command(), word, &words)
    }

    #[test]
    fn flags_without_their_dashes_are_recognised() {
        for word in ["old", "all", "downloads"] {
            let tip = tip_for(word, &format!("clean {word}"));
            assert_eq!(tip, Some(format!("did you mean --{word}?")));
        }
        let run = tip_for("run", "boot pi.img run");
        assert_eq!(run.as_deref(), Some("did you mean --run?"));
    }

    #[test]
    fn a_setting_is_set_in_its_file() {
        for (words, line) in [
            ("set jobs 4", "jobs = 4"),
            ("set board=rpi4", "board = \"rpi4\""),
            ("set offline true", "offline = true"),
            ("set", "NAME = VALUE"),
            ("unset jobs", "NAME = VALUE"),
        ] {
            let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
            assert!(
                how_to_set(&words).ends_with(&format!(": {line}")),
                "{words:?}"
            );
        }
    }

    #[test]
    fn flags_with_the_image_or_the_disk_become_arguments() {
        for (word, line, meant) in [
            ("--of", "flash --of /dev/sdX", "IMAGE /dev/sdX"),
            ("--if", "flash --if=a.img --of=/dev/sdb", "a.img /dev/sdb"),
            ("--to", "flash -y a.img --to /dev/sdb", "a.img /dev/sdb -y"),
            ("--image", "flash --image a.img /dev/sdb", "a.img /dev/sdb"),
            ("-o", "flash -o --yes", "IMAGE /dev/sdX --yes"),
            (
                "--if",
                "flash --if=a.img --of=/dev/sdb bs=4M status=progress",
                "a.img /dev/sdb",
            ),
            ("--to", "flash a.img /dev/sdb --to", "a.img /dev/sdb"),
        ] {
            let tip = tip_for(word, line).unwrap();
            let expected = format!("give the image first, then the disk: sdbuild flash {meant}");
            assert_eq!(tip, expected, "{line}");
        }
        assert_eq!(tip_for("--fast", "flash --fast a.img"), None);
    }

    #[test]
    fn no_line_is_made_of_words_that_may_be_something_else() {
        for (word, line) in [
            ("--image", "flash --image a.img --device /dev/sdb --bs 4M"),
            ("--to", "flash a.img --to /dev/sdb -- x"),
            ("-i", "flash -i a.img b.img"),
            ("--of", "flash /dev/sdb --of a.img"),
            ("--of", "flash --of a.img"),
            ("--of", "flash a.img --of /dev/sdb --color never"),
            ("--of", "flash if=a.img --of /dev/sdb"),
        ] {
            let tip = tip_for(word, line).unwrap();
            assert!(tip.ends_with(": sdbuild flash IMAGE /dev/sdX"), "{tip}");
        }
    }

    #[test]
    fn the_order_of_inspect_is_shown_with_the_words_given() {
        for line in [
            "inspect ls x.img 2:/etc",
            "inspect x.img 2:/etc ls",
            "inspect ls 2:/etc x.img",
        ] {
            let tip = tip_for("2:/etc", line).unwrap();
            assert!(
                tip.ends_with(": sdbuild inspect x.img ls 2:/etc"),
                "{line}: {tip}"
            );
        }
        let tip = tip_for("/etc", "inspect /tmp/x.img /etc").unwrap();
        assert!(
            tip.ends_with(": sdbuild inspect /tmp/x.img ls /etc"),
            "{tip}"
        );
        let tip = tip_for("/etc", "inspect /dev/sdb /etc").unwrap();
        assert!(tip.ends_with(": sdbuild inspect /dev/sdb ls /etc"), "{tip}");
        assert_eq!(tip_for("--ls", "inspect x.img --ls"), None);
        for line in ["inspect rm x", "inspect x.img rm /etc"] {
            let tip = tip_for("x", line).unwrap();
            assert!(tip.starts_with("inspect cannot change an image"), "{tip}");
        }
        assert_eq!(tip_for("--foo", "inspect /home/me/card --foo"), None);
    }
}
