//! Numbers and spans of time as one says them.

pub use rules::words::{list, number};

/// `59 s`, `4 min 28 s`, `2 min`, `1 h 5 min`.
pub fn span(seconds: i64) -> String {
    let (sign, seconds) = if seconds < 0 { ("−", -seconds) } else { ("", seconds) };
    let parts = match seconds {
        0..60 => [(seconds, "s"), (0, "")],
        60..3_600 => [(seconds / 60, "min"), (seconds % 60, "s")],
        _ => [(seconds / 3_600, "h"), (seconds % 3_600 / 60, "min")],
    };
    let said: Vec<String> = parts
        .iter()
        .enumerate()
        .filter(|(index, (value, _))| *index == 0 || *value > 0)
        .map(|(_, (value, unit))| format!("{value} {unit}"))
        .collect();
    format!("{sign}{}", said.join(" "))
}

/// The same where seconds do not matter any more: from ten minutes on they are left out.
pub fn rough(seconds: i64) -> String {
    match seconds {
        600.. => span((seconds + 30) / 60 * 60),
        _ => span(seconds),
    }
}

/// A moment after a begin: `3:47`, `1:03:47`.
pub fn clock(seconds: i64) -> String {
    let sign = if seconds < 0 { "−" } else { "" };
    let seconds = seconds.abs();
    match seconds {
        0..3_600 => format!("{sign}{}:{:02}", seconds / 60, seconds % 60),
        _ => format!("{sign}{}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60),
    }
}

/// `1 instance`, `3 instances`.
pub fn plural(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{} {what}s", number(count as u64)),
    }
}

/// A count as a sentence begins with it: in words up to twelve.
pub fn in_words(count: usize) -> String {
    const WORDS: [&str; 13] = [
        "none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    ];
    WORDS
        .get(count)
        .map_or_else(|| number(count as u64), |word| (*word).to_owned())
}

/// A sentence's begin in a capital letter. Names keep theirs: of settings, files and places.
pub fn capital(text: &str) -> String {
    let first = text.split_whitespace().next().unwrap_or_default();
    let is_a_name = first
        .trim_end_matches(['.', ',', ':', ';'])
        .contains(['.', ':', '/', '_']);
    if is_a_name {
        return text.to_owned();
    }
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

/// How often: `once`, `twice`, `3 times`.
pub fn times(count: usize) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        more => format!("{} times", number(more as u64)),
    }
}

/// A whole number of percent; `None` of nothing.
pub fn percent(part: i64, whole: i64) -> Option<i64> {
    (whole > 0).then(|| (part * 100 + whole / 2) / whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_said_in_two_units_at_most() {
        assert_eq!(
            [0, 59, 60, 268, 3_600, 23_100].map(span),
            ["0 s", "59 s", "1 min", "4 min 28 s", "1 h", "6 h 25 min"]
        );
        assert_eq!([-1, -268].map(span), ["−1 s", "−4 min 28 s"]);
        assert_eq!(
            [599, 600, 629, 630, 2_069, 23_129].map(rough),
            ["9 min 59 s", "10 min", "10 min", "11 min", "34 min", "6 h 25 min"]
        );
        // The last half minute of an hour is said as the next.
        assert_eq!(
            [3_569, 3_570, 3_629, 3_630].map(rough),
            ["59 min", "1 h", "1 h", "1 h 1 min"]
        );
        assert_eq!(
            [0, 227, 3_599, 3_600, 3_827, -65, -3_827].map(clock),
            ["0:00", "3:47", "59:59", "1:00:00", "1:03:47", "−1:05", "−1:03:47"]
        );
    }

    #[test]
    fn counts_are_said_as_one_says_them() {
        let instances = |count| plural(count, "instance");
        assert_eq!(
            [0, 1, 2, 1_234].map(instances),
            ["0 instances", "1 instance", "2 instances", "1,234 instances"]
        );
        assert_eq!(
            [0, 1, 12, 13, 1_234].map(in_words),
            ["none", "one", "twelve", "13", "1,234"]
        );
        assert_eq!(times(1_234), "1,234 times");
    }

    #[test]
    fn a_share_is_the_nearest_percent_and_nothing_has_none() {
        let shares = [(0, 7), (1, 3), (2, 3), (1, 200), (1, 201), (7, 7), (9, 6)];
        assert_eq!(
            shares.map(|(part, whole)| percent(part, whole)),
            [0, 33, 67, 1, 0, 100, 150].map(Some)
        );
        assert_eq!((percent(0, 0), percent(1, 0), percent(1, -1)), (None, None, None));
    }

    #[test]
    fn a_sentence_begins_with_a_capital_letter_and_a_name_stays_as_it_is() {
        assert_eq!(capital("the step ended: s3://b"), "The step ended: s3://b");
        for name in [
            "spark.eventLog.dir is not set",
            "s3://b/log: AccessDenied",
            "spot_drill",
            "",
        ] {
            assert_eq!(capital(name), name);
        }
        assert_eq!([1, 2, 3].map(times), ["once", "twice", "3 times"]);
    }
}
