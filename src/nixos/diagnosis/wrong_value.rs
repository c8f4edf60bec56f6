//! A value of which a message says that its type is wrong. Pure.

use super::listed_definitions::list_element;

/// The value, and what it is the value of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wrong<'a> {
    /// The option, or the list that the value is an element of.
    pub(super) option: &'a str,
    /// Whether it may be only a part of the definition: an element, or what `lib.mkForce` is given.
    pub(super) is_part: bool,
    /// Whether it is an element of the list that `option` is.
    pub(super) is_element: bool,
    /// The type, without `null or`.
    pub(super) kind: &'a str,
    /// The first line of the value as Nix shows it.
    pub(super) shown: &'a str,
}

impl<'a> Wrong<'a> {
    /// The value at `path`, which is a part of its definition also if `path` is that of an element.
    pub(super) fn at(path: &'a str, is_part: bool, kind: &'a str, shown: &'a str) -> Self {
        Self {
            option: path,
            is_part: is_part || list_element(path).is_some(),
            is_element: false,
            kind,
            shown,
        }
    }

    /// `value` as a definition, or in place of what is `written`.
    pub(super) fn definition(&self, value: &str, written: &str) -> String {
        if self.is_part {
            format!("{value} instead of {written}")
        } else {
            format!("{} = {value};", self.option)
        }
    }

    /// `value` as a definition, or alone: where what is written is too long, or not shown as it is.
    pub(super) fn definition_or(&self, value: &str) -> String {
        if self.is_part {
            value.to_owned()
        } else {
            self.definition(value, self.shown)
        }
    }
}
