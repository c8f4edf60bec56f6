//! The inputs of a flake: which are fetched here, which cannot be fetched, and which its lock lacks.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Content;
use super::Flake;
use super::FlakeSearch;
use super::Override;
use super::SELF;
use super::checkout::PrivateInput;
use super::lock_file;
use super::tree::FlakeTree;
use sdbuild_core::event::Events;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::http_url::hide_secrets;
use sdbuild_core::nearest::similar_names;
use sdbuild_core::shell_word::quoted;
use sdbuild_nix::configuration_file::{CONFIG_NAME, FLAKE_FILE, flake_text, lock_command};
use sdbuild_nix::flake_file::FlakeFile;
use sdbuild_nix::flake_lock::{Lock, Node};
use sdbuild_nix::flake_ref::{is_in_registry, registry_alternative};
use sdbuild_nix::git_inputs;
use sdbuild_nix::git_inputs::{LockedRepository, NewInput, UnlockedRepository};
use sdbuild_nix::known_repository::usual_url;

/// Inputs that the builder cannot fetch and that are named: the lock may be anybody's.
const MAX_UNREACHABLE: usize = 16;

impl Flake {
    /// Fetches the locked inputs that only the user's git reaches, and those that the user names for it; a usage error when it
    /// cannot.
    pub async fn fetch_inputs(&mut self, search: FlakeSearch<'_>) -> Result<(), Failure> {
        self.check_git_inputs(search.git_inputs)?;
        let locked = self.locked_repositories(&[], search.git_inputs);
        self.fetch_locked(&locked, search).await
    }

    /// Fetches them for a lock that is completed, or in which the inputs `updated` are updated: those that are new to it at the
    /// commit that the `flake.nix` names.
    pub async fn resolve_inputs(
        &mut self,
        updated: &[String],
        search: FlakeSearch<'_>,
    ) -> Result<(), Failure> {
        self.check_lock_file()?;
        // Of an unknown input, Nix would only warn, and change nothing.
        self.check_names(updated.iter().map(String::as_str))?;
        let unlocked = self.unlocked_inputs();
        self.check_declarations(&unlocked, &[&unlocked, updated].concat())?;
        let new = self.unlocked_repositories(updated, search.git_inputs)?;
        let names: Vec<_> = new.iter().map(|input| input.name.as_str()).collect();
        let mut locked = self.locked_repositories(&names, search.git_inputs);
        for declared in new {
            let input = PrivateInput::resolve(declared, search).await?;
            if let Some(lock) = input.own_lock() {
                locked.extend(git_inputs::private_repositories(&lock, &[], &[]));
            }
            self.inputs.push(Arc::new(input));
        }
        self.fetch_locked(&locked, search).await
    }

    async fn fetch_locked(
        &mut self,
        locked: &[LockedRepository],
        search: FlakeSearch<'_>,
    ) -> Result<(), Failure> {
        for locked in locked {
            let input = PrivateInput::fetch(locked, search).await?;
            self.inputs.push(Arc::new(input));
        }
        Ok(())
    }

    /// The inputs that only the user's git can lock.
    fn unlocked_repositories(
        &self,
        updated: &[String],
        named: &[String],
    ) -> Result<Vec<UnlockedRepository>, Failure> {
        let Some(text) = self.flake_text() else {
            return Ok(Vec::new());
        };
        git_inputs::unlocked_repositories(&text, self.lock().as_ref(), updated, named)
    }

    /// The inputs that only the user's git can fetch, and those that the user has `named`; without what is overridden or `new`.
    fn locked_repositories(&self, new: &[&str], named: &[String]) -> Vec<LockedRepository> {
        let Some(lock) = self.lock() else {
            return Vec::new();
        };
        let replaced = [&self.overridden_inputs(), new].concat();
        git_inputs::private_repositories(&lock, &replaced, named)
    }

