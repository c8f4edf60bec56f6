//! Which files of a directory are uploaded, and how links and special files are treated.

mod packing;

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Mutex;

use super::*;
use crate::configuration::Configuration;
use sdbuild_core::event::Event;
use sdbuild_core::failure::Class;

struct Dir(tempfile::TempDir);

impl Dir {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            let path = dir.0.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    fn collect(&self) -> Result<ConfigDir, Failure> {
        self.collect_with_events().0
    }

    fn collect_with_events(&self) -> (Result<ConfigDir, Failure>, Vec<Event>) {
        let received = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&received);
        let events = Events::new(move |event| sink.lock().unwrap().push(event));
        let configuration = Configuration::open(&self.0.path().join("sd-card.nix"), None).unwrap();
        let config_dir = configuration.collect(&Cancel::new(), &events);
        let received = received.lock().unwrap().clone();
        (config_dir, received)
    }

    fn names(&self) -> Vec<String> {
        self.names_beside("sd-card.nix", None)
    }

    fn names_beside(&self, file: &str, home: Option<&Path>) -> Vec<String> {
        let configuration = Configuration::open(&self.0.path().join(file), home).unwrap();
        let collected = configuration.collect(&Cancel::new(), &Events::none());
        let entries = collected.unwrap().entries.into_iter();
        entries.map(|(name, _)| name).collect()
    }
}

#[test]
fn ignore_files_apply_without_a_repository() {
    let dir = Dir::new(&[
        ("sd-card.nix", "{}"),
        (".gitignore", "*.secret\n/sd-card.nix\n"),
        (".sdbuildignore", "videos\n"),
        ("sub/.gitignore", "x\n"),
        ("sub/x", ""),
        ("sub/y", ""),
        ("wifi.secret", ""),
        ("videos/a.mp4", ""),
        (".hidden/keys.nix", ""),
        (".git/config", ""),
        ("nixos.img", ""),
        ("old/nixos.img.zst", ""),
    ]);
    assert_eq!(
        dir.names(),
        [
            ".gitignore",
            ".hidden",
            ".hidden/keys.nix",
            ".sdbuildignore",
            "old",
            "sd-card.nix",
            "sub",
            "sub/.gitignore",
            "sub/y"
        ]
    );
}

#[test]
fn hidden_files_in_a_home_are_not_uploaded() {
    let dir = Dir::new(&[
        ("sd-card.nix", ""),
        (".ssh/id_ed25519", ""),
        (".netrc", ""),
        ("a/.b", ""),
        ("a/c", ""),
    ]);
    let names = dir.names_beside("sd-card.nix", Some(dir.0.path()));
    assert_eq!(names, ["a", "a/c", "sd-card.nix"]);
}

#[test]
fn rules_above_apply_only_inside_a_repository() {
    let dir = Dir::new(&[
        (".gitignore", "*.key\n"),
        ("pi/sd-card.nix", ""),
        ("pi/a.key", ""),
    ]);
    let names = || dir.names_beside("pi/sd-card.nix", None);
    assert_eq!(names(), ["a.key", "sd-card.nix"]);
    fs::create_dir(dir.0.path().join(".git")).unwrap();
    assert_eq!(names(), ["sd-card.nix"]);
}

#[test]
fn links_inside_stay_links() {
    let dir = Dir::new(&[("sd-card.nix", ""), ("a/b/c.nix", "")]);
    let at = |name: &str| dir.0.path().join(name);
    symlink("../../sd-card.nix", at("a/b/up")).unwrap();
    symlink("/nix/store/abc-result", at("result")).unwrap();
    symlink("nowhere", at("dangling")).unwrap();
    symlink("a", at("directory")).unwrap();
    let config_dir = dir.collect().unwrap();
    let links: Vec<_> = config_dir
        .entries
        .iter()
        .filter(|(_, k)| matches!(k, EntryKind::Link(_)))
        .collect();
    assert_eq!(
        links.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>(),
        ["a/b/up", "dangling", "directory"]
    );
}

#[test]
fn links_that_lead_out_are_refused_by_name() {
    for target in ["/etc/passwd", "../x", "a/../../x", "../../../../../etc"] {
        let dir = Dir::new(&[("sd-card.nix", ""), ("a/x", "")]);
        symlink(target, dir.0.path().join("evil")).unwrap();
        let failure = dir.collect().unwrap_err();
        assert_eq!(failure.class, Class::Usage);
        assert!(failure.to_string().contains("the link `evil`"), "{failure}");
    }
}

