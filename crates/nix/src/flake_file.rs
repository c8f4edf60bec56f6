//! What a `flake.nix` declares, read without Nix: its inputs and the arguments of its outputs, as far as they are plain syntax. What is
//! computed is left out, and Nix says what is wrong with it.

use std::collections::{BTreeMap, BTreeSet};

use rnix::ast::{
    AstNode, AstToken as _, Attr, Attrpath, Entry, Expr, HasEntry as _, Ident, InterpolPart,
    LiteralKind, Param,
};

use super::git_source::Attributes;
use super::nix_syntax::parse;

/// The output of a flake with its configurations.
pub const CONFIGURATIONS: &str = "nixosConfigurations";

/// The declarations of a `flake.nix`.
#[derive(Debug, Default)]
pub struct FlakeFile {
    /// The names of its attributes, such as `outputs`.
    pub attributes: BTreeSet<String>,
    /// The names in its `inputs`.
    pub inputs: BTreeSet<String>,
    /// The arguments of its `outputs`, except `self`: Nix takes those that are not among the inputs for inputs too.
    pub arguments: BTreeSet<String>,
    /// The argument that has all of them: `inputs` of `inputs: …` and of `{ … }@inputs: …`.
    pub all: Option<String>,
    /// Whether it has an error in its syntax.
    pub has_errors: bool,
    /// Whether all that it says of its inputs is plain syntax.
    pub is_plain: bool,
    /// Every attribute that is text, true or false, with its line.
    values: BTreeMap<Vec<String>, Value>,
    argument_lines: BTreeMap<String, usize>,
}

#[derive(Debug)]
struct Value {
    text: String,
    line: usize,
}

impl FlakeFile {
    /// Reads the `text` of a `flake.nix`.
    pub fn read(text: &str) -> Self {
        let parsed = parse(text);
        let mut file = Self {
            has_errors: !parsed.errors().is_empty(),
            is_plain: true,
            ..Self::default()
        };
        let lines = Lines(text);
        let flake = parsed.tree().expr();
        if !flake.is_some_and(|flake| file.read_set(&flake, &[], lines)) {
            file.is_plain = false;
        }
        // Not an input: attributes of the flake itself.
        file.inputs.remove("self");
        file.arguments.remove("self");
        file
    }

    /// Reads the attributes of `set`, whose path is `outer`. Whether it is a set.
    fn read_set(&mut self, set: &Expr, outer: &[String], lines: Lines<'_>) -> bool {
        let Expr::AttrSet(set) = set else {
            return false;
        };
        if set.rec_token().is_some() {
            return false;
        }
        let is_of_inputs = |path: &[String]| path.first().is_none_or(|first| first == "inputs");
        for entry in set.entries() {
            let Entry::AttrpathValue(definition) = entry else {
                self.is_plain &= !is_of_inputs(outer);
                continue;
            };
            let names = definition.attrpath().and_then(|path| names(&path));
            let (Some(names), Some(value)) = (names, definition.value()) else {
                self.is_plain &= !is_of_inputs(outer);
                continue;
            };
            let path = [outer, &names].concat();
            self.attributes.extend(path.first().cloned());
            if let [inputs, name, ..] = path.as_slice()
                && inputs == "inputs"
            {
                self.inputs.insert(name.clone());
            }
            if path == ["outputs"] {
                self.read_arguments(value, lines);
            } else if !self.read_set(&value, &path, lines) {
                if let Some(text) = plain_text(&value) {
                    let line = lines.of(&definition);
                    self.values.insert(path, Value { text, line });
                } else {
                    self.is_plain &= !is_of_inputs(&path);
                }
            }
        }
        true
    }