    /// The inputs that are new to the lock, with the number of the directory that each is uploaded to.
    fn new_inputs(&self) -> impl Iterator<Item = (usize, &NewInput)> {
        let inputs = self.inputs.iter().enumerate();
        inputs.filter_map(|(at, input)| Some((at, input.new_input()?)))
    }

    /// Further arguments of the Nix command that locks it.
    pub fn lock_arguments(&self) -> Vec<String> {
        let arguments = self.new_inputs().map(|(at, new)| new.arguments(at));
        arguments.flatten().collect()
    }

    /// The text of its lock, of which Nix wrote `text`.
    pub fn complete_lock(&self, text: String) -> Result<String, Failure> {
        if self.new_inputs().next().is_none() {
            return Ok(text);
        }
        let mut lock = serde_json::from_str(&text).or_internal("read the lock that Nix wrote")?;
        for (at, new) in self.new_inputs() {
            new.complete(at, &mut lock)?;
        }
        Ok(lock.to_string())
    }

    /// Fails if an overridden input is none of the flake, or if an input of a flake whose files are here is neither locked nor
    /// overridden: Nix would fetch every input before it refused that. What only Nix sees, such as another URL, is left to it.
    pub fn check_lock(&self) -> Result<(), Failure> {
        self.check_lock_file()?;
        self.check_overridden(self.overrides.iter().map(Override::input))?;
        let missing = self.missing_inputs();
        // Nix explains an error in the syntax before it looks for the lock.
        if missing.is_empty() || self.file().has_errors {
            return Ok(());
        }
        self.check_declarations(&missing, &missing)?;
        Err(self.unlocked(&missing))
    }

    /// A build needs the inputs `missing` in its lock.
    fn unlocked(&self, missing: &[String]) -> Failure {
        let tree = self.tree.as_ref();
        let has_lock = tree.is_some_and(|tree| tree.directory().join(lock_file::NAME).exists());
        let (first, names) = (missing.first().map_or("", |name| name), missing.join(", "));
        let text = if has_lock {
            format!("flake.lock lacks the inputs {names}, and a build never changes that file")
        } else {
            format!("there is no flake.lock, which a build needs for the inputs {names}")
        };
        let hint = if self.local_tree().is_none() {
            "clone the repository and complete its lock there, with `sdbuild lock`".to_owned()
        } else {
            let does = if has_lock {
                "completes it"
            } else {
                "writes one"
            };
            format!("`{}` {does}", self.lock_command())
        };
        Failure::usage(text).hint(hint).hint(overriding(first))
    }

    /// The command that writes or completes the lock.
    fn lock_command(&self) -> String {
        let has_module = |dir: PathBuf| dir.join(CONFIG_NAME).exists();
        let is_beside_module = self.directory().is_some_and(has_module);
        lock_command(&self.reference.text, is_beside_module)
    }

    /// Fails if the `flake.nix` has a mistake that Nix would report only after it has fetched everything, or as a registry that no build
    /// reads: an argument of the outputs that is not declared, an input that follows a missing one, the address of one of `inputs`.
    /// The lock lacks the inputs `unlocked`.
    fn check_declarations(&self, unlocked: &[String], inputs: &[String]) -> Result<(), Failure> {
        let file = self.file();
        if let Some((input, target, missing)) = file.follows_missing() {
            let place = file.place(input, "follows");
            let text = format!(
                "the input {input} in flake.nix follows {target}, and the flake has no input {missing}"
            );
            let declared = file.declared_inputs();
            let similar = similar_names(missing, declared.iter().map(String::as_str));
            return Err(Failure::usage(text).hint(match similar {
                Some(similar) => format!("{place}did you mean {similar}?"),
                None => format!("{place}declare it: inputs.{missing}.url = \"…\";"),
            }));
        }
        if let Some(failure) = self.undeclared_argument(&file, unlocked) {
            return Err(failure);
        }
        inputs
            .iter()
            .find_map(|name| self.wrong_url(&file, name))
            .map_or(Ok(()), Err)
    }

