//! A mistake in a configuration as data, and its text for those who show it. Pure.

use serde::Serialize;

use crate::attribute_path;
use sdbuild_core::nix_string::nix_string;

/// The names of an option's attribute path.
pub type OptionPath = Vec<String>;

/// Severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth a look; the machine boots and login is possible.
    Warning,
    /// The machine does not boot, login is not possible, or no user who logs in can administer it.
    Error,
}

/// A line of the user's files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The file, as messages name it.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
}

/// A mistake in a configuration, and how to correct it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule's name, for scripts.
    pub id: &'static str,
    /// Severity of the finding.
    pub severity: Severity,
    /// The option that it is about, if it is about one.
    pub option: Option<OptionPath>,
    /// The option's value as source text of Nix; a definition with another value is not the cause.
    pub value: Option<String>,
    /// What follows the option and its value in a sentence, or the whole sentence without an option.
    pub detail: String,
    /// The consequence.
    pub why: String,
    /// What to change in the configuration.
    pub fix: Vec<Change>,
    /// Where the user's files define the option, if that is certain.
    pub place: Option<Place>,
    /// The flag that overrides what the files define.
    pub flag: Option<String>,
}

impl Finding {
    /// A finding about an `option` whose value is `value` as source text of Nix.
    pub(super) fn of_value(
        id: &'static str,
        severity: Severity,
        option: OptionPath,
        value: impl Into<String>,
        why: impl Into<String>,
    ) -> Self {
        Self {
            value: Some(value.into()),
            ..Self::of_option(id, severity, option, "", why)
        }
    }

    /// A finding about an `option`; `detail` follows its name in a sentence.
    pub(super) fn of_option(
        id: &'static str,
        severity: Severity,
        option: OptionPath,
        detail: impl Into<String>,
        why: impl Into<String>,
    ) -> Self {
        Self {
            option: Some(option),
            ..Self::general(id, severity, detail, why)
        }
    }

    /// A finding that no option decides alone.
    pub(super) fn general(
        id: &'static str,
        severity: Severity,
        detail: impl Into<String>,
        why: impl Into<String>,
    ) -> Self {
        Self {
            id,
            severity,
            option: None,
            value: None,
            detail: detail.into(),
            why: why.into(),
            fix: Vec::new(),
            place: None,
            flag: None,
        }
    }

    /// The finding with further changes.
    pub(super) fn fix(mut self, changes: impl IntoIterator<Item = Change>) -> Self {
        self.fix.extend(changes);
        self
    }

    /// The finding with a detail.
    pub(super) fn detail(self, detail: impl Into<String>) -> Self {
        Self {
            detail: detail.into(),
            ..self
        }
    }

    /// The path of the option as source text of Nix.
    pub fn option_name(&self) -> Option<String> {
        self.option.as_deref().map(attribute_path::text)
    }

    /// What the configuration sets, for a message.
    pub fn statement(&self) -> String {
        let option = self.option_name().unwrap_or_default();
        let value = self.value.as_ref().map(|value| format!(" = {value}"));
        let flag = self.flag.as_ref().map(|flag| format!(" ({flag})"));
        let (value, flag) = (value.unwrap_or_default(), flag.unwrap_or_default());
        format!("{option}{value}{}{flag}", self.detail)
    }

    /// The lines of Nix with the changes. `key` is the user's own public key, if there is one.
    pub fn lines(&self, key: Option<&str>) -> Vec<String> {
        let file = self.place.as_ref().map(|place| place.file.as_str());
        self.fix.iter().map(|one| one.text(key, file)).collect()
    }
}

/// The definition of an option that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The option.
    pub option: OptionPath,
    /// What it becomes.
    pub value: Value,
    /// A comment behind the line.
    pub note: Option<String>,
    /// What it replaces.
    pub replaces: Option<Replaced>,
}

/// What an option becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Source text of Nix.
    Source(String),
    /// A list that gets these elements.
    With(Vec<String>),
    /// A list of the user's own public key.
    OwnKey,
    /// The value that this option has, whose name is no longer right.
    Of(OptionPath),
    /// Whole definitions, of which the option is only the first.
    Definitions(String),
}

/// What a change replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// The only definition in the user's files.
    Definition {
        /// Its place.
        place: Place,
        /// Its name, without the names of the definitions around it.
        member: OptionPath,
        /// The elements, if it is a list of numbers.
        numbers: Option<Vec<String>>,
    },
    /// What a flag sets.
    Flag(String),
}

