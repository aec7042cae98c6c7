//! A shell's command line, read as far as it can be without running it: words, quotes, and the simple commands of lists
//! and pipelines. Nothing is expanded but `"$@"`.
//!
//! <https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html>

/// Words after which a command follows.
const KEYWORDS: [&str; 12] = [
    "if", "then", "elif", "else", "fi", "while", "until", "do", "done", "!", "{", "}",
];

/// The simple commands of `text` in their order, each as its words without quotes, redirections and leading
/// assignments. `positional` stands for `"$@"`.
pub(super) fn commands(text: &str, positional: &[String]) -> Vec<Vec<String>> {
    let mut reader = Reader::default();
    reader.read(text, positional);
    reader.commands
}

/// Is this `NAME=value`?
pub(super) fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

#[derive(Default)]
struct Reader {
    commands: Vec<Vec<String>>,
    command: Vec<String>,
    word: Option<String>,
    /// The next word is where a redirection goes to.
    redirects: bool,
}

impl Reader {
    fn read(&mut self, text: &str, positional: &[String]) {
        let mut letters = text.chars().peekable();
        let mut quote = None;
        while let Some(letter) = letters.next() {
            match (quote, letter) {
                (Some(open), _) if letter == open => quote = None,
                // Inside double quotes a backslash hides only these; inside single ones nothing.
                (Some('"'), '\\') => match letters.next_if(|next| "\"\\$`\n".contains(*next)) {
                    Some('\n') => {}
                    hidden => self.push(hidden.unwrap_or('\\')),
                },
                (Some(_), _) => self.push(letter),
                (None, '\'' | '"') => {
                    quote = Some(letter);
                    self.word.get_or_insert_default();
                }
                (None, '\\') => match letters.next() {
                    None | Some('\n') => {}
                    Some(hidden) => self.push(hidden),
                },
                (None, '#') if self.word.is_none() => while letters.next_if(|next| *next != '\n').is_some() {},
                (None, '<' | '>') => {
                    // The number before it is the stream's.
                    if self
                        .word
                        .as_ref()
                        .is_some_and(|word| word.chars().all(|c| c.is_ascii_digit()))
                    {
                        self.word = None;
                    }
                    self.end_word(positional);
                    while letters.next_if(|next| "<>&|".contains(*next)).is_some() {}
                    self.redirects = true;
                }
                (None, '&') if letters.peek() == Some(&'>') => {}
                (None, ';' | '&' | '|' | '\n' | '(' | ')' | '`') => {
                    // `$(` begins another command; what is before it is no word of it.
                    if letter == '(' && self.word.as_deref() == Some("$") {
                        self.word = None;
                    }
                    self.end_command(positional);
                }
                (None, _) if letter.is_whitespace() => self.end_word(positional),
                (None, _) => self.push(letter),
            }
        }
        self.end_command(positional);
    }

    fn push(&mut self, letter: char) {
        self.word.get_or_insert_default().push(letter);
    }

    fn end_word(&mut self, positional: &[String]) {
        let Some(word) = self.word.take() else { return };
        if std::mem::take(&mut self.redirects) {
            return;
        }
        let is_first = self.command.is_empty();
        match word.as_str() {
            "$@" | "$*" => self.command.extend_from_slice(positional),
            keyword if is_first && KEYWORDS.contains(&keyword) => {}
            _ if is_first && is_assignment(&word) => {}
            _ => self.command.push(word),
        }
    }

    fn end_command(&mut self, positional: &[String]) {
        self.end_word(positional);
        self.redirects = false;
        if !self.command.is_empty() {
            self.commands.push(std::mem::take(&mut self.command));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<String> {
        let commands = commands(text, &["one two".into(), "three".into()]);
        commands.into_iter().map(|words| words.join("|")).collect()
    }

    #[test]
    fn quotes_group_words_and_hide_operators() {
        assert_eq!(read(r#"a "b c" 'd;e' f\ g "h\"i" ''"#), [r#"a|b c|d;e|f g|h"i|"#]);
    }

    #[test]
    fn lists_pipelines_and_substitutions_are_several_commands() {
        assert_eq!(
            read("cd /tmp && a b | tee log; (c) || d & e\nf $(g h)"),
            ["cd|/tmp", "a|b", "tee|log", "c", "d", "e", "f", "g|h"]
        );
        assert_eq!(read("if a; then b; fi; while ! c; do d; done"), ["a", "b", "c", "d"]);
    }

    #[test]
    fn redirections_assignments_and_comments_are_no_words_of_a_command() {
        assert_eq!(read("A=1 B='x y' a b > log 2>&1 c <in &>all # d e"), ["a|b|c"]);
        assert_eq!(read("a &>all b"), ["a|b"]);
        assert_eq!(read("a s3://b/x#y"), ["a|s3://b/x#y"]);
    }

    #[test]
    fn a_line_goes_on_after_a_backslash() {
        assert_eq!(read("a \\\n  b"), ["a|b"]);
    }

    #[test]
    fn the_shells_own_arguments_stand_where_they_are_named() {
        assert_eq!(read(r#"a "$@" b"#), ["a|one two|three|b"]);
    }

    #[test]
    fn an_assignment_has_a_name_before_it() {
        for word in ["A=1", "_x=", "a_1=b=c"] {
            assert!(is_assignment(word), "{word}");
        }
        for word in ["A", "=x", "1A=2", "a-b=c", "--conf=a", ""] {
            assert!(!is_assignment(word), "{word}");
        }
    }

    #[test]
    fn keywords_and_assignments_are_words_where_they_do_not_stand_first() {
        assert_eq!(read("echo if done"), ["echo|if|done"]);
        assert_eq!(read("env A=1 b"), ["env|A=1|b"]);
        assert_eq!(read("echo $ ; f(g)"), ["echo|$", "f", "g"]);
    }

    #[test]
    fn a_number_before_a_redirection_is_the_streams_and_a_name_that_ends_in_one_is_a_word() {
        assert_eq!(read("a b2>log c 2>>log d"), ["a|b2|c|d"]);
        assert_eq!(read("a > ; b"), ["a", "b"], "the redirection ends with its command");
    }

    #[test]
    fn inside_double_quotes_a_backslash_hides_what_the_shell_would_read() {
        assert_eq!(read(r#"a "b\xc" "d\$e" "f\\g""#), [r"a|b\xc|d$e|f\g"]);
        assert_eq!(read("a \"b\\\nc\" 'd\\e'"), [r"a|bc|d\e"]);
    }
}
