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
                if self.position < self.block.filled || self.block.is_end {
                    continue;
                }
            }
            if !self.next_block() {
                break;
            }
            taker.read_so_far(self.block.bytes_read);
        }
        if !begun.is_empty() {
            taker.line(&begun, true);
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
    /// Whether the byte before belonged to an escape sequence: half a surrogate pair must not be left alone.
    after_escape: bool,
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
            self.escape_left = if byte == b'u' && self.escape_left == 1 && !self.after_escape {
                4
            } else {
                self.escape_left - 1
            };
            self.after_escape = true;
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
        let clean = byte != b'\\' && !self.after_escape;
        if at_start_of_character && (self.length > self.max && clean || self.length > self.max.saturating_mul(2)) {
            self.dropping = true;
        }
        self.after_escape = false;
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
}
