//! Whether Nix can run in the container image that the user named with `--builder-image`.

use crate::common::build_mode::EmulationChoice;
use crate::nixos::builder::BuilderImage;
use crate::pipeline::emulation::Emulation;
use crate::pipeline::request::BuildRequest;
use sdbuild_core::event::Events;
use sdbuild_core::failure::Failure;
use sdbuild_core::shell_word::quoted;
use sdbuild_core::system::{Architecture, System};
use sdbuild_engine::{Engine, EngineAddress, EngineFacts, ImageInfo};

/// Fails when Nix cannot run in `image`, which the user calls `name`, on this engine and in the way of
/// emulation that was chosen.
pub(super) fn check_foreign(
    image: &ImageInfo,
    name: &str,
    engine: &Engine,
    emulation: Emulation,
    request: &BuildRequest,
) -> Result<(), Failure> {
    check_architecture(image, name, engine.facts(), &engine.address())?;
    check_user(
        image,
        emulation,
        request.target.emulation,
        request.target.system,
    )
}

/// Fails when `image` is certainly for another architecture than the engine's.
fn check_architecture(
    image: &ImageInfo,
    name: &str,
    engine: &EngineFacts,
    address: &EngineAddress,
) -> Result<(), Failure> {
    let machine = &engine.architecture;
    let Some(other) = image.architecture.as_ref().filter(|its| *its != machine) else {
        return Ok(());
    };
    let platform = machine.supported().map_or("", Architecture::debian_name);
    Err(Failure::usage(format!(
        "the builder image {name} is for {other}, but the engine's machine is {machine}"
    ))
    .hint(format!(
        "pull it for that machine: `{} pull --platform linux/{platform} {}`",
        address.client(),
        quoted(name)
    ))
    .hint("or name another one with --builder-image"))
}

/// Fails when the user asked for private emulation, and `image` runs as root. In `auto` mode another way of
/// emulation is tried later.
fn check_user(
    image: &ImageInfo,
    emulation: Emulation,
    choice: EmulationChoice,
    system: System,
) -> Result<(), Failure> {
    let is_root = BuilderImage::foreign(image, &Events::none()).is_root();
    if is_root && emulation == Emulation::Private && choice == EmulationChoice::Private {
        return Err(Emulation::refused_to_root(choice, system));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sdbuild_core::failure::Class;
    use sdbuild_core::system::ReportedArchitecture;

    fn image(architecture: Option<&str>, user: Option<&str>) -> ImageInfo {
        ImageInfo {
            architecture: architecture.map(ReportedArchitecture::from),
            ..ImageInfo::of_user(user)
        }
    }

    #[test]
    fn refuses_image_of_another_architecture() {
        let engine = EngineFacts::sound();
        let check = |architecture| {
            let image = image(architecture, Some("1000"));
            check_architecture(&image, "nixos/nix", &engine, &EngineAddress::local_docker())
        };
        check(Some("x86_64")).unwrap();
        check(None).unwrap();
        let failure = check(Some("aarch64")).unwrap_err();
        assert_eq!(failure.class, Class::Usage);
        let text = failure.to_string();
        assert!(
            text.contains("nixos/nix is for aarch64, but the engine's machine is x86_64"),
            "{text}"
        );
        let hint = "`docker pull --platform linux/amd64 nixos/nix`";
        assert!(failure.hints[0].contains(hint), "{failure:?}");
    }

    #[test]
    fn refuses_root_only_if_private_emulation_is_requested() {
        let system = System::Aarch64Linux;
        let check = |user, choice, emulation| {
            check_user(&image(Some("x86_64"), user), emulation, choice, system)
        };
        let (private, auto) = (EmulationChoice::Private, EmulationChoice::Auto);
        let failure = check(None, private, Emulation::Private).unwrap_err();
        assert_eq!(failure.class, Class::Usage);
        assert!(!failure.hints.join(" ").contains("private"), "{failure:?}");
        check(Some("1000"), private, Emulation::Private).unwrap();
        check(None, auto, Emulation::Private).unwrap();
        // Nothing is emulated.
        check(None, private, Emulation::Native).unwrap();
        let failure = Emulation::refused_to_root(auto, system);
        assert!(failure.try_next_mode && failure.class == Class::Environment);
        assert!(
            !failure.hints.join(" ").contains("--emulation"),
            "{failure:?}"
        );
    }
}
