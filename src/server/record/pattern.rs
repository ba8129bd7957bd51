//! `--record-match`: patterns of stream paths. `*` stands for anything within a component, `**` for anything at all,
//! `?` for one character; everything else for itself.

use alloc::{
    string::{String, ToString},
    vec,
    vec::Vec,
};
use core::{fmt, str::FromStr};

/// A pattern such as `live/*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    parts: Vec<Part>,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Char(char),
    /// One, but no slash.
    Any,
    /// Any number, but no slash.
    Some,
    /// Any number.
    All,
}

/// Longest pattern in characters: work for one path is bounded by this times its length.
const MAX_LEN: usize = 1024;

impl Pattern {
    /// Whether all of `path` is what the pattern says.
    pub fn matches(&self, path: &str) -> bool {
        let path: Vec<char> = path.chars().collect();
        // Which ends of what was matched so far are possible.
        let mut reached = vec![false; path.len() + 1];
        reached[0] = true;
        for part in &self.parts {
            let mut next = vec![false; path.len() + 1];
            next[0] = reached[0] && matches!(part, Part::Some | Part::All);
            for (at, char) in (1..).zip(&path) {
                next[at] = match part {
                    Part::Char(own) => char == own && reached[at - 1],
                    Part::Any => *char != '/' && reached[at - 1],
                    Part::Some => reached[at] || *char != '/' && next[at - 1],
                    Part::All => reached[at] || next[at - 1],
                };
            }
            reached = next;
        }
        reached[path.len()]
    }
}

impl FromStr for Pattern {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Pattern, &'static str> {
        if text.is_empty() || text.chars().count() > MAX_LEN {
            return Err("not a pattern such as live/*");
        }
        let mut parts = Vec::new();
        for char in text.trim_start_matches('/').chars() {
            let part = match char {
                '*' if parts.last() == Some(&Part::Some) => {
                    parts.pop();
                    Part::All
                }
                '*' => Part::Some,
                '?' => Part::Any,
                other => Part::Char(other),
            };
            parts.push(part);
        }
        Ok(Pattern { parts, text: text.to_string() })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_paths() {
        for (pattern, path, expected) in [
            ("live/*", "live/cam", true),
            ("live/*", "live/a/b", false),
            ("live/**", "live/a/b", true),
            ("live/*", "live/", true),
            ("live/*", "live", false),
            ("live/*", "xlive/cam", false),
            ("/live/cam", "live/cam", true),
            ("*/cam?", "live/cam1", true),
            ("*/cam?", "live/cam", false),
            ("*/cam?", "live/cam/", false),
            ("*", "live/cam", false),
            ("**", "live/cam", true),
            ("**/cam", "a/b/c/cam", true),
            ("l*e/c*m", "live/caaaam", true),
            ("l*e/c*m", "live/cab", false),
            ("live/caméra", "live/caméra", true),
            ("live/cam?ra", "live/caméra", true),
        ] {
            let parsed: Pattern = pattern.parse().unwrap();
            assert_eq!(parsed.matches(path), expected, "{pattern} on {path}");
            assert_eq!(parsed.to_string(), pattern);
        }
        assert!("".parse::<Pattern>().is_err());
    }

    #[test]
    fn many_stars_cost_no_more_than_their_number() {
        let pattern: Pattern = "*a".repeat(500).parse().unwrap();
        assert!(!pattern.matches(&("a".repeat(499) + "b")));
        assert!(pattern.matches(&"a".repeat(1000)));
    }
}
