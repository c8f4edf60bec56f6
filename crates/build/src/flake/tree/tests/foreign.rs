//! Repositories from an untrusted source: nothing in them is run, and nothing outside is read.

use super::*;

/// The settings of an unpacked archive come from its author.
#[test]
fn programs_that_a_repository_names_are_not_run() {
    let library = Repository::new(&["lib.nix", ".gitattributes"]);
    let repository = Repository::new(&["flake.nix", ".gitattributes"]);
    let url = library.path(".").display().to_string();
    repository.git(&["submodule", "--quiet", "add", &url, "vendor"]);
    let ran = tempfile::tempdir().unwrap();
    let evil = |name: &str| format!("touch {}; cat; exit 1 #", ran.path().join(name).display());
    let program = ran.path().join("program");
    fs::write(&program, format!("#!/bin/sh\n{}", evil("program.ran"))).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&program, mode).unwrap();
    let program = program.to_str().unwrap();
    repository.git(&["commit", "-q", "-m", "y"]);
    repository.sign();
    for (dir, name) in [(".", "flake.nix"), ("vendor", "lib.nix")] {
        // In every place where files are named.
        for attributes in [".gitattributes", ".git/info/attributes"] {
            if !repository.path(dir).join(".git").is_file() || attributes == ".gitattributes" {
                repository.write(&format!("{dir}/{attributes}"), "*.nix filter=evil\n");
            }
        }
        repository.set(dir, "filter.evil.clean", &evil("clean"));
        repository.set(dir, "filter.evil.process", &evil("process"));
        repository.set(dir, "filter.evil.required", "true");
        repository.set(dir, "core.fsmonitor", &evil("fsmonitor"));
        repository.set(dir, "core.sshCommand", &evil("ssh"));
        repository.set(dir, "log.showSignature", "true");
        repository.set(dir, "gpg.program", program);
        // The same content at another time: only reading it shows that it is unchanged.
        repository.write(&format!("{dir}/{name}"), "{ }");
    }
    let tree = repository.find(".").unwrap();
    assert!(tree.url("/c").contains("lastModified="), "{tree:?}");
    // A partial clone: what it lacks would be fetched by `ssh`.
    repository.set(".", "core.repositoryFormatVersion", "1");
    repository.set(".", "extensions.partialClone", "origin");
    repository.set(".", "remote.origin.url", "ssh://server.example/x");
    repository.set(".", "remote.origin.promisor", "true");
    fs::remove_dir_all(repository.path(".git/objects")).unwrap();
    fs::create_dir(repository.path(".git/objects")).unwrap();
    repository.find(".").ok();
    let left: Vec<_> = fs::read_dir(ran.path()).unwrap().flatten().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn an_index_with_names_outside_is_refused() {
    let repository = Repository::new(&["flake.nix", "zz_secret", "Xetc_passwd"]);
    let index = repository.path(".git/index");
    let unchanged = fs::read(&index).unwrap();
    for (name, outside) in [("zz_secret", "../secret"), ("Xetc_passwd", "/etc/passwd")] {
        let at = unchanged.windows(name.len());
        let at = { at }.position(|part| part == name.as_bytes()).unwrap();
        let mut changed = unchanged.clone();
        changed[at..at + name.len()].copy_from_slice(outside.as_bytes());
        fs::write(&index, changed).unwrap();
        let failure = repository.find(".").unwrap_err();
        assert!(failure.to_string().contains(outside), "{failure}");
    }
}

#[test]
fn a_git_that_hangs_ends_with_the_run() {
    let repository = Repository::new(&["flake.nix"]);
    repository.put_pipe(".git/index");
    let cancel = Cancel::new();
    let signal = {
        let cancel = cancel.clone();
        std::thread::spawn(move || {
            std::thread::park_timeout(std::time::Duration::from_millis(300));
            cancel.received(15);
        })
    };
    let failure = find(&repository.path("."), false, &cancel).unwrap_err();
    assert_eq!(failure.class, Class::Interrupted, "{failure}");
    signal.join().unwrap();
}

#[test]
fn a_pipe_that_git_would_open_is_refused_by_its_name() {
    for name in [".git/index", "sub/.gitignore"] {
        let repository = Repository::new(&["flake.nix", "sub/a.nix"]);
        repository.put_pipe(name);
        let begun = std::time::Instant::now();
        let failure = repository.find(".").unwrap_err();
        assert!(failure.to_string().contains(name), "{failure}");
        assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
    }
}
