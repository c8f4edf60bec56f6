//! What user-data may be, and which mistakes cloud-init would answer by ignoring all of it.
//! <https://cloudinit.readthedocs.io/en/latest/explanation/format.html>

use std::path::Path;

use super::yaml::{self, Node, Value, YamlError};
use crate::common::failure::Failure;

/// The first line of a configuration.
const CLOUD_CONFIG: &str = "#cloud-config";
/// The byte order mark that some editors put before the text.
const BOM: char = '\u{feff}';
/// How every other kind of user-data that cloud-init documents begins.
const OTHER_STARTS: [&str; 9] = [
    "#!",
    "## template: jinja",
    "#include",
    "#cloud-boothook",
    "#part-handler",
    "#cloud-config-archive",
    "#cloud-config-jsonp",
    "Content-Type: multipart/",
    "MIME-Version:",
];
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

    /// The failure of a text that is no YAML.
    fn invalid(&self, error: &YamlError) -> Failure {
        let YamlError { line, what } = error;
        if let Some(line) = tab_before(self.text, *line) {
            return self
                .failure(format!("line {line} is indented by a tab"))
                .hint("YAML is indented by spaces only");
        }
        self.failure(format!("line {line}: {what}"))
            .hint("it has to be YAML; `cloud-init schema -c FILE` checks it completely")
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
                    "it begins with a byte order mark, behind which cloud-init finds no first line",
                )
                .hint("save it as UTF-8 without BOM"));
        }
        let first = self.text.lines().next().unwrap_or_default();
        // `lines` leaves no carriage return before the end of a line.
        if self.text.contains("\r\n") {
            return Err(self
                .failure("its lines end in CR LF, as on Windows, which scripts and files on the machine would get")
                .hint("save it with Unix line ends, or convert it: sed -i 's/\\r$//' FILE"));
        }
        if first.split_whitespace().next() == Some(CLOUD_CONFIG) && !first.starts_with(' ') {
            return self.mapping();
        }
        if OTHER_STARTS.iter().any(|start| first.starts_with(start)) {
            return Ok(None);
        }
        Err(self.unknown_start(first))
    }

    fn unknown_start(&self, first: &str) -> Failure {
        if self.text.is_empty() {
            return self.failure("it is empty").hint(START_HINT);
        }
        if first.trim().is_empty() {
            return self.failure("its first line is empty").hint(START_HINT);
        }
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
                .hint("cloud-init ignores the file otherwise: write it exactly so");
        }
        let text = "cloud-init does not know what it is by its first line";
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
        for first in [
            "#cloud_config",
            "#Cloud-config",
            "# cloud-config",
            "cloud-config:",
        ] {
            let text = refused(&format!("{first}\na: 1\n"));
            assert!(text.contains("and not `#cloud-config`"), "{text}");
        }
        assert!(refused("\u{feff}#cloud-config\n").contains("byte order mark"));
        assert!(refused("#cloud-config\r\na: 1\r\n").contains("CR LF"));
        assert!(refused("\n#cloud-config\n").contains("empty"));
        assert!(refused("users: []\n").contains("begin it with the line"));
        assert!(refused("#cloud-configuration\n").contains("begin it with the line"));
        assert!(refused("").contains("it is empty"));
    }

    #[test]
    fn broken_yaml_has_its_line() {
        assert!(refused("#cloud-config\nusers:\n\t- a\n").contains("line 3 is indented by a tab"));
        assert!(refused("#cloud-config\na: b: c\n").contains("line 2: "));
        assert!(refused("#cloud-config\n- a\n").contains("line 2: keys with values"));
        assert!(refused("#cloud-config\nhostname kitchen\n").contains("line 2: keys with values"));
    }
}
