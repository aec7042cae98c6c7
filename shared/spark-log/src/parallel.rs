//! The same reading with two threads: one decodes ahead, the calling one parses.
//!
//! Separate because only how blocks travel differs; what they hold, and thus the outcome, does not.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::source::{Block, Blocks, ErasedPart, Source, SourceReport};
use super::{Limits, SparkRun, reader};

/// Blocks on their way or in use at any time: what bounds the memory.
const BLOCKS: usize = 4;

/// Reads the parts with a decoding thread, or in this one if there can be no other.
pub(super) fn read(parts: Vec<ErasedPart<'_>>, limits: &Limits, progress: &dyn Fn(u64)) -> SparkRun {
    let mut source = Source::new(parts, limits);
    thread::scope(|scope| {
        let (full_sender, full) = sync_channel(BLOCKS);
        let (spent, spent_receiver) = sync_channel(BLOCKS);
        let (report_sender, report) = sync_channel(1);
        for _ in 0..BLOCKS {
            // The channel has room for exactly these.
            let _ = spent.try_send(Block::default());
        }
        scope.spawn(move || {
            decode(&mut source, &spent_receiver, &full_sender);
            let _ = report_sender.send(source.report());
        });
        reader::read(&mut Travelling { full, spent, report }, limits, progress)
    })
}

/// Decodes into spent blocks until there are no more bytes, or nobody wants them.
fn decode(source: &mut Source<'_>, spent: &Receiver<Block>, full: &SyncSender<Block>) {
    while let Ok(mut block) = spent.recv() {
        if !source.next(&mut block) || full.send(block).is_err() {
            return;
        }
    }
}

/// The parser's end of the two channels.
struct Travelling {
    full: Receiver<Block>,
    spent: SyncSender<Block>,
    report: Receiver<SourceReport>,
}

impl Blocks for Travelling {
    fn next(&mut self, block: &mut Block) -> bool {
        let used = std::mem::take(block);
        // The first block handed in was never filled.
        if !used.bytes.is_empty() {
            let _ = self.spent.try_send(used);
        }
        match self.full.recv() {
            Ok(next) => {
                *block = next;
                true
            }
            Err(_) => false,
        }
    }

    fn report(&mut self) -> SourceReport {
        self.report.recv().unwrap_or_default()
    }
}
