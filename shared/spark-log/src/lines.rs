//! Blocks of text to lines, however long a line is.
//!
//! Separate because memory is bounded here: a line is lent from the block it lies in; one that lies across blocks is put
//! together in a buffer; one beyond the limit is never held, but read as a stream.

use std::io::Read;

use super::Limits;
use super::source::{Block, Blocks};

/// What takes the lines.
pub(super) trait TakesLines {
    /// Takes a line without its newline. `is_torn` if it was ended by a file's end or a broken place instead.
    fn line(&mut self, line: &[u8], is_torn: bool);

    /// Takes a line that is too long to hold: its start, and all of it as a stream.
    fn long_line(&mut self, head: &[u8], stream: &mut LongLine<'_, '_>);

    /// Told after each block how many stored bytes have been read.
    fn read_so_far(&mut self, bytes_read: u64);
}

/// Cuts blocks into lines.
pub(super) struct Lines<'b> {
    blocks: &'b mut dyn Blocks,
    block: Block,
    position: usize,
    line_bytes_max: usize,
    string_bytes_max: usize,
}

impl<'b> Lines<'b> {
    /// Lines of these blocks.
    pub(super) fn new(blocks: &'b mut dyn Blocks, limits: &Limits) -> Self {
        Self {
            blocks,
            block: Block::default(),
            position: 0,
            line_bytes_max: limits.line_bytes_max,
            string_bytes_max: limits.string_bytes_max,
        }
    }

    /// Hands every line to `taker`.
    pub(super) fn hand_to(&mut self, taker: &mut dyn TakesLines) {
        let mut begun: Vec<u8> = Vec::new();
        loop {
            let rest = &self.block.bytes[self.position..self.block.filled];
            if let Some(length) = memchr::memchr(b'\n', rest) {
                self.position += length + 1;
                if begun.is_empty() {
                    taker.line(&rest[..length], false);
                } else {
                    begun.extend_from_slice(&rest[..length]);
                    taker.line(&begun, false);
                    begun.clear();
                }
                continue;
            }
            begun.extend_from_slice(rest);
            self.position = self.block.filled;
            if self.block.is_end {
                if !begun.is_empty() {
                    taker.line(&begun, true);
                    begun.clear();
                }
            } else if begun.len() > self.line_bytes_max {
                let head = std::mem::take(&mut begun);
                let string_bytes_max = self.string_bytes_max;
                let mut stream = LongLine::new(&head, self, string_bytes_max);
                taker.long_line(&head, &mut stream);
                stream.finish();
                continue;
            }
            if !self.next_block() {
                break;
            }
            taker.read_so_far(self.block.bytes_read);
        }
    }

    fn next_block(&mut self) -> bool {
        self.position = 0;
        let more = self.blocks.next(&mut self.block);
        if !more {
            self.block = Block::default();
        }
        more
    }
}

/// One line too long to hold, as a stream; long strings in it are shortened on the way.
pub(super) struct LongLine<'l, 'b> {
    head: &'l [u8],
    lines: &'l mut Lines<'b>,
    ended: bool,
    torn: bool,
    last_byte: u8,
    strings: Shortener,
}

impl<'l, 'b> LongLine<'l, 'b> {
    fn new(head: &'l [u8], lines: &'l mut Lines<'b>, string_bytes_max: usize) -> Self {
        let strings = Shortener {
            max: string_bytes_max,
            ..Shortener::default()
        };
        Self {
            head,
            lines,
            ended: false,
            torn: false,
            last_byte: head.last().copied().unwrap_or_default(),
            strings,
        }
    }

    /// Reads on to the line's end; false if it was torn off, or does not end as a JSON object does.
    pub(super) fn finish(&mut self) -> bool {
        self.head = &[];
        while !self.ended {
            self.advance(usize::MAX, &mut |_| ());
        }
        !self.torn && self.last_byte == b'}'
    }

    /// Takes up to `max` raw bytes of the line.
    fn advance(&mut self, max: usize, take: &mut dyn FnMut(&[u8])) {
        if !self.head.is_empty() {
            let (now, later) = self.head.split_at(self.head.len().min(max));
            self.head = later;
            take(now);
            return;
        }
        let lines = &mut *self.lines;
        let rest = &lines.block.bytes[lines.position..lines.block.filled];
        let rest = &rest[..rest.len().min(max)];
        if let Some(length) = memchr::memchr(b'\n', rest) {
            self.last_byte = rest[..length].last().copied().unwrap_or(self.last_byte);
            take(&rest[..length]);
            lines.position += length + 1;
            self.ended = true;
        } else if !rest.is_empty() {
            self.last_byte = rest.last().copied().unwrap_or(self.last_byte);
            take(rest);
            lines.position += rest.len();
        } else if lines.block.is_end || !lines.next_block() {
            self.ended = true;
            self.torn = true;
        }
    }
}

