//! Options that are defined by their own value: Nix reports an infinite recursion, without a line of the user's file.

use rnix::SyntaxKind::{
    NODE_APPLY, NODE_ATTRPATH, NODE_ATTRPATH_VALUE, NODE_BIN_OP, NODE_IDENT, NODE_LAMBDA,
    NODE_LET_IN, NODE_PAREN, NODE_SELECT, TOKEN_CONCAT, TOKEN_UPDATE,
};
use rnix::SyntaxNode;

use super::evidence::ExitContext;
use super::scopes::binds;
use crate::nixos::nix_definitions::{called, defined_path, line_number_of, option_at};
use crate::nixos::nix_syntax::parse;

/// The argument of modules with the values of all options.
const CONFIG: &str = "config";

/// The only definition of an option in the user's files that reads the value of this option, and what to write in its place.
pub(super) fn hint(context: &ExitContext<'_>) -> Option<String> {
    let files = context.files?;
    let (place, own) = files.only_place_beginning_with_first(|text| {
        let found = recursive_options(text).into_iter();
        found.map(|own| (own.line, own)).collect()
    })?;
    let place = format!("{}{place}", context.shown_dir);
    let RecursiveOption {
        option, written, ..
    } = &own;
    Some(match own.form {
        Form::Whole => format!(
            "{place} defines {option} by its own value. Write a value instead of {written}, or remove the line"
        ),
        Form::Joined => format!(
            "{place} defines {option} by its own value. Write only what you add, without {written}. NixOS joins the \
             definitions of all modules, but leaves out the default, so write that too if you want to keep it"
        ),
        Form::Part => {
            format!("{place} defines {option} by its own value. Write a value instead of {written}")
        }
        Form::Condition(line) => format!(
            "{place} makes the definition of {option} in line {line} depend on its own value. Move that definition out \
             of what depends on {written}"
        ),
    })
}

/// What the read value is in the definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// All of it.
    Whole,
    /// A side of `++` or `//` that is all of it.
    Joined,
    Part,
    /// Part of the condition of a `mkIf`, with the definition in this line, counted from 1.
    Condition(usize),
}

/// A place that reads the option that it defines.
#[derive(Clone, Debug, PartialEq, Eq)]
struct RecursiveOption {
    /// Its line, counted from 1.
    line: usize,
    option: String,
    /// How the value is read, such as `config.networking.hostName`.
    written: String,
    form: Form,
}

/// The definitions in `text` that read the option that they define, each once.
fn recursive_options(text: &str) -> Vec<RecursiveOption> {
    let root = parse(text).syntax();
    let reads = root.descendants();
    let reads =
        reads.filter_map(|node| Some((recursive_option(text, &node)?, definition_around(&node)?)));
    let mut found: Vec<_> = reads.collect();
    found.dedup_by(|(_, one), (_, other)| one == other);
    found.into_iter().map(|(read, _)| read).collect()
}

/// What `node` reads, if that is the option that is defined there.
fn recursive_option(text: &str, node: &SyntaxNode) -> Option<RecursiveOption> {
    let option = read_option(node)?;
    let is_own = |defined: Option<Defined>| defined.is_some_and(|own| own.option == option);
    let form = if is_own(Defined::find(node)) {
        form_of(node)
    } else {
        Form::Condition(definition_under(text, node, &option)?)
    };
    Some(RecursiveOption {
        line: line_number_of(text, node),
        option,
        written: node.text().to_string(),
        form,
    })
}

/// The path of the option whose value `node` is: of `config.a.b`, and of `x.b` with `x = config.a` in a `let` around it.
fn read_option(node: &SyntaxNode) -> Option<String> {
    let is_selection = node.kind() == NODE_SELECT;
    let set = node.first_child().filter(|_| is_selection)?;
    let path = node.children().find(|part| part.kind() == NODE_ATTRPATH)?;
    let set = set.text().to_string();
    if set == CONFIG {
        return Some(path.text().to_string());
    }
    let scope = node.ancestors().find(|scope| binds(scope, &set))?;
    let of_let = scope.children().filter(|_| scope.kind() == NODE_LET_IN);
    let value = of_let
        .filter(|part| defined_path(part).as_deref() == Some(set.as_str()))
        .find_map(|definition| definition.last_child())?;
    let value = value.text().to_string();
    let below = value.strip_prefix(CONFIG)?.strip_prefix('.')?;
    let is_path = below
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    is_path.then(|| format!("{below}.{}", path.text()))
}

/// An option that is defined.
struct Defined {
    option: String,
    /// The function that is the module.
    module: SyntaxNode,
}

impl Defined {
    /// The option whose value `node` is part of. `None` where it is only given to a function, or in a variable.
    fn find(node: &SyntaxNode) -> Option<Self> {
        let mut around = node.ancestors();
        let module = around.find(|n| n.kind() == NODE_LAMBDA || binds(n, CONFIG))?;
        // Any other function may never be called, and a variable with this name is not the module's argument.
        let is_module = module.kind() == NODE_LAMBDA && binds(&module, CONFIG);
        let names = option_at(node, Some(&module)).filter(|_| is_module)?;
        let option = names.join(".");
        Some(Self { option, module })
    }
}

