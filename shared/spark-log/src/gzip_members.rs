//! gzip, one member after the other: not a codec of Spark's, but how logs are often stored, and how Databricks rolls them.
//!
//! Separate because the members' headers and checksums are ours to read: the decompressor knows deflate alone.
//!
//! Format: <https://datatracker.ietf.org/doc/html/rfc1952#section-2.3>

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::codec::{Fault, Input};

/// The mark of a member, and the one method there is: deflate.
const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];

const HEADER_BYTES: usize = 10;
/// The checksum and the length, both modulo 2^32.
const TRAILER_BYTES: usize = 8;
/// Longest name, comment or extra field accepted.
const FIELD_BYTES_MAX: usize = 64 << 10;

/// Header flags: a checksum of the header, an extra field, a name, a comment.
const HEADER_CHECKSUM: u8 = 2;
const EXTRA: u8 = 4;
const NAME: u8 = 8;
const COMMENT: u8 = 16;

/// Decoder of a sequence of members.
pub(super) struct GzipMembers {
    inflate: Decompress,
    checksum: Crc,
    inside_member: bool,
}

impl Default for GzipMembers {
    fn default() -> Self {
        Self {
            inflate: Decompress::new(false),
            checksum: Crc::new(),
            inside_member: false,
        }
    }
}

impl GzipMembers {
    /// See [`Decoder::decode`](super::codec::Decoder::decode).
    pub(super) fn decode(&mut self, input: &mut Input<'_>, out: &mut [u8]) -> Result<usize, Fault> {
        loop {
            if !self.inside_member {
                if !input.fill(1) || only_zeros(input) {
                    return Ok(0);
                }
                self.begin(input)?;
            }
            let (taken_before, written_before) = (self.inflate.total_in(), self.inflate.total_out());
            let outcome = self.inflate.decompress(input.available(), out, FlushDecompress::None);
            let count = |total: u64, before: u64| usize::try_from(total - before).unwrap_or(usize::MAX);
            let taken = count(self.inflate.total_in(), taken_before);
            let written = count(self.inflate.total_out(), written_before);
            input.consume(taken);
            self.checksum.update(&out[..written]);
            match outcome {
                Ok(Status::StreamEnd) => {
                    self.inside_member = false;
                    let ended = self.end(input);
                    if written > 0 && ended.is_ok() {
                        return Ok(written);
                    }
                    // What was decoded last is not handed out: its checksum says that it is not what was stored.
                    ended?;
                }
                Ok(_) if written > 0 => return Ok(written),
                Ok(_) => {
                    if taken == 0 && !input.fill(input.available().len() + 1) {
                        return Err(Fault::last("gzip members cut at the end of a file"));
                    }
                }
                Err(_) => {
                    self.inside_member = false;
                    return Err(broken(input));
                }
            }
        }
    }

    /// Reads a member's header.
    fn begin(&mut self, input: &mut Input<'_>) -> Result<(), Fault> {
        if !input.fill(HEADER_BYTES) {
            return Err(Fault::last("gzip members cut at the end of a file"));
        }
        let flags = input.available()[3];
        if !input.available().starts_with(&MAGIC) {
            input.consume(1);
            return Err(broken(input));
        }
        input.consume(HEADER_BYTES);
        let mut is_whole = true;
        if flags & EXTRA != 0 {
            is_whole = input.fill(2) && {
                let bytes = 2 + usize::from(u16::from_le_bytes([input.available()[0], input.available()[1]]));
                skip(input, bytes)
            };
        }
        for field in [NAME, COMMENT] {
            is_whole = is_whole && (flags & field == 0 || skip_text(input));
        }
        is_whole = is_whole && (flags & HEADER_CHECKSUM == 0 || skip(input, 2));
        if !is_whole {
            return Err(Fault::last("gzip members cut at the end of a file"));
        }
        self.inflate.reset(false);
        self.checksum.reset();
        self.inside_member = true;
        Ok(())
    }

    /// Reads a member's trailer.
    fn end(&mut self, input: &mut Input<'_>) -> Result<(), Fault> {
        if !input.fill(TRAILER_BYTES) {
            return Err(Fault::last("gzip members cut at the end of a file"));
        }
        let trailer = input.available();
        let checksum = u32::from_le_bytes([trailer[0], trailer[1], trailer[2], trailer[3]]);
        if checksum != self.checksum.sum() {
            return Err(broken(input));
        }
        input.consume(TRAILER_BYTES);
        Ok(())
    }
}

