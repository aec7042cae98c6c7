//! Arguments and properties that look like secrets, masked before a report keeps them.
//!
//! People pass passwords and keys to jobs in them. EMR shows them to whoever may describe the step; a report is read
//! by more.

use rules::step::Step;

/// What stands in a secret's place.
pub const MASK: &str = "***";

/// Ends of names whose value is a secret, in small letters and without `-`, `_`, `.` and quotes.
const NAMES: [&str; 14] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "secretkey",
    "secretaccesskey",
    "token",
    "sessiontoken",
    "apikey",
    "accesskey",
    "accesskeyid",
    "privatekey",
    "credentials",
];

/// Masks a step's arguments, and the properties of its JAR: those by their names, too.
pub fn hide(step: &mut Step) {
    step.args = mask(&step.args);
    for (name, value) in &mut step.properties {
        *value = if is_name(name) { MASK.into() } else { one(value) };
    }
}

/// A step's arguments, in which each value whose name or shape is a secret's is replaced by [`MASK`]: of `--password x`,
/// `--password=x`, `key=value` (as of `--conf`), URLs with a password, and AWS's access keys.
fn mask(arguments: &[String]) -> Vec<String> {
    let mut masked = Vec::with_capacity(arguments.len());
    let mut is_value = false;
    for argument in arguments {
        let is_option = argument.starts_with('-');
        masked.push(if is_value && !is_option {
            MASK.into()
        } else {
            one(argument)
        });
        is_value = is_option && !argument.contains('=') && is_name(argument);
    }
    masked
}

/// One argument; a shell's command has several words in one, on several lines.
fn one(argument: &str) -> String {
    let words = words(argument);
    let masked = match words.as_slice() {
        [only] => vec![quoted(only)],
        several => mask(&owned(several)),
    };
    put_back(argument, &words, &masked)
}