    /// An argument of the outputs that is none of the inputs: Nix would look for it in a registry, and none is read.
    fn undeclared_argument(&self, file: &FlakeFile, unlocked: &[String]) -> Option<Failure> {
        let mut arguments = file.arguments.difference(&file.inputs);
        let inputs = || file.inputs.iter().map(String::as_str);
        let similar = |name: &str| {
            let similar = similar_names(name, inputs())?;
            (!file.arguments.contains(&similar)).then_some(similar)
        };
        let name = arguments.find(|name| {
            unlocked.contains(name) || similar(name).is_some_and(|input| unlocked.contains(&input))
        })?;
        let line = file.argument_line(name);
        let line = line.map_or_else(String::new, |line| format!(" (line {line})"));
        let failure = Failure::usage(format!(
            "the outputs of flake.nix have the argument {name}{line}, which is not one of its inputs"
        ));
        if let Some(similar) = similar(name) {
            return Some(failure.hint(format!(
                "did you mean {similar}? Both must have the same name"
            )));
        }
        let url = usual_url(name).unwrap_or_else(|| "…".to_owned());
        let hint = format!(
            "remove the argument, or declare it: inputs.{name}.url = \"{url}\"; then run `{}`",
            self.lock_command()
        );
        Some(failure.hint(hint).hint(overriding(name)))
    }

    /// What is wrong with the address of the input `name`, which Nix would look for in a registry or outside of what is uploaded.
    fn wrong_url(&self, file: &FlakeFile, name: &str) -> Option<Failure> {
        let url = file.url(name)?;
        let dir = self.local_tree().map_or("", FlakeTree::dir);
        let (what, hint) = if is_in_registry(url) {
            let hint = registry_alternative(url);
            (
                "a name in a registry of flakes, and a build reads none",
                hint,
            )
        } else if is_outside(url, dir) {
            let path = quoted(url.strip_prefix("path:").unwrap_or(url));
            let hint = format!(
                "move it into the flake's directory, or build with --override-input {name} {path}"
            );
            ("a directory that the builder does not have", hint)
        } else {
            return None;
        };
        let (place, url) = (file.place(name, "url"), hide_secrets(url));
        let text = format!("the input {name} in flake.nix has the URL {url:?}, {what}");
        Some(Failure::usage(text).hint(format!("{place}{}", hide_secrets(&hint))))
    }

    /// Fails if the lock of a flake of this machine is damaged, in which Nix says neither the file nor what to do.
    fn check_lock_file(&self) -> Result<(), Failure> {
        let directory = self.local_tree().map(FlakeTree::directory);
        directory.map_or(Ok(()), |dir| lock_file::check(&dir))
    }

    /// Whether its lock is complete only with the overridden inputs.
    pub(crate) fn is_locked_by_overrides(&self) -> bool {
        !self.unlocked_inputs().is_empty() && self.missing_inputs().is_empty()
    }

    /// The names of the inputs that its lock lacks, and that are not overridden.
    fn missing_inputs(&self) -> Vec<String> {
        let mut missing = self.unlocked_inputs();
        missing.retain(|input| !self.is_overridden(input));
        missing
    }

    /// The names of the inputs of a flake whose files are here that its lock lacks, sorted; none if the lock cannot be read, which Nix
    /// reports.
    fn unlocked_inputs(&self) -> Vec<String> {
        let directory = self.tree.as_ref().map(FlakeTree::directory);
        directory.map_or_else(Vec::new, |dir| unlocked_inputs(&dir))
    }

