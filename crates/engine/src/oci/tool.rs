//! The container image of sdbuild itself: its static program, and the certificate authorities that downloads need.

use std::path::Path;

use super::definition::{Defaults, Definition};
use super::extra_file::ExtraFile;
use sdbuild_core::failure::Failure;
use sdbuild_core::system::Architecture;

/// The package with the certificate authorities, of the builder's lock.
const AUTHORITIES: &str = "ca-certificates";

impl Definition {
    /// The image `sdbuild:VERSION`, whose containers run `program` with the arguments that they are given. Any user may run
    /// it. It has no labels: `clean` must not remove the program that runs it. If there is a directory `locks`, the
    /// builder's lock there is used in place of the built-in one.
    pub fn tool(
        architecture: Architecture,
        program: Vec<u8>,
        version: &str,
        locks: Option<&Path>,
    ) -> Result<Self, Failure> {
        let mut tool = Self::builder(architecture, locks)?;
        tool.lock.packages.retain(|pin| pin.name == AUTHORITIES);
        tool.extras = vec![
            ExtraFile::file("usr/bin/sdbuild", 0o755, program),
            ExtraFile::dir("tmp", 0o1777, 0),
            ExtraFile::dir("home", 0o1777, 0),
        ];
        tool.defaults = Defaults {
            env: vec!["PATH=/usr/bin".to_owned(), "HOME=/home".to_owned()],
            user: "0:0".to_owned(),
            working_dir: "/home".to_owned(),
            entrypoint: vec!["/usr/bin/sdbuild".to_owned()],
            command: vec!["--help".to_owned()],
        };
        tool.name = Some(format!("sdbuild:{version}"));
        Ok(tool)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_image_has_the_program_and_authorities_only() {
        for architecture in [Architecture::X86_64, Architecture::Aarch64] {
            let tool = Definition::tool(architecture, b"ELF".to_vec(), "1.2.3", None).unwrap();
            let names: Vec<_> = tool.lock.packages.iter().map(|pin| &pin.name).collect();
            assert_eq!(names, [AUTHORITIES]);
            assert_eq!(tool.reference(), "sdbuild:1.2.3");
            assert_eq!(tool.image_labels(), []);
            assert_eq!(tool.defaults.entrypoint, ["/usr/bin/sdbuild"]);
        }
    }
}
