//! YAML as a tree, as far as the files of a seed need it: scalars are text, and what an alias names is not copied, so that no
//! text becomes much more than it is.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScanError};

/// Levels of lists and mappings in each other; cloud-init's own files have a handful.
const MAX_DEPTH: usize = 64;

/// The key with which a mapping takes over the keys of others.
const MERGE: &str = "<<";

/// Why a text is not YAML, or not YAML that cloud-init reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct YamlError {
    /// The line, counted from 1.
    pub(super) line: usize,
    /// What is wrong there.
    pub(super) what: String,
}

impl YamlError {
    fn new(line: usize, what: impl Into<String>) -> Self {
        let what = what.into();
        Self { line, what }
    }
}

impl From<ScanError> for YamlError {
    fn from(error: ScanError) -> Self {
        Self::new(error.marker().line(), error.info())
    }
}

/// A value with the line on which it begins, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) value: Value,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// A text, a number, a truth value or nothing.
    Scalar(String),
    List(Vec<Node>),
    Mapping(Vec<(String, Node)>),
    /// What another place of the text says.
    Alias,
}

impl Node {
    /// The value of `key`, if this is a mapping that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let Value::Mapping(entries) = &self.value else {
            return None;
        };
        let found = entries.iter().find(|(name, _)| name == key);
        found.map(|(_, node)| node)
    }

    /// The text of a scalar.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(text) => Some(text),
            Value::List(_) | Value::Mapping(_) | Value::Alias => None,
        }
    }
}

/// The only document of `text`; `None` if there is none. An error for a second one, and for a key that a mapping has twice.
pub(super) fn parse(text: &str) -> Result<Option<Node>, YamlError> {
    let is_control = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}');
    if let Some(at) = text.find(is_control) {
        let line = text.get(..at).unwrap_or_default().matches('\n').count() + 1;
        return Err(YamlError::new(line, "there is a control character"));
    }
    let mut events = Events {
        parser: Parser::new_from_str(text),
    };
    let mut document = None;
    loop {
        let (event, at) = events.next()?;
        match event {
            Event::StreamEnd => return Ok(document),
            Event::DocumentStart(_) if document.is_some() => {
                let what = "a second document begins, and cloud-init reads only one";
                return Err(YamlError::new(at.line(), what));
            }
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
            event @ (Event::Alias(_)
            | Event::Scalar(..)
            | Event::SequenceStart(..)
            | Event::SequenceEnd
            | Event::MappingStart(..)
            | Event::MappingEnd) => document = Some(events.node(event, at, 0)?),
        }
    }
}

struct Events<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
}

impl<'a> Events<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Marker), YamlError> {
        match self.parser.next_event() {
            Some(next) => {
                let (event, span) = next?;
                Ok((event, span.start))
            }
            None => Ok((Event::StreamEnd, Marker::default())),
        }
    }

    /// The node that begins with `event`, in `depth` others.
    fn node(&mut self, event: Event<'a>, at: Marker, depth: usize) -> Result<Node, YamlError> {
        let line = at.line();
        if depth > MAX_DEPTH {
            let what = format!("lists and mappings are nested more than {MAX_DEPTH} levels deep");
            return Err(YamlError::new(line, what));
        }
        let value = match event {
            Event::Scalar(text, ..) => Value::Scalar(text.into_owned()),
            Event::SequenceStart(..) => Value::List(self.list(depth)?),
            Event::MappingStart(..) => Value::Mapping(self.mapping(depth)?),
            Event::Alias(_) => Value::Alias,
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => return Err(YamlError::new(line, "a value is missing")),
        };
        Ok(Node { line, value })
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, YamlError> {
        let mut nodes = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(nodes),
                (event, at) => nodes.push(self.node(event, at, depth + 1)?),
            }
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Vec<(String, Node)>, YamlError> {
        let mut lines: HashMap<String, usize> = HashMap::new();
        let mut entries = Vec::new();
        loop {
            let key = match self.next()? {
                (Event::MappingEnd, _) => return Ok(entries),
                (event, at) => self.node(event, at, depth + 1)?,
            };
            let (event, at) = self.next()?;
            let value = self.node(event, at, depth + 1)?;
            let Value::Scalar(name) = key.value else {
                let what = "a list or a mapping is a key here, so cloud-init would ignore the whole file. Put text with \
                            `{` or `[` in quotes, and begin a template with `## template: jinja`";
                return Err(YamlError::new(key.line, what));
            };
            // A merge, of which a mapping may have several.
            if name == MERGE {
                entries.push((name, value));
                continue;
            }
            if let Some(first) = lines.insert(name.clone(), key.line) {
                let what = format!(
                    "`{name}` is repeated, after line {first}: cloud-init uses only the last one"
                );
                return Err(YamlError::new(key.line, what));
            }
            entries.push((name, value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> (usize, String) {
        let error = parse(text).unwrap_err();
        (error.line, error.what)
    }

    #[test]
    fn lines_are_counted_from_the_first() {
        let tree = parse("# c\na: 1\nb:\n  - x\n  - {c: d}\n")
            .unwrap()
            .unwrap();
        assert_eq!(tree.get("a").unwrap().text(), Some("1"));
        let list = tree.get("b").unwrap();
        let Value::List(nodes) = &list.value else {
            panic!("{list:?}")
        };
        assert_eq!((nodes[0].line, nodes[1].line), (4, 5));
        assert_eq!(nodes[1].get("c").unwrap().text(), Some("d"));
        assert_eq!(parse("# nothing\n").unwrap(), None);
    }

    #[test]
    fn what_cloud_init_reads_is_read() {
        for text in [
            "a: &a {b: 1}\nc:\n  <<: *a\n  <<: *a\n",
            "a: !!str 5\nb: ! c\n",
            "a:\r\n- |\r\n  b\r\n",
        ] {
            parse(text).unwrap();
        }
    }

    #[test]
    fn what_cloud_init_would_misread_has_its_line() {
        assert_eq!(error("a: 1\nb: [1, 2\n").0, 3);
        assert_eq!(error("a: 1\nb: 2\na: 3\n").0, 3);
        assert!(error("a: 1\n---\nb: 2\n").1.contains("second document"));
        assert_eq!(error("a: b: c\n").0, 1);
        assert_eq!(error("a: 1\nb: \u{1}\n").0, 2);
        assert!(error("a: {{ b }}\n").1.contains("template: jinja"));
    }

    /// Both would take the memory or the stack of a reader that copies or recurses.
    #[test]
    fn neither_aliases_nor_depth_grow_without_bound() {
        let line = |n: usize| format!("a{n}: &a{n} [*a{p}, *a{p}, *a{p}]\n", p = n - 1);
        let lines = (1..60).map(line);
        let bomb: String = std::iter::once("a0: &a0 [x]\n".to_owned())
            .chain(lines)
            .collect();
        let tree = parse(&bomb).unwrap().unwrap();
        assert!(tree.get("a59").is_some());
        for deep in ["[".repeat(100), "- ".repeat(10_000)] {
            assert!(error(&deep).1.contains("are nested more than"));
        }
    }
}