/// Whether nothing but padding follows, as tapes and some tools leave it.
fn only_zeros(input: &mut Input<'_>) -> bool {
    while input.available().iter().all(|byte| *byte == 0) {
        input.consume(input.available().len());
        if !input.fill(1) {
            return true;
        }
    }
    false
}

fn skip(input: &mut Input<'_>, bytes: usize) -> bool {
    let is_there = input.fill(bytes);
    input.consume(bytes);
    is_there
}

/// Passes over a text that a zero ends.
fn skip_text(input: &mut Input<'_>) -> bool {
    let mut bytes = 0;
    while bytes < FIELD_BYTES_MAX && input.fill(bytes + 1) {
        if let Some(at) = memchr::memchr(0, &input.available()[bytes..]) {
            input.consume(bytes + at + 1);
            return true;
        }
        bytes = input.available().len();
    }
    false
}

fn broken(input: &mut Input<'_>) -> Fault {
    Fault::at("broken gzip members", input.seek(&MAGIC))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::super::codec::{Codec, tests::decoded};

    /// A member with the fields that its flags say, and the rest of it.
    fn member(flags: u8, name: &[u8], text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text).unwrap();
        let packed = encoder.finish().unwrap();
        let fields: [(u8, &[u8]); 4] = [
            (4, b"\x03\0\0\x01\0"),
            (8, &[name, b"\0"].concat()),
            (16, b"of a test\0"),
            (2, b"\0c"),
        ];
        let given = fields
            .iter()
            .filter(|(flag, _)| flags & flag != 0)
            .flat_map(|(_, field)| *field);
        [&[0x1f, 0x8b, 8, flags], &packed[4..10]]
            .concat()
            .iter()
            .chain(given)
            .chain(&packed[10..])
            .copied()
            .collect()
    }

    #[test]
    fn members_with_whatever_fields_are_one_text_whatever_pieces_they_come_in() {
        for flags in 0..32 {
            let stored = [
                member(flags, b"log", &[b'a'; 500]),
                member(flags, b"", b""),
                member(0, b"", b"bc"),
                vec![0; 700],
            ];
            let expected = [&[b'a'; 500][..], b"bc"].concat();
            for piece in [1, 10_000] {
                assert_eq!(
                    decoded(Codec::Gzip, &stored.concat(), piece),
                    (expected.clone(), vec![]),
                    "{flags} {piece}"
                );
            }
        }
    }

    #[test]
    fn a_broken_member_is_passed_over_with_all_that_its_checksum_is_of() {
        let (first, broken, last) = (
            member(0, b"", b"first"),
            member(0, b"", b"broken"),
            member(8, b"log", b"last"),
        );
        // Its mark, what it holds, its checksum.
        for at in [0, 2, 10, broken.len() - 8, broken.len() - 5] {
            let mut damaged = broken.clone();
            damaged[at] ^= 7;
            for piece in [1, 10_000] {
                let (text, faults) = decoded(Codec::Gzip, &[&first[..], &damaged, &last].concat(), piece);
                assert!(text.starts_with(b"first") && text.ends_with(b"last"), "{at}");
                assert_eq!(faults, ["broken gzip members"], "{at}");
                assert!(piece == 1 || text == b"firstlast", "{at}");
            }
        }
    }

    #[test]
    fn a_member_that_is_cut_is_said_to_be_wherever_that_is() {
        let (first, last) = (member(0, b"", b"first"), member(4 | 8 | 2, b"log", b""));
        let whole = [&first[..], &last].concat();
        assert_eq!(decoded(Codec::Gzip, &whole, 10_000), (b"first".to_vec(), vec![]));
        for length in first.len() + 1..whole.len() {
            let cut = decoded(Codec::Gzip, &whole[..length], 10_000);
            assert_eq!(
                cut,
                (b"first".to_vec(), vec!["gzip members cut at the end of a file"]),
                "{length}"
            );
        }
    }

    #[test]
    fn a_name_may_be_long_but_not_without_end() {
        for (bytes, is_read) in [(60_000, true), (300_000, false)] {
            let (text, faults) = decoded(Codec::Gzip, &member(8, &vec![b'n'; bytes], b"text"), 10_000);
            assert_eq!(
                (text == b"text", faults.is_empty()),
                (is_read, is_read),
                "{bytes}: {faults:?}"
            );
        }
    }
}
