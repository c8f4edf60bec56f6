//! Values of the wrong kind in a `flake.nix`, of which Nix speaks without naming their place.

use rnix::SyntaxKind::{
    NODE_ATTR_SET, NODE_LAMBDA, NODE_LIST, NODE_PATH_ABS, NODE_PATH_REL, NODE_STRING,
};
use rnix::SyntaxNode;

use super::evidence::{ExitContext, MAX_SHOWN};
use super::names::quoted_after;
use super::source_lines;
use super::syntax_at::top_level_names;
use super::written_values;
use super::written_values::DefinedValue;
use crate::common::configuration_file::FLAKE_FILE;
use crate::common::nix_name::is_of_name;
use crate::common::nixos_option::NAMESPACES;
use crate::nixos::layout::CONFIG_DIR;
use crate::nixos::log::NixError;
use crate::nixos::nix_definitions::defined_path;
use crate::nixos::nix_syntax::parse;
use crate::nixos::user_files::UserFiles;
use sdbuild_core::nearest::similar_names;

/// What a message of Nix says of a value.
struct WrongValue {
    /// How the message begins.
    message: &'static str,
    /// The values of a file that can be meant.
    find: fn(&str) -> Vec<DefinedValue>,
    /// What to write in place of the value.
    instead: fn(&DefinedValue) -> String,
}

/// How nixpkgs names the file of a module that is written in another one.
const NO_FILE: &str = "- In `<unknown-file>'";

/// The function that makes a configuration.
const FUNCTION: &str = "nixosSystem";

/// What Nix says of the function's definition in nixpkgs if it gets no modules.
const NO_MODULES: &str = "attribute 'modules' missing";

