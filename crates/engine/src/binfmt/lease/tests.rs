use super::*;
use crate::RunId;
use sdbuild_core::system::Architecture;

/// In the words of the shell where the container's root is another user on the host.
#[test]
fn an_engine_without_root_cannot_register() {
    let run: RunId = "0123456789ab".parse().unwrap();
    let name = HandlerName::new(Architecture::Aarch64, &run);
    let why = "sh: can't create /binfmt_misc/register: Permission denied";
    let refused = |why| not_registered(&name, why, &EngineAddress::local_docker());
    assert!(refused(why).of_this_mode);
    let failure = refused(why).failure;
    assert!(failure.to_string().contains("Permission denied"));
    assert!(failure.hints[0].contains("maps users"), "{failure:?}");
    assert!(failure.hints[1].contains("rootful"), "{failure:?}");
    let other = refused("Invalid argument");
    assert!(!other.of_this_mode);
    assert_eq!(other.failure.hints, [""; 0]);
    assert!(refused("binfmt_misc is switched off").of_this_mode);
}

/// A private handler would take the engine's own programs as well.
#[test]
fn an_emulated_engine_gets_no_handler_of_another_kind() {
    let name = HandlerName::new(Architecture::X86_64, &"0123456789ab".parse().unwrap());
    let why = "the engine itself is emulated: its kernel is one for x86_64";
    let refused = not_registered(&name, why, &EngineAddress::local_docker());
    assert!(!refused.of_this_mode, "{refused:?}");
    let failure = refused.failure;
    assert!(failure.hints[0].contains("DOCKER_HOST"), "{failure:?}");
}
