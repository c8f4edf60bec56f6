//! The engine, its machine, and how it would emulate.

use crate::common::build_mode::EmulationChoice;
use crate::pipeline::checks::check::Check;
use crate::pipeline::checks::machine::Machine;
use crate::pipeline::emulation::{Emulation, on_one_line};
use crate::pipeline::kernel_version::KernelVersion;
use sdbuild_core::text::alternatives;

/// The first kernel whose handlers have the flag `F`, without which containers do not see the emulator.
const FIX_BINARY: KernelVersion = KernelVersion::new(4, 8);

/// The check that names the engine.
pub(super) fn identity(machine: &Machine<'_>) -> Option<Check> {
    let engine = machine.engine?;
    let (major, minor) = engine.facts.api;
    let text = format!(
        "{} answers at {}, API {major}.{minor}",
        engine.facts.title(),
        engine.endpoint
    );
    Some(Check::good("engine", text))
}

/// Whether containers of the engine may write to the kernel's table of handlers.
pub(super) fn rights(machine: &Machine<'_>) -> Option<Check> {
    let topic = "rights";
    let facts = machine.engine?.facts;
    let qemu = machine.request.target.system.architecture().qemu_user();
    // An engine that maps users reports the option by its whole name.
    let maps_users = |option: &String| option.split(',').any(|word| word == "name=userns");
    Some(if facts.rootless {
        Check::good(
            topic,
            "the engine runs rootless and cannot register QEMU in the kernel's binfmt_misc",
        )
    } else if facts.desktop {
        Check::good(
            topic,
            "Docker Desktop may hide its kernel's binfmt_misc from containers: \
             `auto` then uses `private`, or the QEMU that Docker Desktop has registered",
        )
    } else if facts.security_options.iter().any(maps_users) {
        Check::warning(
            topic,
            "the engine maps its containers' users (`userns-remap`): their root may not register QEMU in binfmt_misc",
        )
        .remedy("give --emulation private (Linux 6.7 or later), which registers QEMU inside the builder only")
        .remedy(format!(
            "or let root register {qemu} in binfmt_misc and give --emulation host"
        ))
        .remedy("or run the engine without `userns-remap`")
    } else {
        Check::good(topic, "the engine runs as root, and this user may use it")
    })
}

/// Whether the engine runs containers of Linux.
pub(super) fn operating_system(machine: &Machine<'_>) -> Option<Check> {
    let os = machine.engine?.facts.os.as_str();
    let text = format!("the engine runs containers of {os}, not of Linux");
    let check = Check::bad("architecture", text)
        .remedy("switch it to Linux containers, or point DOCKER_HOST at another engine");
    (!is_linux(os)).then_some(check)
}

/// Whether there are container images for the engine's machine.
pub(super) fn architecture(machine: &Machine<'_>) -> Option<Check> {
    let topic = "architecture";
    let facts = machine.engine?.facts;
    if !is_linux(&facts.os) {
        return None;
    }
    Some(match facts.architecture.supported() {
        Ok(_) => Check::good(
            topic,
            format!("the engine's machine is {}", facts.architecture),
        ),
        Err(failure) => Check::failed(topic, &failure),
    })
}

/// Some engines do not report it.
fn is_linux(os: &str) -> bool {
    matches!(os, "linux" | "")
}

/// Whether the kernel of the engine's machine is new enough for emulation.
pub(super) fn kernel(machine: &Machine<'_>) -> Option<Check> {
    let topic = "kernel";
    let release = &machine.engine?.facts.kernel;
    let is_old = KernelVersion::of(release).is_some_and(|version| version < FIX_BINARY);
    if is_old && machine.may_emulate() {
        let text = format!(
            "emulation needs Linux {FIX_BINARY} or later, but the engine's kernel is {release}"
        );
        return Some(
            Check::bad(topic, text)
                .remedy("update the system that the engine runs on")
                .remedy("or point DOCKER_HOST at an engine on a newer machine"),
        );
    }
    Some(Check::good(topic, format!("Linux {release}")))
}

/// The values of `--emulation` that work, and first the one that the settings lead to.
pub(super) fn emulation_modes(machine: &Machine<'_>) -> Option<Check> {
    use EmulationChoice::{Host, None, Private, Register};
    let (facts, request) = (machine.engine?.facts, machine.request);
    let builders = &request.resources.builders.machines;
    let chosen = Emulation::choose_with(
        builders,
        request.target.emulation,
        request.target.system,
        facts,
    );
    let taken = EmulationChoice::from(chosen.ok()?);
    let works = |mode| {
        Emulation::choose(mode, request.target.system, facts)
            .is_ok_and(|chosen| EmulationChoice::from(chosen) == mode)
    };
    let modes = [None, Register, Private, Host].into_iter();
    let others: Vec<String> = modes
        .filter(|mode| *mode != taken && works(*mode))
        .map(|mode| format!("`{mode}`"))
        .collect();
    let more = if others.is_empty() {
        String::new()
    } else {
        format!("; {} would work too", alternatives(&others))
    };
    let text = format!("builds use `--emulation {taken}`{more}");
    Some(Check::detail("emulation modes", text))
}

