//! Numbers and lists as one says them: in verdicts, and in the reports about them.

/// `1,256`.
pub fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut said = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            said.push(',');
        }
        said.push(digit);
    }
    said
}

/// `a`, `a and b`, `a, b and c`; beyond `at_most` the rest is counted.
pub fn list(items: &[String], at_most: usize) -> String {
    let shown: Vec<String> = if items.len() > at_most {
        let rest = items.len() - at_most;
        let more = std::iter::once(format!("{} more", number(rest as u64)));
        items.iter().take(at_most).cloned().chain(more).collect()
    } else {
        items.to_vec()
    };
    match shown.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_numbers_read_as_english() {
        assert_eq!(
            [0, 999, 1_256, 1_000_000].map(number),
            ["0", "999", "1,256", "1,000,000"]
        );
        let items = ["a", "b", "c", "d"].map(str::to_owned);
        assert_eq!(list(&items[..1], 3), "a");
        assert_eq!(list(&items[..3], 3), "a, b and c");
        assert_eq!(list(&items, 2), "a, b and 2 more");
    }
}
