//! Text on a page: the one type by which anything from outside comes there.
//!
//! Names of clusters and steps, Spark's words and EMR's reasons are written by others. Askama escapes what HTML gives a
//! meaning to; what no escape stops goes here: controls, characters without a width, those that turn the direction of
//! what follows, and length.

use std::fmt;

/// Characters of a text that a page keeps at most.
pub const CHARACTERS_MAX: usize = 2_000;

/// Longer words may break at a hyphen.
const WHOLE_MAX: usize = 24;

/// A text that may stand on a page, once it is escaped.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text(String);

impl Text {
    /// Is there anything to read?
    pub fn is_empty(&self) -> bool {
        self.0.trim().is_empty()
    }

    /// Its words, and of each whether it must stay whole: browsers break after a hyphen, and an id has one.
    pub fn words(&self) -> impl Iterator<Item = (&str, bool)> {
        let is_whole = |word: &str| word.contains('-') && word.chars().count() <= WHOLE_MAX;
        self.0.split(' ').map(move |word| (word, is_whole(word)))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        let mut kept = text
            .chars()
            .map(|c| if c.is_whitespace() { ' ' } else { c })
            .filter(|c| !c.is_control() && !is_hidden(*c));
        let mut clean: String = kept.by_ref().take(CHARACTERS_MAX).collect();
        if kept.next().is_some() {
            clean.push('…');
        }
        Self(clean)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Has the character no shape of its own, but changes what is read: marks and overrides of direction, joiners, blanks
/// without a width, variation selectors, tags?
///
/// <https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters>,
/// <https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point>
fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}' | '\u{180B}'..='\u{180F}'
        | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}'
        | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_escape_stops_is_left_out() {
        let text = |outside: &str| Text::from(outside).to_string();
        assert_eq!(text("a\u{0}b\u{1b}[31mc\u{202e}d\u{2066}e"), "ab[31mcde");
        assert_eq!(text("zero\u{200b}width\u{feff}\u{e0041}"), "zerowidth");
        assert_eq!(text("short\u{1bca0}hand\u{1bca3}"), "shorthand");
        assert_eq!(text("two\r\nlines\u{2028}three"), "two  lines three");
        assert_eq!(text("größer, 日本, שלום"), "größer, 日本, שלום");
        assert_eq!(Text::from("größer").as_str(), "größer");
    }

    #[test]
    fn an_id_is_one_word_that_stays_whole() {
        let text = Text::from("i-0262ae674bb253b4e and an-argument-that-is-longer-than-an-id");
        let whole: Vec<bool> = text.words().map(|(_, is_whole)| is_whole).collect();
        assert_eq!(whole, [true, false, false]);
    }

    #[test]
    fn a_word_of_24_characters_with_a_hyphen_stays_whole_and_a_longer_one_does_not() {
        let text = Text::from(format!("plain ä-{} a-{}", "x".repeat(22), "x".repeat(23)));
        let whole: Vec<bool> = text.words().map(|(_, is_whole)| is_whole).collect();
        assert_eq!(whole, [false, true, false]);
    }

    #[test]
    fn a_text_of_blanks_alone_has_nothing_to_read() {
        assert!(
            ["", "  ", "\n\t", "\u{200b}"]
                .map(Text::from)
                .iter()
                .all(Text::is_empty)
        );
        assert!(!Text::from(" a ").is_empty());
    }

    #[test]
    fn a_long_text_is_cut_and_says_so() {
        let cut = Text::from("x".repeat(CHARACTERS_MAX + 1)).to_string();
        assert_eq!(cut.chars().count(), CHARACTERS_MAX + 1);
        assert!(cut.ends_with('…'));
        assert!(!Text::from("x".repeat(CHARACTERS_MAX)).to_string().ends_with('…'));
    }
}
