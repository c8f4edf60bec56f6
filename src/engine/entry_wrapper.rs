//! What a container's program is put into: a few files, a program that comes before its own, and what
//! both may ask of the kernel.

use crate::engine::container::Container;
use crate::engine::error::EngineError;
use crate::engine::spec::ContainerSpec;

/// Something around the program of a container, whatever image that container has.
#[derive(Clone, Debug)]
pub struct EntryWrapper {
    /// Program and first arguments; the container's own command follows.
    pub command: Vec<String>,
    /// What it needs to know.
    pub environment: Vec<(String, String)>,
    /// The seccomp profile in place of the engine's.
    pub seccomp: &'static str,
    /// What it is made of: paths in a container that has them, and the directories that they are put into.
    pub files: Vec<(&'static str, &'static str)>,
    /// What it needs besides, and container images of ours have.
    pub tools: Vec<(&'static str, &'static str)>,
}

impl EntryWrapper {
    /// Puts the program of `spec` into it.
    pub fn apply_to(&self, spec: &mut ContainerSpec) {
        spec.command = [&*self.command, &*spec.command].concat();
        spec.environment.extend(self.environment.iter().cloned());
        spec.seccomp = Some(self.seccomp);
    }

    /// Brings the files from `source` to `container`, before that is started.
    pub async fn copy_into(
        &self,
        (source, container): (&Container, &Container),
        foreign: bool,
    ) -> Result<(), EngineError> {
        let tools = self.tools.iter().filter(|_| foreign);
        for (path, dir) in self.files.iter().chain(tools) {
            container.take((source, path), dir).await?;
        }
        Ok(())
    }
}