/// How programs of the image run.
pub(super) fn emulation(machine: &Machine<'_>) -> Option<Check> {
    use EmulationChoice::{Auto, Host, None, Private, Register};
    let topic = "emulation";
    let (facts, request) = (machine.engine?.facts, machine.request);
    let builders = &request.resources.builders.machines;
    let chosen = Emulation::choose_with(
        builders,
        request.target.emulation,
        request.target.system,
        facts,
    );
    if chosen
        .as_ref()
        .is_ok_and(|chosen| *chosen == Emulation::Builders)
    {
        let text = format!("none: remote builders build for {}", request.target.system);
        return Some(Check::good(topic, text));
    }
    let chosen = match chosen {
        Ok(chosen) => chosen,
        Err(failure) => return Some(Check::failed(topic, &failure)),
    };
    let system = request.target.system;
    let text = match EmulationChoice::from(chosen) {
        Auto | Register => {
            format!("each build adds QEMU for {system} to the kernel, and removes it at its end")
        }
        Private => {
            format!("each build adds QEMU for {system} where only its container sees it")
        }
        Host => format!("the kernel has QEMU for {system} already"),
        None => format!("not needed, because the engine's machine runs {system} itself"),
    };
    let Some(failure) = chosen.last_resort(request.target.emulation, request.target.system, facts)
    else {
        return Some(Check::good(topic, text));
    };
    Some(Check {
        remedies: failure.hints.clone(),
        ..Check::warning(topic, format!("{text}: {}", on_one_line(&failure)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::checks::check::Verdict;
    use crate::pipeline::checks::machine::fixture::machine;
    use crate::pipeline::request::BuildRequest;
    use crate::pipeline::request::fixture::request;
    use sdbuild_core::system::System;
    use sdbuild_engine::{Endpoint, EngineFacts};

    type Case<'a> = (fn(&Machine<'_>) -> Option<Check>, &'a EngineFacts, Verdict);

    fn checked(
        check: impl Fn(&Machine<'_>) -> Option<Check>,
        facts: &EngineFacts,
        request: &BuildRequest,
    ) -> Option<Check> {
        let endpoint = Endpoint::Unix("/x".into());
        check(&machine(request, facts, &endpoint))
    }

    #[test]
    fn chosen_and_possible_modes_are_shown() {
        let facts = EngineFacts::sound();
        let text = checked(emulation, &facts, &request()).unwrap().text;
        let chosen =
            "each build adds QEMU for aarch64-linux to the kernel, and removes it at its end";
        assert_eq!(text, chosen);
        let native = EngineFacts {
            architecture: "aarch64".into(),
            ..facts
        };
        let text = checked(emulation, &native, &request()).unwrap().text;
        assert_eq!(
            text,
            "not needed, because the engine's machine runs aarch64-linux itself"
        );
        let mut for_pc = request();
        for_pc.target.system = System::X8664Linux;
        let modes = checked(emulation_modes, &native, &for_pc).unwrap();
        assert_eq!(
            modes.text,
            "builds use `--emulation register`; `private` or `host` would work too"
        );
        assert!(modes.is_detail);
    }

    #[test]
    fn every_problem_is_found_and_has_a_remedy() {
        let request = request();
        let rootless = EngineFacts {
            rootless: true,
            kernel: "6.6.12".into(),
            ..EngineFacts::sound()
        };
        let remapped = EngineFacts {
            security_options: vec!["name=userns".into()],
            ..EngineFacts::sound()
        };
        let windows = EngineFacts {
            os: "windows".into(),
            ..EngineFacts::sound()
        };
        let riscv = EngineFacts {
            architecture: "riscv64".into(),
            ..EngineFacts::sound()
        };
        let old = EngineFacts {
            kernel: "3.10.0-1160.el7".into(),
            ..EngineFacts::sound()
        };
        let cases: [Case<'_>; 6] = [
            (emulation, &rootless, Verdict::Warning),
            (rights, &remapped, Verdict::Warning),
            (operating_system, &windows, Verdict::Bad),
            (emulation, &riscv, Verdict::Bad),
            (architecture, &riscv, Verdict::Bad),
            (kernel, &old, Verdict::Bad),
        ];
        for (check, facts, verdict) in cases {
            let check = checked(check, facts, &request).unwrap();
            assert_eq!(check.verdict, verdict, "{check:?}");
            assert!(!check.remedies.is_empty(), "{check:?}");
        }
        assert_eq!(checked(architecture, &windows, &request), None);
    }

    #[test]
    fn kernel_matters_to_emulation_only() {
        let verdict = |kernel_release: &str, architecture: &str| {
            let facts = EngineFacts {
                kernel: kernel_release.into(),
                architecture: architecture.into(),
                ..EngineFacts::sound()
            };
            checked(kernel, &facts, &request()).unwrap()
        };
        let old = verdict("3.10.0-1160.el7", "x86_64");
        assert_eq!(old.verdict, Verdict::Bad);
        assert_eq!(
            old.text,
            "emulation needs Linux 4.8 or later, but the engine's kernel is 3.10.0-1160.el7"
        );
        assert_eq!(verdict("4.8", "x86_64").verdict, Verdict::Good);
        assert_eq!(verdict("strange", "x86_64").verdict, Verdict::Good);
        assert_eq!(verdict("3.10", "aarch64").verdict, Verdict::Good);
    }

    #[test]
    fn an_unreported_system_is_not_held_against_an_engine() {
        let unknown = EngineFacts {
            os: String::new(),
            ..EngineFacts::sound()
        };
        assert_eq!(checked(operating_system, &unknown, &request()), None);
    }
}
