//! Values against the shapes of a model.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use regex_automata::meta::Regex;
use serde_json::{Map, Value};

use super::{Checked, model};

/// Lists of values that grow with every release of the model: what the newest machines are called is not in an older one.
const GROWING: [&str; 1] = ["InstanceType"];
/// The protocols whose parameters are a form, where all values are texts.
const FORMS: [&str; 2] = ["ec2", "query"];

/// A service's model.
pub(super) struct Model {
    pub(super) model: &'static Value,
    protocol: &'static str,
}

impl Model {
    pub(super) fn of(service: &str) -> Self {
        let model = model(service);
        let protocol = model["metadata"]["protocol"].as_str().unwrap();
        Self { model, protocol }
    }

    pub(super) fn metadata(&self, key: &str) -> &'static str {
        self.model["metadata"][key].as_str().unwrap()
    }

    /// The name of the structure that `action` takes.
    pub(super) fn input(&self, action: &str) -> Result<&'static str, String> {
        let operation = self.model["operations"].get(action);
        let operation = operation.ok_or_else(|| format!("there is no operation {action}"))?;
        Ok(operation["input"]["shape"].as_str().unwrap())
    }

    /// What the member `name` of a structure is called in a call.
    fn wire_name(&self, name: &str, member: &Value) -> String {
        let named = |key: &str| member[key].as_str().map(str::to_owned);
        let capital = |name: String| name[..1].to_uppercase() + &name[1..];
        let given = match self.protocol {
            "ec2" => named("queryName").or_else(|| named("locationName").map(capital)),
            "query" => named("locationName"),
            _ => None,
        };
        given.unwrap_or_else(|| name.to_owned())
    }

    /// The text of an address or a header as JSON would have it, if it can be a value of the shape.
    pub(super) fn typed(&self, shape: &str, text: &str) -> Value {
        let kind = self.model["shapes"][shape]["type"].as_str().unwrap();
        let is_text = ["string", "timestamp", "blob"].contains(&kind);
        let parsed = serde_json::from_str(text).ok().filter(|_| !is_text);
        parsed.unwrap_or_else(|| text.into())
    }

    fn value(&self, shape: &str, value: &Value, at: &str) -> Checked {
        let definition = &self.model["shapes"][shape];
        match definition["type"].as_str().unwrap() {
            "structure" => match value.as_object() {
                Some(given) => self.structure(shape, given, at),
                None => Err(format!("{at} is no structure")),
            },
            "list" => self.list(definition, value, at),
            "map" => Err(format!("{at} is a map, which this check does not know")),
            kind => self.scalar(shape, kind, value, at),
        }
    }

    /// Checks the parameters `given` against a structure.
    pub(super) fn structure(&self, shape: &str, given: &Map<String, Value>, at: &str) -> Checked {
        let definition = &self.model["shapes"][shape];
        let members = definition["members"].as_object().unwrap();
        let mut names = BTreeMap::new();
        for (name, member) in members {
            names.insert(self.wire_name(name, member), (name, member));
        }
        for required in definition["required"].as_array().into_iter().flatten() {
            let is_it = |key: &String| names.get(key).is_some_and(|(name, _)| required == *name);
            if !given.keys().any(is_it) {
                return Err(format!("{at} lacks {}", required.as_str().unwrap()));
            }
        }
        for (key, value) in given {
            let (_, member) =
                names.get(key).ok_or_else(|| format!("{at} has no parameter {key}"))?;
            let shape = member["shape"].as_str().unwrap();
            self.value(shape, value, &format!("{at}.{key}"))?;
        }
        Ok(())
    }

    fn list(&self, definition: &Value, value: &Value, at: &str) -> Checked {
        let items = self.items(definition, value);
        let items = items.ok_or_else(|| format!("{at} is no list"))?;
        within(definition, length(items.len()), &format!("the length of {at}"))?;
        let shape = definition["member"]["shape"].as_str().unwrap();
        for (n, item) in (1..).zip(items) {
            self.value(shape, item, &format!("{at}.{n}"))?;
        }
        Ok(())
    }

    /// The items of a list: of an array in JSON; else of `1`, `2`, …, in STS's protocol below `member`.
    fn items<'a>(&self, definition: &Value, value: &'a Value) -> Option<Vec<&'a Value>> {
        if !FORMS.contains(&self.protocol) {
            return Some(value.as_array()?.iter().collect());
        }
        let mut given = value.as_object()?;
        if self.protocol == "query" && definition["flattened"] != true {
            let name = definition["member"]["locationName"].as_str();
            given = given.get(name.unwrap_or("member"))?.as_object()?;
        }
        (1..=given.len()).map(|n| given.get(&n.to_string())).collect()
    }

    fn scalar(&self, shape: &str, kind: &str, value: &Value, at: &str) -> Checked {
        let definition = &self.model["shapes"][shape];
        let wrong = || Err(format!("{at} is no {kind}: {value}"));
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => return wrong(),
        };
        let is_json = !FORMS.contains(&self.protocol);
        let fits = match kind {
            "integer" | "long" => (value.is_number() || !is_json) && text.parse::<i64>().is_ok(),
            "float" | "double" => text.parse::<f64>().is_ok(),
            "boolean" => (value.is_boolean() || !is_json) && text.parse::<bool>().is_ok(),
            "timestamp" => value.is_number() || text.parse::<jiff::Timestamp>().is_ok(),
            "blob" => value.is_string() && BASE64_STANDARD.decode(&text).is_ok(),
            _ => value.is_string(),
        };
        if !fits {
            return wrong();
        }
        let size = match kind {
            "integer" | "long" => text.parse().unwrap(),
            _ => length(text.chars().count()),
        };
        within(definition, size, at)?;
        let values = definition["enum"].as_array();
        if let Some(values) = values.filter(|_| !GROWING.contains(&shape))
            && !values.iter().any(|known| *known == text)
        {
            return Err(format!("{at} has no value {text}"));
        }
        matches_pattern(definition, &text, at)
    }
}

/// Checks a number, or a length, against the bounds of `definition`.
fn within(definition: &Value, size: i64, at: &str) -> Checked {
    let bound = |key: &str| definition[key].as_i64();
    let (min, max) = (bound("min"), bound("max"));
    if min.is_none_or(|min| size >= min) && max.is_none_or(|max| size <= max) {
        return Ok(());
    }
    Err(format!("{at}: {size} is outside {min:?} to {max:?}"))
}

fn length(length: usize) -> i64 {
    i64::try_from(length).unwrap()
}

/// As AWS's models mean it, a pattern may match anywhere unless it is anchored.
fn matches_pattern(definition: &Value, text: &str, at: &str) -> Checked {
    let Some(pattern) = definition["pattern"].as_str() else {
        return Ok(());
    };
    // A few of thousands look ahead, which this engine cannot.
    match Regex::new(pattern) {
        Ok(regex) if !regex.is_match(text) => {
            Err(format!("{at}: `{text}` does not match {pattern}"))
        }
        _ => Ok(()),
    }
}
