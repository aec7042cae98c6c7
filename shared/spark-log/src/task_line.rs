//! `SparkListenerTaskStart` and `SparkListenerTaskEnd` read by hand, up to the accumulables and no further.
//!
//! Separate because these lines are nearly all of a log, and nine tenths of each are metrics that nothing here needs:
//! this is what keeps the reader at the decoder's pace. It knows one order of the fields, the one Spark writes; a line
//! in any other order, or with escapes, is left to [`event`](super::event) to parse.
//!
//! Fields: `taskInfoToJson` in
//! <https://github.com/apache/spark/blob/v3.5.5/core/src/main/scala/org/apache/spark/util/JsonProtocol.scala>

/// What is needed of a task's start or end.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TaskEvent<'a> {
    /// `Stage ID`.
    pub(super) stage_id: i64,
    /// `Stage Attempt ID`.
    pub(super) stage_attempt: i64,
    /// How it ended; `None` for a start.
    pub(super) end: Option<TaskEnd<'a>>,
    /// `Task ID`: one attempt.
    pub(super) task_id: i64,
    /// `Partition ID`, or where it is missing `Index`.
    pub(super) partition: i64,
    /// `Launch Time`, epoch ms.
    pub(super) launched_at_ms: i64,
    /// `Finish Time`, epoch ms; 0 while it runs.
    pub(super) finished_at_ms: i64,
    /// `Executor ID`.
    pub(super) executor_id: &'a str,
    /// `Host`.
    pub(super) host: &'a str,
    /// `Speculative`.
    pub(super) is_speculative: bool,
    /// `Failed`.
    pub(super) is_failed: bool,
    /// `Killed`.
    pub(super) is_killed: bool,
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TaskEnd<'a> {
    /// `Reason` of the `Task End Reason`.
    pub(super) reason: &'a str,
    /// The start of the message Spark shows for it; empty for a success.
    pub(super) message: &'a str,
    /// `FetchFailed`: host and executor of the `Block Manager Address`.
    pub(super) fetch_from: Option<(&'a str, &'a str)>,
    /// What is told of a failure: never by the lines that are read by hand.
    pub(super) failure: Option<TaskFailure<'a>>,
}

/// What is told of a task that did not succeed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TaskFailure<'a> {
    /// `Index`.
    pub(super) index: i64,
    /// `Attempt`.
    pub(super) attempt: i64,
    /// `ExceptionFailure`: the exception's class.
    pub(super) class_name: Option<&'a str>,
    /// The exception's message, why the fetch failed, why the executor was lost.
    pub(super) words: &'a str,
    /// `ExecutorLostFailure`: `Exit Caused By App`.
    pub(super) exit_caused_by_app: Option<bool>,
}

const START: &[u8] = br#"{"Event":"SparkListenerTaskStart","Stage ID":"#;
const END: &[u8] = br#"{"Event":"SparkListenerTaskEnd","Stage ID":"#;