    /// Reads the arguments of the function `outputs`.
    fn read_arguments(&mut self, outputs: Expr, lines: Lines<'_>) {
        let Expr::Lambda(function) = without_parentheses(outputs) else {
            self.is_plain = false;
            return;
        };
        match function.param() {
            Some(Param::IdentParam(all)) => self.all = all.ident().and_then(|name| word(&name)),
            Some(Param::Pattern(pattern)) => {
                let all = pattern.pat_bind().and_then(|bind| bind.ident());
                self.all = all.and_then(|name| word(&name));
                for argument in pattern.pat_entries() {
                    if let Some(name) = argument.ident().and_then(|name| word(&name)) {
                        let line = lines.of(&argument);
                        self.argument_lines.insert(name.clone(), line);
                        self.arguments.insert(name);
                    }
                }
            }
            None => {}
        }
    }

    /// The names of its inputs: those of `inputs`, and the other arguments of its `outputs`.
    pub fn declared_inputs(&self) -> BTreeSet<String> {
        self.inputs.union(&self.arguments).cloned().collect()
    }

    /// The attributes of each input: `url`, or `type` and further ones.
    pub fn input_attributes(&self) -> BTreeMap<String, Attributes> {
        let mut inputs = BTreeMap::<String, Attributes>::new();
        for (path, value) in &self.values {
            // `flake` and `follows` are of the input, not of its repository.
            if let [inputs_, name, attribute] = path.as_slice()
                && inputs_ == "inputs"
                && !["flake", "follows"].contains(&attribute.as_str())
            {
                let input = inputs.entry(name.clone()).or_default();
                input.insert(attribute.clone(), value.text.clone());
            }
        }
        inputs
    }

    /// What it says of each input, and of inputs of these: their names, and the attributes `url`, `follows`, `flake`, or `type` and
    /// further ones.
    pub fn declarations(&self) -> BTreeMap<Vec<String>, Attributes> {
        let own = self.declared_inputs().into_iter();
        let mut all: BTreeMap<_, _> = own.map(|name| (vec![name], Attributes::new())).collect();
        for (path, value) in &self.values {
            let (attribute, path) = match path.split_last() {
                Some((attribute, path)) if path.len() % 2 == 0 => (attribute, path),
                Some(_) | None => continue,
            };
            let (sets, names): (Vec<_>, Vec<_>) =
                path.chunks(2).filter_map(|pair| pair.split_first()).unzip();
            let names: Vec<_> = names.into_iter().flatten().cloned().collect();
            if names.first().is_some_and(|name| name != "self")
                && sets.iter().all(|set| *set == "inputs")
            {
                let input = all.entry(names).or_default();
                input.insert(attribute.clone(), value.text.clone());
            }
        }
        all
    }

    fn value(&self, path: [&str; 3]) -> Option<&Value> {
        self.values.get(&path.map(str::to_owned)[..])
    }

    /// The URL of the input `name`.
    pub fn url(&self, name: &str) -> Option<&str> {
        let value = self.value(["inputs", name, "url"]);
        value.map(|value| value.text.as_str())
    }

    /// Where the input `name` has its `attribute`: `flake.nix:4: `; empty if that is not known.
    pub fn place(&self, name: &str, attribute: &str) -> String {
        let value = self.value(["inputs", name, attribute]);
        value.map_or_else(String::new, |value| format!("flake.nix:{}: ", value.line))
    }

    /// The line of the argument `name` of the outputs.
    pub fn argument_line(&self, name: &str) -> Option<usize> {
        self.argument_lines.get(name).copied()
    }

    /// Whether the input `name` is declared as no flake.
    pub fn is_plain_files(&self, name: &str) -> bool {
        let value = self.value(["inputs", name, "flake"]);
        value.is_some_and(|value| value.text == "false")
    }

    /// The first input that follows one that the flake does not have, what it follows, and the missing one. `None` also if the arguments of
    /// the outputs are not plain, as these are inputs too.
    pub fn follows_missing(&self) -> Option<(&str, &str, &str)> {
        if self.arguments.is_empty() && self.all.is_none() {
            return None;
        }
        self.values.iter().find_map(|(path, value)| {
            let [inputs, name, follows] = path.as_slice() else {
                return None;
            };
            // An empty target removes the input.
            let missing = value.text.split('/').find(|part| !part.is_empty())?;
            let is_known = self.inputs.contains(missing) || self.arguments.contains(missing);
            let is_wrong = inputs == "inputs" && follows == "follows" && !is_known;
            is_wrong.then_some((name.as_str(), value.text.as_str(), missing))
        })
    }
}

