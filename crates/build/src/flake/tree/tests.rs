mod fetched;
mod foreign;

use std::ffi::OsStr;
use std::fs;
use std::process::Command;
use std::sync::{Arc, Mutex};

use super::*;
use sdbuild_core::event::Event;
use sdbuild_core::failure::Class;

const PATH: &str = "/usr/bin:/run/current-system/sw/bin";

/// What a search knows of a machine without a home directory and without a cache.
fn search<'a>(cancel: &'a Cancel, events: &'a Events) -> FlakeSearch<'a> {
    FlakeSearch {
        path: OsStr::new(PATH),
        home: None,
        cache: Path::new("/nonexistent"),
        hashes: Path::new("/nonexistent"),
        git_inputs: &[],
        names_git_inputs: false,
        offline: false,
        cancel,
        events,
    }
}

fn find(dir: &Path, untracked: bool, cancel: &Cancel) -> Result<FlakeTree, Failure> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    runtime.block_on(FlakeTree::find(
        dir,
        untracked,
        Content::Flake,
        search(cancel, &Events::none()),
    ))
}

/// A git repository with `files`, all of them committed.
struct Repository(tempfile::TempDir);

impl Repository {
    fn new(files: &[&str]) -> Self {
        let repository = Self(tempfile::tempdir().unwrap());
        repository.git(&["init", "-q"]);
        for file in files {
            repository.write(file, "{ }");
        }
        repository.git(&["add", "-A"]);
        repository.git(&["commit", "-q", "-m", "x"]);
        repository
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().canonicalize().unwrap().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Puts a pipe in the place of `name`.
    fn put_pipe(&self, name: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::remove_file(&path).ok();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    }

    fn git(&self, words: &[&str]) {
        let settings = [
            "user.name=x",
            "user.email=x@x.example",
            "protocol.file.allow=always",
        ];
        let settings = settings.iter().flat_map(|setting| ["-c", setting]);
        let done = Command::new("git")
            .args(settings)
            .args(words)
            .current_dir(&self.0)
            .status();
        assert!(done.unwrap().success(), "{words:?}");
    }

    fn output(&self, words: &[&str]) -> String {
        let mut git = Command::new("git");
        let output = git.args(words).current_dir(&self.0).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    fn find(&self, dir: &str) -> Result<FlakeTree, Failure> {
        find(&self.path(dir), false, &Cancel::new())
    }

    /// Makes the last commit a signed one, whose signature is invalid.
    fn sign(&self) {
        let commit = r"tree %s\nauthor x <x> 1 +0000\ncommitter x <x> 1 +0000\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----\n\nm\n";
        let script = format!(
            "git reset -q --soft $(printf '{commit}' $(git write-tree) | git hash-object -t commit -w --stdin)"
        );
        let mut shell = Command::new("sh");
        let done = shell.args(["-c", &script]).current_dir(&self.0).status();
        assert!(done.unwrap().success());
    }

    /// Sets what `key` of the repository in `dir` is.
    fn set(&self, dir: &str, key: &str, value: &str) {
        self.git(&["-C", dir, "config", key, value]);
    }

    /// The names of the uploaded files and the warnings.
    fn collected(&self, dir: &str) -> (Vec<String>, Vec<String>) {
        let warnings = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&warnings);
        let events = Events::new(move |event| {
            if let Event::Warning(text) = event {
                sink.lock().unwrap().push(text);
            }
        });
        let files = self
            .find(dir)
            .unwrap()
            .collect(false, &Cancel::new(), &events)
            .unwrap();
        let names = files.names().map(str::to_owned).collect();
        let warnings = warnings.lock().unwrap().clone();
        (names, warnings)
    }
}

#[test]
fn a_clean_tree_has_its_commit_and_a_dirty_one_not() {
    let repository = Repository::new(&["flake.nix", "sub/a.nix"]);
    let tree = repository.find(".").unwrap();
    let url = tree.url("/c");
    assert!(
        url.starts_with("path:/c?lastModified=") && url.contains("&rev="),
        "{url}"
    );
    assert_eq!(tree.dir(), "");
    repository.write("sub/a.nix", "{ changed = true; }");
    let url = repository.find(".").unwrap().url("/c");
    assert!(
        url.starts_with("path:/c?lastModified=") && !url.contains("rev="),
        "{url}"
    );
    assert!(
        repository
            .find(".")
            .unwrap()
            .describe()
            .ends_with("with changes")
    );
}

#[test]
fn tracked_files_are_uploaded_and_untracked_ones_named() {
    let repository = Repository::new(&[
        "flake.nix",
        "a.nix",
        "gone.nix",
        "dir/link.nix",
        ".gitignore",
    ]);
    repository.write(".gitignore", "*.secret\n");
    repository.write("wifi.secret", "");
    repository.write("new.nix", "{ }");
    repository.write("notes.txt", "");
    repository.write("flake.lock", "{ }");
    fs::remove_file(repository.path("gone.nix")).unwrap();
    std::os::unix::fs::symlink("/nowhere", repository.path("out")).unwrap();
    repository.git(&["add", "out"]);
    let (names, warnings) = repository.collected(".");
    assert_eq!(
        names,
        [
            ".gitignore",
            "a.nix",
            "dir",
            "dir/link.nix",
            "flake.lock",
            "flake.nix",
            "out"
        ]
    );
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].ends_with("so it lacks new.nix. Run `git add` on what belongs to it"),
        "{warnings:?}"
    );
    // An intention to add is enough for Nix.
    repository.git(&["add", "-N", "new.nix"]);
    let (names, warnings) = repository.collected(".");
    assert!(names.contains(&"new.nix".to_owned()) && warnings.is_empty());
}

