use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Mutex;

use super::*;
use crate::common::event::Event;
use crate::common::failure::Class;
use crate::nixos::configuration::Configuration;
use crate::nixos::tar_writer::{Owner, TarWriter};

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
        self.collect()
            .unwrap()
            .entries
            .into_iter()
            .map(|(name, _)| name)
            .collect()
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
    let file = dir.0.path().join("sd-card.nix");
    let configuration = Configuration::open(&file, Some(dir.0.path())).unwrap();
    let config_dir = configuration
        .collect(&Cancel::new(), &Events::none())
        .unwrap();
    let names: Vec<_> = config_dir
        .entries
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["a", "a/c", "sd-card.nix"]);
}

#[test]
fn rules_above_apply_only_inside_a_repository() {
    let dir = Dir::new(&[
        (".gitignore", "*.key\n"),
        ("pi/sd-card.nix", ""),
        ("pi/a.key", ""),
    ]);
    let names = || {
        let configuration =
            Configuration::open(&dir.0.path().join("pi/sd-card.nix"), None).unwrap();
        let config_dir = configuration
            .collect(&Cancel::new(), &Events::none())
            .unwrap();
        config_dir
            .entries
            .into_iter()
            .map(|(name, _)| name)
            .collect::<Vec<_>>()
    };
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
        assert!(failure.to_string().contains("the link evil"), "{failure}");
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
        matches!(received.as_slice(), [Event::Warning(text)] if text.ends_with("largest: movie.mkv (68 MB)"))
    );
    // The walk is in alphabetical order, and two GiB are exceeded by the first.
    grow("a.iso", 3 << 30);
    grow("z/ubuntu.iso", 12 << 30);
    let failure = dir.collect().unwrap_err();
    assert_eq!(failure.class, Class::Usage);
    assert!(failure.to_string().contains("2 GiB"), "{failure}");
    let largest = "largest: z/ubuntu.iso (13 GB), a.iso (3.2 GB), movie.mkv (68 MB)";
    assert!(
        failure.hints.iter().any(|hint| hint.ends_with(largest)),
        "{:?}",
        failure.hints
    );
}

#[test]
fn the_digest_depends_on_content_only() {
    let files = [
        ("sd-card.nix", "{}"),
        ("b/c", "1"),
        ("b.nix", "2"),
        ("a", "3"),
    ];
    let mut other = files;
    other.reverse();
    let (one, two) = (Dir::new(&files), Dir::new(&other));
    let digest = |dir: &Dir| packed(&dir.collect().unwrap()).unwrap().0.sha256;
    assert_eq!(digest(&one), digest(&two));
    fs::write(two.0.path().join("a"), "4").unwrap();
    assert_ne!(digest(&one), digest(&two));
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

/// Packs `dir`; the files of the archive with their content, as they are after it is unpacked.
fn packed(dir: &ConfigDir) -> io::Result<(Packed, BTreeMap<String, String>)> {
    packed_while(dir, |_| ())
}

/// The same; `meanwhile` is called with the number of bytes written so far.
fn packed_while(
    dir: &ConfigDir,
    meanwhile: impl FnMut(usize),
) -> io::Result<(Packed, BTreeMap<String, String>)> {
    struct Watched<F>(Vec<u8>, F);
    impl<F: FnMut(usize)> io::Write for Watched<F> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.extend(bytes);
            (self.1)(self.0.len());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut out = Watched(Vec::new(), meanwhile);
    let owner = Owner { uid: 0, gid: 0 };
    let mut tar = TarWriter::new(&mut out, owner);
    let packed = dir.pack(&mut tar, "c")?;
    tar.finish()?;
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(&out.0[..]).entries()? {
        let mut entry = entry?;
        let name = entry
            .path()?
            .strip_prefix("c")
            .unwrap()
            .display()
            .to_string();
        let mut text = Vec::new();
        io::Read::read_to_end(&mut entry, &mut text)?;
        if entry.header().entry_type().is_file() {
            files.insert(name, String::from_utf8(text).unwrap());
        }
    }
    Ok((packed, files))
}

fn names_of(files: &BTreeMap<String, String>) -> Vec<&str> {
    files.keys().map(String::as_str).collect()
}

#[test]
fn nothing_outside_is_packed_when_files_are_replaced() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("b"), "outside").unwrap();
    let swaps: [fn(&Path, &Path); 4] = [
        |inside, outside| {
            fs::remove_file(inside.join("a/b")).unwrap();
            symlink(outside.join("b"), inside.join("a/b")).unwrap();
        },
        |inside, outside| {
            fs::remove_dir_all(inside.join("a")).unwrap();
            symlink(outside, inside.join("a")).unwrap();
        },
        |inside, _| {
            fs::remove_file(inside.join("a/b")).unwrap();
            fifo(&inside.join("a/b"));
        },
        |inside, _| fs::remove_file(inside.join("a/b")).unwrap(),
    ];
    for swap in swaps {
        let dir = Dir::new(&[("sd-card.nix", ""), ("a/b", "inside"), ("z", "")]);
        let config_dir = dir.collect().unwrap();
        let (before, files) = packed(&config_dir).unwrap();
        assert_eq!(files["a/b"], "inside");
        swap(dir.0.path(), outside.path());
        let (after, files) = packed(&config_dir).unwrap();
        assert_eq!(names_of(&files), ["sd-card.nix", "z"]);
        assert_eq!(after.left_out, ["a/b"]);
        assert!(before.left_out.is_empty() && before.sha256 != after.sha256);
    }
}