/// In place of a public key.
const SOME_KEY: &str = "ssh-ed25519 …";
/// The comment behind it.
const NO_KEY: &str =
    "the line that `cat ~/.ssh/id_ed25519.pub` prints; `ssh-keygen -t ed25519` makes that file";

impl Change {
    /// The change that gives an `option` a `value`, source text of Nix.
    pub(super) fn set(option: OptionPath, value: impl Into<String>) -> Self {
        Self::new(option, Value::Source(value.into()))
    }

    /// The change that adds `elements` to the list of an `option`.
    pub(super) fn add(option: OptionPath, elements: impl IntoIterator<Item = String>) -> Self {
        Self::new(option, Value::With(elements.into_iter().collect()))
    }

    pub(super) fn new(option: OptionPath, value: Value) -> Self {
        Self {
            option,
            value,
            note: None,
            replaces: None,
        }
    }

    /// The change that gives the user `name` the key of whoever runs the program.
    pub(super) fn own_key(name: &str) -> Self {
        Self::new(keys_option(name), Value::OwnKey)
    }

    /// The change with a comment.
    pub(super) fn note(self, note: impl Into<String>) -> Self {
        Self {
            note: Some(note.into()),
            ..self
        }
    }

    /// The lines of Nix, for somebody who reads about `file`.
    fn text(&self, key: Option<&str>, file: Option<&str>) -> String {
        let (name, replaced, numbers) = match &self.replaces {
            None => (attribute_path::text(&self.option), None, None),
            Some(Replaced::Flag(flag)) => {
                let replaced = format!("replaces {flag}");
                (attribute_path::text(&self.option), Some(replaced), None)
            }
            Some(Replaced::Definition {
                place,
                member,
                numbers,
            }) => {
                let line = place.line;
                let at = if file == Some(place.file.as_str()) {
                    format!("line {line}")
                } else {
                    format!("{}:{line}", place.file)
                };
                let is_extended = matches!(self.value, Value::With(_)) && numbers.is_none();
                let verb = if is_extended { "extends" } else { "replaces" };
                let replaced = format!("{verb} {} in {at}", attribute_path::text(member));
                let is_same = self.option.ends_with(member);
                let name = if is_same { member } else { &self.option };
                (attribute_path::text(name), Some(replaced), numbers.as_ref())
            }
        };
        let list = |elements: &[String]| format!("[ {} ]", elements.join(" "));
        let (value, more) = match &self.value {
            Value::Definitions(text) => return text.clone(),
            Value::Source(text) => (text.clone(), None),
            Value::With(elements) => match (numbers, &replaced) {
                (Some(numbers), _) => (list(&[numbers, elements.as_slice()].concat()), None),
                (None, Some(_)) => (format!("[ … {} ]", elements.join(" ")), None),
                (None, None) => (list(elements), None),
            },
            Value::OwnKey => {
                let value = list(&[nix_string(key.unwrap_or(SOME_KEY))]);
                (value, key.is_none().then(|| NO_KEY.to_owned()))
            }
            Value::Of(old) => {
                let old = replaced.is_none().then(|| attribute_path::text(old));
                let old = old.map(|old| format!("replaces {old}; "));
                let more = format!("{}keep its value", old.unwrap_or_default());
                ("…".to_owned(), Some(more))
            }
        };
        let notes = [replaced, self.note.clone(), more].into_iter().flatten();
        let notes: Vec<String> = notes.collect();
        let notes = if notes.is_empty() {
            String::new()
        } else {
            format!(" # {}", notes.join("; "))
        };
        format!("{name} = {value};{notes}")
    }
}

/// The path that `text` has, which is one of this program's own.
pub(super) fn path(text: &str) -> OptionPath {
    attribute_path::parse(text).unwrap_or_default()
}

/// The path of the option `member`, with dots in it, of the object `name` in `set`.
pub(super) fn member(set: &str, name: &str, member: &str) -> OptionPath {
    let names = path(set).into_iter().chain([name.to_owned()]);
    names.chain(path(member)).collect()
}

/// The option `name` of a user.
pub(super) fn user_option(user: &str, name: &str) -> OptionPath {
    member("users.users", user, name)
}

/// The option with the keys of a user.
pub(super) fn keys_option(user: &str) -> OptionPath {
    user_option(user, "openssh.authorizedKeys.keys")
}
