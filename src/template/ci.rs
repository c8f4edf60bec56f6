//! Workflows for continuous integration: the repository's examples with the path of the configuration.

use clap::ValueEnum;
use sdbuild_core::shell_word::quoted;

const GITHUB: &str = include_str!("../../examples/ci/github.yml");
const GITLAB: &str = include_str!("../../examples/ci/gitlab.yml");
/// The command in them that builds, where another configuration than that of the repository's root is named.
const BUILD: &str = "sdbuild build --output images";

/// A service for continuous integration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CiService {
    /// GitHub Actions, on its 64-bit ARM runners
    #[value(name = "github")]
    GitHub,
    /// GitLab CI/CD, on a runner with the engine's socket
    #[value(name = "gitlab")]
    GitLab,
}

impl CiService {
    /// The path of the workflow below the root of the repository.
    pub fn workflow(self) -> &'static str {
        match self {
            Self::GitHub => ".github/workflows/image.yml",
            Self::GitLab => ".gitlab-ci.yml",
        }
    }
}

/// The workflow of `service` that builds `configuration`, a path below the root of the repository, or the root's own if it is
/// empty. `None` if the path cannot be written into a workflow: it has control characters, or what GitHub replaces.
pub fn workflow(service: CiService, configuration: &str) -> Option<String> {
    let example = match service {
        CiService::GitHub => GITHUB,
        CiService::GitLab => GITLAB,
    };
    if configuration.is_empty() {
        return Some(example.to_owned());
    }
    if configuration.contains(char::is_control) || configuration.contains("${{") {
        return None;
    }
    let path = quoted(configuration);
    let build = BUILD.replacen(" build ", &format!(" build {path} "), 1);
    Some(example.replacen(BUILD, &build, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_the_configuration_is_in_the_build() {
        for service in [CiService::GitHub, CiService::GitLab] {
            let plain = workflow(service, "").unwrap();
            assert_eq!(plain.matches(BUILD).count(), 1, "{service:?}");
            let text = workflow(service, "my pi").unwrap();
            assert!(text.contains("sdbuild build 'my pi' --output images\n"));
            assert_eq!(text.lines().count(), plain.lines().count());
        }
    }

    #[test]
    fn a_path_that_would_change_the_workflow_is_refused() {
        for path in ["a\nb", "${{ github.token }}"] {
            assert_eq!(workflow(CiService::GitHub, path), None, "{path}");
        }
    }
}
