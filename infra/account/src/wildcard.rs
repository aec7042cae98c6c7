//! Patterns in which `*` stands for any run of characters, and `?` for one: IAM's, and those of EC2's filters.
//!
//! Separate because both match alike. Case counts.

/// A pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    One(char),
    AnyOne,
    AnyRun,
}

impl Pattern {
    //= https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
    /// As IAM writes it.
    pub fn new(pattern: &str) -> Self {
        Self {
            parts: pattern.chars().map(Part::of).collect(),
        }
    }

    //= https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html
    /// As EC2's filters write it: a backslash takes a character as it is.
    pub fn with_backslash(pattern: &str) -> Self {
        let mut parts = Vec::new();
        let mut characters = pattern.chars();
        while let Some(character) = characters.next() {
            parts.push(match character {
                '\\' => Part::One(characters.next().unwrap_or('\\')),
                other => Part::of(other),
            });
        }
        Self { parts }
    }

    /// Whether the whole text matches.
    pub fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let (mut at, mut part) = (0, 0);
        // The last `*`, and how much of the text it has taken: where it takes one character more is tried next.
        let mut run: Option<(usize, usize)> = None;
        while at < text.len() {
            match self.parts.get(part) {
                Some(Part::AnyRun) => {
                    run = Some((part, at));
                    part += 1;
                }
                Some(Part::AnyOne) => (at, part) = (at + 1, part + 1),
                Some(Part::One(expected)) if *expected == text[at] => (at, part) = (at + 1, part + 1),
                _ => {
                    let Some((star, taken)) = run else { return false };
                    run = Some((star, taken + 1));
                    (at, part) = (taken + 1, star + 1);
                }
            }
        }
        self.parts[part..].iter().all(|rest| *rest == Part::AnyRun)
    }
}

impl Part {
    fn of(character: char) -> Self {
        match character {
            '*' => Self::AnyRun,
            '?' => Self::AnyOne,
            other => Self::One(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_text_and_a_question_mark_one_character() {
        for (pattern, text, is) in [
            ("*", "", true),
            ("", "", true),
            ("?", "", false),
            ("a*c", "abbc", true),
            ("a*c", "abb", false),
            ("a*b*c", "axbxxc", true),
            ("a*bc", "abcbc", true),
            ("ab", "abc", false),
            ("a?c", "abc", true),
            ("a?c", "abbc", false),
            ("*.xlarge", "r5.2xlarge", false),
            ("a/*/steps/*/stderr.gz", "a/j-1/steps/s-1/stderr.gz", true),
            ("a/*/steps/*/stderr.gz", "a/j-1/steps/s-1/stdout.gz", false),
            ("a\\*b", "a\\xb", true),
        ] {
            assert_eq!(Pattern::new(pattern).matches(text), is, "{pattern} on {text}");
        }
        assert!(Pattern::with_backslash("a\\*b").matches("a*b"));
        assert!(!Pattern::with_backslash("a\\*b").matches("axb"));
    }
}
