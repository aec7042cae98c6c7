//! Which command a step runs, behind the commands that run it: `sudo`, `env`, `timeout`, a shell, a script.
//!
//! Separate because it is a reading of words that knows nothing of EMR's step. Where it cannot be known what runs, that
//! is what it says.

#[cfg(test)]
mod tests;

use super::shell;
use super::submission::{Submission, Tool};

/// What a command line comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    /// Spark, by one of its commands.
    Spark(Spark),
    /// What is known to be something else; its name.
    Other(String),
    /// What may be anything: a script, a program of one's own; its name.
    Unknown(String),
}

/// A command of Spark's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spark {
    /// Is the exit status that of Spark's own command, and not of a shell or script around it?
    pub is_direct: bool,
    /// The words after the command's name, or after the script's.
    pub words: Vec<String>,
    /// What they say.
    pub submission: Submission,
    /// The script, where all that is known is that its words speak of Spark.
    pub script: Option<String>,
}

/// Shells in shells, and commands that run commands: deeper than this nobody means it.
const DEPTH_MAX: u32 = 8;

/// What EMR's steps run besides Spark.
/// <https://docs.aws.amazon.com/emr/latest/ReleaseGuide/emr-commandrunner.html>
#[rustfmt::skip]
const OTHERS: [&str; 32] = [
    "aws", "beeline", "emr-init-config", "emrfs", "flink", "flink-run", "flink-yarn-session", "gsutil", "hadoop",
    "hadoop-streaming", "hbase", "hcat", "hdfs", "hive", "hive-script", "hudi-cli", "mapred", "oozie", "oozie-setup",
    "phoenix-sqlline", "pig", "pig-script", "presto-cli", "run-presto-connector", "s3-dist-cp", "s3distcp", "sqoop",
    "state-pusher-script", "systemctl", "tez", "trino-cli", "yarn",
];

/// What scripts do besides.
#[rustfmt::skip]
const ASIDE: [&str; 26] = [
    "cat", "cd", "chmod", "chown", "cp", "curl", "date", "echo", "exit", "export", "false", "grep", "kinit", "ls",
    "mkdir", "mv", "printf", "pwd", "rm", "set", "sleep", "tar", "tee", "touch", "true", "wget",
];

/// Reads a command line that no shell has seen.
pub(super) fn read(words: &[String]) -> Command {
    read_at(words, 0)
}

/// Reads a script's name and arguments, as `script-runner.jar` and shells take them. What a script does cannot be seen
/// from outside: it counts as Spark where its own name or an argument speaks of Spark.
pub(super) fn script(words: &[String]) -> Command {
    let Some((script, rest)) = words.split_first() else {
        return Command::Unknown("nothing".into());
    };
    let name = base_name(script);
    if is_other(name) {
        return Command::Other(name.into());
    }
    if let Some(at) = rest.iter().position(|word| Tool::of(base_name(word)).is_some())
        && let Command::Spark(mut spark) = read_at(&rest[at..], DEPTH_MAX)
    {
        spark.is_direct = false;
        return Command::Spark(spark);
    }
    if words.iter().any(|word| word.to_ascii_lowercase().contains("spark")) {
        return Command::Spark(Spark {
            is_direct: false,
            words: rest.to_vec(),
            submission: Submission::parse(Tool::Shell, rest),
            script: Some(script.clone()),
        });
    }
    Command::Unknown(name.into())
}

/// The name of a file without its folder.
pub(super) fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

fn read_at(words: &[String], depth: u32) -> Command {
    let words = command_itself(words);
    let Some((first, rest)) = words.split_first() else {
        return Command::Unknown("nothing".into());
    };
    let name = base_name(first);
    if let Some(tool) = Tool::of(name) {
        return spark(tool, rest);
    }
    match (name, rest.split_first()) {
        // Spark's own way of running a class, here that of `spark-submit`.
        ("spark-class" | "spark-class2", Some((class, rest))) if class == "org.apache.spark.deploy.SparkSubmit" => {
            spark(Tool::Submit, rest)
        }
        ("bash" | "sh" | "dash" | "ksh" | "zsh", _) if depth < DEPTH_MAX => shell_command(rest, depth),
        ("su" | "runuser", _) if depth < DEPTH_MAX => {
            match rest.iter().position(|word| word == "-c" || word == "--command") {
                Some(at) => list(rest.get(at + 1).map_or("", String::as_str), &[], depth),
                None => Command::Unknown(name.into()),
            }
        }
        ("script-runner.jar", _) => script(rest),
        _ if is_other(name) => Command::Other(name.into()),
        _ if is_script(first) => script(&words),
        _ => Command::Unknown(name.into()),
    }
}

fn spark(tool: Tool, words: &[String]) -> Command {
    Command::Spark(Spark {
        // What `spark-shell` and its like exit with is the session's, not its last job's.
        is_direct: tool != Tool::Shell || words.iter().any(|word| matches!(word.as_str(), "-f" | "-e")),
        words: words.to_vec(),
        submission: Submission::parse(tool, words),
        script: None,
    })
}

