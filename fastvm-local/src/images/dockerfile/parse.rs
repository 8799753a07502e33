//! A Dockerfile as a list of instructions: lines joined, comments gone, here-documents taken out.
//!
//! Written here because the parsers that are kept well do not find a here-document that does not
//! begin its instruction, as in `RUN cat <<EOF > /file`.

use super::Fault;
use super::words::{Lex, split};

/// What the instructions of a file are.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) instructions: Vec<Instruction>,
    /// What joins lines and quotes characters.
    pub(super) escape: char,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Instruction {
    /// Where it begins; the first line is 1.
    pub(super) line: usize,
    /// In capitals.
    pub(super) keyword: String,
    /// `--name=value`, in their order; without `=` there is no value.
    pub(super) flags: Vec<(String, Option<String>)>,
    pub(super) rest: String,
    pub(super) heredocs: Vec<Heredoc>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heredoc {
    pub(super) name: String,
    /// Each line with its end.
    pub(super) text: String,
    /// Whether variables in it are substituted: the name is not quoted.
    pub(super) expands: bool,
    /// `<<-`: leading tabs of lines do not count.
    pub(super) strips_tabs: bool,
}

impl Heredoc {
    /// The text without what `<<-` leaves out.
    pub(super) fn content(&self) -> String {
        if !self.strips_tabs {
            return self.text.clone();
        }
        let lines = self.text.split_inclusive('\n');
        lines.map(|line| line.trim_start_matches('\t')).collect()
    }
}

/// Reads a file.
pub(super) fn parse(text: &str) -> Result<Parsed, Fault> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let escape = escape_of(text)?;
    let mut lines = Lines {
        lines: text.lines().collect(),
        next: 0,
    };
    let mut instructions = Vec::new();
    while let Some((line, logical)) = lines.joined(escape) {
        instructions.push(instruction(line, &logical, &mut lines)?);
    }
    Ok(Parsed {
        instructions,
        escape,
    })
}

/// What the directive `# escape=` says. Directives stand before everything else.
fn escape_of(text: &str) -> Result<char, Fault> {
    for (index, line) in text.lines().enumerate() {
        let directive = line
            .trim()
            .strip_prefix('#')
            .and_then(|line| line.split_once('='));
        let Some((name, value)) = directive else {
            break;
        };
        let name = name.trim();
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric()) {
            break;
        }
        if name.eq_ignore_ascii_case("escape") {
            return match value.trim() {
                "\\" => Ok('\\'),
                "`" => Ok('`'),
                other => Err(Fault::new(
                    index + 1,
                    "# escape",
                    format!("{other:?} cannot be the escape character, only \\ and ` can"),
                )),
            };
        }
    }
    Ok('\\')
}

struct Lines<'a> {
    lines: Vec<&'a str>,
    next: usize,
}

impl<'a> Lines<'a> {
    fn take(&mut self) -> Option<&'a str> {
        let line = self.lines.get(self.next)?;
        self.next += 1;
        Some(line)
    }

    /// The next instruction as one line, and the number of its first.
    fn joined(&mut self, escape: char) -> Option<(usize, String)> {
        let mut joined = String::new();
        let mut first = None;
        while let Some(line) = self.take() {
            // Comments and empty lines do not end what goes on.
            if line.trim_start().starts_with('#') || line.trim().is_empty() {
                continue;
            }
            let number = *first.get_or_insert(self.next);
            let line = if joined.is_empty() {
                line.trim_start()
            } else {
                line
            };
            match continued(line, escape) {
                Some(line) => joined.push_str(line),
                None => {
                    joined.push_str(line);
                    return Some((number, joined));
                }
            }
        }
        first.map(|number| (number, joined))
    }

    fn heredoc(&mut self, start: &mut Heredoc) -> bool {
        while let Some(line) = self.take() {
            let end = if start.strips_tabs {
                line.trim_start_matches('\t')
            } else {
                line
            };
            if end == start.name {
                return true;
            }
            start.text.push_str(line);
            start.text.push('\n');
        }
        false
    }
}

/// A line without its escape at the end, if it goes on. Two escapes are none.
fn continued(line: &str, escape: char) -> Option<&str> {
    let line = line.trim_end_matches([' ', '\t']).strip_suffix(escape)?;
    (!line.ends_with(escape)).then_some(line)
}

fn instruction(line: usize, logical: &str, lines: &mut Lines<'_>) -> Result<Instruction, Fault> {
    let logical = logical.trim_end();
    let (keyword, rest) = logical
        .split_once(|c: char| c.is_whitespace())
        .unwrap_or((logical, ""));
    let keyword = keyword.to_ascii_uppercase();
    let (flags, rest) = flags(rest.trim_start());
    let mut found = Instruction {
        line,
        keyword,
        flags,
        rest: rest.to_owned(),
        heredocs: Vec::new(),
    };
    if matches!(found.keyword.as_str(), "RUN" | "COPY" | "ADD") && json_list(rest).is_none() {
        for word in split(rest, '\\') {
            let Some(mut heredoc) = heredoc_start(&word) else {
                continue;
            };
            if !lines.heredoc(&mut heredoc) {
                let what = format!("the here-document {:?} does not end", heredoc.name);
                return Err(Fault::new(line, &found.keyword, what));
            }
            found.heredocs.push(heredoc);
        }
    }
    Ok(found)
}

