//! The words of an instruction: how they are told apart, and what variables stand for in them.

use std::iter::Peekable;
use std::str::Chars;

/// Splits at white space outside of quotes; quotes and escapes stay.
pub(super) fn split(text: &str, escape: char) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if quote.is_none() && c.is_whitespace() {
            if !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
            continue;
        }
        word.push(c);
        if c == escape && quote != Some('\'') {
            word.extend(chars.next());
        } else if quote == Some(c) {
            quote = None;
        } else if quote.is_none() && matches!(c, '\'' | '"') {
            quote = Some(c);
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Splits `name=value` words, or, in the old form, `name` from the rest of the line.
pub(super) fn pairs(text: &str, escape: char) -> Result<Vec<(String, String)>, String> {
    let words = split(text, escape);
    let Some(first) = words.first() else {
        return Err("a name and a value are missing".to_owned());
    };
    if !first.contains('=') {
        let value = text.strip_prefix(first.as_str()).unwrap_or_default().trim();
        return match value.is_empty() {
            true => Err(format!("{first:?} has no value")),
            false => Ok(vec![(first.clone(), value.to_owned())]),
        };
    }
    let pair = |word: String| match word.split_once('=') {
        Some(("", _)) => Err(format!("{word:?} has no name")),
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err(format!("{word:?} is not of the form name=value")),
    };
    words.into_iter().map(pair).collect()
}

/// What a variable is set to.
type Get<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Takes quotes and escapes away, and puts values in the place of variables.
pub(super) struct Lex<'a> {
    escape: char,
    get: Get<'a>,
    keeps_quotes: bool,
}

impl<'a> Lex<'a> {
    pub(super) fn new(escape: char, get: Get<'a>) -> Self {
        Self {
            escape,
            get,
            keeps_quotes: false,
        }
    }

    /// For the text of here-documents: quotes mean nothing there, and only what would be special
    /// is escaped.
    pub(super) fn of_heredoc(get: Get<'a>) -> Self {
        Self {
            escape: '\\',
            get,
            keeps_quotes: true,
        }
    }

    /// A text as a single word, white space included.
    pub(super) fn word(&self, text: &str) -> Result<String, String> {
        let mut reader = Reader {
            lex: self,
            chars: text.chars().peekable(),
        };
        reader.until(None)
    }
}

struct Reader<'a> {
    lex: &'a Lex<'a>,
    chars: Peekable<Chars<'a>>,
}

