//! Commits that the user's own git fetches.

use super::*;
use crate::flake::Flake;
use sdbuild_nix::git_source::GitSource;

/// The address of a repository of this machine, as git reaches one elsewhere.
fn source(repository: &Repository) -> GitSource {
    GitSource {
        url: format!("file://{}", repository.path("").display()),
        branch: None,
        revision: None,
        is_archive: false,
    }
}

/// The commit of `source`, in a directory below `cache`.
async fn fetch(source: &GitSource, cache: &Path) -> Result<Checkout, Failure> {
    let (cancel, events) = (Cancel::new(), Events::none());
    let search = FlakeSearch {
        cache,
        hashes: Path::new("/nonexistent"),
        ..search(&cancel, &events)
    };
    Checkout::fetch(source, History::Commit, search).await
}

/// A commit of a repository of this machine.
async fn fetched(
    repository: &Repository,
    revision: Option<&str>,
    cache: &Path,
) -> Result<Checkout, Failure> {
    fetched_as(repository, revision, false, cache).await
}

/// The same, as an archive if `is_archive`.
async fn fetched_as(
    repository: &Repository,
    revision: Option<&str>,
    is_archive: bool,
    cache: &Path,
) -> Result<Checkout, Failure> {
    let source = GitSource {
        revision: revision.map(str::to_owned),
        is_archive,
        ..source(repository)
    };
    fetch(&source, cache).await
}

#[tokio::test]
async fn a_fetched_commit_has_the_bytes_of_the_repository() {
    let repository = Repository::new(&["flake.nix"]);
    repository.set(".", "filter.upper.smudge", "tr a-z A-Z");
    repository.write(".gitattributes", "* text eol=crlf filter=upper\n");
    repository.write("word", "one\n");
    repository.git(&["-c", "filter.upper.smudge=", "add", "-A"]);
    repository.git(&["commit", "-q", "-m", "y"]);
    let cache = tempfile::tempdir().unwrap();
    let checkout = fetched(&repository, None, cache.path()).await.unwrap();
    let word = fs::read_to_string(checkout.path().join("word")).unwrap();
    assert_eq!(word, "one\n");

    let first = repository.output(&["rev-parse", "HEAD~"]);
    let earlier = fetched(&repository, Some(first.trim()), cache.path());
    let earlier = earlier.await.unwrap();
    assert!(!earlier.path().join("word").exists());
    assert!(earlier.path().join("flake.nix").exists());
    drop((checkout, earlier));

    let nobodys = "0123456789012345678901234567890123456789";
    let failure = fetched(&repository, Some(nobodys), cache.path()).await;
    let failure = failure.unwrap_err();
    assert_eq!(failure.class, Class::Usage);
    assert!(failure.to_string().contains("fetch file:///"), "{failure}");
    assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 0);
}

/// `github:` has the archive that the server makes, whose files are not all those of the repository.
#[tokio::test]
async fn an_archive_has_the_files_of_git_archive() {
    let repository = Repository::new(&["flake.nix", "docs/a", "sub/b"]);
    let attributes =
        "/docs export-ignore\nsub/b text eol=crlf\nstamp export-subst\n*.x filter=upper\n";
    repository.write(".gitattributes", attributes);
    repository.write("stamp", "$Format:%H$");
    repository.write("word.x", "one\n");
    repository.write("sub/b", "b\n");
    std::os::unix::fs::symlink("sub/b", repository.path("link")).unwrap();
    repository.git(&["add", "-A"]);
    repository.git(&["commit", "-q", "-m", "y"]);
    let head = repository.output(&["rev-parse", "HEAD"]);
    let cache = tempfile::tempdir().unwrap();
    let checkout = fetched_as(&repository, Some(head.trim()), true, cache.path());
    let checkout = checkout.await.unwrap();
    let (cancel, events) = (Cancel::new(), Events::none());
    let mut names = checkout.files(search(&cancel, &events)).await.unwrap();
    names.sort();
    let expected = [
        ".gitattributes",
        "flake.nix",
        "link",
        "stamp",
        "sub/b",
        "word.x",
    ];
    assert_eq!(names, expected);
    let read = |name: &str| fs::read_to_string(checkout.files_dir().join(name)).unwrap();
    assert_eq!(
        (read("stamp").as_str(), read("sub/b").as_str()),
        (head.trim(), "b\r\n")
    );
    assert_eq!(
        (read("word.x").as_str(), read("link").as_str()),
        ("one\n", "b\r\n")
    );
}

