//! A program that runs before a container's own one, with its files, environment and seccomp profile.

use crate::container::Container;
use crate::error::EngineError;
use crate::spec::ContainerSpec;

/// A wrapper around the program of a container with any image.
#[derive(Clone, Debug)]
pub struct EntryWrapper {
    /// Program and first arguments; the container's own command follows.
    pub command: Vec<String>,
    /// Its environment variables.
    pub environment: Vec<(String, String)>,
    /// The seccomp profile in place of the engine's, as JSON.
    pub seccomp: &'static str,
    /// Its files: their paths in the container that they are copied from, and their target directories.
    pub files: Vec<(&'static str, &'static str)>,
    /// Further files that sdbuild's own container images already have.
    pub tools: Vec<(&'static str, &'static str)>,
}

impl EntryWrapper {
    /// Wraps the program of `spec`.
    pub fn apply_to(&self, spec: &mut ContainerSpec) {
        spec.command = [&*self.command, &*spec.command].concat();
        spec.environment.extend(self.environment.iter().cloned());
        spec.seccomp = Some(self.seccomp);
    }

    /// Copies the files from `source` to `container`, which must not be started yet; with the tools if its image is
    /// `foreign`, which means not sdbuild's own.
    pub async fn copy_into(
        &self,
        source: &Container,
        container: &Container,
        foreign: bool,
    ) -> Result<(), EngineError> {
        let tools = self.tools.iter().filter(|_| foreign);
        for (path, dir) in self.files.iter().chain(tools) {
            container.copy_from(source, path, dir).await?;
        }
        Ok(())
    }
}