#[test]
fn nothing_below_a_symbolic_link_is_uploaded() {
    let repository = Repository::new(&["flake.nix", "dir/a.nix"]);
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("a.nix"), "secret").unwrap();
    fs::remove_dir_all(repository.path("dir")).unwrap();
    std::os::unix::fs::symlink(outside.path(), repository.path("dir")).unwrap();
    assert_eq!(repository.collected(".").0, ["flake.nix"]);
}

#[test]
fn the_flake_is_found_upwards_inside_the_repository() {
    let repository = Repository::new(&["common.nix", "pi/flake.nix", "pi/modules/a.nix"]);
    let tree = repository.find("pi/modules").unwrap();
    assert_eq!(
        (tree.dir(), tree.root.clone()),
        ("pi", repository.path("").components().collect())
    );
    let url = repository.find("pi").unwrap().url("/c");
    assert!(url.starts_with("path:/c?dir=pi&lastModified="), "{url}");
    let missing = repository.find(".").unwrap_err();
    assert!(missing.to_string().contains("no flake.nix"), "{missing}");
    assert!(missing.hints[0].ends_with("/pi"), "{missing:?}");
    let missing = Repository::new(&["common.nix"]).find(".").unwrap_err();
    assert!(missing.hints[0].starts_with("give the directory of a flake"));
    repository.write("sd-card.nix", "{ }");
    let beside = repository.find(".").unwrap_err().hints.concat();
    assert!(
        beside.starts_with("sd-card.nix is there; give "),
        "{beside}"
    );
    assert!(
        repository
            .collected("pi")
            .0
            .contains(&"common.nix".to_owned())
    );
}

#[test]
fn files_of_submodules_are_part_of_the_flake() {
    let library = Repository::new(&["lib.nix"]);
    let repository = Repository::new(&["flake.nix"]);
    let url = library.path(".").display().to_string();
    repository.git(&["submodule", "--quiet", "add", &url, "vendor"]);
    repository.git(&["commit", "-q", "-m", "y"]);
    let (names, warnings) = repository.collected(".");
    assert_eq!(
        names,
        [".gitmodules", "flake.nix", "vendor", "vendor/lib.nix"]
    );
    assert!(warnings.is_empty() && repository.find(".").unwrap().url("").contains("rev="));
    fs::write(repository.path("vendor/lib.nix"), "changed").unwrap();
    assert!(!repository.find(".").unwrap().url("").contains("rev="));
    repository.write("vendor/new.nix", "{ }");
    let (names, warnings) = repository.collected(".");
    assert!(!names.contains(&"vendor/new.nix".to_owned()), "{names:?}");
    let lacks = "so it lacks vendor/new.nix.";
    assert!(warnings[0].contains(lacks), "{warnings:?}");
}

#[test]
fn an_untracked_flake_is_refused() {
    let repository = Repository::new(&["a.nix"]);
    repository.write("flake.nix", "{ }");
    repository.write("b.nix", "{ }");
    repository.write("vendor/c.nix", "{ }");
    let failure = repository.find(".").unwrap_err();
    assert_eq!(failure.hints, ["git add b.nix flake.nix"]);
    // As it is on disk, with `path:`.
    let path = repository.path(".");
    let tree = find(&path, true, &Cancel::new()).unwrap();
    assert_eq!(tree.url("/c"), "path:/c");
}

#[test]
fn a_directory_outside_git_is_taken_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("flake.nix"), "{ }").unwrap();
    fs::write(dir.path().join("nixos.img"), "").unwrap();
    let tree = find(dir.path(), false, &Cancel::new()).unwrap();
    let files = tree
        .collect(false, &Cancel::new(), &Events::none())
        .unwrap();
    assert_eq!(files.names().collect::<Vec<_>>(), ["flake.nix"]);
    assert_eq!(tree.url("/c"), "path:/c");
}

/// A `flake.nix` in the home directory once took `~/.ssh` along.
#[tokio::test]
async fn hidden_files_in_a_home_are_not_uploaded() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("me");
    fs::create_dir_all(home.join(".ssh")).unwrap();
    fs::write(home.join(".ssh/id_ed25519"), "secret").unwrap();
    for root in [home.as_path(), dir.path()] {
        fs::write(root.join("flake.nix"), "{ }").unwrap();
        let cancel = Cancel::new();
        let events = Events::none();
        let search = FlakeSearch {
            home: Some(&home),
            ..search(&cancel, &events)
        };
        let tree = FlakeTree::find(root, true, Content::Flake, search)
            .await
            .unwrap();
        let files = tree.collect(false, &cancel, &Events::none()).unwrap();
        let names: Vec<_> = files.names().collect();
        assert!(names.contains(&"flake.nix"), "{names:?}");
        assert!(!names.iter().any(|name| name.contains(".ssh")), "{names:?}");
    }
}

/// What the user lists there can be long.
#[test]
fn large_gitignore_is_accepted() {
    let repository = Repository::new(&["flake.nix"]);
    fs::write(repository.path(".gitignore"), "ignored\n".repeat(1 << 18)).unwrap();
    repository.find(".").unwrap();
}