    /// Fails if one of the inputs `names` that are to be overridden is none of the flake: Nix would only warn, and go on with the one that
    /// was mistyped.
    pub fn check_overridden<'a>(
        &self,
        names: impl Iterator<Item = &'a str>,
    ) -> Result<(), Failure> {
        let checked = self.check_names(names);
        checked.map_err(|failure| failure.consequence("--override-input"))
    }

    /// Fails if one of these paths begins with a name that no input of the flake has.
    fn check_names<'a>(&self, mut paths: impl Iterator<Item = &'a str>) -> Result<(), Failure> {
        let mut known = self.file().declared_inputs();
        known.extend(self.lock().unwrap_or_default().input_names());
        if known.is_empty() {
            return Ok(());
        }
        let own = |path: &str| path.split('/').next().unwrap_or_default().to_owned();
        let unknown = paths.find(|path| !known.contains(&own(path)));
        unknown.map_or(Ok(()), |path| Err(unknown_input(&own(path), &known)))
    }

    /// What its input with this path is, as far as that is known without Nix.
    pub(super) fn content_of(&self, input: &str) -> Content {
        let lock = self.lock().unwrap_or_default();
        let is_locked = || lock.input(input).is_some_and(Node::is_files);
        if self.file().is_plain_files(input) || is_locked() {
            Content::Files
        } else {
            Content::Flake
        }
    }

    /// Whether the user overrides the input with this path, or one that it belongs to.
    fn is_overridden(&self, input: &str) -> bool {
        let is_at = |o: &Override| {
            let rest = input.strip_prefix(o.input());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.overrides.iter().any(is_at)
    }

    /// Fails if the user's git cannot fetch an input that the user has `named` for it.
    fn check_git_inputs(&self, named: &[String]) -> Result<(), Failure> {
        let is_checked = |name: &&str| *name != SELF && !self.is_overridden(name);
        let all = named.iter().map(String::as_str);
        let checked: Vec<_> = all.filter(is_checked).collect();
        if self.tree.is_none() && !checked.is_empty() {
            let text = "--git-inputs names inputs of a flake that the builder fetches";
            return Err(
                Failure::usage(text).hint("--git-inputs 'self …' has your git fetch the flake too")
            );
        }
        let known = self.check_names(checked.iter().copied());
        known.map_err(|failure| failure.consequence("--git-inputs"))?;
        let lock = self.lock().unwrap_or_default();
        match git_inputs::not_fetched_by_git(&lock, &checked) {
            None => Ok(()),
            Some((name, why)) => Err(Failure::usage(format!(
                "--git-inputs: the input {name} {why}"
            ))
            .hint(format!("leave {name} out of --git-inputs"))),
        }
    }

    /// Warns of inputs that neither the builder nor git here can fetch.
    pub(super) fn warn_of_unreachable_inputs(&self, events: &Events) {
        let lock = self.lock().unwrap_or_default();
        let unreachable = git_inputs::unreachable_inputs(&lock, &self.overridden_inputs());
        for (input, how) in unreachable.into_iter().take(MAX_UNREACHABLE) {
            events.warn(format!(
                "the builder cannot fetch the input {input} {how}. Clone it, and give --override-input {input} DIR"
            ));
        }
    }
}

fn unlocked_inputs(dir: &Path) -> Vec<String> {
    let locked = match lock_file::read(dir) {
        Ok(Some(lock)) => Lock::parse(&lock).map(|lock| lock.input_names()),
        Ok(None) => Some(BTreeSet::new()),
        Err(_) => None,
    };
    let (Some(text), Some(locked)) = (flake_text(dir), locked) else {
        return Vec::new();
    };
    let declared = FlakeFile::read(&text).declared_inputs();
    declared.difference(&locked).cloned().collect()
}

/// Whether `url` is a directory outside the one that is uploaded, which has the flake in `dir`.
fn is_outside(url: &str, dir: &str) -> bool {
    let path = url.strip_prefix("path:").unwrap_or(url);
    let up = path.split('/').take_while(|part| *part == "..").count();
    let depth = dir.split('/').filter(|part| !part.is_empty()).count();
    path.starts_with(['/', '~']) && !path.starts_with("/nix/") || up > depth
}

/// How to do without `input` in a lock.
fn overriding(input: &str) -> String {
    format!("or take the input from a directory: --override-input {input} DIR")
}

