//! The decoded bytes of all files of a log, in blocks.
//!
//! Separate because it runs in either thread: all that can go wrong with a file is settled here, and what goes on to the
//! parser is text with marks where the text is torn.

use std::collections::BTreeMap;
use std::io::Read;

use super::codec::{Codec, Decoder, Fault, Input};
use super::{Limits, Part, foreign, order};

/// A part whose reader's type is of no more interest.
pub(super) type ErasedPart<'a> = Part<Box<dyn Read + Send + 'a>>;

/// Decoded bytes, and what is known at their end.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// Room for the bytes; only the first `filled` count.
    pub(super) bytes: Vec<u8>,
    /// Bytes of the block.
    pub(super) filled: usize,
    /// Whether the text ends here, so that the next block begins another line: a file's end, or a broken place.
    pub(super) is_end: bool,
    /// Stored bytes read so far, of all files.
    pub(super) bytes_read: u64,
}

/// Whatever hands out blocks: the decoder itself, or the thread it runs in.
pub(super) trait Blocks {
    /// Puts the next block in the place of the one that is used up; false when there are no more.
    fn next(&mut self, block: &mut Block) -> bool;

    /// What the decoding side has to say, once all blocks are out.
    fn report(&mut self) -> SourceReport;
}

/// What reading and decoding met.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct SourceReport {
    /// Files read.
    pub(super) files: u64,
    /// Stored bytes.
    pub(super) bytes_read: u64,
    /// Decoded bytes.
    pub(super) bytes_decoded: u64,
    /// What could not be read, counted.
    pub(super) skipped: BTreeMap<String, u64>,
    /// Whether a name says that the log was compacted.
    pub(super) compacted: bool,
    /// What the names say of the numbers, if all files are rolled ones.
    pub(super) rolled: Option<order::Rolled>,
}

/// Decodes parts one after the other.
pub(super) struct Source<'a> {
    parts: std::vec::IntoIter<ErasedPart<'a>>,
    open: Option<OpenPart<'a>>,
    limits: Limits,
    report: SourceReport,
}

/// The part being decoded.
struct OpenPart<'a> {
    input: Input<'a>,
    decoder: Decoder,
    bytes_decoded: u64,
    faults: u64,
}

impl<'a> Source<'a> {
    /// A source of these parts, in this order.
    pub(super) fn new(parts: Vec<ErasedPart<'a>>, limits: &Limits) -> Self {
        let names = || parts.iter().map(|part| part.name.as_str());
        let mut report = SourceReport {
            compacted: names().any(order::is_compacted),
            ..SourceReport::default()
        };
        report.rolled = order::rolled(names());
        Self {
            parts: parts.into_iter(),
            open: None,
            limits: limits.clone(),
            report,
        }
    }

    /// The part to decode from: the one that is open, or the next.
    fn open_part(&mut self) -> Option<&mut OpenPart<'a>> {
        while self.open.is_none() {
            let part = self.parts.next()?;
            self.report.files += 1;
            let mut input = Input::new(part.bytes);
            // Enough for every mark; fewer bytes are left to the codec to judge.
            input.fill(foreign::HEAD_BYTES);
            self.report.bytes_read += input.bytes_read();
            if let Some(what) = foreign::sniff(input.available()) {
                self.count(what);
                continue;
            }
            let codec = Codec::sniff(input.available())
                .or_else(|| order::codec(&part.name))
                .unwrap_or(Codec::Plain);
            match Decoder::new(codec, self.limits.zstd_window_log_max) {
                Ok(decoder) => {
                    self.open = Some(OpenPart {
                        input,
                        decoder,
                        bytes_decoded: 0,
                        faults: 0,
                    })
                }
                Err(fault) => self.count(fault.what),
            }
        }
        self.open.as_mut()
    }

    fn count(&mut self, what: &str) {
        *self.report.skipped.entry(what.to_owned()).or_default() += 1;
    }

    /// Settles a fault: the text ends here, and with it the part if nothing can follow.
    fn settle(&mut self, fault: &Fault) {
        self.count(fault.what);
        let Some(open) = self.open.as_mut() else { return };
        open.faults += 1;
        if fault.rest_lost {
            self.open = None;
        } else if open.faults >= self.limits.faults_max {
            self.open = None;
            self.count("files left because of too many broken places");
        }
    }
}

impl Blocks for Source<'_> {
    fn next(&mut self, block: &mut Block) -> bool {
        block.bytes.resize(self.limits.block_bytes.max(1 << 10), 0);
        block.filled = 0;
        block.is_end = false;
        let ratio_max = self.limits.ratio_max;
        while block.filled < block.bytes.len() && !block.is_end {
            let Some(open) = self.open_part() else { break };
            let read_before = open.input.bytes_read();
            let mut outcome = open.decoder.decode(&mut open.input, &mut block.bytes[block.filled..]);
            let read = open.input.bytes_read();
            let failed = open.input.failed();
            if let Ok(count) = outcome {
                block.filled += count;
                open.bytes_decoded += count as u64;
                if open.bytes_decoded > read.saturating_mul(ratio_max) {
                    outcome = Err(Fault::last(
                        "files left because they decode to more than the ratio allowed",
                    ));
                }
                self.report.bytes_decoded += count as u64;
            }
            self.report.bytes_read += read - read_before;
            match outcome {
                Ok(0) => {
                    self.open = None;
                    block.is_end = true;
                }
                Ok(_) => (),
                Err(fault) => {
                    self.settle(&fault);
                    block.is_end = true;
                }
            }
            if failed && block.is_end {
                self.count("files whose bytes could not be read to the end");
            }
        }
        block.bytes_read = self.report.bytes_read;
        block.filled > 0 || block.is_end
    }

    fn report(&mut self) -> SourceReport {
        self.report.clone()
    }
}
