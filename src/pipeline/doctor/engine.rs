//! The engine, its machine, and how it would emulate.

use crate::common::build_mode::EmulationChoice;
use crate::common::failure::Failure;
use crate::common::human_bytes::human_bytes;
use crate::engine::{Engine, EngineFacts};
use crate::pipeline::doctor::Check;
use crate::pipeline::emulation::{Emulation, on_one_line};
use crate::pipeline::plan::base_on;
use crate::pipeline::preflight::{FIX_BINARY, version};
use crate::settings;

/// Evaluating a NixOS system takes 1 to 2 GB, and a compiler beside it as much again.
const ENOUGH_MEMORY: u64 = 4_000_000_000;
/// Below this not even the evaluation ends.
const LEAST_MEMORY: u64 = 1_000_000_000;

/// What the engine told about itself and its machine.
pub(super) fn checks(engine: &Engine, settings: &settings::Build) -> Vec<Check> {
    let facts = engine.facts();
    let (major, minor) = facts.api;
    let found = format!(
        "{} answers at {}, API {major}.{minor}",
        facts.title(),
        engine.endpoint()
    );
    vec![
        Check::good("engine", found),
        rights(facts),
        architecture(facts),
        kernel(facts),
        emulation(facts, settings),
        memory(facts, settings),
    ]
}

fn rights(facts: &EngineFacts) -> Check {
    let topic = "rights";
    // An engine that maps users says so by the option's whole name.
    let maps_users = |option: &String| option.split(',').any(|word| word == "name=userns");
    if facts.rootless {
        Check::good(
            topic,
            "the engine runs rootless: it can add no handler to the kernel",
        )
    } else if facts.desktop {
        Check::good(
            topic,
            "Docker Desktop may keep the table of its virtual machine's kernel from containers: `auto` then \
             goes on with `private`, or with the handler that Docker Desktop has there",
        )
    } else if facts.security_options.iter().any(maps_users) {
        Check::warning(
            topic,
            "the engine maps its containers' users: their root may not write to the kernel's table",
        )
        .remedy("give --emulation private (Linux 6.7 or later), which needs no table of the host")
        .remedy("or let root register a qemu-aarch64 handler and give --emulation host")
        .remedy("or run the engine without `userns-remap`")
    } else {
        Check::good(topic, "the engine runs as root, and this user may use it")
    }
}

fn architecture(facts: &EngineFacts) -> Check {
    let topic = "architecture";
    let known = facts.architecture.supported();
    if facts.os != "linux" {
        let text = format!("the engine runs containers for {}, not for Linux", facts.os);
        return Check::bad(topic, text).remedy("switch the engine to Linux containers");
    }
    match known {
        Ok(_) => Check::good(
            topic,
            format!("the engine's machine is {}", facts.architecture),
        ),
        Err(failure) => Check::failed(topic, &failure),
    }
}

fn kernel(facts: &EngineFacts) -> Check {
    let topic = "kernel";
    let text = format!("Linux {}", facts.kernel);
    match version(&facts.kernel) {
        Some(version) if version >= FIX_BINARY => Check::good(topic, text),
        Some(_) => {
            let (major, minor) = FIX_BINARY;
            Check::bad(topic, format!("{text} is older than {major}.{minor}"))
                .remedy("update the system that the engine runs on")
        }
        None => Check::warning(topic, format!("{text}: a version that cannot be compared")),
    }
}

