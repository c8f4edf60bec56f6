//! How the image's architecture comes to run on the engine's machine. Pure.

use crate::engine::EngineFacts;
use crate::failure::Failure;
use crate::settings::{Emulate, System};

/// The emulation of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emulation {
    /// The engine's machine runs the system itself.
    Native,
    /// Our registrar adds a handler for the time of the run.
    Register,
    /// A handler that is there already.
    Host,
}

impl Emulation {
    /// Chooses by the engine's machine, never by the client's: the handler lives in its kernel.
    pub fn choose(choice: Emulate, system: System, engine: &EngineFacts) -> Result<Self, Failure> {
        let native = engine.architecture == system.architecture();
        let emulable = system == System::Aarch64Linux && engine.architecture == "x86_64";
        match choice {
            Emulate::Auto | Emulate::None if native => Ok(Self::Native),
            Emulate::None => Err(Failure::usage(format!(
                "--emulation none: the engine's machine is {}, the image is for {system}",
                engine.architecture
            ))
            .hint("leave --emulation away, or point DOCKER_HOST at a native engine")),
            Emulate::Host => Ok(Self::Host),
            Emulate::Auto | Emulate::Register if !emulable => Err(Failure::environment(format!(
                "sdbuild cannot emulate {system} on the engine's machine, which is {}",
                engine.architecture
            ))
            .hint("point DOCKER_HOST at an engine on a machine of that architecture")
            .hint("or give --emulation host when a handler for it is there already")),
            Emulate::Auto | Emulate::Register if engine.rootless => Err(Failure::environment(
                "the engine runs rootless: it cannot add a handler to the kernel",
            )
            .hint("point DOCKER_HOST at a rootful engine")
            .hint("or let root register a qemu-aarch64 handler and give --emulation host")),
            Emulate::Auto | Emulate::Register => Ok(Self::Register),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Class;

    fn engine(architecture: &str, rootless: bool) -> EngineFacts {
        EngineFacts {
            name: "here".into(),
            version: "20.10".into(),
            api: (1, 41),
            os: "linux".into(),
            architecture: architecture.into(),
            rootless,
            podman: false,
            kernel: "6.18".into(),
            memory: 1,
            cpus: 1,
            security_options: Vec::new(),
            root_dir: String::new(),
        }
    }

    #[test]
    fn auto_emulates_only_what_the_machine_cannot_run() {
        use Emulate::Auto;
        let choose = |system, arch| Emulation::choose(Auto, system, &engine(arch, false)).unwrap();
        assert_eq!(choose(System::Aarch64Linux, "x86_64"), Emulation::Register);
        assert_eq!(choose(System::Aarch64Linux, "aarch64"), Emulation::Native);
        assert_eq!(choose(System::X8664Linux, "x86_64"), Emulation::Native);
    }

    #[test]
    fn what_cannot_work_is_refused_with_a_way_out() {
        let refuse = |choice, system, engine: &EngineFacts| {
            let failure = Emulation::choose(choice, system, engine).unwrap_err();
            assert!(!failure.hints.is_empty());
            failure.class
        };
        let none = Emulate::None;
        let auto = Emulate::Auto;
        let pc = engine("x86_64", false);
        assert_eq!(refuse(none, System::Aarch64Linux, &pc), Class::Usage);
        assert_eq!(
            refuse(auto, System::X8664Linux, &engine("aarch64", false)),
            Class::Environment
        );
        assert_eq!(
            refuse(auto, System::Aarch64Linux, &engine("x86_64", true)),
            Class::Environment
        );
    }
}
