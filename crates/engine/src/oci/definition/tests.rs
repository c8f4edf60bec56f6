use super::*;
use crate::oci::ExtraFileContent;

type Make = fn(Architecture, Option<&Path>) -> Result<Definition, Failure>;
const ALL: [Make; 4] = [
    Definition::registrar,
    Definition::builder,
    Definition::emulator,
    Definition::card,
];

#[test]
fn built_in_locks_are_valid() {
    for architecture in [Architecture::X86_64, Architecture::Aarch64] {
        for make in ALL {
            let definition = make(architecture, None).unwrap();
            assert_eq!(definition.lock.architecture, architecture.debian_name());
        }
        let registrar = Definition::registrar(architecture, None).unwrap();
        let [probe, qemu] = &registrar.lock.contents[..] else {
            panic!("{registrar:?}")
        };
        let emulated = architecture.emulates();
        let name = emulated.kernel_name();
        assert_eq!(qemu.path, format!("usr/bin/qemu-{name}"));
        assert_eq!(
            registrar.content_path(&qemu.package),
            Some(&*format!("sdbuild/qemu-{name}"))
        );
        assert_eq!(probe.path, "usr/bin/busybox");
        let package = format!("busybox-static:{}", emulated.debian_name());
        assert_eq!(probe.package, package);
        assert_eq!(
            registrar.content_path(&probe.package),
            Some(&*format!("sdbuild/busybox-{name}"))
        );
    }
}

#[test]
fn digest_depends_on_what_determines_the_image() {
    let base = Definition::registrar(Architecture::X86_64, None).unwrap();
    let changes: [fn(&mut Definition); 9] = [
        |d| d.content_paths = &[("qemu-user", "elsewhere")],
        |d| d.role = Role::Builder,
        |d| d.architecture = Architecture::Aarch64,
        |d| d.lock.packages[0].sha256 = Sha256Hash::of(b"x"),
        |d| d.lock.contents[0].sha256 = Sha256Hash::of(b"x"),
        |d| d.extras.push(ExtraFile::file("x", 0o644, "y")),
        |d| d.extras[0].mode = 0o600,
        |d| d.extras[0].content = ExtraFileContent::Dir,
        |d| d.defaults.user = "1:1".to_owned(),
    ];
    let mut digests = vec![base.digest()];
    for change in changes {
        let mut other = base.clone();
        change(&mut other);
        digests.push(other.digest());
    }
    let mut moved = base.clone();
    moved.lock.packages[0].path = "pool/elsewhere.deb".to_owned();
    moved.lock.snapshot = "20300101T000000Z".to_owned();
    assert_eq!(moved.digest(), base.digest());
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), 1 + changes.len());
}

#[test]
fn reference_and_labels_have_role_and_digest() {
    let builder = Definition::builder(Architecture::X86_64, None).unwrap();
    let digest = builder.digest().to_string();
    assert_eq!(
        builder.reference(),
        format!("sdbuild/builder:{}", digest.split_at(12).0)
    );
    let [definition, role] = builder.labels();
    assert_eq!(definition, ("dev.sdbuild.definition", digest));
    assert_eq!(role, ("dev.sdbuild.role", "builder".to_owned()));
}

#[test]
fn lock_that_is_a_pipe_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("builder")).unwrap();
    let lock = dir.path().join("builder/arm64.lock.json");
    nix::unistd::mkfifo(&lock, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let failure = Definition::builder(Architecture::Aarch64, Some(dir.path())).unwrap_err();
    assert!(
        failure.to_string().contains("not a plain file"),
        "{failure}"
    );
}

#[test]
fn locks_are_read_from_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let failure = Definition::builder(Architecture::X86_64, Some(dir.path())).unwrap_err();
    assert!(
        failure.to_string().contains("builder/amd64.lock.json"),
        "{failure}"
    );
    std::fs::create_dir(dir.path().join("builder")).unwrap();
    let lock = dir.path().join("builder/amd64.lock.json");
    let text = |architecture| {
        format!(r#"{{"schema":1,"architecture":"{architecture}","snapshot":"x","packages":[]}}"#)
    };
    std::fs::write(&lock, text("arm64")).unwrap();
    let failure = Definition::builder(Architecture::X86_64, Some(dir.path())).unwrap_err();
    assert!(failure.to_string().ends_with("is for arm64"), "{failure}");
    std::fs::write(&lock, text("amd64")).unwrap();
    let renewed = Definition::builder(Architecture::X86_64, Some(dir.path())).unwrap();
    let built_in = Definition::builder(Architecture::X86_64, None).unwrap();
    assert_ne!(renewed.digest(), built_in.digest());
}

#[test]
fn its_image_has_the_program_and_authorities_only() {
    for architecture in [Architecture::X86_64, Architecture::Aarch64] {
        let tool = Definition::tool(architecture, b"ELF".to_vec(), "1.2.3", None).unwrap();
        let names: Vec<_> = tool.lock.packages.iter().map(|pin| &pin.name).collect();
        assert_eq!(names, [AUTHORITIES]);
        assert_eq!(tool.reference(), "sdbuild:1.2.3");
        assert_eq!(tool.image_labels(), []);
        assert_eq!(tool.defaults.entrypoint, ["/usr/bin/sdbuild"]);
    }
}
