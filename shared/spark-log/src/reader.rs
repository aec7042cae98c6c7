//! A log's lines, one by one, from the decoded blocks to the events applied.
//!
//! Separate because here it is decided what becomes of each line: used, passed over because nothing needs it, or counted
//! as what could not be read.

use memchr::memmem::Finder;

use super::lines::{Lines, LongLine, TakesLines};
use super::replay::{Replay, Text, Unread};
use super::source::Blocks;
use super::task_line::{self, TaskEvent};
use super::{Limits, Reading, SparkRun};

/// The start of every line that Spark writes: the event's name is its first field.
const NAME_PREFIX: &[u8] = br#"{"Event":""#;

/// Reads all blocks to the end.
pub(super) fn read(blocks: &mut dyn Blocks, limits: &Limits, progress: &dyn Fn(u64)) -> SparkRun {
    let mut reader = Reader {
        replay: Replay::new(limits.tasks_max),
        reading: Reading::default(),
        next_event: Finder::new(NAME_PREFIX),
        task_end_bytes_min: None,
        lines_of_text: 0,
        progress,
    };
    Lines::new(blocks, limits).hand_to(&mut reader);
    let lines_of_text = reader.lines_of_text;
    let (mut run, mut reading) = (reader.replay.finish(), reader.reading);
    let has_events = reading.lines_parsed > 0 || !reading.passed_over.is_empty();
    let what = if has_events {
        "lines that are not JSON objects"
    } else {
        "lines of plain text: this is no event log"
    };
    reading.skip_many(what, lines_of_text);
    let report = blocks.report();
    reading.files = report.files;
    reading.bytes_read = report.bytes_read;
    reading.bytes_decoded = report.bytes_decoded;
    reading.compacted = report.compacted;
    reading.in_progress = run.ended_at_ms.is_none();
    for (what, count) in &report.skipped {
        reading.skip_many(what, *count);
    }
    let begins = run.started_at_ms.is_some();
    let is_read = reading.skipped.is_empty();
    if let Some((what, count)) = report.rolled.and_then(|rolled| rolled.missing(begins, is_read)) {
        reading.skip_many(what, count);
    }
    if has_events && !begins {
        reading.skip("application's start missing");
    }
    let is_whole = !reading.in_progress && !reading.compacted && reading.skipped.is_empty();
    reading.complete = is_whole && begins;
    run.reading = reading;
    run
}

/// What the lines have come to so far.
struct Reader<'p> {
    replay: Replay,
    reading: Reading,
    /// Finds the start of another event within a line.
    next_event: Finder<'static>,
    /// The shortest line of a task's end so far.
    task_end_bytes_min: Option<usize>,
    /// Lines that do not begin as JSON does: in a log they are damage, in a file of nothing else they are what it is.
    lines_of_text: u64,
    progress: &'p dyn Fn(u64),
}

impl TakesLines for Reader<'_> {
    fn line(&mut self, line: &[u8], is_torn: bool) {
        let mut rest = line.strip_suffix(b"\r").unwrap_or(line);
        while !rest.is_empty() {
            let task = if is_torn || rest.last() != Some(&b'}') {
                None
            } else {
                task_line::parse(rest)
            };
            if let Some(task) = task.as_ref().filter(|task| self.is_one_line(rest, task)) {
                self.use_task_line(task, rest);
                return;
            }
            let Some(before_next) = self.next_event.find(&rest[1..]) else {
                match &task {
                    Some(task) => self.use_task_line(task, rest),
                    None => self.use_line(rest, is_torn),
                }
                return;
            };
            // Quotes inside strings are escaped, so this is another event: the newline before it is gone.
            self.reading.skip("newlines missing between lines");
            let (first, later) = rest.split_at(before_next + 1);
            self.use_line(first, true);
            rest = later;
        }
    }

    fn long_line(&mut self, head: &[u8], stream: &mut LongLine<'_, '_>) {
        if let Some(task) = task_line::parse(head) {
            if stream.finish() {
                self.use_task_line(&task, head);
            } else {
                self.reading.lines += 1;
                self.reading.skip("lines cut short");
            }
            return;
        }
        self.reading.lines += 1;
        let outcome = match name(head) {
            Some(name) => self.replay.apply(name, &mut Text::Streamed(stream)),
            None => Err(Unread::Nameless),
        };
        self.count(name(head), outcome, None);
    }

    fn read_so_far(&mut self, bytes_read: u64) {
        (self.progress)(bytes_read);
    }
}

