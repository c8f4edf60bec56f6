//! Flags and commands that would install packages: those are written in the configuration.

use super::answers::value_of;

/// What users call such a flag, without dashes.
const FLAGS: [&str; 8] = [
    "add-package",
    "extra-packages",
    "install",
    "package",
    "packages",
    "pkg",
    "pkgs",
    "with-package",
];

/// What is said of a package that would be removed.
pub(super) const REMOVED: &str = "remove the package from environment.systemPackages in the configuration, such as \
                                  sd-card.nix";

/// The tip for the unknown `flag` in the `words` of the command `name`.
pub(super) fn tip(name: &str, flag: &str, words: &[String]) -> Option<String> {
    let is_meant = ["build", "check", "flash", "init"].contains(&name);
    let is_flag = flag
        .strip_prefix("--")
        .is_some_and(|flag| FLAGS.contains(&flag));
    (is_meant && is_flag).then(|| line(value_of(flag, words).as_deref()))
}

/// Where packages are written, and how: those in `given`, if these are names.
pub(super) fn line(given: Option<&str>) -> String {
    let names = given.unwrap_or_default().replace(',', " ");
    let names = names
        .split_whitespace()
        .map(|name| name.strip_prefix("pkgs.").unwrap_or(name));
    let names: Vec<&str> = names.collect();
    let names = if names.is_empty() || !names.iter().all(|name| is_name(name)) {
        "htop".to_owned()
    } else {
        names.join(" ")
    };
    format!(
        "add packages to the configuration, such as sd-card.nix: environment.systemPackages = with pkgs; [ {names} ];"
    )
}

fn is_name(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(is_plain)
}

/// Whether `word` may name a package, and neither an image, nor a configuration, nor a disk.
pub(super) fn is_likely(word: &str) -> bool {
    let is_disk = ["sd", "mmcblk", "nvme"]
        .iter()
        .filter_map(|kind| word.strip_prefix(kind))
        .any(|rest| rest.len() == 1 || rest.starts_with(|c: char| c.is_ascii_digit()));
    let of_pkgs = word.strip_prefix("pkgs.").unwrap_or(word);
    is_name(word) && !is_disk && !of_pkgs.contains('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_may_be_a_package() {
        for word in ["htop", "pkgs.vim", "sdcc", "nvme-cli"] {
            assert!(is_likely(word), "{word}");
        }
        for word in [
            "x.img.zst",
            "sd-card.nix",
            "/dev/sda",
            "sda",
            "mmcblk0",
            "nvme0n1",
            "--yes",
            "./x",
            ".#pi",
        ] {
            assert!(!is_likely(word), "{word}");
        }
    }

    #[test]
    fn packages_are_written_in_the_configuration() {
        for (line, flag, list) in [
            ("init --packages htop", "--packages", "[ htop ]"),
            ("build --package=pkgs.vim,git", "--package", "[ vim git ]"),
            ("build --install a;b", "--install", "[ htop ]"),
            ("build --pkgs", "--pkgs", "[ htop ]"),
        ] {
            let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
            let tip = tip(&words[0], flag, &words).unwrap();
            let expected =
                format!("such as sd-card.nix: environment.systemPackages = with pkgs; {list};");
            assert!(tip.ends_with(&expected), "{tip}");
        }
        assert_eq!(tip("boot", "--packages", &[]), None);
        assert_eq!(tip("build", "-packages", &[]), None);
    }
}