/// The flake at `reference`, with which its own files are an archive if `is_archive`.
async fn flake(source: GitSource, dir: &str, cache: &Path) -> Result<FlakeTree, Failure> {
    let reference = FlakeRef {
        location: FlakeLocation::Repository(source),
        dir: dir.to_owned(),
        ..FlakeRef::here()
    };
    let (cancel, events) = (Cancel::new(), Events::none());
    let search = FlakeSearch {
        cache,
        hashes: Path::new("/nonexistent"),
        ..search(&cancel, &events)
    };
    Ok(FlakeTree::of(&reference, Content::Flake, search)
        .await?
        .unwrap())
}

/// The flake itself of `github:`, which git once took for a whole repository.
#[tokio::test]
async fn a_flake_of_a_forge_is_an_archive() {
    let repository = Repository::new(&["flake.nix", "docs/a", "sub/flake.nix", "stamp"]);
    let attributes = "/docs export-ignore\nstamp export-subst\n";
    repository.write(".gitattributes", attributes);
    repository.write("stamp", "$Format:%H$");
    repository.git(&["add", "-A"]);
    repository.git(&["commit", "-q", "-m", "y"]);
    let head = repository.output(&["rev-parse", "HEAD"]).trim().to_owned();
    let cache = tempfile::tempdir().unwrap();
    let archive = GitSource {
        is_archive: true,
        ..source(&repository)
    };
    let tree = flake(archive.clone(), "sub", cache.path()).await.unwrap();
    let url = tree.url("/c");
    assert!(url.starts_with("path:/c?dir=sub&lastModified="), "{url}");
    assert!(url.ends_with(&format!("&rev={head}")), "{url}");
    let files = tree
        .collect(false, &Cancel::new(), &Events::none())
        .unwrap();
    let names: Vec<_> = files.names().collect();
    assert_eq!(
        names,
        [
            ".gitattributes",
            "flake.nix",
            "stamp",
            "sub",
            "sub/flake.nix"
        ]
    );
    let stamp = fs::read_to_string(tree.root.join("stamp")).unwrap();
    assert_eq!(stamp, head);
    let failure = flake(archive, "docs", cache.path()).await.unwrap_err();
    assert!(
        failure
            .to_string()
            .contains("no flake.nix in its directory docs"),
        "{failure}"
    );
}

/// A link in a repository once made the directory that it leads to the flake.
#[tokio::test]
async fn a_fetched_flake_is_never_elsewhere() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("flake.nix"), "{ }").unwrap();
    let repository = Repository::new(&["flake.nix"]);
    std::os::unix::fs::symlink(outside.path(), repository.path("sub")).unwrap();
    repository.git(&["add", "-A"]);
    repository.git(&["commit", "-q", "-m", "y"]);
    let cache = tempfile::tempdir().unwrap();
    for is_archive in [false, true] {
        let source = GitSource {
            is_archive,
            ..source(&repository)
        };
        let failure = flake(source, "sub", cache.path()).await.unwrap_err();
        assert!(failure.to_string().contains("no flake.nix"), "{failure}");
    }
}

/// The commit of an annotated tag, the one that is asked for, and the error of the first attempt.
#[tokio::test]
async fn the_commit_that_is_wanted_is_fetched() {
    let repository = Repository::new(&["flake.nix"]);
    let head = repository.output(&["rev-parse", "HEAD"]).trim().to_owned();
    repository.git(&["tag", "-a", "-m", "x", "v1"]);
    let tag = repository.output(&["rev-parse", "v1"]).trim().to_owned();
    let cache = tempfile::tempdir().unwrap();
    for is_archive in [false, true] {
        let tagged = GitSource {
            branch: Some("v1".into()),
            is_archive,
            ..source(&repository)
        };
        let checkout = fetch(&tagged, cache.path()).await.unwrap();
        let (cancel, events) = (Cancel::new(), Events::none());
        let git = checkout.git(search(&cancel, &events)).await.unwrap();
        assert_eq!(git.line(&["rev-parse", "HEAD"]).await.as_ref(), Some(&head));
        // A tag is not a commit.
        let by_tag = GitSource {
            revision: Some(tag.clone()),
            ..tagged
        };
        fetch(&by_tag, cache.path()).await.unwrap_err();
    }
    let nowhere = GitSource {
        url: "file:///nonexistent/repository".into(),
        branch: Some("none".into()),
        revision: Some(head),
        ..source(&repository)
    };
    let failure = fetch(&nowhere, cache.path()).await.unwrap_err();
    let text = failure.to_string();
    assert!(
        text.contains("does not appear to be a git repository"),
        "{text}"
    );
}