const WRONG_VALUES: [WrongValue; 13] = [
    WrongValue {
        message: "expected a set but found a function: «lambda outputs @ ",
        find: |text| {
            let mut outputs = written_values::values_of(text, "outputs");
            outputs.retain(|outputs| arguments_one_by_one(&outputs.written).len() > 1);
            outputs
        },
        instead: |outputs| {
            let arguments = arguments_one_by_one(&outputs.written);
            let is_input = |name: &String| {
                !["_", "inputs"].contains(&name.as_str()) && name.chars().all(is_of_name)
            };
            let names = if arguments.iter().all(is_input) {
                arguments.join(", ")
            } else {
                "self, nixpkgs".to_owned()
            };
            format!("the outputs get all inputs as one set. Write outputs = {{ {names}, ... }}:")
        },
    },
    WrongValue {
        message: "expected a list but found a set: {",
        find: |text| written_values::arguments(text, FUNCTION, "modules", &[NODE_ATTR_SET]),
        instead: |_| "modules is a list: modules = [ { … } ];".to_owned(),
    },
    WrongValue {
        message: "expected a list but found a function: ",
        find: |text| written_values::arguments(text, FUNCTION, "modules", &[NODE_LAMBDA]),
        instead: |_| "modules is a list: modules = [ ({ … }: { … }) ];".to_owned(),
    },
    WrongValue {
        message: "expected a set but found a list: [",
        find: |text| written_values::given_to(text, FUNCTION, &[NODE_LIST]),
        instead: |_| {
            "nixosSystem takes a set: nixpkgs.lib.nixosSystem { modules = [ … ]; }".to_owned()
        },
    },
    WrongValue {
        message: "expected a set but found a list: [",
        find: |text| written_values::arguments(text, FUNCTION, "specialArgs", &[NODE_LIST]),
        instead: |_| "specialArgs is a set: specialArgs = { inherit self; };".to_owned(),
    },
    WrongValue {
        message: "expected a set but found a list: [",
        find: |text| written_values::named(text, "nixosConfigurations", &[NODE_LIST]),
        instead: |_| {
            "nixosConfigurations is a set: nixosConfigurations.NAME = nixpkgs.lib.nixosSystem { … };".to_owned()
        },
    },
    WrongValue {
        message: "expected a set but found a string: ",
        find: |text| written_values::given_to(text, FUNCTION, &[NODE_STRING]),
        instead: |system| {
            let system = &system.written;
            format!(
                "nixosSystem takes a set: nixpkgs.lib.nixosSystem {{ system = {system}; modules = [ … ]; }}"
            )
        },
    },
    WrongValue {
        message: "expected a set but found a path: ",
        find: |text| written_values::given_to(text, FUNCTION, &[NODE_PATH_REL, NODE_PATH_ABS]),
        instead: |path| {
            format!(
                "nixosSystem takes a set: nixpkgs.lib.nixosSystem {{ modules = [ {} ]; }}",
                path.written
            )
        },
    },
    WrongValue {
        message: "function 'anonymous lambda' called with unexpected argument '",
        find: |text| {
            let mut sets = written_values::given_to(text, FUNCTION, &[NODE_ATTR_SET]);
            sets.retain(|set| misnamed_argument(&set.written).is_some());
            sets
        },
        instead: |set| {
            let (name, right) = misnamed_argument(&set.written).unwrap_or_default();
            format!("rename the argument {name} of nixosSystem to {right}")
        },
    },
    WrongValue {
        message: "function 'anonymous lambda' called with unexpected argument '",
        find: |text| {
            let sets = written_values::given_to(text, FUNCTION, &[NODE_ATTR_SET]);
            let sets = sets.into_iter();
            let with_option = sets.filter(|set| option_in(&set.written).is_some());
            with_option.map(at_option).collect()
        },
        instead: |set| {
            let has_modules = top_level_names(&set.written).contains("modules");
            let is_imports = option_in(&set.written).as_deref() == Some("imports");
            let options = || options_in(&set.written).unwrap_or_else(|| "…".to_owned());
            match (has_modules, is_imports) {
                (false, true) => renamed_imports(&set.written),
                (true, true) => {
                    "nixosSystem does not take imports. Add its files to modules".to_owned()
                }
                (false, false) => format!(
                    "move the options of the system into modules: nixosSystem {{ modules = [ {{ {} }} ]; }}",
                    options()
                ),
                (true, false) => format!(
                    "nixosSystem does not take options. Move them into its modules: modules = [ {{ {} }} … ];",
                    options()
                ),
            }
        },
    },
    WrongValue {
        message: NO_MODULES,
        find: |text| {
            let given = written_values::arguments(text, FUNCTION, "modules", &[NODE_LIST]);
            let mut lists = written_values::named(text, "modules", &[NODE_LIST]);
            lists.retain(|list| !given.contains(list));
            lists
        },
        instead: |list| {
            let modules = if list.written.contains('\n') {
                "[ … ]"
            } else {
                &list.written
            };
            format!(
                "modules is an argument of nixosSystem. Move it there: nixosSystem {{ modules = {modules}; }}"
            )
        },
    },
    WrongValue {
        message: NO_MODULES,
        find: |text| {
            let mut sets = written_values::given_to(text, FUNCTION, &[NODE_ATTR_SET]);
            sets.retain(|set| !top_level_names(&set.written).contains("modules"));
            sets
        },
        instead: |set| {
            let others = set.written.strip_suffix('}').unwrap_or_default();
            let others =
                Some(others.trim_end()).filter(|text| text.len() > 1 && !text.contains('\n'));
            format!(
                "give nixosSystem its modules: nixosSystem {} modules = [ ./configuration.nix ]; }}",
                others.unwrap_or("{")
            )
        },
    },
    WrongValue {
        message: "cannot coerce a function to a string: «lambda nixosSystem ",
        find: |text| written_values::calls_of(text, "import", FUNCTION),
        instead: |_| "nixosSystem is a function, not a file. Remove import".to_owned(),
    },
];

/// The arguments of the function that is `written`, if it takes them one after the other.
fn arguments_one_by_one(written: &str) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut function = parse(written).syntax().first_child();
    while let Some(lambda) = function.filter(|node| node.kind() == NODE_LAMBDA) {
        let argument = lambda.first_child();
        arguments.extend(argument.map(|argument| argument.text().to_string()));
        function = lambda.last_child();
    }
    arguments
}

