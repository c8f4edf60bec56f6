use super::*;
use sdbuild_core::failure::Class;

fn engine(architecture: &str, rootless: bool) -> EngineFacts {
    EngineFacts {
        architecture: architecture.into(),
        rootless,
        ..EngineFacts::sound()
    }
}

#[test]
fn auto_emulates_only_foreign_systems() {
    use EmulationChoice::Auto;
    let choose = |system, arch| Emulation::choose(Auto, system, &engine(arch, false)).unwrap();
    assert_eq!(choose(System::Aarch64Linux, "x86_64"), Emulation::Register);
    assert_eq!(choose(System::Aarch64Linux, "aarch64"), Emulation::Native);
    assert_eq!(choose(System::X8664Linux, "x86_64"), Emulation::Native);
    assert_eq!(choose(System::X8664Linux, "aarch64"), Emulation::Register);
}

#[test]
fn nothing_is_emulated_that_remote_builders_build() {
    use EmulationChoice::{Auto, None, Register};
    let line = |line: &str| vec![line.parse::<RemoteBuilder>().unwrap()];
    let covers = line("ssh://a@b aarch64-linux - - - big-parallel");
    let partly = line("ssh://a@b aarch64-linux");
    let pi = System::Aarch64Linux;
    let choose = |builders: &[RemoteBuilder], choice, machine| {
        Emulation::choose_with(builders, choice, pi, &engine(machine, false)).unwrap()
    };
    for choice in [Auto, None] {
        let chosen = choose(&covers, choice, "x86_64");
        assert_eq!(chosen, Emulation::Builders, "{choice}");
        assert!(!chosen.uses_handler());
    }
    assert_eq!(choose(&covers, Register, "x86_64"), Emulation::Register);
    assert_eq!(choose(&covers, Auto, "aarch64"), Emulation::Native);
    assert_eq!(choose(&partly, Auto, "x86_64"), Emulation::Register);
    assert_eq!(choose(&covers, Auto, "riscv64"), Emulation::Builders);
}

#[test]
fn native_systems_are_never_emulated() {
    use EmulationChoice::{Auto, Host, None, Private, Register};
    let (pi, native) = (System::Aarch64Linux, engine("aarch64", false));
    let old = EngineFacts {
        kernel: "6.6.12".into(),
        ..engine("aarch64", true)
    };
    for choice in [Auto, None, Register, Private, Host] {
        for engine in [&native, &old] {
            let chosen = Emulation::choose(choice, pi, engine).unwrap();
            assert_eq!(chosen, Emulation::Native, "{choice}");
        }
        let notice = Emulation::Native.unneeded(choice, pi);
        assert_eq!(notice.is_some(), !matches!(choice, Auto | None), "{choice}");
    }
    let notice = Emulation::Native.unneeded(Private, pi).unwrap();
    assert!(notice.contains("`private`") && notice.contains("runs aarch64-linux itself"));
    assert_eq!(Emulation::Private.unneeded(Private, pi), Option::None);
}

#[test]
fn refuses_impossible_choice_with_hint() {
    let refuse = |choice, system, engine: &EngineFacts| {
        let failure = Emulation::choose(choice, system, engine).unwrap_err();
        assert!(!failure.hints.is_empty());
        failure.class
    };
    let none = EmulationChoice::None;
    let auto = EmulationChoice::Auto;
    let pc = engine("x86_64", false);
    assert_eq!(refuse(none, System::Aarch64Linux, &pc), Class::Usage);
    assert_eq!(
        refuse(auto, System::X8664Linux, &engine("riscv64", false)),
        Class::Environment
    );
    let register = EmulationChoice::Register;
    assert_eq!(
        refuse(register, System::Aarch64Linux, &engine("x86_64", true)),
        Class::Environment
    );
}

