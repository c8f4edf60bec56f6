//! The parser of Nix for texts of users. The time that it takes grows with the square of how deep a text nests, and nothing stops it.

use rnix::SyntaxKind::{
    self, TOKEN_COMMA, TOKEN_COMMENT, TOKEN_INTERPOL_END, TOKEN_INTERPOL_START, TOKEN_L_BRACE,
    TOKEN_L_BRACK, TOKEN_L_PAREN, TOKEN_R_BRACE, TOKEN_R_BRACK, TOKEN_R_PAREN, TOKEN_SEMICOLON,
    TOKEN_STRING_CONTENT, TOKEN_STRING_END, TOKEN_WHITESPACE,
};

use rnix::{Parse, Root, tokenize};

/// More than any configuration has, and parsed in a second.
const MAX_DEPTH: usize = 500;
/// Depths that no text of a user has many of, and what they may add up to: five values that nest nearly as deep as is possible.
const DEEP: usize = 64;
const MAX_SUM: usize = 5 * MAX_DEPTH * MAX_DEPTH;

/// The syntax of `text`; that of an empty file if it may nest deeper than any configuration does.
#[expect(
    clippy::disallowed_methods,
    reason = "this is where the depth is limited"
)]
pub fn parse(text: &str) -> Parse<Root> {
    Root::parse(if is_too_deep(text) { "" } else { text })
}

/// The tokens of `text`; none if [`parse`] would not read it, as the time that they take grows with how deep it nests, too.
pub fn tokens(text: &str) -> impl Iterator<Item = (SyntaxKind, &str)> {
    tokenize(if is_too_deep(text) { "" } else { text })
}

/// What is read since a bracket that is open.
struct Level {
    is_list: bool,
    /// Tokens that may nest in each other, such as functions and their arguments.
    tokens: usize,
}

/// Whether `text` may nest deeper than any configuration does.
fn is_too_deep(text: &str) -> bool {
    let outside = || Level {
        is_list: false,
        tokens: 0,
    };
    let (mut levels, mut depth, mut sum) = (vec![outside()], 0_usize, 0_usize);
    for (kind, _) in tokenize(text) {
        let is_list = kind == TOKEN_L_BRACK;
        if is_list || OPENING.contains(&kind) {
            levels.push(Level { is_list, tokens: 0 });
            depth += 1;
        } else if CLOSING.contains(&kind) {
            let closed = levels.pop().map_or(0, |level| level.tokens + 1);
            depth = depth.saturating_sub(closed);
        }
        if levels.is_empty() {
            levels.push(outside());
        }
        let Some(level) = levels.last_mut() else {
            continue;
        };
        if [TOKEN_SEMICOLON, TOKEN_COMMA].contains(&kind)
            || level.is_list && [TOKEN_WHITESPACE, TOKEN_COMMENT].contains(&kind)
        {
            depth = depth.saturating_sub(level.tokens);
            level.tokens = 0;
        } else if !OPENING.contains(&kind) && !FLAT.contains(&kind) && !is_list {
            level.tokens += 1;
            depth += 1;
        }
        if depth > DEEP {
            sum += depth;
        }
        if depth > MAX_DEPTH || sum > MAX_SUM {
            return true;
        }
    }
    false
}

/// What opens a level, beside the bracket of a list.
const OPENING: [SyntaxKind; 3] = [TOKEN_INTERPOL_START, TOKEN_L_BRACE, TOKEN_L_PAREN];
/// What closes one.
const CLOSING: [SyntaxKind; 4] = [
    TOKEN_INTERPOL_END,
    TOKEN_R_BRACE,
    TOKEN_R_BRACK,
    TOKEN_R_PAREN,
];
/// Tokens in which nothing nests: a string is one value, with all of its parts.
const FLAT: [SyntaxKind; 5] = [
    TOKEN_COMMENT,
    TOKEN_INTERPOL_END,
    TOKEN_STRING_CONTENT,
    TOKEN_STRING_END,
    TOKEN_WHITESPACE,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nests_too_deep_for_the_parser_is_known() {
        for part in [
            "\" \"", "a ", "[", "{ a = ", "a.", "-", "a + ", "f (", "\"${",
        ] {
            assert!(is_too_deep(&part.repeat(2 * MAX_DEPTH)), "{part}");
            assert!(!is_too_deep(&part.repeat(40)), "{part}");
        }
    }

    #[test]
    fn many_deep_values_take_too_long_together() {
        let text = |count, depth| {
            let value = format!("a = {}{};\n", "[".repeat(depth), "]".repeat(depth));
            format!("{{ {} }}", value.repeat(count))
        };
        assert!(is_too_deep(&text(200, 480)));
        assert!(!is_too_deep(&text(4, 480)));
        assert!(!is_too_deep(&text(1000, 40)));
    }

    #[test]
    fn long_texts_need_not_nest() {
        for part in [
            "a = { b = [ 1 2 ]; };\n",
            "a.b = f 1 \"c\" (d + 1);\n",
            "# a b\n",
        ] {
            let text = format!("{{ {} }}", part.repeat(10_000));
            assert!(!is_too_deep(&text), "{part}");
        }
        let elements = "pkgs.a \"b ${c}\" (f 1) [ ] ".repeat(10_000);
        assert!(!is_too_deep(&format!("{{ a = [ {elements} ]; }}")));
        let script = "echo ${a} b\n".repeat(10_000);
        assert!(!is_too_deep(&format!("{{ a = ''{script}''; }}")));
    }
}