/// One word; in quotes it may be a command again, or a secret with blanks in it.
fn quoted(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [first, _, ..] = words.as_slice() else {
        return word(text);
    };
    let masked = word(first);
    if masked.ends_with(&format!("={MASK}")) {
        return masked;
    }
    put_back(text, &words, &mask(&owned(&words)))
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// A text with other words in it. What is between them stays as it is.
fn put_back(text: &str, words: &[&str], others: &[String]) -> String {
    let (mut said, mut rest) = (String::new(), text);
    for (word, other) in words.iter().zip(others) {
        let (between, after) = rest.split_once(word).unwrap_or((rest, ""));
        said.push_str(between);
        said.push_str(other);
        rest = after;
    }
    said + rest
}

/// The words of a shell's command: between blanks that are not quoted, and without the `\` before a line's end.
fn words(command: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = command.trim_start();
    while !rest.is_empty() {
        let (word, after) = rest.split_at(length(rest));
        if word != "\\" {
            words.push(word);
        }
        rest = after.trim_start();
    }
    words
}

/// How long the first word is. A quote that nothing closes is none.
fn length(text: &str) -> usize {
    let mut until = 0;
    for (at, letter) in text.char_indices() {
        if at < until {
            continue;
        }
        if letter.is_whitespace() {
            return at;
        }
        if matches!(letter, '"' | '\'') {
            let quoted = at + 1;
            until = text[quoted..].find(letter).map_or(quoted, |length| quoted + length + 1);
        }
    }
    text.len()
}

/// A word, in which a value may have names and values of its own: `url=jdbc:…?user=me&password=x`.
fn word(word: &str) -> String {
    let (mut said, mut rest) = (String::new(), word.to_owned());
    loop {
        rest = without_password(&rest).unwrap_or(rest);
        let Some((name, value)) = rest.split_once('=') else {
            break;
        };
        said.push_str(name);
        said.push('=');
        if !value.is_empty() && is_name(name) {
            return said + MASK;
        }
        rest = value.to_owned();
    }
    said + if is_access_key(&rest) { MASK } else { &rest }
}

fn is_name(name: &str) -> bool {
    let bare = |c: &char| !matches!(c, '-' | '_' | '.' | '"' | '\'');
    let name: String = name.chars().filter(bare).map(|c| c.to_ascii_lowercase()).collect();
    NAMES.iter().any(|secret| name.ends_with(secret))
}

/// An access key's id, by which its secret is not far.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids>
fn is_access_key(word: &str) -> bool {
    (word.starts_with("AKIA") || word.starts_with("ASIA"))
        && word.len() == 20
        && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
}

/// `scheme://user:password@host` without the password.
fn without_password(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (user, host) = authority.rsplit_once('@')?;
    let (name, _) = user.split_once(':')?;
    Some(format!("{scheme}://{name}:{MASK}@{host}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(arguments: &[&str]) -> Vec<String> {
        mask(&arguments.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn secrets_are_masked_by_name_and_by_shape() {
        assert_eq!(
            masked(&["--db-password", "hunter2", "s3://b/out/"]),
            ["--db-password", "***", "s3://b/out/"]
        );
        assert_eq!(masked(&["--apiKey=abc"]), ["--apiKey=***"]);
        assert_eq!(
            masked(&["--conf", "spark.hadoop.fs.s3a.secret.key=abc"]),
            ["--conf", "spark.hadoop.fs.s3a.secret.key=***"]
        );
        assert_eq!(
            masked(&["jdbc:postgresql://me:pw@host/db"]),
            ["jdbc:postgresql://me:***@host/db"]
        );
        assert_eq!(masked(&["AKIAIOSFODNN7EXAMPLE"]), ["***"]);
        assert_eq!(
            masked(&["-c", "job --token abc | tee log"]),
            ["-c", "job --token *** | tee log"]
        );
    }

    #[test]
    fn a_jars_properties_are_masked_as_its_arguments_are() {
        let mut step = crate::sample::workshop().step;
        step.args = vec!["--token".into(), "abc".into()];
        for (name, value) in [
            ("db.password", "x y"),
            ("db.url", "jdbc:postgresql://me:pw@host/db"),
            ("out", "s3://b/out/"),
        ] {
            step.properties.insert(name.into(), value.into());
        }
        hide(&mut step);
        assert_eq!(step.args, ["--token", "***"]);
        let told: Vec<&str> = step.properties.values().map(String::as_str).collect();
        assert_eq!(told, ["***", "jdbc:postgresql://me:***@host/db", "s3://b/out/"]);
    }

    #[test]
    fn what_is_no_secret_stays() {
        let plain = [
            "--deploy-mode",
            "cluster",
            "--conf",
            "spark.executor.cores=4",
            "s3://b/tokens/",
            "--token",
        ];
        assert_eq!(masked(&plain), plain);
        assert_eq!(masked(&["--password", "--verbose"]), ["--password", "--verbose"]);
    }

    #[test]
    fn a_shells_command_may_have_several_lines_blanks_and_quotes() {
        for (command, said) in [
            ("job --token  abc  out", "job --token  ***  out"),
            ("set -e\njob\t--token\tabc\n", "set -e\njob\t--token\t***\n"),
            ("job --token \\\n  abc \\\n  out", "job --token \\\n  *** \\\n  out"),
            ("job --token 'a b' out", "job --token *** out"),
            ("job --token '' out 'c d'", "job --token *** out 'c d'"),
            ("job --token 'a b' 'c d'", "job --token *** 'c d'"),
            ("job --conf 'db.password=a b' out", "job --conf 'db.password=*** out"),
            ("job --db-password='a b' out", "job --db-password=*** out"),
            (
                "bash -c \"job --url=s://me:pw@host --token abc out\"",
                "bash -c \"job --url=s://me:***@host --token *** out\"",
            ),
            // An apostrophe is no quote.
            ("echo it's --token abc out", "echo it's --token *** out"),
        ] {
            assert_eq!(masked(&["-c", command]), ["-c", said]);
        }
    }

    #[test]
    fn a_secret_is_found_behind_another_name_too() {
        for (argument, said) in [
            (
                "jdbc:postgresql://host/db?user=me&password=pw",
                "jdbc:postgresql://host/db?user=me&password=***",
            ),
            (
                "jdbc:sqlserver://host;user=me;password=pw=",
                "jdbc:sqlserver://host;user=me;password=***",
            ),
            (
                "spark.driver.extraJavaOptions=-Djavax.net.ssl.trustStorePassword=pw",
                "spark.driver.extraJavaOptions=-Djavax.net.ssl.trustStorePassword=***",
            ),
            ("--id=AKIAIOSFODNN7EXAMPLE", "--id=***"),
            ("{'password'=pw}", "{'password'=***"),
            ("a=s://host/&b=s://me:pw@host", "a=s://host/&b=s://me:***@host"),
            (
                "--url=https://me:pw@host/?a=b&token=c",
                "--url=https://me:***@host/?a=b&token=***",
            ),
        ] {
            assert_eq!(masked(&[argument]), [said]);
        }
    }

    #[test]
    fn what_is_like_a_secret_and_is_none_stays() {
        let plain = [
            "password=",
            "a=b=c",
            "s3a://me@host/a:b",
            "https://host/me:pw@there",
            "AKIAIOSFODNN7EXAMPL",
            "AKIAIOSFODNN7EXAMPLES",
            "AKIAIOSFODNN7EXAMPLe",
            "AKIAIOSFODNN7EXAMPL-",
            "BKIAIOSFODNN7EXAMPLE",
            "secret s3://b/out",
            "  two  blanks ",
        ];
        assert_eq!(masked(&plain), plain);
        // Of a role's session; and of digits alone after its begin.
        assert_eq!(masked(&["ASIA1234567890123456"]), ["***"]);
        // What comes after an option that has its value is no value of it.
        assert_eq!(masked(&["--password=x", "out"]), ["--password=***", "out"]);
        assert_eq!(masked(&["--verbose", "out"]), ["--verbose", "out"]);
    }
}
