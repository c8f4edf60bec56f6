//! What user-data may be, and which mistakes cloud-init would answer by ignoring all of it.
//! <https://cloudinit.readthedocs.io/en/latest/explanation/format.html>

use std::path::Path;

use super::commands;
use super::yaml;
use super::yaml::{Node, Value, YamlError};
use sdbuild_core::failure::Failure;

/// The first line of a configuration.
const CLOUD_CONFIG: &str = "#cloud-config";
/// The byte order mark that some editors put before the text.
const BOM: char = '\u{feff}';
/// How every other kind of user-data that cloud-init documents begins, in lower case.
const OTHER_STARTS: [&str; 9] = [
    "#!",
    "## template: jinja",
    "#include",
    "#cloud-boothook",
    "#part-handler",
    "#cloud-config-archive",
    "#cloud-config-jsonp",
    "content-type: multipart/",
    "mime-version:",
];
/// How those begin that the machine runs as they are.
const SCRIPT_STARTS: [&str; 2] = ["#!", "#cloud-boothook"];
/// What to do about another first line.
const START_HINT: &str =
    "begin it with the line `#cloud-config` for a configuration, or with `#!/bin/sh` for a script";

/// A file with a text, for error messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct SeedFile<'a> {
    /// What the file is: `user-data`.
    pub(super) name: &'a str,
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
}

impl SeedFile<'_> {
    fn failure(&self, what: impl std::fmt::Display) -> Failure {
        let Self { name, path, .. } = self;
        Failure::usage(format!("{name} {}: {what}", path.display()))
    }

    /// The failure of a text that is not YAML.
    fn invalid(&self, error: &YamlError) -> Failure {
        let YamlError { line, what } = error;
        if let Some(line) = tab_before(self.text, *line) {
            return self
                .failure(format!("line {line} is indented by a tab"))
                .hint("YAML is indented by spaces only");
        }
        self.failure(format!("line {line}: {what}"))
            .hint("it must be YAML; `cloud-init schema -c FILE` checks it completely")
    }

    /// The mapping that the text has to be as YAML; `None` if it says nothing.
    pub(super) fn mapping(&self) -> Result<Option<Node>, Failure> {
        let node = yaml::parse(self.text).map_err(|error| self.invalid(&error))?;
        match node {
            Some(node) if matches!(node.value, Value::Mapping(_)) => Ok(Some(node)),
            Some(node)
                if node
                    .text()
                    .is_some_and(|text| matches!(text, "" | "~" | "null")) =>
            {
                Ok(None)
            }
            None => Ok(None),
            Some(node) => Err(self
                .failure(format!(
                    "line {}: keys with values are expected here",
                    node.line
                ))
                .hint("every setting is `key: value`, with a space after the colon")),
        }
    }

    /// Checks the text as user-data; the configuration that it is, if it is one.
    pub(super) fn checked(&self) -> Result<Option<Node>, Failure> {
        if self.text.starts_with(BOM) {
            return Err(self
                .failure(
                    "it begins with a byte order mark, so cloud-init does not recognise the first line",
                )
                .hint("save it as UTF-8 without BOM"));
        }
        // cloud-init looks for the start behind spaces and empty lines, and takes upper case for lower case.
        let trimmed = self.text.trim_start();
        let first = trimmed.lines().next().unwrap_or_default();
        let start = first.to_ascii_lowercase();
        let is_one_of = |starts: &[&str]| starts.iter().any(|known| start.starts_with(known));
        if is_one_of(&SCRIPT_STARTS) {
            return self.script(trimmed).map(|()| None);
        }
        if trimmed.is_empty() || is_one_of(&OTHER_STARTS) {
            return Ok(None);
        }
        if start.starts_with(CLOUD_CONFIG) {
            let config = self.mapping()?;
            if let Some(config) = &config {
                commands::check(config).map_err(|error| self.invalid(&error))?;
            }
            return Ok(config);
        }
        Err(self.unknown_start(first))
    }

    /// Checks a script, which the machine gets as it is; `trimmed` is its text without what is before its start.
    fn script(&self, trimmed: &str) -> Result<(), Failure> {
        if trimmed.len() < self.text.len() {
            let text = "it begins with a space or an empty line, so the machine cannot run it";
            return Err(self.failure(text).hint("begin it with `#!`"));
        }
        if self.text.contains("\r\n") {
            return Err(self
                .failure("its lines end in CR LF, as on Windows, so the machine cannot run it")
                .hint("save it with Unix line ends, or convert it: sed -i 's/\\r$//' FILE"));
        }
        Ok(())
    }

    fn unknown_start(&self, first: &str) -> Failure {
        let letters = |text: &str| -> String {
            let letters = text.chars().filter(char::is_ascii_alphanumeric);
            letters.map(|c| c.to_ascii_lowercase()).collect()
        };
        if letters(first) == letters(CLOUD_CONFIG) {
            let first = first.trim_end();
            return self
                .failure(format!(
                    "the first line is `{first}`, and not `{CLOUD_CONFIG}`"
                ))
                .hint("write it exactly so, or cloud-init ignores the file");
        }
        let text = "cloud-init does not recognise its first line";
        self.failure(text).hint(START_HINT)
    }
}

