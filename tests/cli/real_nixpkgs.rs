//! The program of `scripts/real-nixpkgs --build` that writes configurations in the place of nixpkgs' own.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::*;

/// Runs the program `name` on an attribute `value` of JSON; what it writes, or what it complains about.
fn converted(name: &str, format: &[&str], input: &Value) -> Result<String, String> {
    let dir = tempfile::tempdir().unwrap();
    let [program, from, to] = [name, "input.json", "output"].map(|file| dir.path().join(file));
    fs::copy(root().join("tests/real-nixpkgs/json2x"), &program).unwrap();
    fs::write(&from, input.to_string()).unwrap();
    // By name: the first line has the path that Python has in the container image.
    let mut command = Command::new("python3");
    command
        .arg(&program)
        .args(format)
        .args(["--unwrap", "value"]);
    let done = run(command.args([&from, &to]));
    if done.code == Some(0) {
        Ok(fs::read_to_string(to).unwrap())
    } else {
        Err(done.stderr)
    }
}

#[test]
fn the_toml_of_stand_ins_has_the_values_of_the_json() {
    if !tools_available(&["python3"]) {
        return;
    }
    let value = json!({
        "tables": { "after": { "deep": { "one": 1 } }, "list": [{ "a": { "b": true } }, {}], "none": {} },
        "text": "it's \"quoted\" \\ and\nlong \u{7f} \u{e9}",
        "odd key": { "a.b": { "": -1 } },
        "values": [1, 2.5, "x", [], [[false]], { "mixed": [1, { "with": "tables" }] }],
        "nothing": [],
        "zero": 0,
    });
    let toml = converted("json2x", &["toml"], &json!({ "value": value, "other": 1 })).unwrap();
    assert_eq!(toml::from_str::<Value>(&toml).unwrap(), value, "{toml}");
}

#[test]
fn the_yaml_of_stand_ins_quotes_what_nixos_looks_for() {
    if !tools_available(&["python3"]) {
        return;
    }
    let value = json!({
        "automation": "!include automations.yaml",
        "empty": {},
        "list": [1, ["it's"], { "lines": "a\nb", "no": null }],
    });
    let yaml = converted("json2yaml", &[], &json!({ "value": value })).unwrap();
    let expected = "\
'automation': '!include automations.yaml'
'empty': {}
'list':
  - 1
  -
    - 'it''s'
  -
    'lines': \"a\\nb\"
    'no': null
";
    assert_eq!(yaml, expected);
    assert_eq!(converted("json2yaml", &[], &json!({})).unwrap(), "null\n");
}

#[test]
fn toml_without_a_form_for_a_value_is_refused() {
    if !tools_available(&["python3"]) {
        return;
    }
    for (value, why) in [
        (json!({ "a": [null] }), "TOML has no null"),
        (json!([1]), "TOML needs an object at the top"),
    ] {
        let complaint = converted("json2x", &["toml"], &json!({ "value": value })).unwrap_err();
        assert!(
            complaint.ends_with(&format!("input.json: {why}\n")),
            "{complaint}"
        );
    }
}