impl Reader<'_> {
    fn until(&mut self, stop: Option<char>) -> Result<String, String> {
        let mut text = String::new();
        while let Some(c) = self.chars.next() {
            match c {
                c if Some(c) == stop => return Ok(text),
                '\'' if !self.lex.keeps_quotes => self.single_quoted(&mut text)?,
                '"' if !self.lex.keeps_quotes => self.double_quoted(&mut text)?,
                '$' => text.push_str(&self.variable()?),
                c if c == self.lex.escape => self.escaped(&mut text),
                c => text.push(c),
            }
        }
        match stop {
            Some(stop) => Err(format!("a {stop} is missing")),
            None => Ok(text),
        }
    }

    fn escaped(&mut self, text: &mut String) {
        if !self.lex.keeps_quotes {
            text.extend(self.chars.next());
            return;
        }
        match self.chars.peek() {
            Some('$' | '\\') => text.extend(self.chars.next()),
            _ => text.push(self.lex.escape),
        }
    }

    fn single_quoted(&mut self, text: &mut String) -> Result<(), String> {
        loop {
            match self.chars.next() {
                Some('\'') => return Ok(()),
                Some(c) => text.push(c),
                None => return Err("a ' is missing".to_owned()),
            }
        }
    }

    fn double_quoted(&mut self, text: &mut String) -> Result<(), String> {
        loop {
            match self.chars.next() {
                Some('"') => return Ok(()),
                Some('$') => text.push_str(&self.variable()?),
                Some(c) if c == self.lex.escape => match self.chars.next() {
                    Some(next) if next == '"' || next == '$' || next == c => text.push(next),
                    next => {
                        text.push(c);
                        text.extend(next);
                    }
                },
                Some(c) => text.push(c),
                None => return Err("a \" is missing".to_owned()),
            }
        }
    }

    /// What stands after `$`.
    fn variable(&mut self) -> Result<String, String> {
        if self.chars.next_if_eq(&'{').is_some() {
            return self.braced();
        }
        let name = self.name();
        match name.is_empty() {
            true => Ok("$".to_owned()),
            false => Ok((self.lex.get)(&name).unwrap_or_default()),
        }
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(c) = self.chars.next_if(|c| {
            *c == '_' || c.is_ascii_alphabetic() || (!name.is_empty() && c.is_ascii_digit())
        }) {
            name.push(c);
        }
        name
    }

    fn braced(&mut self) -> Result<String, String> {
        let name = self.name();
        if name.is_empty() {
            return Err("${ is not followed by the name of a variable".to_owned());
        }
        let value = (self.lex.get)(&name);
        let mut operator = match self.chars.next() {
            Some('}') => return Ok(value.unwrap_or_default()),
            other => other,
        };
        let mut is_set = value.is_some();
        if operator == Some(':') {
            is_set = value.as_ref().is_some_and(|value| !value.is_empty());
            operator = self.chars.next();
        }
        // It is read in any case, to find its end.
        let word = match operator {
            Some('-' | '+' | '?') => self.until(Some('}'))?,
            Some(other) => {
                return Err(format!(
                    "${{{name}}} is changed by {other:?}, which is not supported"
                ));
            }
            None => return Err("a } is missing".to_owned()),
        };
        match (operator, is_set) {
            (Some('+'), true) | (Some('-'), false) => Ok(word),
            (Some('+'), false) => Ok(String::new()),
            (Some('?'), false) => Err(match word.is_empty() {
                true => format!("{name} must be set"),
                false => format!("{name}: {word}"),
            }),
            _ => Ok(value.unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(name: &str) -> Option<String> {
        match name {
            "x" => Some("1".to_owned()),
            "empty" => Some(String::new()),
            "spaced" => Some("a b".to_owned()),
            _ => None,
        }
    }

    fn word(text: &str) -> Result<String, String> {
        Lex::new('\\', &get).word(text)
    }

    #[test]
    fn variables_stand_for_their_values() {
        for (text, expected) in [
            ("$x", "1"),
            ("a${x}b", "a1b"),
            ("$x_", ""),
            ("$x.$y.", "1.."),
            ("${y:-d}", "d"),
            ("${empty:-d}", "d"),
            ("${empty-d}", ""),
            ("${y-d}", "d"),
            ("${x:-d}", "1"),
            ("${x:+set}", "set"),
            ("${empty:+set}", ""),
            ("${empty+set}", "set"),
            ("${y:+set}", ""),
            ("${y:-${x:-z}/$x}", "1/1"),
            ("${x:?not this}", "1"),
            ("$", "$"),
            ("$ x", "$ x"),
            ("5$1", "5$1"),
            ("\\$x", "$x"),
            ("'$x'", "$x"),
            ("\"$x $spaced\"", "1 a b"),
            ("\"\\$x \\\" \\\\ \\n\"", "$x \" \\ \\n"),
            ("a\\ b", "a b"),
            ("'it'\\''s'", "it's"),
        ] {
            assert_eq!(word(text).as_deref(), Ok(expected), "{text}");
        }
        assert_eq!(
            Lex::new('`', &get).word("c:\\$x`$x").as_deref(),
            Ok("c:\\1$x")
        );
    }

    #[test]
    fn what_cannot_be_substituted_is_said() {
        for (text, part) in [
            ("${x", "} is missing"),
            ("${x:-y", "} is missing"),
            ("${}", "name"),
            ("${x%y}", "'%'"),
            ("${y:?is needed}", "y: is needed"),
            ("${y?}", "y must be set"),
            ("'x", "' is missing"),
            ("\"x", "\" is missing"),
        ] {
            let error = word(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn quotes_of_a_here_document_stay() {
        let lex = Lex::of_heredoc(&get);
        assert_eq!(
            lex.word("\"$x\" '${x}' \\$x \\n \\\\").as_deref(),
            Ok("\"1\" '1' $x \\n \\")
        );
    }

    #[test]
    fn pairs_have_two_forms() {
        let pairs = |text| pairs(text, '\\');
        let of = |all: &[(&str, &str)]| -> Vec<(String, String)> {
            let all = all.iter();
            all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect()
        };
        assert_eq!(
            pairs("a=1 b=\"x y\" c=x\\ y d="),
            Ok(of(&[
                ("a", "1"),
                ("b", "\"x y\""),
                ("c", "x\\ y"),
                ("d", "")
            ]))
        );
        assert_eq!(pairs("a  x = y"), Ok(of(&[("a", "x = y")])));
        assert!(pairs("a=1 b").is_err());
        assert!(pairs("a").is_err());
        assert!(pairs("=1").is_err());
    }
}
