//! What `inspect` shows of an image by its commands, where users write flags or the commands of other programs.

use super::answers::value_of;
use sdbuild_core::shell_word::quoted;
use sdbuild_image::image_name::is_image;

/// Words for the contents of a file, and for the names in a directory; as flags too, then with one letter.
const CAT: [&str; 10] = [
    "cat", "copy", "cp", "extract", "f", "file", "get", "head", "less", "read",
];
const LS: [&str; 9] = [
    "dir",
    "directory",
    "find",
    "files",
    "l",
    "list",
    "ls",
    "path",
    "tree",
];

/// The tip for the unknown `word`, a flag or a command, in the `words` of `inspect`.
pub(super) fn tip(word: &str, words: &[String]) -> Option<String> {
    let name = word.trim_start_matches('-');
    let look = match name {
        name if CAT.contains(&name) => "cat",
        name if LS.contains(&name) => "ls",
        _ => return None,
    };
    // `inspect IMAGE ls -l`.
    if words
        .iter()
        .any(|word| ["ls", "cat"].contains(&word.as_str()))
    {
        return None;
    }
    // `cp FILE PATH` would change the image, `cp PATH .` does not.
    let of_machine = value_of(word, words).filter(|path| !path.starts_with('/'));
    if ["copy", "cp"].contains(&word) && of_machine.is_some() {
        return None;
    }
    let is_meant = |given: &&String| is_image(given) || given.starts_with("/dev/");
    let image = words.iter().find(is_meant);
    let image = image.map_or("IMAGE".into(), |image| quoted(image));
    let path = value_of(word, words).filter(|path| path.starts_with('/') && !is_image(path));
    let path = path.map_or("PATH".into(), |path| quoted(&path));
    Some(format!(
        "did you mean sdbuild inspect {image} {look} {path}?"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_for_a_file_is_a_command() {
        for (line, word, meant) in [
            ("inspect x.img --file /etc/x", "--file", "x.img cat /etc/x"),
            ("inspect x.img get /etc/x", "get", "x.img cat /etc/x"),
            ("inspect x.img --ls=/etc", "--ls", "x.img ls /etc"),
            ("inspect --file x.img", "--file", "x.img cat PATH"),
            ("inspect tree", "tree", "IMAGE ls PATH"),
        ] {
            let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
            let expected = format!("did you mean sdbuild inspect {meant}?");
            assert_eq!(tip(word, &words), Some(expected), "{line}");
        }
        for (line, word) in [("inspect x.img ls -l", "-l"), ("inspect --hash", "--hash")] {
            let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(tip(word, &words), None, "{line}");
        }
    }
}