/// Is it known to be something else than Spark?
fn is_other(name: &str) -> bool {
    OTHERS.contains(&name) || ASIDE.contains(&name)
}

/// A script in S3, or of a shell's kind.
fn is_script(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    let is_in_s3 = ["s3://", "s3a://", "s3n://"]
        .iter()
        .any(|scheme| path.starts_with(scheme));
    is_in_s3 || [".sh", ".bash", ".ksh"].iter().any(|ending| path.ends_with(ending))
}

/// What a shell does with its arguments: a list of commands after `-c`, else a script.
fn shell_command(words: &[String], depth: u32) -> Command {
    let mut rest = words;
    let mut takes_list = false;
    while let Some((word, after)) = rest.split_first() {
        let Some(options) = word.strip_prefix(['-', '+']) else {
            break;
        };
        rest = after;
        if matches!(word.as_str(), "-" | "--") {
            break;
        }
        let takes_value = if options.starts_with('-') {
            matches!(word.as_str(), "--rcfile" | "--init-file")
        } else {
            takes_list |= options.contains('c');
            options.contains(['o', 'O'])
        };
        if takes_value {
            rest = rest.get(1..).unwrap_or_default();
        }
    }
    match rest.split_first() {
        // The word after the list is the shell's own name.
        Some((text, names)) if takes_list => list(text, names.get(1..).unwrap_or_default(), depth),
        Some(_) => match script(rest) {
            Command::Other(name) => Command::Unknown(name),
            read => read,
        },
        None => Command::Unknown("a shell".into()),
    }
}

/// A list of commands: Spark, if one of them is. Its status is the list's own.
fn list(text: &str, positional: &[String], depth: u32) -> Command {
    let mut found = None;
    for words in shell::commands(text, positional) {
        // What may be anything weighs more than what is known, and that more than what every script does.
        let says_nothing = |found: &Command| matches!(found, Command::Other(name) if ASIDE.contains(&name.as_str()));
        match (read_at(&words, depth + 1), &found) {
            (Command::Spark(mut spark), _) => {
                spark.is_direct = false;
                return Command::Spark(spark);
            }
            (unknown @ Command::Unknown(_), None | Some(Command::Other(_))) => found = Some(unknown),
            (other, None) => found = Some(other),
            (other, Some(one)) if says_nothing(one) => found = Some(other),
            _ => {}
        }
    }
    found.unwrap_or_else(|| Command::Unknown("a shell".into()))
}

/// The command that these words run, without the commands before it that hand on their command's exit status.
fn command_itself(words: &[String]) -> Vec<String> {
    let mut rest = words.to_vec();
    for _ in 0..=words.len() {
        let Some((first, after)) = rest.split_first() else {
            break;
        };
        let next = match base_name(first) {
            "sudo" => options(
                after,
                "ughpCTrtDRU",
                &["--user", "--group", "--host", "--prompt", "--chdir"],
            ),
            "env" => {
                let after = options(after, "uC", &["--unset", "--chdir"]);
                split_string(after)
            }
            "nice" => options(after, "n", &["--adjustment"]),
            "ionice" => options(after, "cn", &["--class", "--classdata"]),
            "time" => options(after, "of", &["--output", "--format"]),
            "exec" => options(after, "a", &[]),
            "stdbuf" => options(after, "ioe", &["--input", "--output", "--error"]),
            "nohup" | "command" | "setsid" => options(after, "", &[]),
            "timeout" => {
                let after = options(after, "ks", &["--kill-after", "--signal"]);
                after.get(1..).unwrap_or_default().to_vec()
            }
            _ => break,
        };
        rest = next.into_iter().skip_while(|word| shell::is_assignment(word)).collect();
    }
    rest
}

/// The words after a command's options. `with_value`: letters of options that take the next word, unless their value
/// follows at once; `long`: the same of long ones.
fn options(words: &[String], with_value: &str, long: &[&str]) -> Vec<String> {
    let mut rest = words;
    while let Some((word, after)) = rest.split_first() {
        // `env -S` takes a whole command line.
        let Some(letters) = word
            .strip_prefix('-')
            .filter(|_| !word.starts_with("-S") || with_value != "uC")
        else {
            break;
        };
        rest = after;
        if word == "--" {
            break;
        }
        let takes_next = if letters.starts_with('-') {
            long.contains(&word.as_str())
        } else {
            letters
                .find(|letter| with_value.contains(letter))
                .is_some_and(|at| at + 1 == letters.len())
        };
        if takes_next {
            rest = rest.get(1..).unwrap_or_default();
        }
    }
    rest.to_vec()
}

/// `env -S 'command with words' more`.
fn split_string(words: Vec<String>) -> Vec<String> {
    let Some((first, rest)) = words.split_first() else {
        return words;
    };
    let (text, rest) = match first.strip_prefix("-S") {
        Some("") => match rest.split_first() {
            Some((text, rest)) => (text.as_str(), rest),
            None => return Vec::new(),
        },
        Some(text) => (text, rest),
        None => return words,
    };
    let mut split: Vec<String> = shell::commands(text, &[]).into_iter().flatten().collect();
    split.extend_from_slice(rest);
    split
}