/// The name in the set that is `written` which differs from `modules` by a few letters, or is what Home Manager's function calls
/// `specialArgs`, and the right one.
fn misnamed_argument(written: &str) -> Option<(String, &'static str)> {
    let mut names = top_level_names(written).into_iter();
    names.find_map(|name| {
        let right = if name == "extraSpecialArgs" {
            "specialArgs"
        } else {
            similar_names(&name, ["modules"]).map(|_| "modules")?
        };
        Some((name, right))
    })
}

/// What the first name of an option in the set that is `written` is, with the dot after it, or `imports`.
fn option_in(written: &str) -> Option<String> {
    let names = top_level_names(written).into_iter();
    let mut options = names.filter_map(|name| match name.as_str() {
        "imports" => Some(name),
        // An argument of the function, and no option, has the same name.
        "system" if !written_values::values_of(written, "system").is_empty() => None,
        first if NAMESPACES.contains(&first) => Some(format!("{name}.")),
        _ => None,
    });
    options.next()
}

/// How the set that is `written` names its files.
fn renamed_imports(written: &str) -> String {
    let list = written_values::values_of(written, "imports").pop();
    let list = list.map(|list| list.written);
    let list = list.filter(|list| list.len() <= MAX_SHOWN && !list.contains('\n'));
    let list = list.unwrap_or_else(|| "[ … ]".to_owned());
    format!("rename imports to modules: nixosSystem {{ modules = {list}; }}")
}

/// Whether `definition` is that of an option.
fn is_option(definition: &SyntaxNode) -> bool {
    let path = defined_path(definition).unwrap_or_default();
    let first = path.split('.').next().unwrap_or_default();
    path != "system" && NAMESPACES.contains(&first)
}

/// `set` at the place of its first option, or of its `imports`.
fn at_option(set: DefinedValue) -> DefinedValue {
    let options = written_values::all(&set.written, |node| {
        // Around a definition of the set itself are the set and the file.
        let is_of_set = node.ancestors().skip(1).count() == 2;
        is_of_set && (is_option(node) || defined_path(node).is_some_and(|path| path == "imports"))
    });
    let Some(option) = options.first() else {
        return set;
    };
    let before = if option.line == 1 { set.column } else { 0 };
    DefinedValue {
        line: set.line + option.line - 1,
        column: before + option.column,
        ..set
    }
}

/// The definitions of options in the set that is `written`, if they are short.
fn options_in(written: &str) -> Option<String> {
    let set = parse(written).syntax().first_child()?;
    let options = set.children().filter(is_option);
    let options: Vec<String> = options.map(|option| option.text().to_string()).collect();
    let options = options.join(" ");
    (options.len() <= MAX_SHOWN && !options.contains('\n')).then_some(options)
}

/// The value of which `error` speaks, if the user's files have only one that can be meant: its file and line, what to write in its
/// place, and the lines there.
fn find(context: &ExitContext<'_>, error: &NixError) -> Option<(String, String, Vec<String>)> {
    let files = context.files.filter(|_| context.is_flake)?;
    let of_message = |wrong: &&WrongValue| error.summary.starts_with(wrong.message);
    WRONG_VALUES.iter().filter(of_message).find_map(|wrong| {
        let (place, (instead, lines)) = files.only_place(|text| {
            let found = (wrong.find)(text).into_iter();
            let lines =
                |value: &DefinedValue| source_lines::around(text, value.line, Some(value.column));
            let found = found.map(|value| (value.line, ((wrong.instead)(&value), lines(&value))));
            found.collect()
        })?;
        Some((place, instead, lines))
    })
}

