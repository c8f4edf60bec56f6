use super::*;

fn engine(architecture: &str, rootless: bool, kernel: &str) -> EngineFacts {
    EngineFacts {
        architecture: architecture.into(),
        rootless,
        kernel: kernel.into(),
        ..EngineFacts::sound()
    }
}

const NEW: &str = "6.18.0";
/// Without tables of its own in a user namespace.
const OLD: &str = "6.6.12-arch1";

use EmulationChoice as Choice;

const PI: System = System::Aarch64Linux;
const PC: System = System::X8664Linux;

/// The mode that is chosen, and the one that is tried after it; the class of the failure where none is possible.
type Chosen = Result<(Emulation, Option<Emulation>), Class>;

const NATIVE: Chosen = Ok((Emulation::Native, None));
const HOST: Chosen = Ok((Emulation::Host, None));
const REGISTER: Chosen = Ok((Emulation::Register, Some(Emulation::Private)));
const REGISTER_OLD: Chosen = Ok((Emulation::Register, Some(Emulation::Host)));
const PRIVATE: Chosen = Ok((Emulation::Private, Some(Emulation::Host)));
const ASKED: Chosen = Ok((Emulation::Register, None));
const ASKED_PRIVATE: Chosen = Ok((Emulation::Private, None));
const IMPOSSIBLE: Chosen = Err(Class::Environment);

/// System, architecture of the engine's machine, whether the engine is rootless, its kernel, and what is requested.
const CASES: &[(System, &str, bool, &str, Choice, Chosen)] = &[
    (PI, "x86_64", false, NEW, Choice::Auto, REGISTER),
    (PC, "aarch64", false, NEW, Choice::Auto, REGISTER),
    (PI, "x86_64", true, NEW, Choice::Auto, PRIVATE),
    (PC, "aarch64", true, NEW, Choice::Auto, PRIVATE),
    (PI, "x86_64", false, OLD, Choice::Auto, REGISTER_OLD),
    (PI, "x86_64", true, OLD, Choice::Auto, HOST),
    (PI, "riscv64", false, NEW, Choice::Auto, IMPOSSIBLE),
    // What is requested is not replaced.
    (PI, "x86_64", false, NEW, Choice::Register, ASKED),
    (PI, "x86_64", false, NEW, Choice::Private, ASKED_PRIVATE),
    (PI, "x86_64", true, OLD, Choice::Host, HOST),
    (PI, "x86_64", true, NEW, Choice::Register, IMPOSSIBLE),
    (PI, "x86_64", false, OLD, Choice::Private, IMPOSSIBLE),
    (PI, "x86_64", false, NEW, Choice::None, Err(Class::Usage)),
    // There is nothing to emulate, whatever is requested.
    (PI, "aarch64", true, OLD, Choice::Auto, NATIVE),
    (PI, "aarch64", true, OLD, Choice::None, NATIVE),
    (PI, "aarch64", true, OLD, Choice::Register, NATIVE),
    (PI, "aarch64", true, OLD, Choice::Private, NATIVE),
    (PC, "x86_64", false, NEW, Choice::Host, NATIVE),
];

#[test]
fn the_mode_follows_the_engine_and_what_is_requested() {
    for &(system, machine, rootless, kernel, choice, expected) in CASES {
        let facts = engine(machine, rootless, kernel);
        let chosen = Emulation::choose(choice, system, &facts);
        let found = chosen.map(|mode| (mode, mode.otherwise(choice, &facts)));
        let found = found.map_err(|failure| {
            assert!(!failure.hints.is_empty(), "{failure}");
            failure.class
        });
        assert_eq!(found, expected, "{choice} for {system} on {machine}");
    }
}

#[test]
fn nothing_is_emulated_that_remote_builders_build() {
    use EmulationChoice::{Auto, None, Register};
    let line = |line: &str| vec![line.parse::<RemoteBuilder>().unwrap()];
    let covers = line("ssh://a@b aarch64-linux - - - big-parallel");
    let partly = line("ssh://a@b aarch64-linux");
    let choose = |builders: &[RemoteBuilder], choice, machine| {
        let facts = engine(machine, false, NEW);
        Emulation::choose_with(builders, choice, System::Aarch64Linux, &facts).unwrap()
    };
    assert_eq!(choose(&covers, Auto, "x86_64"), Emulation::Builders);
    assert_eq!(choose(&covers, None, "x86_64"), Emulation::Builders);
    assert_eq!(choose(&covers, Register, "x86_64"), Emulation::Register);
    assert_eq!(choose(&covers, Auto, "aarch64"), Emulation::Native);
    assert_eq!(choose(&partly, Auto, "x86_64"), Emulation::Register);
    assert_eq!(choose(&covers, Auto, "riscv64"), Emulation::Builders);
}

#[test]
fn only_auto_on_an_old_rootless_engine_is_a_last_resort() {
    let reason = |choice, kernel| {
        let facts = engine("x86_64", true, kernel);
        let mode = Emulation::choose(choice, System::Aarch64Linux, &facts).unwrap();
        mode.last_resort(choice, System::Aarch64Linux, &facts)
    };
    let failure = reason(EmulationChoice::Auto, OLD).unwrap();
    assert!(failure.others[0].to_string().contains(OLD), "{failure:?}");
    assert!(failure.hints[1].contains("qemu-aarch64"), "{failure:?}");
    assert!(reason(EmulationChoice::Host, OLD).is_none());
    assert!(reason(EmulationChoice::Auto, NEW).is_none());
}

#[test]
fn a_request_for_emulation_that_is_not_needed_is_noticed() {
    let system = System::Aarch64Linux;
    for (mode, choice, is_noticed) in [
        (Emulation::Native, EmulationChoice::Private, true),
        (Emulation::Native, EmulationChoice::Auto, false),
        (Emulation::Native, EmulationChoice::None, false),
        (Emulation::Private, EmulationChoice::Private, false),
    ] {
        assert_eq!(
            mode.unneeded(choice, system).is_some(),
            is_noticed,
            "{choice}"
        );
    }
}