#[test]
fn private_emulation_where_registering_is_impossible() {
    let (auto, private, pi) = (
        EmulationChoice::Auto,
        EmulationChoice::Private,
        System::Aarch64Linux,
    );
    let (rootful, rootless) = (engine("x86_64", false), engine("x86_64", true));
    let chosen = |choice, engine| Emulation::choose(choice, pi, engine).unwrap();
    assert_eq!(chosen(auto, &rootless), Emulation::Private);
    assert_eq!(chosen(private, &rootful), Emulation::Private);
    let other = |choice, engine| Emulation::Register.otherwise(choice, engine);
    assert_eq!(other(auto, &rootful), Some(Emulation::Private));
    assert_eq!(
        other(EmulationChoice::Register, &rootful),
        None,
        "as requested"
    );

    let old = |engine: &EngineFacts| EngineFacts {
        kernel: "6.6.12-arch1".into(),
        ..engine.clone()
    };
    assert_eq!(other(auto, &old(&rootful)), Some(Emulation::Host));
    let after_private = |choice| Emulation::Private.otherwise(choice, &rootless);
    assert_eq!(after_private(auto), Some(Emulation::Host));
    assert_eq!(after_private(private), None, "as requested");
    for engine in [old(&rootful), old(&rootless)] {
        let failure = Emulation::choose(private, pi, &engine).unwrap_err();
        assert!(failure.to_string().contains("6.7"), "{failure}");
    }
}

#[test]
fn programs_for_pcs_are_emulated_on_arm_in_every_mode() {
    let pc = System::X8664Linux;
    let (rootful, rootless) = (engine("aarch64", false), engine("aarch64", true));
    let chosen = |choice, engine| Emulation::choose(choice, pc, engine).unwrap();
    let auto = EmulationChoice::Auto;
    assert_eq!(chosen(auto, &rootful), Emulation::Register);
    assert_eq!(chosen(auto, &rootless), Emulation::Private);
    assert_eq!(
        chosen(EmulationChoice::Private, &rootful),
        Emulation::Private
    );
    assert_eq!(chosen(EmulationChoice::Host, &rootful), Emulation::Host);
    let other = Emulation::Register.otherwise(auto, &rootful);
    assert_eq!(other, Some(Emulation::Private));
    let old = EngineFacts {
        kernel: "6.6.12".into(),
        ..rootless.clone()
    };
    assert_eq!(chosen(auto, &old), Emulation::Host);
    let failure = Emulation::Host.last_resort(auto, pc, &old).unwrap();
    let hints = failure.hints.join("\n");
    assert!(
        hints.contains("register qemu-x86_64 in binfmt_misc"),
        "{hints}"
    );
    let failure = Emulation::choose(EmulationChoice::None, pc, &rootful).unwrap_err();
    assert_eq!(failure.class, Class::Usage);
}

#[test]
fn auto_tries_existing_handler_on_old_rootless_engine() {
    let pi = System::Aarch64Linux;
    let old = EngineFacts {
        kernel: "6.6.12-arch1".into(),
        ..engine("x86_64", true)
    };
    let chosen = |choice| Emulation::choose(choice, pi, &old);
    let auto = chosen(EmulationChoice::Auto).unwrap();
    assert_eq!(auto, Emulation::Host);
    let last_resort =
        |emulation: Emulation, choice, engine| emulation.last_resort(choice, pi, engine);
    let failure = last_resort(auto, EmulationChoice::Auto, &old).unwrap();
    assert!(failure.to_string().contains("rootless"));
    assert!(failure.others[0].to_string().contains("6.6.12"));
    assert!(failure.hints[0].contains("DOCKER_HOST"));
    assert!(failure.hints[1].contains("qemu-aarch64"));
    assert_eq!(auto.otherwise(EmulationChoice::Auto, &old), None);
    let asked = chosen(EmulationChoice::Host).unwrap();
    assert!(last_resort(asked, EmulationChoice::Host, &old).is_none());
    assert!(chosen(EmulationChoice::Register).is_err(), "as requested");
    let new = engine("x86_64", true);
    let private = Emulation::choose(EmulationChoice::Auto, pi, &new).unwrap();
    assert!(last_resort(private, EmulationChoice::Auto, &new).is_none());
}