/// Whether a configuration of the `flake.nix` with this `text` may be called `name`: it has that word, and not for an input.
pub fn may_have_configuration(text: &str, name: &str) -> bool {
    let is_of_name = |c: char| c.is_alphanumeric() || "_-".contains(c);
    let is_input = || FlakeFile::read(text).inputs.contains(name);
    !name.is_empty() && text.split(|c| !is_of_name(c)).any(|word| word == name) && !is_input()
}

/// The names of an attribute path; `None` if one is computed.
fn names(path: &Attrpath) -> Option<Vec<String>> {
    let name = |attribute: Attr| match attribute {
        Attr::Ident(name) => word(&name),
        Attr::Str(text) => only_text(text.normalized_parts()),
        Attr::Dynamic(_) => None,
    };
    path.attrs().map(name).collect()
}

fn word(name: &Ident) -> Option<String> {
    name.ident_token().map(|token| token.text().to_owned())
}

/// The text of `value`, if it is a text, a URL, true or false.
fn plain_text(value: &Expr) -> Option<String> {
    if let Expr::Str(text) = value {
        return only_text(text.normalized_parts());
    }
    if let Expr::Ident(name) = value {
        return word(name).filter(|word| word == "true" || word == "false");
    }
    let Expr::Literal(literal) = value else {
        return None;
    };
    match literal.kind() {
        LiteralKind::Uri(url) => Some(url.syntax().text().to_owned()),
        LiteralKind::Float(_) | LiteralKind::Integer(_) => None,
    }
}

/// The text of a string without interpolation.
fn only_text(parts: Vec<InterpolPart<String>>) -> Option<String> {
    let text = |part: InterpolPart<String>| match part {
        InterpolPart::Literal(text) => Some(text),
        InterpolPart::Interpolation(_) => None,
    };
    parts.into_iter().map(text).collect()
}

fn without_parentheses(mut value: Expr) -> Expr {
    while let Expr::Paren(inner) = &value {
        let Some(inner) = inner.expr() else { break };
        value = inner;
    }
    value
}

/// A text whose lines are counted.
#[derive(Clone, Copy)]
struct Lines<'t>(&'t str);

