use super::*;
use crate::RunId;
use sdbuild_core::system::Architecture;

#[test]
fn hints_at_the_command_that_switches_the_table_on() {
    let run: RunId = "0123456789ab".parse().unwrap();
    let hint = |address: &EngineAddress| {
        let why = "binfmt_misc is switched off";
        not_registered(&HandlerName::new(Architecture::Aarch64, &run), why, address).hints[0]
            .clone()
    };
    let switch = "sudo sh -c 'echo 1 > /proc/sys/fs/binfmt_misc/status'";
    assert_eq!(
        hint(&EngineAddress::local_docker()),
        format!("enable it with: {switch}")
    );
    let remote = hint(&EngineAddress::behind_ssh());
    assert!(remote.contains(&format!("ssh -t ssh://pi@board:2222 \"{switch}\"")));
}

/// In the words of the shell where the container's root is another user on the host.
#[test]
fn an_engine_without_root_cannot_register() {
    let run: RunId = "0123456789ab".parse().unwrap();
    let name = HandlerName::new(Architecture::Aarch64, &run);
    let why = "sh: can't create /binfmt_misc/register: Permission denied";
    let failure = not_registered(&name, why, &EngineAddress::local_docker());
    assert!(failure.to_string().contains("Permission denied"));
    assert!(failure.hints[0].contains("maps users"), "{failure:?}");
    assert!(failure.hints[1].contains("rootful"), "{failure:?}");
    let other = not_registered(&name, "Invalid argument", &EngineAddress::local_docker());
    assert!(other.hints.is_empty(), "{other:?}");
    assert!(failure.try_next_mode && !other.try_next_mode);
    assert!(
        not_registered(
            &name,
            "binfmt_misc is switched off",
            &EngineAddress::local_docker()
        )
        .try_next_mode
    );
}

/// A private handler would take the engine's own programs as well.
#[test]
fn an_emulated_engine_gets_no_handler_of_another_kind() {
    let name = HandlerName::new(Architecture::X86_64, &"0123456789ab".parse().unwrap());
    let why = "the engine itself is emulated: its kernel is one for x86_64";
    let failure = not_registered(&name, why, &EngineAddress::local_docker());
    assert!(!failure.try_next_mode, "{failure:?}");
    assert!(failure.hints[0].contains("DOCKER_HOST"), "{failure:?}");
}
