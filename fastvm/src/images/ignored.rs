//! What a `.dockerignore` leaves out of a build context.
//!
//! Its rules are not those of a `.gitignore`: a pattern stands for a path from the top, not for a name
//! anywhere, and an exception can bring back what is inside a folder that is left out. So the crate
//! `ignore` is of no use here.

/// What a `.dockerignore` leaves out of the context.
#[derive(Debug, Default)]
pub(super) struct Ignore {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    parts: Vec<String>,
    is_exception: bool,
}

impl Ignore {
    pub(super) fn parse(text: &str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let lines = text.lines().map(str::trim);
        let rules = lines
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| {
                let (is_exception, pattern) = match line.strip_prefix('!') {
                    Some(pattern) => (true, pattern.trim()),
                    None => (false, line),
                };
                let parts = clean(pattern);
                (!parts.is_empty()).then_some(Rule {
                    parts,
                    is_exception,
                })
            });
        Self {
            rules: rules.collect(),
        }
    }

    /// Whether a path of the context, with `/` between its parts, is left out: the last rule that
    /// is about it, or about a folder that it is in, decides.
    pub(super) fn leaves_out(&self, path: &str) -> bool {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let is_about = |rule: &&Rule| (1..=parts.len()).any(|end| rule.matches(&parts[..end]));
        let last = self.rules.iter().rev().find(is_about);
        last.is_some_and(|rule| !rule.is_exception)
    }
}

impl Rule {
    fn matches(&self, path: &[&str]) -> bool {
        matches_parts(&self.parts, path)
    }
}

/// `**` stands for any number of folders, none included.
fn matches_parts(pattern: &[String], path: &[&str]) -> bool {
    // Row by row, so that many `**` do not take exponential time: which ends of the path are
    // reached by the pattern so far.
    let mut reached = vec![false; path.len() + 1];
    reached[0] = true;
    for part in pattern {
        let mut next = vec![false; path.len() + 1];
        for at in 0..=path.len() {
            if part == "**" {
                next[at] = reached[at] || (at > 0 && next[at - 1]);
            } else if at > 0 {
                next[at] = reached[at - 1] && matches(part, path[at - 1]);
            }
        }
        reached = next;
    }
    reached[path.len()]
}

/// The parts of a path without `.`, `..` and what they take away.
fn clean(path: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part.to_owned()),
        }
    }
    parts
}

/// Whether a name, one part of a path, is of a pattern: `*`, `?`, `[a-z]`, `[^a-z]` and `\x`, as
/// Go's `filepath.Match` has them. A pattern that is malformed matches nothing.
fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    matches_chars(&pattern, &name)
}

/// Goes back to the last `*` only: the earlier ones cannot do better.
fn matches_chars(pattern: &[char], name: &[char]) -> bool {
    let (mut at, mut place) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        if pattern.get(at) == Some(&'*') {
            at += 1;
            star = Some((at, place));
            continue;
        }
        if at == pattern.len() && place == name.len() {
            return true;
        }
        let one = name
            .get(place)
            .and_then(|c| match_one(pattern.get(at..)?, *c));
        if let Some(length) = one {
            at += length;
            place += 1;
            continue;
        }
        match star {
            Some((after, begin)) if begin < name.len() => {
                star = Some((after, begin + 1));
                (at, place) = (after, begin + 1);
            }
            _ => return false,
        }
    }
}

/// How much of the pattern stands for this character, if its front does.
fn match_one(pattern: &[char], c: char) -> Option<usize> {
    match pattern {
        ['?', ..] => Some(1),
        ['[', ..] => match_class(pattern, c),
        ['\\', escaped, ..] => (*escaped == c).then_some(2),
        ['\\'] | [] => None,
        [plain, ..] => (*plain == c).then_some(1),
    }
}

fn match_class(pattern: &[char], c: char) -> Option<usize> {
    let is_negated = pattern.get(1) == Some(&'^');
    let mut at = if is_negated { 2 } else { 1 };
    let begin = at;
    let mut is_in = false;
    loop {
        if pattern.get(at) == Some(&']') && at > begin {
            return (is_in != is_negated).then_some(at + 1);
        }
        let low = class_char(pattern, &mut at)?;
        let high = match pattern.get(at) {
            Some('-') => {
                at += 1;
                class_char(pattern, &mut at)?
            }
            _ => low,
        };
        is_in |= (low..=high).contains(&c);
    }
}

fn class_char(pattern: &[char], at: &mut usize) -> Option<char> {
    if pattern.get(*at) == Some(&'\\') {
        *at += 1;
    }
    let c = pattern.get(*at).copied();
    *at += 1;
    c
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stand_for_paths_from_the_top_and_the_last_that_matches_decides() {
        let ignore = Ignore::parse(
            "# comment\n*.log\n!keep.log\n/build/\n!build/keep\n**/cache\ndocs/**/*.md\n[^a-c]x\n",
        );
        let out = [
            "x.log",
            "build/a",
            "a/b/cache/x",
            "docs/a/x.md",
            "dx",
            "cache",
        ];
        let kept = [
            "a/x.log",
            "keep.log",
            "build/keep/x",
            "docs/x.txt",
            "ax",
            "cached",
        ];
        assert!(out.iter().all(|path| ignore.leaves_out(path)), "{out:?}");
        assert!(!kept.iter().any(|path| ignore.leaves_out(path)), "{kept:?}");
        assert!(Ignore::parse("*\n!src").leaves_out("other"));
        assert!(!Ignore::parse("*\n!src").leaves_out("src/main.rs"));
    }
}