impl Read for LongLine<'_, '_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let mut strings = self.strings;
        let mut written = 0;
        while written == 0 && !self.ended && !out.is_empty() {
            self.advance(out.len(), &mut |bytes| {
                for byte in bytes {
                    if strings.keeps(*byte) {
                        out[written] = *byte;
                        written += 1;
                    }
                }
            });
        }
        self.strings = strings;
        Ok(written)
    }
}

/// Decides byte by byte which bytes of JSON text to keep so that no string is longer than the bound.
#[derive(Debug, Default, Clone, Copy)]
struct Shortener {
    max: usize,
    in_string: bool,
    dropping: bool,
    /// Bytes of the current string so far.
    length: usize,
    /// Bytes of the current escape sequence still to come.
    escape_left: u8,
    /// Whether the escape sequence before is half a surrogate pair, which must not be left alone.
    after_half: bool,
}

impl Shortener {
    fn keeps(&mut self, byte: u8) -> bool {
        if !self.in_string {
            self.in_string = byte == b'"';
            self.length = 0;
            return true;
        }
        self.length += 1;
        if self.escape_left > 0 {
            // `\ud800` to `\udbff`.
            self.after_half = match self.escape_left {
                4 => byte.eq_ignore_ascii_case(&b'd'),
                3 => self.after_half && matches!(byte, b'8' | b'9' | b'a' | b'b' | b'A' | b'B'),
                _ => self.after_half,
            };
            self.escape_left = if byte == b'u' { 4 } else { self.escape_left - 1 };
            return !self.dropping;
        }
        if byte == b'"' {
            *self = Self {
                max: self.max,
                ..Self::default()
            };
            return true;
        }
        let at_start_of_character = byte & 0xc0 != 0x80;
        if at_start_of_character && self.length > self.max && !self.after_half {
            self.dropping = true;
        }
        self.after_half = false;
        if byte == b'\\' {
            self.escape_left = 1;
        }
        !self.dropping
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_strings_are_shortened_and_stay_valid() {
        let text = format!(
            r#"{{"a":"{}","b":"\u00e9\"{}","c":[1,2]}}"#,
            "é".repeat(50),
            "x\\n".repeat(50)
        );
        let mut shortener = Shortener {
            max: 20,
            ..Shortener::default()
        };
        let kept = text.bytes().filter(|byte| shortener.keeps(*byte)).collect::<Vec<u8>>();
        let value: serde_json::Value = serde_json::from_slice(&kept).unwrap();
        assert!(value["a"].as_str().unwrap().len() <= 22);
        assert!(value["b"].as_str().unwrap().starts_with("é\"x"));
        assert_eq!(value["c"][1], 2);
    }

    fn shortened(text: &str, max: usize) -> String {
        let mut shortener = Shortener {
            max,
            ..Shortener::default()
        };
        let kept = text.bytes().filter(|byte| shortener.keeps(*byte)).collect();
        String::from_utf8(kept).unwrap()
    }

    #[test]
    fn a_string_is_cut_after_so_many_bytes_where_a_character_ends() {
        for (text, expected) in [
            ("12345678", "12345678"),
            ("123456789", "12345678"),
            ("1234567é9", "1234567é"),
            ("12345678é", "12345678"),
            ("1234567@A", "1234567@"),
            (r#"123456\"9"#, r#"123456\""#),
            (r#"12345678\""#, "12345678"),
            (r"12345678\u00e9", "12345678"),
            (r"1\n\n\n\n\n\n", r"1\n\n\n\n"),
            (r"12345678\\", "12345678"),
            // An escape sequence is kept whole, and so is a pair of halves.
            (r"1234567\u00e9a", r"1234567\u00e9"),
            (r"1234567\ud83d\ude00\ude00", r"1234567\ud83d\ude00"),
            (r"1234567\uDBFF\uDFFF\n", r"1234567\uDBFF\uDFFF"),
            (r"1\ud83d\ude00\uD83D\uDE00", r"1\ud83d\ude00"),
            (r"1234567\ud7ff\n", r"1234567\ud7ff"),
            (r"1234567\uc9ff\n", r"1234567\uc9ff"),
            (r"1234567\u00d8\n", r"1234567\u00d8"),
        ] {
            // What stands outside of strings stays, and each string begins anew.
            let line = |text: &str| format!(r#"[1234567890,"{text}",true,"{text}"]"#);
            assert_eq!(shortened(&line(text), 8), line(expected), "{text}");
        }
    }

    #[test]
    fn wherever_strings_are_cut_the_line_stays_json() {
        let text = r#"{"é\\":"aé\u00e9bc\\u00e9\"x\\","u":["\n\ud83d\ude00\ud83d\ude00\ud83d\ude00defghi\u20acé€😀jklmnopqrstuvwxyz",1234567890123456,"\\"]}"#;
        let whole: serde_json::Value = serde_json::from_str(text).unwrap();
        for max in 0..100 {
            let kept = shortened(text, max);
            let value: serde_json::Value = serde_json::from_str(&kept).expect(&kept);
            assert!(max < 90 || value == whole, "{kept}");
            let list = value
                .as_object()
                .unwrap()
                .values()
                .find_map(|value| value.as_array())
                .expect(&kept);
            assert_eq!(
                (list.len(), list[1].as_i64()),
                (3, Some(1_234_567_890_123_456)),
                "{kept}"
            );
            let (cut, all) = (list[0].as_str().unwrap(), whole["u"][0].as_str().unwrap());
            assert!(all.starts_with(cut), "{kept}");
        }
    }

    /// Blocks of these bytes, and whether the text ends with each.
    struct Given(std::vec::IntoIter<(&'static [u8], bool)>);

    impl Blocks for Given {
        fn next(&mut self, block: &mut Block) -> bool {
            let Some((bytes, is_end)) = self.0.next() else {
                return false;
            };
            // There may be more room than bytes.
            block.bytes = [bytes, b"\nrest\n"].concat();
            (block.filled, block.is_end) = (bytes.len(), is_end);
            block.bytes_read += bytes.len() as u64;
            true
        }

        fn report(&mut self) -> super::super::source::SourceReport {
            unreachable!("nobody asks for it here")
        }
    }

    /// The lines, whether each is torn, and whether each was too long to hold.
    #[derive(Default)]
    struct Taken(Vec<(String, bool, bool)>);

    impl TakesLines for Taken {
        fn line(&mut self, line: &[u8], is_torn: bool) {
            self.0.push((String::from_utf8(line.to_vec()).unwrap(), is_torn, false));
        }

        fn long_line(&mut self, head: &[u8], stream: &mut LongLine<'_, '_>) {
            let mut line = String::new();
            stream.read_to_string(&mut line).unwrap();
            assert!(line.as_bytes().starts_with(head));
            self.0.push((line, stream.torn, true));
        }

        fn read_so_far(&mut self, _: u64) {}
    }

    #[test]
    fn every_line_comes_once_however_blocks_part_it() {
        let held = |line: &str| (line.to_owned(), false, false);
        let torn = |line: &str| (line.to_owned(), true, false);
        let long = |line: &str, is_torn| (line.to_owned(), is_torn, true);
        for (blocks, expected) in [
            (vec![(&b"a\n\nb\n"[..], true)], vec![held("a"), held(""), held("b")]),
            (
                vec![(b"a\nb", false), (b"c\nd", true)],
                vec![held("a"), held("bc"), torn("d")],
            ),
            (
                vec![(b"a", false), (b"", true), (b"b\n", true)],
                vec![torn("a"), held("b")],
            ),
            (vec![(b"1234", false), (b"\nb\n", true)], vec![held("1234"), held("b")]),
            (
                vec![(b"12345", false), (b"6\nb\n", true)],
                vec![long("123456", false), held("b")],
            ),
            (
                vec![(b"12345", false), (b"\n", false), (b"b\n", true)],
                vec![long("12345", false), held("b")],
            ),
            (
                vec![(b"12345", false), (b"6", false), (b"7", true), (b"b\n", true)],
                vec![long("1234567", true), held("b")],
            ),
            (
                vec![(b"12345", false), (b"6\n", true), (b"b\n", true)],
                vec![long("123456", false), held("b")],
            ),
            (vec![(b"12345", false)], vec![long("12345", true)]),
            (vec![(b"12345", true)], vec![torn("12345")]),
        ] {
            let limits = Limits {
                line_bytes_max: 4,
                ..Limits::default()
            };
            let (mut given, mut taken) = (Given(blocks.clone().into_iter()), Taken::default());
            Lines::new(&mut given, &limits).hand_to(&mut taken);
            assert_eq!(taken.0, expected, "{blocks:?}");
        }
    }
}