impl Lines<'_> {
    /// The line of `node`, counted from 1.
    fn of<N: AstNode>(self, node: &N) -> usize {
        let start = node.syntax().text_range().start().into();
        let before = self.0.bytes().take(start);
        before.filter(|byte| *byte == b'\n').count() + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_found_in_every_syntax() {
        for text in [
            "{ inputs.a.url = \"x\"; inputs.b = { url = \"y\"; }; outputs = _: { }; }",
            "{ inputs = { a.url = \"x\"; \"b\".follows = \"a/b\"; }; outputs = inputs: { }; }",
            "{ inputs = { a.url = github:o/r; a.inputs.c.follows = \"b\"; b.flake = false; }; outputs = { self, ... }: { }; }",
            "{ outputs = { self, a, b ? null, ... }@inputs: { }; }",
            "{ outputs = ({ self, a, b }: { }); }",
            "# inputs.c.url = \"x\";\n{ outputs = inputs@{ b, ... }: let inputs.c = 1; in { }; inputs.a.url = \"x\"; }",
            "{ inputs.self.submodules = true; inputs.a.url = \"x\"; inputs.b.url = ''${\"}\"}'';\n}",
            "{ inputs.a.url = \"x\"; inputs.b = import ./b.nix;",
        ] {
            let found = FlakeFile::read(text).declared_inputs();
            assert_eq!(found.iter().collect::<Vec<_>>(), ["a", "b"], "{text}");
        }
    }

    #[test]
    fn code_that_only_looks_like_inputs_declares_none() {
        for text in [
            "",
            "{",
            "}}}; in in",
            "{ outputs = _: { inputs.a.url = \"x\"; }; }",
            "{ outputs = _: with { }; let b = { }; inputs.a = b; in assert true; { }; }",
            "{ description = \"inputs.a.url = 1;\"; inputs = { }; outputs = { self }: { }; }",
            "{ inputs = import ./inputs.nix; outputs = import ./outputs.nix; }",
            "{ inputs.${name}.url = \"x\"; outputs = { a = 1; }; }",
            "rec { inputs.a.url = \"x\"; }",
            &"{ inputs.a = ".repeat(9999),
        ] {
            let found = FlakeFile::read(text).declared_inputs();
            assert!(found.is_empty(), "{found:?}");
        }
    }

    #[test]
    fn attributes_of_inputs_are_found() {
        let found = |text: &str| {
            let words = |(name, input): (String, Attributes)| {
                let words = input.iter().map(|(key, value)| format!(" {key}={value}"));
                format!("{name}{}", words.collect::<String>())
            };
            let found = FlakeFile::read(text).input_attributes().into_iter();
            found.map(words).collect::<Vec<_>>()
        };
        for text in [
            "{ inputs.a.url = \"x:y\"; inputs.b = { url = \"z\"; flake = false; }; outputs = _: { }; }",
            "{ inputs = { a.url = x:y; \"b\".url = \"z\"; b.inputs.a.follows = \"a\"; }; outputs = inputs: { }; }",
        ] {
            assert_eq!(found(text), ["a url=x:y", "b url=z"], "{text}");
        }
        for text in [
            "{ inputs.a = { type = \"git\"; url = \"ssh://h/a\"; submodules = true; flake = false; }; }",
            "{ inputs = { a.type = \"git\"; a = { url = \"ssh://h/a\"; submodules = true; }; }; }",
        ] {
            let attributes = ["a submodules=true type=git url=ssh://h/a"];
            assert_eq!(found(text), attributes, "{text}");
        }
        let computed = "{ inputs.b.type = \"git\"; inputs.b.url = \"x${y}\"; }";
        assert_eq!(found(computed), ["b type=git"]);
        for text in [
            "{ inputs.a.url = \"x${y}\"; outputs = { inputs.c.url = \"x\"; }; }",
            "{ inputs.a.inputs.b.url = \"x\"; outputs = _: { inputs.c.url = \"x\"; }; }",
        ] {
            assert!(found(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn declarations_have_their_lines() {
        let text = "{\n  inputs.a.url = \"x\";\n  outputs = {\n    self, a, b\n  }: { };\n}";
        let file = FlakeFile::read(text);
        assert_eq!(file.place("a", "url"), "flake.nix:2: ");
        assert_eq!(file.place("b", "url"), "");
        assert_eq!(file.argument_line("b"), Some(4));
        assert!(!file.has_errors && FlakeFile::read("{ a = ; }").has_errors);
    }

    #[test]
    fn an_input_that_follows_nothing_is_found() {
        let found = |inputs: &str| {
            let text = format!(
                "{{ inputs = {{ {inputs} }}; outputs = {{ self, implicit, ... }}: {{ }}; }}"
            );
            let file = FlakeFile::read(&text);
            let found = file.follows_missing();
            found.map(|(input, target, missing)| [input, target, missing].join(" "))
        };
        assert_eq!(
            found("a.url = \"x\"; b.follows = \"n/m\";").unwrap(),
            "b n/m n"
        );
        for fine in [
            "a.url = \"x\"; b = { url = \"y\"; inputs.a.follows = \"n\"; };",
            "a.url = \"x\"; b.follows = \"/a\";",
            "a.url = \"x\"; b.follows = \"a/c\";",
            "a.url = \"x\"; b.follows = \"implicit\";",
            "a.url = \"x\"; b.follows = \"\";",
        ] {
            assert_eq!(found(fine), None, "{fine}");
        }
        let computed = "{ inputs.b.follows = \"a\"; outputs = import ./outputs.nix; }";
        assert_eq!(FlakeFile::read(computed).follows_missing(), None);
    }
}
