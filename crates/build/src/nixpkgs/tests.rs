use super::*;
use crate::tar_writer::Owner;

#[test]
fn parses_directories_urls_and_releases() {
    let of = |text: &str| text.parse::<Nixpkgs>().unwrap();
    for (text, release) in [
        ("26.05", "26.05"),
        ("nixos-26.05", "26.05"),
        ("unstable", "unstable"),
        ("26.05-small", "26.05-small"),
    ] {
        let requested = Requested::Release(release.into());
        assert_eq!(of(text), Nixpkgs::Remote(requested));
    }
    assert_eq!(
        of("https://a/b.tar.xz"),
        Nixpkgs::Remote(Requested::Url("https://a/b.tar.xz".into()))
    );
    assert_eq!(of("./nixpkgs"), Nixpkgs::Dir("./nixpkgs".into()));
    assert_eq!(of("/x/nixpkgs"), Nixpkgs::Dir("/x/nixpkgs".into()));
    for text in [
        "",
        "master",
        "26.05; rm",
        "26",
        "github:NixOS/nixpkgs/nixos-25.11",
    ] {
        let refused = text.parse::<Nixpkgs>().unwrap_err();
        assert!(refused.hints[0].starts_with("give a release"), "{text}");
    }
    for url in [
        "https://github.com/NixOS/nixpkgs/archive/nixos-25.11.tar.gz",
        "https://github.com/me/fork/releases/download/1/n.tar.xz",
        "https://channels.nixos.org/nixos-25.11/nixexprs.tar.xz",
        "https://example.org/me/nixpkgs",
        "me/github.com/nixpkgs",
    ] {
        assert!(url.parse::<Nixpkgs>().is_ok(), "{url}");
    }
}

#[test]
fn the_miniature_is_known_by_its_files() {
    let real = tempfile::tempdir().unwrap();
    std::fs::create_dir(real.path().join("nixos")).unwrap();
    std::fs::write(real.path().join("nixos/default.nix"), "{}").unwrap();
    let miniature = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/mini-nixpkgs");
    assert!(Nixpkgs::Dir(miniature).is_miniature());
    assert!(!Nixpkgs::Dir(real.path().into()).is_miniature());
    assert!(!"26.05".parse::<Nixpkgs>().unwrap().is_miniature());
}

async fn dir_of(root: &Path) -> Result<LocalNixpkgs, Failure> {
    let hashes = root.join(".git/hashes");
    LocalNixpkgs::dir(root, hashes, &Cancel::new()).await
}

#[tokio::test]
async fn a_directory_must_be_a_nixpkgs() {
    let dir = tempfile::tempdir().unwrap();
    let failure = dir_of(dir.path()).await.unwrap_err();
    assert_eq!(failure.class, sdbuild_core::failure::Class::Usage);
    std::fs::create_dir(dir.path().join("nixos")).unwrap();
    std::fs::write(dir.path().join("nixos/default.nix"), "{}").unwrap();
    let tree = dir_of(dir.path()).await.unwrap();
    // Bytes of `nix-store --dump`.
    assert_eq!((tree.size(), tree.name().len()), (464, 69));
}

#[tokio::test]
async fn a_changed_directory_is_not_uploaded() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("nixos")).unwrap();
    std::fs::write(dir.path().join("nixos/default.nix"), "{}").unwrap();
    let tree = dir_of(dir.path()).await.unwrap();
    let pack = |tree: &LocalNixpkgs| {
        let mut out = Vec::new();
        let mut writer = TarWriter::new(
            &mut out,
            Owner {
                uid: 1000,
                gid: 1000,
            },
        );
        tree.pack(&mut writer, "incoming", &Cancel::new())
    };
    pack(&tree).unwrap();
    std::fs::write(dir.path().join("nixos/default.nix"), "[]").unwrap();
    assert!(pack(&tree).unwrap_err().to_string().contains("changed"));
}
