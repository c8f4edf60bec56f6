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
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::http_url::hide_secrets;
use sdbuild_core::nearest::similar_names;
use sdbuild_core::shell_word::quoted;
use sdbuild_core::untrusted;
use sdbuild_nix::configuration_file::{CONFIG_NAME, FLAKE_FILE, flake_text, lock_command};
use sdbuild_nix::flake_file::FlakeFile;
use sdbuild_nix::flake_lock::{Edge, Lock, Node};
use sdbuild_nix::flake_ref::{is_in_registry, registry_alternative};
use sdbuild_nix::git_inputs;
use sdbuild_nix::git_inputs::{LockedRepository, NewInput, UnlockedRepository, UnreachableInput};
use sdbuild_nix::known_repository::usual_url;
use sdbuild_nix::stale_lock::{ChangedInput, Comparison};

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
        let locked = [&unlocked, updated].concat();
        self.check_declarations(&unlocked, &locked, CanOverride::No)?;
        self.check_directories(&self.file())?;
        let new = self.unlocked_repositories(updated, search.git_inputs)?;
        let names: Vec<_> = new.iter().map(|input| input.name.as_str()).collect();
        let mut locked = self.locked_repositories(&names, search.git_inputs);
        for declared in new {
            let input = PrivateInput::resolve(declared, search).await?;
            if let Some(lock) = input.own_lock() {
                locked.extend(inner_repositories(&lock, input.name(), search.git_inputs));
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
        let mut lock = untrusted::json(&text).or_internal("read the lock that Nix wrote")?;
        for (at, new) in self.new_inputs() {
            new.complete(at, &mut lock)?;
        }
        Ok(lock.to_string())
    }

    /// Fails if an overridden input is none of the flake, or if its lock is not that of its `flake.nix`, as far as both are plain: Nix
    /// would fetch every input before it refused that.
    pub fn check_lock(&self) -> Result<(), Failure> {
        self.check_lock_file()?;
        self.check_overrides()?;
        let file = self.file();
        // Nix explains an error in the syntax before it looks for the lock.
        if file.has_errors {
            return Ok(());
        }
        let (missing, changed) = (self.missing_inputs(), self.changed_inputs());
        if missing.is_empty() && changed.is_empty() {
            return self.check_directories(&file);
        }
        let own = changed.iter().map(|input| input.path.clone());
        let renewed: Vec<String> = missing.iter().cloned().chain(own).collect();
        // A lock cannot be completed as long as one of its inputs is outside, so overriding that one alone leads nowhere.
        let dir = self.local_tree().map_or("", FlakeTree::dir);
        let outside = |name: &String| file.url(name).is_some_and(|url| is_outside(url, dir));
        let can_override = if renewed.iter().all(outside) {
            CanOverride::Yes
        } else {
            CanOverride::No
        };
        self.check_declarations(&missing, &renewed, can_override)?;
        Err(self.unlocked(&missing, &changed))
    }

    /// The inputs that its lock has in another way than its `flake.nix`, without those that are overridden.
    fn changed_inputs(&self) -> Vec<ChangedInput> {
        let lock = self.lock();
        let compared = lock.map(|lock| Comparison::of(&self.file(), &lock));
        let mut changed = compared.unwrap_or_default().changed;
        changed.retain(|input| !self.is_overridden(&input.path));
        changed
    }

    /// Whether nothing that Nix has to ask for decides what its inputs are: its `flake.nix` and its lock say it, but for what is
    /// overridden.
    pub(super) fn is_locked(&self) -> bool {
        let lock = self.lock().unwrap_or_default();
        let is_whole = Comparison::of(&self.file(), &lock).is_whole;
        is_whole && self.missing_inputs().is_empty() && self.changed_inputs().is_empty()
    }

    /// A build needs the inputs `missing` in its lock, and `changed` as the `flake.nix` has them.
    fn unlocked(&self, missing: &[String], changed: &[ChangedInput]) -> Failure {
        let tree = self.tree.as_ref();
        let has_lock = tree.is_some_and(|tree| tree.directory().join(lock_file::NAME).exists());
        let inputs = match missing {
            [one] => format!("the input {one}"),
            several => format!("the inputs {}", several.join(", ")),
        };
        let lacks = if missing.is_empty() {
            None
        } else if has_lock {
            Some(format!("flake.lock lacks {inputs}"))
        } else {
            Some(format!(
                "there is no flake.lock, which a build needs for {inputs}"
            ))
        };
        let differs = changed.iter().map(ChangedInput::sentence);
        let all: Vec<_> = lacks.into_iter().chain(differs).collect();
        let (text, does) = match has_lock {
            true if changed.is_empty() => (all.join("; "), "completes it"),
            true => (all.join("; "), "updates it"),
            false => (all.join("; "), "writes one"),
        };
        let text = if has_lock {
            format!("{text}; a build never changes flake.lock")
        } else {
            text
        };
        let hint = if self.local_tree().is_none() {
            "clone the repository and complete its lock there, with `sdbuild lock`".to_owned()
        } else {
            format!("`{}` {does}", self.lock_command())
        };
        let changed = changed.iter().map(|input| &input.path);
        let first = missing.iter().chain(changed).next();
        Failure::usage(text)
            .hint(hint)
            .hint(overriding(first.map_or("", String::as_str)))
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
    fn check_declarations(
        &self,
        unlocked: &[String],
        inputs: &[String],
        can_override: CanOverride,
    ) -> Result<(), Failure> {
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
            .find_map(|name| self.wrong_url(&file, name, can_override))
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
    fn wrong_url(
        &self,
        file: &FlakeFile,
        name: &str,
        can_override: CanOverride,
    ) -> Option<Failure> {
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
            let hint = match can_override {
                CanOverride::Yes => format!(
                    "move it into the flake's directory, or build with --override-input {name} {path}"
                ),
                CanOverride::No => {
                    "move it into the flake's directory: until then no flake.lock can be written here".to_owned()
                }
            };
            ("a directory that the builder does not have", hint)
        } else {
            return None;
        };
        let (place, url) = (file.place(name, "url"), hide_secrets(url));
        let text = format!("the input {name} in flake.nix has the URL {url:?}, {what}");
        Some(Failure::usage(text).hint(format!("{place}{}", hide_secrets(&hint))))
    }

    /// Fails if an input that is a directory beside the `flake.nix` does not exist.
    fn check_directories(&self, file: &FlakeFile) -> Result<(), Failure> {
        let Some(tree) = self.local_tree() else {
            return Ok(());
        };
        for name in &file.inputs {
            let url = file.url(name).filter(|_| !self.is_overridden(name));
            let path = url.map(|url| url.strip_prefix("path:").unwrap_or(url));
            let path = path.filter(|path| path.starts_with('.') && !path.contains(['?', '#', '%']));
            let Some(path) = path.filter(|path| !is_outside(path, tree.dir())) else {
                continue;
            };
            let problem = tree.problem_of_input(path, file.is_plain_files(name));
            if let Some((problem, hint)) = problem {
                let place = file.place(name, "url");
                let text = format!("the input {name} in flake.nix is {path}, {problem}");
                return Err(Failure::usage(text).hint(format!("{place}{hint}")));
            }
        }
        Ok(())
    }

    /// Fails if the lock of a flake of this machine is damaged, in which Nix says neither the file nor what to do.
    fn check_lock_file(&self) -> Result<(), Failure> {
        let directory = self.local_tree().map(FlakeTree::directory);
        directory.map_or(Ok(()), |dir| lock_file::check(&dir))
    }

    /// Whether its own lock need not be asked: what replaces inputs is all that it lacks, or it is known to be that of the
    /// `flake.nix`.
    pub(crate) fn is_locked_by_overrides(&self) -> bool {
        !self.overrides.is_empty()
            && (self.is_locked()
                || !self.unlocked_inputs().is_empty() && self.missing_inputs().is_empty())
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
        let inputs = self.tree.as_ref().map(KnownInputs::of);
        let own = |path: &'a str| path.split('/').next().unwrap_or_default();
        paths.try_for_each(|path| {
            let inputs = inputs.as_ref();
            inputs.map_or(Ok(()), |inputs| inputs.check("the flake", &[own(path)]))
        })
    }

    /// Fails if an override would change nothing, because no flake has an input of that name. What is fetched later is checked there.
    fn check_overrides(&self) -> Result<(), Failure> {
        for o in &self.overrides {
            let names: Vec<&str> = o.input().split('/').collect();
            let outer = (1..names.len()).rev().find_map(|depth| {
                let path = names.get(..depth)?.join("/");
                let outer = self.overrides.iter().find(|other| other.input() == path)?;
                Some((depth, format!("the input {path}"), outer.tree()))
            });
            let own = || (0, "the flake".to_owned(), self.tree.as_ref());
            let (depth, whose, tree) = outer.unwrap_or_else(own);
            let below = names.get(depth..).unwrap_or_default();
            let inputs = tree.map(KnownInputs::of);
            let checked = inputs.map_or(Ok(()), |inputs| inputs.check(&whose, below));
            checked.map_err(|failure| {
                failure.consequence(format!("--override-input {}", o.input()))
            })?;
        }
        Ok(())
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

    /// What helps where the builder could not fetch an input that neither it nor git here can fetch: what Nix says names its address.
    pub(crate) fn hint_for_input(&self, said: &str) -> Option<String> {
        let lock = self.lock().unwrap_or_default();
        let inputs = git_inputs::unreachable_inputs(&lock, &self.overridden_inputs());
        let named = inputs
            .into_iter()
            .find(|input| said.contains(&input.address))?;
        let UnreachableInput { path, why, .. } = named;
        Some(format!(
            "the builder cannot fetch the input {path} {why}. Clone it, and give --override-input {path} DIR"
        ))
    }
}

/// The inputs of the new input `outer` with this `lock` that only the user's git can fetch, by their paths from the flake.
fn inner_repositories(lock: &Lock, outer: Option<&str>, named: &[String]) -> Vec<LockedRepository> {
    let prefix = format!("{}/", outer.unwrap_or_default());
    let inner = named.iter().filter_map(|name| name.strip_prefix(&prefix));
    let named: Vec<String> = inner.map(str::to_owned).collect();
    let mut found = git_inputs::private_repositories(lock, &[], &named);
    for input in &mut found {
        input.path.insert_str(0, &prefix);
    }
    found
}

/// Whether an input that the builder does not have can be given as a directory: a build can, the command that locks cannot.
#[derive(Clone, Copy)]
enum CanOverride {
    Yes,
    No,
}

/// What is known without Nix about the inputs of a flake.
struct KnownInputs {
    file: FlakeFile,
    lock: Lock,
    is_files: bool,
}

impl KnownInputs {
    fn of(tree: &FlakeTree) -> Self {
        let dir = tree.directory();
        let lock = lock_file::read(&dir).ok().flatten();
        Self {
            file: flake_text(&dir)
                .map(|text| FlakeFile::read(&text))
                .unwrap_or_default(),
            lock: lock.and_then(|lock| Lock::parse(&lock)).unwrap_or_default(),
            is_files: tree.is_files(),
        }
    }

    /// Fails if the flake, which messages name `whose`, has no input with this path.
    fn check(&self, whose: &str, path: &[&str]) -> Result<(), Failure> {
        let Some(first) = path.first() else {
            return Ok(());
        };
        let mut known = self.file.declared_inputs();
        known.extend(self.lock.input_names());
        // What is computed is not known.
        let is_known = !known.is_empty() || self.file.is_plain || self.is_files;
        if is_known && !known.contains(*first) {
            return Err(unknown_input(whose, first, &known));
        }
        let mut node = self.lock.own_node(&[""; 0]);
        for (depth, name) in path.iter().enumerate() {
            let above = path.get(..depth).unwrap_or_default();
            match node.map(|node| (node, node.edge(name))) {
                Some((_, Some(Edge::Node(to)))) => node = self.lock.node(to),
                // An input that follows another one can be replaced, one of its inputs cannot.
                Some((_, Some(Edge::Follows(target)))) if depth + 1 < path.len() => {
                    let text = format!(
                        "the input {} follows {}, so its inputs are not replaced",
                        path.get(..=depth).unwrap_or_default().join("/"),
                        target.join("/")
                    );
                    return Err(
                        Failure::usage(text).hint("replace those of the input that it follows")
                    );
                }
                Some((node, None)) if depth > 0 => {
                    let names = node.input_names().map(str::to_owned).collect();
                    let whose = format!("the input {}", above.join("/"));
                    return Err(unknown_input(&whose, name, &names));
                }
                Some(_) | None => break,
            }
        }
        Ok(())
    }
}

/// Whether the lock of the flake in `tree` is known to be that of its `flake.nix`.
pub(super) fn is_locked(tree: &FlakeTree) -> bool {
    let KnownInputs { file, lock, .. } = KnownInputs::of(tree);
    let compared = Comparison::of(&file, &lock);
    let is_complete = file.declared_inputs().is_subset(&lock.input_names());
    compared.is_whole && compared.changed.is_empty() && is_complete
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

/// A flake, which messages name `whose`, has only the inputs `known`, not `unknown`.
fn unknown_input(whose: &str, unknown: &str, known: &BTreeSet<String>) -> Failure {
    let list: Vec<_> = known.iter().map(String::as_str).collect();
    let others = match list.as_slice() {
        [] => "it has none".to_owned(),
        names => format!("its inputs: {}", names.join(", ")),
    };
    let failure = Failure::usage(format!("{whose} has no input {unknown}; {others}"));
    match similar_names(unknown, list) {
        Some(names) => failure.hint(format!("did you mean {names}?")),
        None => failure.hint(format!(
            "name one of its inputs, or declare {unknown} in the inputs of its {FLAKE_FILE}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sdbuild_core::cancel::Cancel;
    use sdbuild_core::event::Events;

    /// The failure of a build of a flake with this text, whose lock has only the input `locked`.
    async fn refused(text: &str) -> Failure {
        let lock = r#"{"nodes":{"root":{"inputs":{"locked":"l"}},"l":{"original":{"type":"indirect","id":"locked"}}},"root":"root","version":7}"#;
        let files = [(FLAKE_FILE, text), (lock_file::NAME, lock)];
        checked(&files, &[]).await.unwrap_err()
    }

    /// Whether the flake in these `files` can be built with `overrides`: inputs and directories.
    async fn checked(files: &[(&str, &str)], overrides: &[(&str, &str)]) -> Result<(), Failure> {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let reference = |name: &str| {
            format!("path:{}/{name}", dir.path().display())
                .parse()
                .unwrap()
        };
        let (cancel, events) = (Cancel::new(), Events::none());
        let search = FlakeSearch {
            path: std::ffi::OsStr::new(""),
            home: None,
            cache: dir.path(),
            hashes: &dir.path().join("hashes"),
            git_inputs: &[],
            names_git_inputs: false,
            offline: true,
            cancel: &cancel,
            events: &events,
        };
        let flake = Flake::open(reference(""), Vec::new(), search).await?;
        let mut all = Vec::new();
        for (input, name) in overrides {
            all.push(Override::new(&flake, input, reference(name), search).await?);
        }
        flake.with_overrides(all).check_lock()
    }

    #[tokio::test]
    async fn an_override_of_no_input_is_refused() {
        let lock = r#"{"root":"root","version":7,"nodes":{"root":{"inputs":{"a":"a"}},
            "a":{"inputs":{"b":"b","f":["a","b"]},"original":{"type":"github","owner":"o","repo":"a"}},
            "b":{"original":{"type":"github","owner":"o","repo":"b"}}}}"#;
        let files = [
            (
                FLAKE_FILE,
                "{ inputs.a.url = \"github:o/a\"; outputs = { self, a }: { }; }",
            ),
            (lock_file::NAME, lock),
            ("new/flake.nix", "{ outputs = { self, c }: { }; }"),
            ("bare/flake.nix", "{ outputs = { self }: { }; }"),
        ];
        for (overrides, expected) in [
            (&[("a", "new"), ("a/c", "bare")][..], ""),
            (&[("a/b", "bare"), ("a/f", "bare")], ""),
            (
                &[("a/c", "bare")],
                "the input a has no input c; its inputs: b, f",
            ),
            (
                &[("a", "new"), ("a/b", "bare")],
                "the input a has no input b; its inputs: c",
            ),
            (
                &[("a/b", "bare"), ("a/b/c", "bare")],
                "the input a/b has no input c; it has none",
            ),
            (
                &[("a/f/x", "bare")],
                "the input a/f follows a/b, so its inputs are not replaced",
            ),
            (
                &[("x/b", "bare")],
                "the flake has no input x; its inputs: a",
            ),
        ] {
            let text = checked(&files, overrides)
                .await
                .err()
                .map_or(String::new(), |f| f.to_string());
            assert!(
                text.ends_with(expected) && text.is_empty() == expected.is_empty(),
                "{text}"
            );
        }
    }

    #[tokio::test]
    async fn a_lock_of_another_flake_is_refused_but_for_what_is_overridden() {
        let lock = r#"{"root":"root","version":7,"nodes":{"root":{"inputs":{"a":"a"}},
            "a":{"original":{"type":"github","owner":"o","repo":"a"}}}}"#;
        let flake = "{\n  inputs.a.url = \"github:o/new\";\n  inputs.b.url = \"path:./b\";\n  outputs = { self, a, b }: { };\n}";
        let files = [
            (FLAKE_FILE, flake),
            (lock_file::NAME, lock),
            ("b/flake.nix", "{ outputs = { self }: { }; }"),
        ];
        let refused = checked(&files, &[]).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "flake.lock lacks the input b; the input a is github:o/new in flake.nix, and github:o/a in flake.lock; a build \
             never changes flake.lock"
        );
        assert!(
            refused.hints[0].contains("sdbuild lock --flake "),
            "{refused:?}"
        );
        checked(&files, &[("a", "b"), ("b", "b")]).await.unwrap();
    }

    #[tokio::test]
    async fn a_directory_that_is_an_input_exists() {
        let lock = r#"{"root":"root","version":7,"nodes":{"root":{"inputs":{"a":"a"}},
            "a":{"original":{"type":"path","path":"./a"},"parent":[]}}}"#;
        let flake = "{\n  inputs.a.url = \"path:./a\";\n  outputs = { self, a }: { };\n}";
        let files = [(FLAKE_FILE, flake), (lock_file::NAME, lock)];
        let missing = checked(&files, &[]).await.unwrap_err();
        assert_eq!(
            missing.to_string(),
            "the input a in flake.nix is ./a, which does not exist"
        );
        assert!(missing.hints[0].starts_with("flake.nix:2: "), "{missing:?}");
        let empty = checked(&[files[0], files[1], ("a/x", "")], &[])
            .await
            .unwrap_err();
        assert!(
            empty.to_string().ends_with("which has no flake.nix"),
            "{empty}"
        );
        checked(&[files[0], files[1], ("a/flake.nix", "{ }")], &[])
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn an_unlocked_input_is_refused_with_its_declaration() {
        for (text, message, hint) in [
            (
                "{ inputs.a.url = \"github:o/a\"; outputs = { self, locked, a }: { }; }",
                "flake.lock lacks the input a;",
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
                "{\n  inputs.a.url = \"../common\";\n  outputs = { self, locked, a }: { };\n}",
                "a directory that the builder does not have",
                "--override-input a ../common",
            ),
            (
                "{\n  inputs.a.url = \"../common\";\n  inputs.b.url = \"github:o/b\";\n  outputs = { self, locked, a, b }: { };\n}",
                "a directory that the builder does not have",
                "until then no flake.lock",
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
