//! Services for continuous integration that sdbuild writes a workflow for.

use clap::ValueEnum;

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
