//! Spark's words without what is one executor's alone, so that losses of one kind have the same words.
//!
//! Separate because words are shown as they are everywhere else: only where they are counted must names and numbers go.

/// Characters kept of the words that are counted.
const CHARACTERS_MAX: usize = 200;

/// What YARN's ids begin with, and what stands for them.
const IDS: [(&str, &str); 3] = [
    ("container_", "<container>"),
    ("appattempt_", "<attempt>"),
    ("application_", "<application>"),
];

/// The first line of the words, with ids, hosts, addresses and times replaced; `host` is the executor's own.
pub(super) fn without_names(words: &str, host: &str) -> String {
    let mut kept = String::new();
    let mut rest = words.trim_start().lines().next().unwrap_or_default();
    let mut before = ' ';
    while let Some(first) = rest.chars().next() {
        let found = if before.is_alphanumeric() {
            None
        } else {
            name(rest, host)
        };
        let length = match found {
            Some((length, stand_in)) => {
                kept.push_str(stand_in);
                length
            }
            None => {
                kept.push(first);
                first.len_utf8()
            }
        };
        before = rest[..length].chars().next_back().unwrap_or(first);
        rest = &rest[length..];
        if let Some(after) = ["on host: ", "executor with id "]
            .iter()
            .find(|mark| kept.ends_with(**mark))
        {
            let length = word(rest);
            if length > 0 {
                kept.push_str(if after.ends_with("id ") { "<id>" } else { "<host>" });
                rest = &rest[length..];
                before = 'x';
            }
        }
    }
    match kept.char_indices().nth(CHARACTERS_MAX) {
        Some((at, _)) => kept[..at].to_owned(),
        None => kept,
    }
}

/// The length of the name or number that the text starts with, and what stands for it.
fn name(text: &str, host: &str) -> Option<(usize, &'static str)> {
    for (prefix, stand_in) in IDS {
        let digits = |rest: &str| prefixed(rest, |c| c.is_ascii_digit() || c == '_' || c == 'e');
        if let Some(rest) = text.strip_prefix(prefix)
            && digits(rest) > 0
        {
            return Some((prefix.len() + digits(rest), stand_in));
        }
    }
    let is_own = !host.is_empty() && text.starts_with(host) && word(text) == host.len();
    let is_of_ec2 = ["ip-", "ec2-", "i-"].iter().any(|prefix| {
        let rest = text.strip_prefix(prefix).unwrap_or_default();
        rest[..prefixed(rest, |c| c.is_ascii_hexdigit())].contains(|c: char| c.is_ascii_digit())
    });
    if is_own || is_of_ec2 {
        return Some((word(text), "<host>"));
    }
    if let Some(length) = address(text.as_bytes()) {
        return Some((length, "<host>"));
    }
    // YARN's diagnostics: `[2024-05-01 10:00:00.123]Container killed on request.`
    if let Some(rest) = text.strip_prefix("[2")
        && let Some(end) = rest.find(']')
        && rest[..end]
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b"-:. ".contains(&byte))
    {
        return Some(("[2".len() + end + 1, "[<time>]"));
    }
    let number = prefixed(text, |c| c.is_ascii_digit());
    let is_duration = number > 0 && text[number..].starts_with(" ms");
    is_duration.then_some((number, "<n>"))
}

/// The length of the host's name that the text starts with; a full stop that ends the sentence is not part of it.
fn word(text: &str) -> usize {
    let length = prefixed(text, |c| c.is_ascii_alphanumeric() || ".-_:".contains(c));
    text[..length].trim_end_matches(['.', ':']).len()
}

fn prefixed(text: &str, is_part: impl Fn(char) -> bool) -> usize {
    text.find(|c| !is_part(c)).unwrap_or(text.len())
}

