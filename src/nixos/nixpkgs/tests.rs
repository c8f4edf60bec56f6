use super::super::tar_writer::Owner;
use super::*;

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
    for text in ["", "master", "26.05; rm", "26"] {
        let refused = text.parse::<Nixpkgs>().unwrap_err();
        assert!(refused.hints[0].starts_with("give a release"), "{text}");
    }
    for text in ["2605", "26.5"] {
        let refused = text.parse::<Nixpkgs>().unwrap_err();
        assert_eq!(refused.hints, ["did you mean 26.05?"], "{text}");
    }
    for (text, given) in [
        ("github:NixOS/nixpkgs/nixos-25.11", "--nixpkgs 25.11"),
        ("channel:nixos-unstable", "--nixpkgs unstable"),
        (
            "github:me/nixpkgs/fix",
            "--nixpkgs https://github.com/me/nixpkgs/archive/fix.tar.gz",
        ),
        (
            "github:NixOS/nixpkgs",
            "--nixpkgs https://github.com/NixOS/nixpkgs/archive/master.tar.gz",
        ),
        (
            "github:me/nixpkgs/nixos-25.11",
            "--nixpkgs https://github.com/me/nixpkgs/archive/nixos-25.11.tar.gz",
        ),
    ] {
        let refused = text.parse::<Nixpkgs>().unwrap_err();
        assert!(refused.hints[0].ends_with(given), "{refused:?}");
    }
}

#[test]
fn months_without_a_release_are_refused() {
    for (text, given) in [
        ("25.13", ": --nixpkgs 25.05 or --nixpkgs 25.11"),
        (
            "nixos-24.10-small",
            ": --nixpkgs 24.05-small or --nixpkgs 24.11-small",
        ),
        ("26.10", ": --nixpkgs 26.05"),
        ("30.00", ": --nixpkgs 26.05"),
        ("20.13", "such as --nixpkgs 26.05"),
    ] {
        let refused = text.parse::<Nixpkgs>().unwrap_err();
        assert!(refused.to_string().ends_with("is not a release of NixOS"));
        assert!(refused.hints[0].ends_with(given), "{refused:?}");
    }
    for text in ["14.12", "20.09", "21.05", "27.11", "unstable-small"] {
        assert!(text.parse::<Nixpkgs>().is_ok(), "{text}");
    }
}

#[test]
fn pages_are_no_archives() {
    for (url, given) in [
        ("https://github.com/NixOS/nixpkgs", "--nixpkgs 26.05"),
        ("http://www.github.com/nixos/nixpkgs.git", "--nixpkgs 26.05"),
        (
            "https://github.com/me/fork/",
            "--nixpkgs https://github.com/me/fork/archive/HEAD.tar.gz",
        ),
        (
            "https://github.com/NixOS/nixpkgs/tree/nixos-25.11",
            "--nixpkgs 25.11",
        ),
        (
            "https://github.com/NixOS/nixpkgs/commit/8f1e",
            "--nixpkgs https://github.com/NixOS/nixpkgs/archive/8f1e.tar.gz",
        ),
        (
            "https://channels.nixos.org/nixos-unstable",
            "--nixpkgs unstable",
        ),
        ("https://nixos.org/channels/nixos-25.11/", "--nixpkgs 25.11"),
    ] {
        let refused = url.parse::<Nixpkgs>().unwrap_err();
        assert!(refused.hints[0].ends_with(given), "{refused:?}");
        let (_, given) = refused.hints[0].rsplit_once(' ').unwrap();
        assert!(given.parse::<Nixpkgs>().is_ok(), "{given}");
    }
    for url in [
        "https://github.com/NixOS/nixpkgs/archive/nixos-25.11.tar.gz",
        "https://github.com/NixOS/nixpkgs/tarball/master",
        "https://github.com/me/fork/releases/download/1/n.tar.xz",
        "https://channels.nixos.org/nixos-25.11/nixexprs.tar.xz",
        "https://example.org/me/nixpkgs",
        "https://github.com/me/nixpkgs/blob/feat/x/a.nix",
        "me/github.com/nixpkgs",
    ] {
        assert!(url.parse::<Nixpkgs>().is_ok(), "{url}");
    }
}

#[test]
fn other_addresses_of_pages_name_a_release_or_archive() {
    for (text, given) in [
        (
            "https://channels.nixos.org/nixpkgs-unstable",
            "--nixpkgs https://channels.nixos.org/nixpkgs-unstable/nixexprs.tar.xz",
        ),
        (
            "https://nixos.org/channels/nixos-25.13",
            "--nixpkgs 25.05 or --nixpkgs 25.11",
        ),
        (
            "https://github.com/NixOS/nixpkgs/tree/nixos-25.13",
            "--nixpkgs 25.05 or --nixpkgs 25.11",
        ),
        (
            "github:NixOS/nixpkgs/25.13",
            "--nixpkgs 25.05 or --nixpkgs 25.11",
        ),
        ("https://GitHub.com/NixOS/nixpkgs", "--nixpkgs 26.05"),
        ("github.com/NixOS/nixpkgs", "--nixpkgs 26.05"),
        (
            "https://github.com/NixOS/nixpkgs?ref=nixos-25.11",
            "--nixpkgs 25.11",
        ),
        (
            "https://github.com/NixOS/nixpkgs/commits/nixos-25.11",
            "--nixpkgs 25.11",
        ),
        (
            "https://github.com/NixOS/nixpkgs/blob/nixos-25.11/lib/a.nix",
            "--nixpkgs 25.11",
        ),
        (
            "https://github.com/NixOS/nixpkgs/releases/tag/25.11",
            "--nixpkgs https://github.com/NixOS/nixpkgs/archive/25.11.tar.gz",
        ),
    ] {
        let refused = text.parse::<Nixpkgs>().unwrap_err();
        assert!(refused.hints[0].ends_with(given), "{refused:?}");
    }
}

#[test]
fn the_miniature_is_known_by_its_files() {
    let real = tempfile::tempdir().unwrap();
    std::fs::create_dir(real.path().join("nixos")).unwrap();
    std::fs::write(real.path().join("nixos/default.nix"), "{}").unwrap();
    let miniature = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mini-nixpkgs");
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
    // Headers of two directories and a file, its content, and the end.
    let size = 4 * 512 + 1024;
    assert_eq!((tree.size(), tree.name().len()), (size, 69));
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