/// Repositories whose commits are named by SHA-256.
#[tokio::test]
async fn commits_may_have_64_digits() {
    let repository = Repository(tempfile::tempdir().unwrap());
    repository.git(&["init", "-q", "--object-format=sha256"]);
    repository.write("flake.nix", "{ }");
    repository.git(&["add", "-A"]);
    repository.git(&["commit", "-q", "-m", "x"]);
    let head = repository.output(&["rev-parse", "HEAD"]);
    let cache = tempfile::tempdir().unwrap();
    let checkout = fetched(&repository, Some(head.trim()), cache.path());
    assert!(checkout.await.unwrap().path().join("flake.nix").exists());
}

/// Git fetches a commit with any names.
#[tokio::test]
async fn names_outside_an_archive_are_refused() {
    let repository = Repository::new(&["flake.nix"]);
    let script = "blob=$(git hash-object -w flake.nix); inner=$(printf '100644 blob %s\\tx\n' $blob | git mktree); \
        tree=$(printf '100644 blob %s\\tflake.nix\n040000 tree %s\\t..\n' $blob $inner | git mktree); \
        git -c user.name=x -c user.email=x commit-tree -m x $tree";
    let mut shell = Command::new("sh");
    let made = shell
        .args(["-c", script])
        .current_dir(&repository.0)
        .output();
    let made = made.unwrap();
    assert!(made.status.success(), "{made:?}");
    let commit = String::from_utf8(made.stdout).unwrap();
    repository.git(&["branch", "evil", commit.trim()]);
    let cache = tempfile::tempdir().unwrap();
    let failure = fetched_as(&repository, Some(commit.trim()), true, cache.path()).await;
    let text = failure.unwrap_err().to_string();
    // Git's message, or ours.
    assert!(text.contains("`../x`") || text.contains("'../x'"), "{text}");
}

/// A stranger's flake would read what the user has.
#[tokio::test]
async fn repositories_of_this_machine_are_read_only_for_inputs_that_the_user_names() {
    let (mine, flake) = (
        Repository::new(&["private"]),
        Repository::new(&["flake.nix"]),
    );
    let url = source(&mine).url;
    flake.write(
        "flake.nix",
        &format!("{{ inputs.s.url = \"git+{url}\"; inputs.s.flake = false; outputs = _: {{ }}; }}"),
    );
    flake.git(&["commit", "-qam", "y"]);
    let reference = format!("path:{}", flake.path("").display());
    let cache = tempfile::tempdir().unwrap();
    let (cancel, events) = (Cancel::new(), Events::none());
    let named = ["s".to_owned()];
    for (git_inputs, names_git_inputs, is_read) in [
        (&[][..], true, false),
        // By the settings of the project.
        (&named[..], false, false),
        (&named[..], true, true),
    ] {
        let search = FlakeSearch {
            cache: cache.path(),
            git_inputs,
            names_git_inputs,
            ..search(&cancel, &events)
        };
        let opened = Flake::open(reference.parse().unwrap(), Vec::new(), search);
        let mut opened = opened.await.unwrap();
        let resolved = opened.resolve_inputs(&[], search).await;
        assert_eq!(resolved.is_ok(), is_read, "{resolved:?}");
        if let Err(failure) = resolved {
            assert!(failure.hints[0].contains("--git-inputs s"), "{failure:?}");
        }
    }
}

#[tokio::test]
async fn a_pipe_in_a_repository_of_this_machine_is_refused_by_its_name() {
    let repository = Repository::new(&["flake.nix"]);
    repository.put_pipe(".git/packed-refs");
    let cache = tempfile::tempdir().unwrap();
    let failure = fetched(&repository, None, cache.path()).await.unwrap_err();
    assert!(
        failure.to_string().contains(".git/packed-refs"),
        "{failure}"
    );
}