/// The `--flags` that begin the arguments, and the rest.
fn flags(mut rest: &str) -> (Vec<(String, Option<String>)>, &str) {
    let mut flags = Vec::new();
    while rest.starts_with("--") {
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (flag, after) = rest.split_at(end);
        rest = after.trim_start();
        let flag = flag.trim_start_matches("--");
        if flag.is_empty() {
            break;
        }
        flags.push(match flag.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (flag.to_owned(), None),
        });
    }
    (flags, rest)
}

/// What a word such as `<<EOF`, `3<<-EOF` or `<<"EOF"` begins.
pub(super) fn heredoc_start(word: &str) -> Option<Heredoc> {
    let word = word.trim_start_matches(|c: char| c.is_ascii_digit());
    let word = word.strip_prefix("<<")?;
    let (strips_tabs, quoted) = match word.strip_prefix('-') {
        Some(word) => (true, word),
        None => (false, word),
    };
    if quoted.is_empty() || quoted.contains('<') {
        return None;
    }
    let name = Lex::new('\\', &|_| None).word(quoted).ok()?;
    (!name.is_empty()).then(|| Heredoc {
        expands: name == quoted,
        name,
        text: String::new(),
        strips_tabs,
    })
}

/// The arguments, if they are a JSON list of texts.
pub(super) fn json_list(rest: &str) -> Option<Vec<String>> {
    rest.starts_with('[')
        .then(|| serde_json::from_str(rest).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<Instruction> {
        parse(text).unwrap().instructions
    }

    fn rests(text: &str) -> Vec<(usize, String, String)> {
        let all = parsed(text).into_iter();
        all.map(|one| (one.line, one.keyword, one.rest)).collect()
    }

    #[test]
    fn lines_are_joined_and_comments_between_them_do_not_count() {
        let text = "# a comment\n\nfrom scratch\nRUN a && \\\n  # not this\n\n  b \\  \n c\nCMD x\\\\\nCMD y";
        let expected = [
            (3, "FROM", "scratch"),
            (4, "RUN", "a &&   b  c"),
            (9, "CMD", "x\\\\"),
            (10, "CMD", "y"),
        ];
        let expected = expected.map(|(line, keyword, rest)| (line, keyword.into(), rest.into()));
        assert_eq!(rests(text), expected);
        assert_eq!(rests(&text.replace('\n', "\r\n")), expected);
    }

    #[test]
    fn another_escape_can_be_chosen_by_a_directive_only() {
        let text = "# syntax=docker/dockerfile:1\n# Escape = `\nRUN a `\n b\\\nRUN c";
        assert_eq!(
            rests(text),
            [
                (3, "RUN".into(), "a  b\\".into()),
                (5, "RUN".into(), "c".into())
            ]
        );
        assert_eq!(rests("# words\n# escape=`\nRUN a \\\nb")[0].2, "a b");
        let fault = parse("# escape=x\n").unwrap_err();
        assert_eq!(fault.line, 1);
    }

    #[test]
    fn flags_are_what_begins_with_two_hyphens_at_the_front() {
        let copy = &parsed("COPY --from=a --link  b --c d")[0];
        assert_eq!(
            copy.flags,
            [("from".into(), Some("a".into())), ("link".to_owned(), None)]
        );
        assert_eq!(copy.rest, "b --c d");
    }

    #[test]
    fn here_documents_are_found_wherever_they_begin() {
        let text = "RUN cat <<EOF > /a && cat <<-'END' > /b\n# no comment \\\n$x\nEOF\n\t\ty\n\tEND\nRUN next";
        let all = parsed(text);
        let [a, b] = &all[0].heredocs[..] else {
            panic!("{all:?}");
        };
        assert_eq!(
            (a.name.as_str(), a.content()),
            ("EOF", "# no comment \\\n$x\n".into())
        );
        assert!(a.expands && !a.strips_tabs);
        assert_eq!((b.name.as_str(), b.content()), ("END", "y\n".into()));
        assert!(!b.expands && b.strips_tabs);
        assert_eq!((all[1].line, all[1].rest.as_str()), (7, "next"));
    }

    #[test]
    fn a_shift_or_a_list_is_no_here_document() {
        assert!(parsed("RUN echo $((1<<2)) <<<word")[0].heredocs.is_empty());
        assert!(parsed("RUN [\"echo\", \"<<EOF\"]")[0].heredocs.is_empty());
        assert!(parsed("RUN << <<- <<''")[0].heredocs.is_empty());
        assert!(parsed("CMD cat <<EOF\nRUN x")[0].heredocs.is_empty());
    }

    #[test]
    fn a_here_document_without_its_end_is_a_fault_at_its_instruction() {
        let fault = parse("FROM scratch\nRUN <<EOF\nx\n").unwrap_err();
        assert_eq!((fault.line, fault.keyword.as_str()), (2, "RUN"));
    }
}