/// The line of the first tab in the indentation of line `line` or of one shortly before it, where YAML notices it.
fn tab_before(text: &str, line: usize) -> Option<usize> {
    let lines = text
        .lines()
        .enumerate()
        .take(line)
        .skip(line.saturating_sub(3));
    let mut tabs = lines.filter(|(_, text)| {
        let indentation = text.len() - text.trim_start().len();
        text.get(..indentation).is_some_and(|i| i.contains('\t'))
    });
    tabs.next().map(|(at, _)| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> Result<Option<Node>, Failure> {
        let path = Path::new("u.yaml");
        let name = "user-data";
        SeedFile { name, path, text }.checked()
    }

    fn refused(text: &str) -> String {
        let failure = checked(text).unwrap_err();
        assert!(failure.to_string().starts_with("user-data u.yaml: "));
        format!("{failure} ({})", failure.hints.concat())
    }

    #[test]
    fn every_documented_kind_is_accepted() {
        for text in [
            "#cloud-config\n",
            "#cloud-config\n{}\n",
            "#cloud-config  \nusers: [default]\n",
            "#cloud-config\r\nusers:\r\n- default\r\n",
            "#Cloud-Config-mine\na: 1\n",
            "\n #cloud-config\na: 1\n",
            "",
            "\n",
            "#!/bin/sh\n\ttrue\n",
            "## template: jinja\n#cloud-config\n{% if 1 %}\n",
            "#include\nhttps://example.org/x\n",
            "#cloud-boothook\n#!/bin/sh\n",
            "#cloud-config-archive\n- {}\n",
            "Content-Type: multipart/mixed; boundary=\"x\"\n",
        ] {
            checked(text).unwrap_or_else(|failure| panic!("{text}: {failure}"));
        }
        assert!(checked("#cloud-config\na: 1\n").unwrap().is_some());
    }

    #[test]
    fn mistakes_in_the_first_line_are_named() {
        for first in ["#cloud_config", "# cloud-config", "cloud-config:"] {
            let text = refused(&format!("{first}\na: 1\n"));
            assert!(text.contains("and not `#cloud-config`"), "{text}");
        }
        assert!(refused("\u{feff}#cloud-config\n").contains("byte order mark"));
        assert!(refused("#!/bin/sh\r\ntrue\r\n").contains("CR LF"));
        assert!(refused("\n#!/bin/sh\n").contains("empty line"));
        assert!(refused("users: []\n").contains("begin it with the line"));
    }

    #[test]
    fn broken_yaml_has_its_line() {
        assert!(refused("#cloud-config\nusers:\n\t- a\n").contains("line 3 is indented by a tab"));
        assert!(refused("#cloud-config\na: b: c\n").contains("line 2: "));
        assert!(refused("#cloud-config\n- a\n").contains("line 2: keys with values"));
        assert!(refused("#cloud-config\nhostname kitchen\n").contains("line 2: keys with values"));
    }
}
