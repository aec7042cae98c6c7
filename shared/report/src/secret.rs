//! Arguments that look like secrets, masked before a report keeps them.
//!
//! People pass passwords and keys to jobs as arguments. EMR shows them to whoever may describe the step; a report is read
//! by more.

/// What stands in a secret's place.
pub const MASK: &str = "***";

/// Ends of names whose value is a secret, in small letters and without `-`, `_` and `.`.
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

/// A step's arguments, in which each value whose name or shape is a secret's is replaced by [`MASK`]: of `--password x`,
/// `--password=x`, `key=value` (as of `--conf`), URLs with a password, and AWS's access keys.
pub fn mask(arguments: &[String]) -> Vec<String> {
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

/// One argument; a shell's command has several words in one.
fn one(argument: &str) -> String {
    let words: Vec<String> = argument.split(' ').map(str::to_owned).collect();
    let words = if words.len() > 1 {
        mask(&words)
    } else {
        vec![word(argument)]
    };
    words.join(" ")
}

fn word(word: &str) -> String {
    if let Some((name, value)) = word.split_once('=')
        && !value.is_empty()
        && is_name(name)
    {
        return format!("{name}={MASK}");
    }
    if is_access_key(word) {
        return MASK.into();
    }
    without_password(word).unwrap_or_else(|| word.to_owned())
}

fn is_name(name: &str) -> bool {
    let bare = |c: &char| !matches!(c, '-' | '_' | '.');
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
}
