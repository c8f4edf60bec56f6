//! The inputs of a flake: which are fetched here, and which cannot be fetched.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Flake;
use super::SELF;
use super::content::Content;
use super::declared_inputs::{
    FollowsNothing, declared_attributes, declared_inputs, follows_itself, follows_nothing,
    is_declared_as_files, may_have_configuration, misplaced_follows,
};
use super::declared_places::{only_line, place_of, url_in_circle};
use super::input_url;
use super::lock::Node;
use super::lock_file;
use super::locked_inputs;
use super::locked_inputs::LockedRepository;
use super::override_input::Override;
use super::private_input::PrivateInput;
use super::private_lock;
use super::private_lock::{NewInput, UnlockedRepository};
use super::search::FlakeSearch;
use super::tree::FlakeTree;
use super::unlocked;
use super::unlocked::UnlockedFlake;
use crate::common::configuration_file::{CONFIG_NAME, FLAKE_FILE, flake_text};
use crate::nixos::nix_syntax::parse;
use sdbuild_core::event::Events;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::http_url::hide_secrets;
use sdbuild_core::nearest::similar_names;

/// The output of a flake with its configurations.
const CONFIGURATIONS: &str = "nixosConfigurations";
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
        self.check_updated(updated)?;
        let unlocked = self.unlocked_inputs();
        self.check_arguments(&unlocked)?;
        self.check_follows()?;
        self.check_urls(&[&unlocked, updated].concat())?;
        let new = self.unlocked_repositories(updated, search.git_inputs)?;
        let names: Vec<_> = new.iter().map(|input| input.name.as_str()).collect();
        let mut locked = self.locked_repositories(&names, search.git_inputs);
        for declared in new {
            let input = PrivateInput::resolve(declared, search).await?;
            if let Some(lock) = input.own_lock() {
                locked.extend(locked_inputs::private_repositories(&lock, &[], &[]));
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
        let Some(text) = self.directory().and_then(|dir| flake_text(&dir)) else {
            return Ok(Vec::new());
        };
        private_lock::unlocked_repositories(&text, self.lock().as_ref(), updated, named)
    }

    /// The inputs that only the user's git can fetch, and those that the user has `named`; without what is overridden or `new`.
    fn locked_repositories(&self, new: &[&str], named: &[String]) -> Vec<LockedRepository> {
        let Some(lock) = self.lock() else {
            return Vec::new();
        };
        let replaced = [&self.overridden_inputs(), new].concat();
        locked_inputs::private_repositories(&lock, &replaced, named)
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
        self.check_overrides()?;
        let missing = self.missing_inputs();
        // Nix explains an error in the syntax before it looks for the lock.
        if missing.is_empty() || self.has_syntax_error() {
            return Ok(());
        }
        self.check_name()?;
        self.check_follows()?;
        self.check_arguments(&missing)?;
        self.check_urls(&missing)?;
        Err(self.unlocked().failure(&missing))
    }

    /// Fails if the user named all configurations, or misspelt their output, which is a mistake with a lock, too.
    fn check_name(&self) -> Result<(), Failure> {
        let (text, flake) = (self.reference.to_string(), &self.reference.text);
        let (what, hint) = match self.reference.attribute.as_slice() {
            [output] if output == CONFIGURATIONS => (
                "is all configurations of the flake",
                format!("name one of them: {flake}#NAME"),
            ),
            [output, name] if self.lacks_output_like_configurations(output) => (
                "is not an output of the flake",
                format!("did you mean {flake}#{name}?"),
            ),
            _ => return Ok(()),
        };
        Err(Failure::usage(format!("{text} {what}")).hint(hint))
    }

    /// Whether `output` is nearly the name of the configurations, and the flake does not have that word.
    fn lacks_output_like_configurations(&self, output: &str) -> bool {
        let text = self.directory().and_then(|dir| flake_text(&dir));
        similar_names(output, [CONFIGURATIONS]).is_some()
            && text.is_some_and(|text| !may_have_configuration(&text, output))
    }

    /// Whether its `flake.nix` is here and cannot be parsed.
    fn has_syntax_error(&self) -> bool {
        let text = self.directory().and_then(|dir| flake_text(&dir));
        text.is_some_and(|text| !parse(&text).errors().is_empty())
    }

    fn unlocked(&self) -> UnlockedFlake<'_> {
        let has = |name: &str| {
            let tree = self.tree.as_ref();
            tree.is_some_and(|tree| tree.directory().join(name).exists())
        };
        UnlockedFlake {
            reference: &self.reference,
            is_local: self.local_tree().is_some(),
            has_lock: has(lock_file::NAME),
            is_beside_module: has(CONFIG_NAME),
        }
    }

    /// Fails if one of its inputs `unlocked` is only an argument of its outputs.
    fn check_arguments(&self, unlocked: &[String]) -> Result<(), Failure> {
        let text = self.directory().and_then(|dir| flake_text(&dir));
        let undeclared = text.and_then(|text| self.unlocked().undeclared_argument(unlocked, &text));
        undeclared.map_or(Ok(()), Err)
    }

    /// Fails if the lock of a flake of this machine is damaged, in which Nix says neither the file nor what to do.
    fn check_lock_file(&self) -> Result<(), Failure> {
        let directory = self.local_tree().map(FlakeTree::directory);
        directory.map_or(Ok(()), |dir| lock_file::check(&dir))
    }

    /// Fails if an input follows one that the flake does not have.
    fn check_follows(&self) -> Result<(), Failure> {
        let text = self.directory().and_then(|dir| flake_text(&dir));
        let text = text.unwrap_or_default();
        if let Some((input, own, meant)) = misplaced_follows(&text) {
            let failure = Failure::usage(format!(
                "the input {input} in flake.nix follows nothing, because `follows` is in the wrong place"
            ));
            let is_it = |line: &str| line.contains("follows") && line.contains(own);
            let place = only_line(&text, is_it);
            return Err(failure.hint(format!("{place}write {meant}")));
        }
        if let Some(circle) = follows_itself(&text) {
            let hint = url_in_circle(&text, &circle);
            let text = format!("inputs in flake.nix follow each other in a circle: {circle}");
            return Err(Failure::usage(text).hint(hint));
        }
        let Some(found) = follows_nothing(&text) else {
            return Ok(());
        };
        let FollowsNothing {
            input,
            target,
            missing,
        } = found;
        let declared = declared_inputs(&text);
        let failure = Failure::usage(format!(
            "the input {input} in flake.nix follows {target}, and the flake has no input {missing}"
        ));
        let place = place_of(&text, target);
        let similar = similar_names(missing, declared.iter().map(String::as_str));
        Err(match similar {
            Some(meant) => failure.hint(format!("{place}did you mean {meant}?")),
            None => failure.hint(format!(
                "{place}declare it: inputs.{missing}.url = \"…\"; then run `{}`",
                self.unlocked().lock_command()
            )),
        })
    }

    /// Fails if one of `inputs` has a URL that Nix would take for something else, and its flake is the user's own.
    fn check_urls(&self, inputs: &[String]) -> Result<(), Failure> {
        let text = self.directory().and_then(|dir| flake_text(&dir));
        let declared = text.as_deref().map(declared_attributes).unwrap_or_default();
        let dir = self.local_tree().map_or("", FlakeTree::dir);
        let urls = || {
            let urls = inputs.iter();
            urls.filter_map(|name| Some((name, declared.get(name)?.get("url")?)))
        };
        let wrong =
            urls().find_map(|(name, url)| Some((name, url, input_url::problem(name, url, dir)?)));
        let directory = self.directory().unwrap_or_default();
        let missing = || {
            urls().find_map(|(name, url)| {
                Some((name, url, input_url::missing_path(name, url, &directory)?))
            })
        };
        let found = wrong.or_else(missing);
        found.map_or(Ok(()), |(name, url, (what, hint))| {
            let place = place_of(text.as_deref().unwrap_or_default(), url);
            let url = hide_secrets(url);
            let text = format!("the input {name} in flake.nix has the URL {url:?}, {what}");
            Err(Failure::usage(text).hint(format!("{place}{}", hide_secrets(&hint))))
        })
    }

    /// Whether its lock is complete only with the overridden inputs.
    pub(in crate::nixos) fn is_locked_by_overrides(&self) -> bool {
        !self.unlocked_inputs().is_empty() && self.missing_inputs().is_empty()
    }

    /// The names of the inputs that its lock lacks, and that are not overridden.
    fn missing_inputs(&self) -> Vec<String> {
        let mut missing = self.unlocked_inputs();
        missing.retain(|input| !self.is_overridden(input));
        missing
    }

    /// The names of the inputs of a flake whose files are here that its lock lacks.
    fn unlocked_inputs(&self) -> Vec<String> {
        let directory = self.tree.as_ref().map(FlakeTree::directory);
        directory.map_or_else(Vec::new, |dir| unlocked::inputs(&dir))
    }

    /// Fails if an overridden input is none of the flake: Nix would only warn, and go on with the one that was mistyped.
    fn check_overrides(&self) -> Result<(), Failure> {
        self.check_overridden(self.overrides.iter().map(Override::input))
    }

    /// The same for inputs that are to be overridden.
    pub fn check_overridden<'a>(
        &self,
        names: impl Iterator<Item = &'a str>,
    ) -> Result<(), Failure> {
        let checked = self.check_names(names);
        checked.map_err(|failure| failure.consequence("--override-input"))
    }

    /// Fails if one of the inputs `updated` is none of the flake: Nix would only warn, and change nothing. Those that are not
    /// known are left to it.
    fn check_updated(&self, updated: &[String]) -> Result<(), Failure> {
        self.check_names(updated.iter().map(String::as_str))
    }

    /// Fails if one of these paths begins with a name that no input of the flake has.
    fn check_names<'a>(&self, mut paths: impl Iterator<Item = &'a str>) -> Result<(), Failure> {
        let text = self.directory().and_then(|dir| flake_text(&dir));
        let mut known = text.as_deref().map(declared_inputs).unwrap_or_default();
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
        let text = self.directory().and_then(|dir| flake_text(&dir));
        let is_declared = text.is_some_and(|text| is_declared_as_files(&text, input));
        let lock = self.lock().unwrap_or_default();
        let is_locked = || lock.input(input).is_some_and(Node::is_files);
        if is_declared || is_locked() {
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
        match locked_inputs::not_fetched_by_git(&lock, &checked) {
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
        let unreachable = locked_inputs::unreachable_inputs(&lock, &self.overridden_inputs());
        for (input, how) in unreachable.into_iter().take(MAX_UNREACHABLE) {
            events.warn(format!(
                "the builder cannot fetch the input {input} {how}. Clone it, and give --override-input {input} DIR"
            ));
        }
    }
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