#[test]
fn files_may_change_after_they_were_listed() {
    let dir = Dir::new(&[
        ("sd-card.nix", "{}"),
        ("build.log", "1\n"),
        ("module.nix", "1"),
    ]);
    let at = |name: &str| dir.0.path().join(name);
    let config_dir = dir.collect().unwrap();
    fs::write(at("build.log"), "1\n2\n").unwrap();
    // As editors save.
    fs::write(at(".module.nix.new"), "longer").unwrap();
    fs::rename(at(".module.nix.new"), at("module.nix")).unwrap();
    let (packed, files) = packed(&config_dir).unwrap();
    assert_eq!(packed.left_out, [""; 0]);
    assert_eq!(
        (&*files["build.log"], &*files["module.nix"]),
        ("1\n2\n", "longer")
    );
    assert!(!files.contains_key(".module.nix.new"));
}

#[test]
fn a_growing_file_is_packed_as_it_was_opened() {
    let large = "x".repeat(9 << 20);
    let dir = Dir::new(&[("sd-card.nix", "{}"), ("a.log", &large)]);
    let config_dir = dir.collect().unwrap();
    let mut log = File::options()
        .append(true)
        .open(dir.0.path().join("a.log"))
        .unwrap();
    let grow = |_| io::Write::write_all(&mut log, &[b'y'; 1000]).unwrap();
    let (packed, files) = packed_while(&config_dir, grow).unwrap();
    assert_eq!(packed.left_out, [""; 0]);
    let log = &files["a.log"];
    assert!(log.starts_with(&large) && log.len() < large.len() + 100_000);
}

#[test]
fn a_file_that_shrinks_is_packed_again() {
    let large = "x".repeat(20 << 20);
    for (name, sizes) in [
        ("a.log", vec![10 << 20]),
        ("a.log", vec![3]),
        ("a.log", vec![12 << 20, 9 << 20, 0]),
        ("a.nix", vec![10 << 20]),
        ("a.nix", vec![12 << 20, 9 << 20]),
    ] {
        let dir = Dir::new(&[("sd-card.nix", "{}"), (name, &large)]);
        let config_dir = dir.collect().unwrap();
        let file = File::options().write(true).open(dir.0.path().join(name));
        let file = file.unwrap();
        let mut left = sizes.iter();
        let mut written = 0;
        let shrink = |done: usize| {
            // While it is read: each attempt meets the next size.
            if done > written + (1 << 20) {
                written += 20 << 20;
                if let Some(size) = left.next() {
                    file.set_len(*size).unwrap();
                }
            }
        };
        let outcome = packed_while(&config_dir, shrink);
        if sizes.len() == 1 {
            let (packed, files) = outcome.unwrap();
            assert_eq!(packed.left_out, [""; 0]);
            assert_eq!(files[name], "x".repeat(sizes[0].try_into().unwrap()));
        } else if name == "a.nix" {
            let error = outcome.unwrap_err().to_string();
            assert_eq!(error, "a.nix: it becomes shorter while it is read");
        } else {
            let (packed, files) = outcome.unwrap();
            assert_eq!(
                (packed.left_out, files[name].as_str()),
                (vec![name.to_owned()], "")
            );
        }
    }
}

#[test]
fn a_removed_configuration_file_is_an_error() {
    let dir = Dir::new(&[("sd-card.nix", "{}")]);
    let config_dir = dir.collect().unwrap();
    fs::remove_file(dir.0.path().join("sd-card.nix")).unwrap();
    let error = packed(&config_dir).unwrap_err().to_string();
    assert_eq!(error, "sd-card.nix: it was removed while it was uploaded");
}

#[test]
fn our_own_output_is_not_uploaded() {
    let dir = Dir::new(&[("sd-card.nix", ""), ("out.txt", ""), ("other.txt", "")]);
    let output = dir.0.path().join("out.txt").metadata().unwrap();
    let selection = Selection {
        excluded: vec![FileId::of(&output)],
        ..Selection::default()
    };
    let config_dir =
        ConfigDir::collect(dir.0.path(), selection, &Cancel::new(), &Events::none()).unwrap();
    let (_, files) = packed(&config_dir).unwrap();
    assert_eq!(names_of(&files), ["other.txt", "sd-card.nix"]);
}