#[test]
fn sockets_are_skipped_with_a_warning() {
    let dir = Dir::new(&[("sd-card.nix", "")]);
    let _socket = std::os::unix::net::UnixListener::bind(dir.0.path().join("socket")).unwrap();
    let (config_dir, received) = dir.collect_with_events();
    assert_eq!(config_dir.unwrap().entries.len(), 1);
    assert!(matches!(received.as_slice(), [Event::Warning(text)] if text.starts_with("socket ")));
}

#[test]
fn names_that_are_not_utf8_are_refused() {
    use std::os::unix::ffi::OsStrExt;
    let dir = Dir::new(&[("sd-card.nix", "")]);
    fs::write(dir.0.path().join(std::ffi::OsStr::from_bytes(b"a\xff")), "").unwrap();
    let failure = dir.collect().unwrap_err();
    assert!(failure.to_string().contains("not plain UTF-8"), "{failure}");
}

#[test]
fn large_directories_are_reported_or_refused() {
    let dir = Dir::new(&[("sd-card.nix", ""), ("z/x", "")]);
    let grow = |name: &str, size: u64| {
        File::create(dir.0.path().join(name))
            .unwrap()
            .set_len(size)
            .unwrap();
    };
    grow("movie.mkv", 65 << 20);
    let (config_dir, received) = dir.collect_with_events();
    assert!(config_dir.is_ok());
    assert!(
        matches!(received.as_slice(), [Event::Warning(text)] if text.ends_with(" movie.mkv (68 MB)"))
    );
    grow("a.iso", 3 << 30);
    let failure = dir.collect().unwrap_err();
    assert_eq!(failure.class, Class::Usage);
    let hints = failure.hints.concat();
    assert!(hints.contains("a.iso (3.2 GB)"), "{hints}");
}

fn fifo(path: &Path) {
    nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap();
}

#[test]
fn endless_ignore_files_are_refused() {
    for name in [
        ".sdbuildignore",
        ".gitignore",
        "a/b/.gitignore",
        ".git/info/exclude",
    ] {
        for endless in [
            fifo as fn(&Path),
            |path| symlink("/dev/zero", path).unwrap(),
            |path| fs::write(path, vec![b'#'; 2 << 20]).unwrap(),
        ] {
            let dir = Dir::new(&[
                ("sd-card.nix", ""),
                ("a/b/x", ""),
                ("z", ""),
                (".git/info/x", ""),
            ]);
            endless(&dir.0.path().join(name));
            let failure = dir.collect().unwrap_err();
            assert_eq!(failure.class, Class::Usage);
            assert!(failure.to_string().contains(name), "{failure}");
        }
    }
}

#[test]
fn a_work_tree_with_a_pipe_is_refused() {
    let dir = Dir::new(&[("sd-card.nix", ""), ("elsewhere/x", "")]);
    let elsewhere = dir.0.path().join("elsewhere");
    fs::write(
        dir.0.path().join(".git"),
        format!("gitdir: {}\n", elsewhere.display()),
    )
    .unwrap();
    assert!(dir.collect().is_ok());
    fifo(&elsewhere.join("commondir"));
    let failure = dir.collect().unwrap_err().to_string();
    assert!(failure.contains("commondir"), "{failure}");
}

#[test]
fn ignored_dirs_and_dirs_named_gitignore_are_fine() {
    let dir = Dir::new(&[
        ("sd-card.nix", ""),
        (".sdbuildignore", "out\n"),
        ("out/x", ""),
        (".gitignore/x", ""),
    ]);
    fifo(&dir.0.path().join("out/.gitignore"));
    assert!(dir.names().contains(&"sd-card.nix".to_owned()));
}

#[test]
fn links_are_followed_by_depth() {
    for (target, depth, inside) in [
        ("x", 0, true),
        ("../x", 1, true),
        ("../x", 0, false),
        ("a/../b", 0, true),
        ("a/../../b", 0, false),
        ("/x", 3, false),
    ] {
        assert_eq!(
            stays_inside(Path::new(target), depth),
            inside,
            "{target} at {depth}"
        );
    }
}

#[test]
fn only_large_files_are_named_the_largest_first() {
    let mut sizes = Sizes::default();
    sizes.add("sd-card.nix", 700);
    assert_eq!(sizes.warning(), None);
    for n in 1..8 {
        sizes.add(&format!("big/{n}.mp4"), n * 20_000_000);
    }
    sizes.add(".gitignore", 3);
    let warning = sizes.warning().unwrap();
    let largest = "big/7.mp4 (140 MB), big/6.mp4 (120 MB), big/5.mp4 (100 MB), big/4.mp4 (80 MB), big/3.mp4 (60 MB)";
    assert!(warning.ends_with(largest), "{warning}");
    assert!(warning.contains("has 560 MB"), "{warning}");
    assert!(!sizes.are_too_large());
}