/// `error`, about an option that a module without a file of its own defines, with the `flake.nix` as that file if it alone names the
/// option, and once.
pub(super) fn in_inline_module(context: &ExitContext<'_>, error: &NixError) -> Option<NixError> {
    let option = quoted_after(&error.summary, "The option")?;
    let (before, after) = error.summary.split_once(NO_FILE)?;
    let files = context.files.filter(|_| context.is_flake)?;
    let (place, ()) = files.only_place(|text| {
        let lines = (1..).zip(text.lines());
        let named = lines.filter(|(_, line)| line.contains(option));
        named.map(|(line, _)| (line, ())).collect()
    })?;
    let (file, _) = place.rsplit_once(':')?;
    let is_only = file.ends_with(FLAKE_FILE) && !after.contains("\n- In `");
    is_only.then(|| NixError {
        summary: format!("{before}- In `{CONFIG_DIR}{file}'{after}"),
        ..error.clone()
    })
}

/// `error`, about an option with definitions in conflict, with the `flake.nix` as the file of each that has none, if it defines the
/// option once with that value.
pub(super) fn in_conflict(context: &ExitContext<'_>, error: &NixError) -> Option<NixError> {
    let option = quoted_after(&error.summary, "The option")?;
    let file = format!("{CONFIG_DIR}{FLAKE_FILE}");
    let text = context.files.filter(|_| context.is_flake)?.text(&file)?;
    let found = written_values::definitions_of(&text, option);
    let line_with_file = |line: &str| {
        let value = line.trim_start().strip_prefix(NO_FILE);
        let value = value.and_then(|rest| rest.strip_prefix(": "));
        let with_value = found
            .iter()
            .filter(|found| Some(found.written.as_str()) == value);
        match with_value.count() {
            1 => line.replacen("<unknown-file>", &file, 1),
            _ => line.to_owned(),
        }
    };
    let with_file = |text: &str| {
        let lines = text.lines().map(line_with_file);
        lines.collect::<Vec<_>>().join("\n")
    };
    let summary = with_file(&error.summary);
    (summary != error.summary).then(|| NixError {
        summary,
        text: with_file(&error.text),
        position: error.position.clone(),
    })
}

/// What to do about a `flake.nix` in the list of modules, where `summary` is about an option that is part of every flake.
pub(super) fn flake_as_module(context: &ExitContext<'_>, summary: &str) -> Option<String> {
    let option = quoted_after(summary, "The option")?;
    let files = context.files.filter(|_| context.is_flake)?;
    let is_of_flake = ["description", "inputs", "outputs"].contains(&option);
    let (place, ()) = files.only_place(|text| {
        let named = written_values::all(text, |node| {
            let is_element = node.parent().is_some_and(|list| list.kind() == NODE_LIST);
            is_element && node.text() == "./flake.nix"
        });
        named.into_iter().map(|path| (path.line, ())).collect()
    })?;
    is_of_flake.then(|| {
        format!(
            "flake.nix is not a module. Remove ./flake.nix from the list in {}{place}",
            context.shown_dir
        )
    })
}

/// `hint`, which proposes the module `configuration.nix`, with a module that the user has, or what to do about the one that is not there.
/// Without that name it stays as it is.
pub(super) fn with_own_module(context: &ExitContext<'_>, hint: String) -> String {
    const USUAL: &str = "configuration.nix";
    let files = context.files.filter(|_| hint.contains(USUAL));
    let Some(modules) = files.map(UserFiles::modules_beside_flake) else {
        return hint;
    };
    match modules.as_slice() {
        modules if modules.iter().any(|module| module == USUAL) => hint,
        [only] => hint.replace(USUAL, only),
        _ => format!("{hint}\n  Write the file {USUAL}, which is not there yet"),
    }
}

/// What to write in place of the value, and where.
pub(super) fn hint(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let (place, instead, _) = find(context, error)?;
    let hint = format!("{}{place}: {instead}", context.shown_dir);
    Some(with_own_module(context, hint))
}

/// The lines of the user's file with the value, as Nix quotes source.
pub(super) fn excerpt(context: &ExitContext<'_>, error: &NixError) -> Option<Vec<String>> {
    let (_, _, lines) = find(context, error)?;
    Some(lines)
}