/// Reads a line of one of the two events; `None` if it is another one or written in another way.
pub(super) fn parse(line: &[u8]) -> Option<TaskEvent<'_>> {
    let (mut cursor, is_end) = match (line.strip_prefix(END), line.strip_prefix(START)) {
        (Some(rest), _) => (Cursor(rest), true),
        (None, Some(rest)) => (Cursor(rest), false),
        (None, None) => return None,
    };
    let stage_id = cursor.integer()?;
    cursor.expect(br#","Stage Attempt ID":"#)?;
    let stage_attempt = cursor.integer()?;
    let end = if is_end { Some(end(&mut cursor)?) } else { None };
    cursor.expect(br#","Task Info":{"Task ID":"#)?;
    let task_id = cursor.integer()?;
    cursor.expect(br#","Index":"#)?;
    cursor.skip_integer()?;
    cursor.expect(br#","Attempt":"#)?;
    cursor.skip_integer()?;
    cursor.expect(br#","Partition ID":"#)?;
    let partition = cursor.integer()?;
    cursor.expect(br#","Launch Time":"#)?;
    let launched_at_ms = cursor.integer()?;
    cursor.expect(br#","Executor ID":"#)?;
    let executor_id = cursor.text()?;
    cursor.expect(br#","Host":"#)?;
    let host = cursor.text()?;
    cursor.expect(br#","Locality":"#)?;
    cursor.skip_text()?;
    cursor.expect(br#","Speculative":"#)?;
    let is_speculative = cursor.boolean()?;
    cursor.expect(br#","Getting Result Time":"#)?;
    cursor.skip_integer()?;
    cursor.expect(br#","Finish Time":"#)?;
    let finished_at_ms = cursor.integer()?;
    cursor.expect(br#","Failed":"#)?;
    let is_failed = cursor.boolean()?;
    cursor.expect(br#","Killed":"#)?;
    let is_killed = cursor.boolean()?;
    // A start has none of these, and nothing after them.
    cursor.expect(br#","Accumulables":["#)?;
    if !is_end && cursor.0 != b"]}}" {
        return None;
    }
    Some(TaskEvent {
        stage_id,
        stage_attempt,
        end,
        task_id,
        partition,
        launched_at_ms,
        finished_at_ms,
        executor_id,
        host,
        is_speculative,
        is_failed,
        is_killed,
    })
}

/// The end reasons that carry nothing; all others are rare and long.
fn end<'a>(cursor: &mut Cursor<'a>) -> Option<TaskEnd<'a>> {
    cursor.expect(br#","Task Type":"#)?;
    cursor.skip_text()?;
    cursor.expect(br#","Task End Reason":{"Reason":"#)?;
    let reason = cursor.skip_text()?;
    cursor.expect(b"}")?;
    let (reason, message) = match reason {
        b"Success" => ("Success", ""),
        b"Resubmitted" => ("Resubmitted", "Resubmitted"),
        _ => return None,
    };
    Some(TaskEnd {
        reason,
        message,
        fetch_from: None,
        failure: None,
    })
}

/// What is left of the line.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    #[inline]
    fn expect(&mut self, text: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(text)?;
        Some(())
    }

    #[inline]
    fn integer(&mut self) -> Option<i64> {
        const DIGITS_MAX: usize = 18;
        let (is_negative, digits) = match self.0 {
            [b'-', digits @ ..] => (true, digits),
            digits => (false, digits),
        };
        let mut value: i64 = 0;
        let mut count = 0;
        while let Some(digit) = digits.get(count).map(|byte| byte.wrapping_sub(b'0'))
            && digit < 10
        {
            // Wraps only beyond the digits that are accepted.
            value = value.wrapping_mul(10).wrapping_add(i64::from(digit));
            count += 1;
        }
        if count == 0 || count > DIGITS_MAX {
            return None;
        }
        self.0 = &digits[count..];
        Some(if is_negative { -value } else { value })
    }

    fn skip_integer(&mut self) -> Option<()> {
        let count = self.0.iter().position(|byte| !byte.is_ascii_digit())?;
        self.0 = &self.0[count..];
        (count > 0).then_some(())
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.skip_text()?).ok()
    }

    /// A string without escapes, not looked at.
    #[inline]
    fn skip_text(&mut self) -> Option<&'a [u8]> {
        let rest = self.0.strip_prefix(b"\"")?;
        let length = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=31))?;
        if rest[length] != b'"' {
            return None;
        }
        self.0 = &rest[length + 1..];
        Some(&rest[..length])
    }

    fn boolean(&mut self) -> Option<bool> {
        if let Some(rest) = self.0.strip_prefix(b"false") {
            self.0 = rest;
            Some(false)
        } else {
            self.expect(b"true")?;
            Some(true)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"Event":"SparkListenerTaskEnd","Stage ID":7,"Stage Attempt ID":1,"Task Type":"ResultTask","Task End Reason":{"Reason":"Success"},"Task Info":{"Task ID":12,"Index":3,"Attempt":0,"Partition ID":5,"Launch Time":1000,"Executor ID":"4","Host":"h","Locality":"ANY","Speculative":false,"Getting Result Time":0,"Finish Time":1500,"Failed":false,"Killed":true,"Accumulables":[]}}"#;

    #[test]
    fn by_hand_reads_what_the_full_parser_reads() {
        let by_hand = parse(LINE.as_bytes()).unwrap();
        let full: super::super::event::TaskEventJson = serde_json::from_str(LINE).unwrap();
        assert_eq!(by_hand, full.as_task_event());
        assert_eq!(
            (by_hand.stage_id, by_hand.partition, by_hand.finished_at_ms),
            (7, 5, 1500)
        );
        assert!(by_hand.is_killed && !by_hand.is_failed);
    }

    #[test]
    fn numbers_below_zero_and_tasks_that_are_to_run_again_are_read_alike() {
        let resubmitted = (r#"{"Reason":"Success"}"#, r#"{"Reason":"Resubmitted"}"#);
        for (from, to) in [
            (r#""Launch Time":1000"#, r#""Launch Time":-1000"#),
            (r#""Stage Attempt ID":1"#, r#""Stage Attempt ID":-1"#),
            // As many digits as are read by hand.
            (r#""Task ID":12"#, r#""Task ID":123456789012345678"#),
            (
                r#""Accumulables":[]}}"#,
                r#""Accumulables":[{"ID":1}]},"Task Metrics":{"Executor Run Time":4}}"#,
            ),
            resubmitted,
        ] {
            let line = LINE.replace(from, to);
            assert_ne!(line, LINE, "{to}");
            let full: super::super::event::TaskEventJson = serde_json::from_str(&line).unwrap();
            assert_eq!(parse(line.as_bytes()), Some(full.as_task_event()), "{to}");
        }
    }

    #[test]
    fn a_line_written_in_another_way_is_left_to_the_full_parser() {
        for (from, to) in [
            (r#""Executor ID":"4""#, r#""Executor ID":"\u0034""#),
            (r#""Index":3"#, r#""Index": 3"#),
            (r#""Task ID":12"#, r#""Task ID":12345678901234567890"#),
            (r#""Task ID":12"#, r#""Task ID":1234567890123456789"#),
            (r#""Task ID":12"#, r#""Task ID":12:"#),
            (r#""Task ID":12"#, r#""Task ID":-"#),
            (r#""Index":3"#, r#""Index":"#),
            (r#""Host":"h""#, "\"Host\":\"h\t\""),
            (r#""Failed":false"#, r#""Failed":0"#),
            (r#"{"Reason":"Success"}"#, r#"{"Reason":"FetchFailed","Map ID":1}"#),
        ] {
            assert_eq!(parse(LINE.replace(from, to).as_bytes()), None, "{to}");
        }
        for length in 0..LINE.len() - 4 {
            assert_eq!(parse(&LINE.as_bytes()[..length]), None, "{length}");
        }
        // A start is read to its last brace, behind which there is nothing.
        let reason = r#""Task Type":"ResultTask","Task End Reason":{"Reason":"Success"},"#;
        let start = LINE.replace(reason, "").replace("TaskEnd", "TaskStart");
        let full: super::super::event::TaskEventJson = serde_json::from_str(&start).unwrap();
        assert_eq!(parse(start.as_bytes()), Some(full.as_task_event()));
        assert_eq!(parse(format!("{start}}}").as_bytes()), None);
        assert_eq!(parse(start.replace("[]", "[1]").as_bytes()), None);
    }
}
