//! Bounds of a policy text, checked before it is parsed.
//!
//! Parser, validator, evaluator and even the memory release of an expression recurse as deep as the expression is. A text from outside must not be able to exhaust the stack, which
//! would end the process, so nesting and the length of one policy's chains of operators are bounded here.

use crate::diagnostic::Diagnostic;

/// The longest text, in bytes.
pub const MAX_BYTES: usize = 256 * 1024;
/// The most policies of one set.
pub const MAX_POLICIES: usize = 1_000;
/// How deep brackets, and `if`s after each other, may stand in each other.
pub const MAX_DEPTH: usize = 16;
/// The most signs of operators in one policy (`==` are two). The elements of a list are none.
pub const MAX_OPERATORS: usize = 200;
/// The most signs of arithmetic (`+`, `-`, `*`) in one policy: each takes as much of the stack as a bracket.
pub const MAX_ARITHMETIC: usize = 16;

/// What breaks a bound, if anything does.
pub(crate) fn check(text: &str) -> Result<(), Diagnostic> {
    if text.len() > MAX_BYTES {
        let message = format!("the text has {} bytes; {MAX_BYTES} are allowed", text.len());
        return Err(Diagnostic::at(text, MAX_BYTES, message));
    }
    let mut policy = Policy::default();
    let mut rest = text.char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        match c {
            '"' => {
                // A string ends at the next quote that is not escaped.
                while let Some((_, c)) = rest.next() {
                    match c {
                        '\\' => {
                            rest.next();
                        }
                        '"' => break,
                        _ => {}
                    }
                }
            }
            '/' if rest.peek().is_some_and(|(_, next)| *next == '/') => {
                while rest.next_if(|(_, c)| *c != '\n').is_some() {}
            }
            ';' => policy = Policy::default(),
            '(' | '[' | '{' => policy.depth += 1,
            ')' | ']' | '}' => policy.depth = policy.depth.saturating_sub(1),
            '|' | '&' | '=' | '<' | '>' | '!' | '.' => policy.operators += 1,
            '+' | '-' | '*' => policy.arithmetic += 1,
            c if c.is_ascii_alphabetic() || c == '_' => {
                let mut end = at + c.len_utf8();
                while let Some((i, c)) =
                    rest.next_if(|(_, c)| c.is_ascii_alphanumeric() || *c == '_')
                {
                    end = i + c.len_utf8();
                }
                policy.word(&text[at..end]);
            }
            _ => {}
        }
        policy.check(text, at)?;
    }
    Ok(())
}

/// What was counted since the last semicolon.
#[derive(Default)]
struct Policy {
    depth: usize,
    ifs: usize,
    operators: usize,
    arithmetic: usize,
}

impl Policy {
    fn word(&mut self, word: &str) {
        match word {
            // Its branches need no brackets: counted as if each stood in the one before.
            "if" => self.ifs += 1,
            "has" | "in" | "is" | "like" => self.operators += 1,
            _ => {}
        }
    }

    fn check(&self, text: &str, at: usize) -> Result<(), Diagnostic> {
        if self.depth + self.ifs > MAX_DEPTH {
            let message = format!("brackets stand deeper than {MAX_DEPTH} in each other");
            return Err(Diagnostic::at(text, at, message).help("write two policies"));
        }
        if self.arithmetic > MAX_ARITHMETIC {
            let message = format!("this policy has more than {MAX_ARITHMETIC} signs of arithmetic");
            return Err(Diagnostic::at(text, at, message));
        }
        if self.operators > MAX_OPERATORS {
            let message = format!("this policy has more than {MAX_OPERATORS} signs of operators");
            return Err(Diagnostic::at(text, at, message)
                .help("compare with a list, or write two policies"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> Option<String> {
        check(text).err().map(|d| d.message)
    }

    #[test]
    fn brackets_in_strings_and_comments_do_not_count() {
        let brackets = "(".repeat(1_000);
        assert_eq!(refusal(&format!("// {brackets}\npermit;")), None);
        assert_eq!(
            refusal(&format!("@message(\"\\\"{brackets}\") permit;")),
            None
        );
        assert!(
            refusal(&format!("\"\"{brackets}"))
                .unwrap()
                .contains("deeper")
        );
    }

    #[test]
    fn depth_and_operators_are_counted_for_each_policy() {
        let one = format!("{}{};", "(".repeat(MAX_DEPTH), ")".repeat(MAX_DEPTH));
        assert_eq!(refusal(&one.repeat(3)), None);
        assert!(refusal(&"(".repeat(MAX_DEPTH + 1)).is_some());
        assert!(refusal(&"if a then b else ".repeat(MAX_DEPTH + 1)).is_some());
        let chain = "a.".repeat(MAX_OPERATORS);
        assert_eq!(refusal(&format!("{chain};{chain};")), None);
        assert!(refusal(&format!("{chain}.")).unwrap().contains("operators"));
        assert!(refusal(&"1 + ".repeat(MAX_ARITHMETIC + 1)).is_some());
        assert!(refusal(&"x has y ".repeat(MAX_OPERATORS + 1)).is_some());
    }

    #[test]
    fn a_long_list_is_no_chain() {
        let list = format!("[{}]", "\"111122223333\", ".repeat(10_000));
        assert_eq!(refusal(&list), None);
    }

    #[test]
    fn a_text_that_is_too_long_is_refused() {
        assert!(
            refusal(&" ".repeat(MAX_BYTES + 1))
                .unwrap()
                .contains("bytes")
        );
    }
}