/// The modes that are possible, and the one that the settings lead to.
fn emulation(facts: &EngineFacts, settings: &settings::Build) -> Check {
    use EmulationChoice::{Auto, Host, None, Private, Register};
    let topic = "emulation";
    let choose = |choice| Emulation::choose(choice, settings.system, facts);
    let taken = match choose(settings.emulation) {
        Ok(taken) => taken,
        Err(failure) => return Check::failed(topic, &failure),
    };
    let last_resort = taken.last_resort(settings.emulation, facts);
    let taken = EmulationChoice::from(taken);
    let possible = [None, Register, Private].into_iter();
    let works = |mode| choose(mode).is_ok_and(|taken| EmulationChoice::from(taken) == mode);
    let possible = possible.filter(|mode| works(*mode));
    let mut possible: Vec<_> = possible.map(|mode| mode.to_string()).collect();
    if works(Host) {
        possible.push("host (with a handler that is there)".to_owned());
    }
    let possible = possible.join(", ");
    let how = match settings.emulation {
        Auto => "auto takes",
        Register | Private | Host | None => "the settings take",
    };
    let text = format!(
        "{how} `{taken}` for {}; possible: {possible}",
        settings.system
    );
    let Some(failure) = last_resort else {
        return Check::good(topic, text);
    };
    Check {
        remedies: failure.hints.clone(),
        ..Check::warning(topic, format!("{text}: {}", on_one_line(&failure)))
    }
}

fn memory(facts: &EngineFacts, settings: &settings::Build) -> Check {
    let topic = "memory";
    let limit = settings.memory.unwrap_or(facts.memory);
    let memory = limit.min(facts.memory);
    let text = format!(
        "{} for the builder, {} cores",
        human_bytes(memory),
        facts.cpus
    );
    let remedy = if limit < facts.memory {
        "raise memory-mib in sdbuild.toml"
    } else {
        "give the engine's machine more memory or swap"
    };
    match memory {
        0 => Check::warning(topic, "the engine does not tell its memory"),
        1..LEAST_MEMORY => Check::bad(topic, text).remedy(remedy),
        LEAST_MEMORY..ENOUGH_MEMORY => Check::warning(topic, text)
            .remedy(remedy)
            .remedy("or build less at a time: --jobs 1 --cores 1"),
        _ => Check::good(topic, text),
    }
}

/// Whether the engine holds every container image, or this machine all that they are made of.
pub(super) async fn lacks_no_package(
    engine: &Engine,
    settings: &settings::Build,
) -> Result<bool, Failure> {
    let taken = Emulation::choose(settings.emulation, settings.system, engine.facts())?;
    let base = base_on(engine.clone(), taken, settings).await?;
    Ok(base.missing.packages == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::doctor::Verdict;

    fn settings() -> settings::Build {
        let env = settings::Environment {
            home: Some("/nonexistent".into()),
            ..settings::Environment::default()
        };
        settings::Build::resolve(&crate::cli::Build::default(), &env).unwrap()
    }

    #[test]
    fn a_sound_machine_is_good_throughout() {
        let (facts, settings) = (EngineFacts::sound(), settings());
        for check in [
            rights(&facts),
            architecture(&facts),
            kernel(&facts),
            emulation(&facts, &settings),
            memory(&facts, &settings),
        ] {
            assert_eq!(check.verdict, Verdict::Good, "{check:?}");
            assert!(check.remedies.is_empty(), "{check:?}");
        }
        let said = emulation(&facts, &settings).text;
        assert!(
            said.starts_with("auto takes `register` for aarch64-linux"),
            "{said}"
        );
        let native = EngineFacts {
            architecture: "aarch64".into(),
            ..facts
        };
        let said = emulation(&native, &settings).text;
        assert_eq!(said, "auto takes `none` for aarch64-linux; possible: none");
    }

    #[test]
    fn whatever_is_wrong_is_found_and_has_a_remedy() {
        let settings = settings();
        let small = |memory| EngineFacts {
            memory,
            ..EngineFacts::sound()
        };
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
        for (check, verdict) in [
            (memory(&small(500_000_000), &settings), Verdict::Bad),
            (memory(&small(2_000_000_000), &settings), Verdict::Warning),
            (emulation(&rootless, &settings), Verdict::Warning),
            (rights(&remapped), Verdict::Warning),
            (architecture(&windows), Verdict::Bad),
            (emulation(&riscv, &settings), Verdict::Bad),
            (kernel(&old), Verdict::Bad),
        ] {
            assert_eq!(check.verdict, verdict, "{check:?}");
            assert!(!check.remedies.is_empty(), "{check:?}");
        }
        assert_eq!(architecture(&riscv).verdict, Verdict::Bad);
    }
}