/// The flake has only the inputs `known`, not `unknown`.
fn unknown_input(unknown: &str, known: &BTreeSet<String>) -> Failure {
    let list: Vec<_> = known.iter().map(String::as_str).collect();
    let text = format!(
        "the flake has no input {unknown}; its inputs: {}",
        list.join(", ")
    );
    let failure = Failure::usage(text);
    match similar_names(unknown, list) {
        Some(names) => failure.hint(format!("did you mean {names}?")),
        None => failure.hint(format!(
            "name one of its inputs, or declare {unknown} in the inputs of {FLAKE_FILE}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sdbuild_core::cancel::Cancel;

    /// The failure of a build of a flake with this text, whose lock has only the input `locked`.
    async fn refused(text: &str) -> Failure {
        let dir = tempfile::tempdir().unwrap();
        let lock =
            r#"{"nodes":{"root":{"inputs":{"locked":"l"}},"l":{}},"root":"root","version":7}"#;
        for (name, text) in [(FLAKE_FILE, text), (lock_file::NAME, lock)] {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let reference = format!("path:{}", dir.path().display()).parse().unwrap();
        let (cancel, events) = (Cancel::new(), Events::none());
        let search = FlakeSearch {
            path: std::ffi::OsStr::new(""),
            home: None,
            cache: dir.path(),
            git_inputs: &[],
            offline: true,
            cancel: &cancel,
            events: &events,
        };
        let flake = Flake::open(reference, Vec::new(), search).await.unwrap();
        flake.check_lock().unwrap_err()
    }

    #[tokio::test]
    async fn an_unlocked_input_is_refused_with_its_declaration() {
        for (text, message, hint) in [
            (
                "{ inputs.a.url = \"github:o/a\"; outputs = { self, locked, a }: { }; }",
                "flake.lock lacks the inputs a,",
                "sdbuild lock --flake ",
            ),
            (
                "{\n  inputs.nixpkgs.url = \"github:o/a\";\n  outputs = { self, nixpkg }: { };\n}",
                "have the argument nixpkg (line 3), which is not",
                "did you mean nixpkgs?",
            ),
            (
                "{ outputs = { self, locked, disko }: { }; }",
                "have the argument disko (line 1)",
                "inputs.disko.url = \"github:nix-community/disko\";",
            ),
            (
                "{\n  inputs.b.follows = \"lockd\";\n  outputs = { self, locked, b }: { };\n}",
                "the input b in flake.nix follows lockd,",
                "flake.nix:2: did you mean locked?",
            ),
            (
                "{\n  inputs.a.url = \"me/pi\";\n  outputs = { self, a }: { };\n}",
                "has the URL \"me/pi\", a name in a registry",
                "flake.nix:2: write github:me/pi",
            ),
            (
                "{\n  inputs.a.url = \"../common\";\n  outputs = { self, a }: { };\n}",
                "a directory that the builder does not have",
                "--override-input a ../common",
            ),
        ] {
            let failure = refused(text).await;
            assert!(failure.to_string().contains(message), "{failure}");
            assert!(failure.hints[0].contains(hint), "{failure:?}");
        }
    }

    #[test]
    fn only_the_upload_is_inside() {
        for (url, dir, expected) in [
            ("path:../common", "hosts/pi", false),
            ("../../../common", "hosts/pi", true),
            ("~/nixpkgs", "", true),
            ("path:/home/me/x", "", true),
            ("path:/nix/store/x-source", "", false),
            ("./pi", "", false),
            ("github:me/x", "", false),
        ] {
            assert_eq!(is_outside(url, dir), expected, "{url}");
        }
    }

    #[test]
    fn inputs_that_the_lock_lacks_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        let found = || unlocked_inputs(dir.path());
        assert!(found().is_empty(), "there is no flake");
        write("flake.nix", "{ outputs = { self, a, b }: { }; }");
        assert_eq!(found(), ["a", "b"]);
        let lock = r#"{"nodes":{"root":{"inputs":{"a":"a"}}},"root":"root","version":7}"#;
        write("flake.lock", lock);
        assert_eq!(found(), ["b"]);
        write("flake.lock", "damaged");
        assert!(found().is_empty(), "Nix reports it");
    }
}
