//! Where the configuration names a file that Nix did not find.

use std::path::{Component, Path, PathBuf};

use super::UserFiles;
use sdbuild_nix::layout;

/// Characters around a path in Nix code. Those of `${…}` belong to the path.
const AROUND_PATHS: [char; 12] = [' ', '\t', '(', ')', '[', ']', '<', '>', '"', '\'', ';', '='];

/// A path in a file of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::nixos) struct WrittenPath {
    /// The file and the line, as `sd-card.nix:4`.
    pub(in crate::nixos) place: String,
    /// The text of the file.
    pub(in crate::nixos) text: String,
    /// The line, counted from 1.
    pub(in crate::nixos) line: usize,
    /// Characters before the path in its line.
    pub(in crate::nixos) column: usize,
    /// The file of this machine that a relative path leads to. In the builder, too many `..` lead to its root.
    pub(super) local: Option<PathBuf>,
}

impl UserFiles {
    /// Where the configuration names the file `missing`, a path of the builder or one below nixpkgs.
    pub(in crate::nixos) fn naming(&self, missing: &str) -> Option<WrittenPath> {
        let (place, written) = self.search_files(|module, text| {
            let dir = module.parent().unwrap_or(Path::new(""));
            let (line, column, word) = path_to(missing, dir, text)?;
            let local = is_relative(word).then(|| normal(&self.root.join(dir).join(word)));
            let written = WrittenPath {
                place: String::new(),
                text: text.to_owned(),
                line,
                column,
                local,
            };
            Some((line, written))
        })?;
        Some(WrittenPath { place, ..written })
    }
}

/// Line and column of the first path to `missing` in the `text` of a file in `dir`, a directory of the configuration, and the path
/// as it is written.
fn path_to<'a>(missing: &str, dir: &Path, text: &'a str) -> Option<(usize, usize, &'a str)> {
    (1..).zip(text.lines()).find_map(|(line, text)| {
        let code = text.split('#').next().unwrap_or_default();
        let mut words = code.split(AROUND_PATHS);
        let word = words.find(|word| leads_to(word, dir, missing))?;
        let column = word.as_ptr().addr() - code.as_ptr().addr();
        let before = code.get(..column).unwrap_or_default();
        Some((line, before.chars().count(), word))
    })
}

/// Whether `written` in a file of `dir` is a path to `missing`. What an expression such as `${modulesPath}` stands for is not known:
/// then the rest of the path decides.
fn leads_to(written: &str, dir: &Path, missing: &str) -> bool {
    if is_relative(written) {
        let path = Path::new(layout::CONFIG).join(dir).join(written);
        return normal(&path) == Path::new(missing);
    }
    let Some((first, rest)) = written.split_once('/') else {
        return false;
    };
    let is_address = first.ends_with(':');
    let is_end = |rest: &str| missing == rest || missing.ends_with(&format!("/{rest}"));
    !is_address && !rest.is_empty() && is_end(rest)
}

/// `file` as a file of the configuration names it that is at `place`, which may have a line; both are below the same directory.
pub(super) fn path_from(place: &str, file: &str) -> String {
    let place = place.rsplit_once(':').map_or(place, |(file, _)| file);
    let from = Path::new(place).parent().unwrap_or(Path::new(""));
    let file = Path::new(file);
    let common = from.ancestors().find(|dir| file.starts_with(dir));
    let common = common.unwrap_or(Path::new(""));
    let ups = from.components().count() - common.components().count();
    let start = if ups == 0 {
        "./".to_owned()
    } else {
        "../".repeat(ups)
    };
    format!(
        "{start}{}",
        file.strip_prefix(common).unwrap_or(file).display()
    )
}

fn is_relative(written: &str) -> bool {
    written.starts_with("./") || written.starts_with("../")
}

/// `path` without `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    path.components()
        .fold(PathBuf::new(), |mut normal, component| {
            match component {
                Component::CurDir => {}
                Component::ParentDir => {
                    normal.pop();
                }
                Component::Prefix(_) | Component::RootDir | Component::Normal(_) => {
                    normal.push(component);
                }
            }
            normal
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, missing: &str) -> Option<(usize, usize)> {
        let (line, column, _) = path_to(missing, Path::new("modules"), text)?;
        Some((line, column))
    }

    #[test]
    fn only_a_path_to_the_file_itself_names_it() {
        let config = "/build/config/modules/wifi.nix";
        for (text, missing, expected) in [
            ("imports = [ ./a.nix ./wifi.nix ];", config, Some(20)),
            ("imports = [ ./wifi.nix.old ./wifi.nix ];", config, Some(27)),
            ("imports = [ ../modules/wifi.nix ];", config, Some(12)),
            ("imports = [ ./other/wifi.nix ../wifi.nix ];", config, None),
            ("# ./wifi.nix", config, None),
            ("x = ./. + \"/wifi.nix\";", config, Some(11)),
            ("x = ../../common.nix;", "/build/common.nix", Some(4)),
            ("x = /home/me/key;", "/home/me/key", Some(4)),
            ("x = \"https://example.org/key\";", "/home/me/key", None),
            ("x = ~/.ssh/id;", "/nix/var/sdbuild/home/.ssh/id", Some(4)),
            (
                "ä = \"${modulesPath}/installer/sd.nix\";",
                "nixos/modules/installer/sd.nix",
                Some(5),
            ),
            ("x = <nixpkgs/nixos/none.nix>;", "nixos/none.nix", Some(5)),
        ] {
            let expected = expected.map(|column| (1, column));
            assert_eq!(found(text, missing), expected, "{text}");
        }
    }

    #[test]
    fn a_path_begins_where_its_file_is() {
        for (place, file, path) in [
            ("sd-card.nix:3", "wifi.nix", "./wifi.nix"),
            ("sd-card.nix:3", "net/wifi.nix", "./net/wifi.nix"),
            ("net/a.nix:3", "net/wifi.nix", "./wifi.nix"),
            ("net/a.nix", "wifi.nix", "../wifi.nix"),
            ("a/b/c.nix:1", "a/d/e.nix", "../d/e.nix"),
            ("", "a/d.nix", "./a/d.nix"),
        ] {
            assert_eq!(path_from(place, file), path, "{place}");
        }
    }

    #[test]
    fn lines_are_counted_from_one() {
        let missing = "/build/config/modules/none.nix";
        assert_eq!(found("a\nb = ./none.nix;", missing), Some((2, 4)));
    }
}