/// The length of the IPv4 address, and the port after it, that the text starts with.
fn address(text: &[u8]) -> Option<usize> {
    let digits = |from: usize| text[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut length = 0;
    for octet in 0..4 {
        if octet > 0 {
            if text.get(length) != Some(&b'.') {
                return None;
            }
            length += 1;
        }
        let count = digits(length);
        if count == 0 {
            return None;
        }
        length += count;
    }
    if text.get(length) == Some(&b':') && digits(length + 1) > 0 {
        length += 1 + digits(length + 1);
    }
    Some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_words_are_replaced() {
        assert_eq!(
            without_names("worker lost: 127.0.0.1:7078 got lost", ""),
            "worker lost: <host> got lost"
        );
        assert_eq!(
            without_names("é 10.0.0.1: v3.5.1 in 1.2.3.4.5", ""),
            "é <host>: v3.5.1 in <host>.5"
        );
    }

    #[test]
    fn containers_and_hosts_of_yarn_are_replaced_whatever_they_are_called() {
        let expected = "Container marked as failed: <container> on host: <host>. Exit status: -100. Diagnostics: \
                        Container released on a *lost* node.";
        for (container, host) in [
            ("container_1_0001_01_000002", "ip-10-0-0-1.ec2.internal"),
            ("container_e17_1410901177871_0001_01_000005", "node-7.corp.example"),
            ("container_1", "i-0abc123.eu-west-1.compute.internal:8041"),
            ("container_1", "10.0.0.1"),
        ] {
            let words = expected.replace("<container>", container).replace("<host>", host);
            assert_eq!(without_names(&words, ""), expected);
        }
        let lost = "Executor lost with host7 of application_1_0001, ip-10-0-0-1 and ec2-1-2-3-4.compute.amazonaws.com";
        assert_eq!(
            without_names(lost, "host7"),
            "Executor lost with <host> of <application>, <host> and <host>"
        );
        assert_eq!(
            without_names("host71 i-am ip-address in-1", "host7"),
            "host71 i-am ip-address in-1"
        );
    }

    #[test]
    fn times_and_executors_are_replaced_and_an_exit_status_is_not() {
        for (words, expected) in [
            (
                "Executor heartbeat timed out after 23543 ms",
                "Executor heartbeat timed out after <n> ms",
            ),
            ("Command exited with code 137", "Command exited with code 137"),
            (
                "Exit status: 143. Diagnostics: [2024-05-01 10:00:00.123]Container killed on request. Exit code is \
                 143\n[2024-05-01 10:00:00.124]Container exited",
                "Exit status: 143. Diagnostics: [<time>]Container killed on request. Exit code is 143",
            ),
            (
                "The executor with id 5 exited with exit code 137(SIGKILL, possible container OOM).",
                "The executor with id <id> exited with exit code 137(SIGKILL, possible container OOM).",
            ),
        ] {
            assert_eq!(without_names(words, ""), expected);
        }
        assert_eq!(without_names(&"é".repeat(300), "").chars().count(), CHARACTERS_MAX);
    }

    #[test]
    fn what_only_looks_like_a_name_stays() {
        for (words, host, expected) in [
            ("lost on host: ?", "", "lost on host: ?"),
            ("The executor with id ", "", "The executor with id "),
            ("no container_ of application_x", "", "no container_ of application_x"),
            ("other host7 lost", "host7", "other <host> lost"),
            ("host7.example, host7", "host7", "host7.example, <host>"),
            ("after: ms, 5 m, 7 ms", "", "after: ms, 5 m, <n> ms"),
            ("[2 of 3] and [x]", "", "[2 of 3] and [x]"),
            ("[2024-05-01] of [200 MB]", "", "[<time>] of [200 MB]"),
        ] {
            assert_eq!(without_names(words, host), expected, "{words}");
        }
    }

    #[test]
    fn an_address_is_four_numbers_and_may_have_a_port() {
        for (text, length) in [
            ("10.0.0.1", Some(8)),
            ("10.0.0.1:7078 x", Some(13)),
            ("10.0.0.1: x", Some(8)),
            ("10.0.0.1:", Some(8)),
            ("1.2.3.4.5", Some(7)),
            ("10.0.0", None),
            ("10.0.0.", None),
            ("10..0.1", None),
            ("10-0-0-1", None),
            ("a.0.0.1", None),
            ("", None),
        ] {
            assert_eq!(address(text.as_bytes()), length, "{text}");
        }
    }
}