fn form_of(read: &SyntaxNode) -> Form {
    let is_joined = |node: &SyntaxNode| {
        let mut parts = node.children_with_tokens();
        let joins = parts.any(|part| [TOKEN_CONCAT, TOKEN_UPDATE].contains(&part.kind()));
        node.kind() == NODE_PAREN || node.kind() == NODE_BIN_OP && joins
    };
    // Inside of a function's argument, such as that of mkForce, nothing is joined with other definitions.
    let outside = read.ancestors().skip(1).find(|node| !is_joined(node));
    let is_whole = outside.is_some_and(|node| node.kind() == NODE_ATTRPATH_VALUE);
    let mut inside = read.ancestors().skip(1).take_while(is_joined);
    let has_operator = inside.any(|node| node.kind() == NODE_BIN_OP);
    match (is_whole, has_operator) {
        (true, false) => Form::Whole,
        (true, true) => Form::Joined,
        (false, _) => Form::Part,
    }
}

/// The line of the definition of `option` that exists only if the condition of a `mkIf`, which reads it at `node`, holds.
fn definition_under(text: &str, node: &SyntaxNode, option: &str) -> Option<usize> {
    let calls = node.ancestors().filter(|call| call.kind() == NODE_APPLY);
    let mut conditions = calls.filter(|call| {
        let function = call.first_child();
        let is_plain = function.is_some_and(|f| [NODE_IDENT, NODE_SELECT].contains(&f.kind()));
        is_plain && called(call).as_deref() == Some("mkIf")
    });
    let whole = conditions.next()?.parent()?;
    let content = whole.last_child().filter(|_| whole.kind() == NODE_APPLY)?;
    let module = Defined::find(&whole)?.module;
    let definitions = content.descendants();
    let mut definitions = definitions.filter(|part| part.kind() == NODE_ATTRPATH_VALUE);
    let definition = definitions.find(|definition| {
        let defined = Defined::find(definition);
        defined.is_some_and(|own| own.option == option && own.module == module)
    })?;
    Some(line_number_of(text, &definition))
}

/// The innermost definition that `node` is in; of what is in none, the whole file.
fn definition_around(node: &SyntaxNode) -> Option<SyntaxNode> {
    let mut around = node.ancestors();
    let definition = around.find(|around| around.kind() == NODE_ATTRPATH_VALUE);
    definition.or_else(|| node.ancestors().last())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The places that read what they define, as option and form.
    fn found(text: &str) -> Vec<(String, Form)> {
        let reads = recursive_options(text).into_iter();
        reads.map(|own| (own.option, own.form)).collect()
    }

    #[test]
    fn definitions_that_read_themselves_are_found() {
        for (body, option, form) in [
            ("{ a.b = config.a.b; }", "a.b", Form::Whole),
            ("{ a = { b = (config.a.b); }; }", "a.b", Form::Whole),
            ("{ config = { a.b = config.a.b; }; }", "a.b", Form::Whole),
            ("{ a.b = config.a.b ++ [ 1 ]; }", "a.b", Form::Joined),
            (
                "{ a.b = [ 1 ] ++ (config.a.b ++ [ 2 ]); }",
                "a.b",
                Form::Joined,
            ),
            (
                "{ a.b = lib.mkForce (config.a.b ++ [ 1 ]); }",
                "a.b",
                Form::Part,
            ),
            (
                "{ a.b = lib.filter f (config.a.b ++ [ 1 ]); }",
                "a.b",
                Form::Part,
            ),
            ("{ a.b = \"${config.a.b}x\"; }", "a.b", Form::Part),
            ("{ a.b = lib.mkForce (config.a.b + 1); }", "a.b", Form::Part),
            (
                "{ a.b = if config.a.b == 1 then 2 else config.a.b; }",
                "a.b",
                Form::Part,
            ),
            ("let c = config.a; in { a.b = c.b; }", "a.b", Form::Whole),
            (
                "{ a = lib.mkIf x { b = config.a.b; }; }",
                "a.b",
                Form::Whole,
            ),
            ("{ a.b = lib.mkIf config.a.b true; }", "a.b", Form::Part),
            (
                "{ a = lib.mkIf config.a.b { b = true; }; }",
                "a.b",
                Form::Condition(1),
            ),
            (
                "{ config = lib.mkIf (x && config.a.b)\n{ a.b = true; }; }",
                "a.b",
                Form::Condition(2),
            ),
            (
                "{ config = lib.mkMerge [ { x = 1; } (lib.mkIf config.a.b\n\n{ a.b = true; }) ]; }",
                "a.b",
                Form::Condition(3),
            ),
        ] {
            let text = format!("{{ config, lib, ... }}: {body}");
            assert_eq!(found(&text), [(option.to_owned(), form)], "{text}");
        }
        let inline = "{ outputs = { n, ... }: { c.pi = n.s { modules = [ ({ config, ... }: { a.b = config.a.b; }) ]; }; }; }";
        assert_eq!(found(inline), [("a.b".to_owned(), Form::Whole)]);
    }

    #[test]
    fn definitions_that_read_other_values_are_no_mistake() {
        for body in [
            "{ a.b = config.a.c; }",
            "{ a.b = config.a.b.c; c.a.b = config.a.b; }",
            "{ a.b = self.a.b; }",
            "{ a.b = x: config.a.b; }",
            "{ a = f { b = config.a.b; }; }",
            "{ a = [ { b = config.a.b; } ]; }",
            "let b = config.b; in { a = b; }",
            "{ a = let b = config.a.b; in 1; }",
            "{ a = let config = x; in { b = config.a.b; }; }",
            "{ a = lib.mkIf config.a.b { c = true; }; }",
            "{ a = f config.a.b { b = true; }; }",
            "{ a = lib.mkIf config.a.b (f { b = 1; }); }",
            "{ # a.b = config.a.b;\n a.b = \"config.a.b\"; }",
        ] {
            let text = format!("{{ config, lib, ... }}: {body}");
            assert_eq!(found(&text), [], "{text}");
        }
        assert_eq!(found("{ a.b = config.a.b; }"), [], "config is unbound");
    }
}