/// The event's name, if the line starts as Spark writes it.
fn name(line: &[u8]) -> Option<&str> {
    let rest = line.strip_prefix(NAME_PREFIX)?;
    std::str::from_utf8(&rest[..memchr::memchr(b'"', rest)?]).ok()
}

/// Whether a line begins as a JSON object does, white space and a byte order mark aside.
fn is_json(line: &[u8]) -> bool {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    line.trim_ascii_start().starts_with(b"{")
}

impl Reader<'_> {
    /// Whether a line that starts as a task's event can be no more than that. A lost newline is rare and a search of
    /// every line dear, so the search is left to lines that end otherwise or could hold two.
    fn is_one_line(&mut self, line: &[u8], task: &TaskEvent<'_>) -> bool {
        if task.end.is_none() {
            // Its end was part of what was parsed.
            return true;
        }
        let before = self.task_end_bytes_min;
        self.task_end_bytes_min = Some(before.map_or(line.len(), |bytes| bytes.min(line.len())));
        // The first may be two itself.
        before.is_some_and(|bytes| line.len() < bytes * 2) && line.ends_with(br#""Updated Blocks":[]}}"#)
    }

    fn use_task_line(&mut self, task: &TaskEvent<'_>, line: &[u8]) {
        self.reading.lines += 1;
        self.reading.lines_parsed += 1;
        self.replay.apply_task(task);
        self.replay.keep_metrics(task, line);
    }

    fn use_line(&mut self, line: &[u8], is_torn: bool) {
        self.reading.lines += 1;
        if !is_json(line) {
            self.lines_of_text += 1;
            return;
        }
        // The end of a torn line is unknown: only a full parse tells whether it is whole.
        if is_torn && serde_json::from_slice::<serde::de::IgnoredAny>(line).is_err() {
            self.reading.skip("lines cut short");
            return;
        }
        let outcome = self.apply(line);
        self.count(name(line), outcome, Some(line));
    }

    /// Applies a line. If it does not start as Spark writes it (white space, another order), its name is looked for.
    fn apply(&mut self, line: &[u8]) -> Result<(), Unread> {
        match name(line) {
            Some(name) => self.replay.apply(name, &mut Text::Held(line)),
            None => self.replay.apply_in_another_form(line),
        }
    }

    /// Counts what became of a line. Invalid UTF-8 gets a second try, with replacement characters.
    fn count(&mut self, name: Option<&str>, outcome: Result<(), Unread>, line: Option<&[u8]>) {
        match outcome {
            Ok(()) => self.reading.lines_parsed += 1,
            Err(Unread::Unneeded) => match line {
                Some(line) if line.last() != Some(&b'}') => self.reading.skip("lines that are not JSON objects"),
                _ => self.reading.pass_over(name.unwrap_or("events in another form")),
            },
            Err(Unread::NoEvent) => self.reading.skip("JSON objects that are no events"),
            Err(Unread::Nameless) => self.reading.skip("long lines that do not start with an event's name"),
            Err(Unread::Broken(error)) => {
                if let Some(Err(_)) = line.map(std::str::from_utf8) {
                    let replaced = String::from_utf8_lossy(line.unwrap_or_default());
                    let outcome = self.apply(replaced.as_bytes());
                    if outcome.is_ok() {
                        self.reading
                            .skip("bytes that are not UTF-8, in lines used all the same");
                    }
                    self.count(name, outcome, None);
                } else if error.is_data() {
                    self.reading.skip("events without the fields expected");
                } else {
                    self.reading.skip("lines that are not JSON objects");
                }
            }
        }
    }
}
