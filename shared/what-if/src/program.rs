//! What the program `what-if` adds: arguments, a bar, words for people, files.
//!
//! Separate from the rest, which knows no files and no terminal.

mod arguments;

use std::io::{ErrorKind, Write as _};
use std::path::Path;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use spark_log::{Limits, SparkRun};

use crate::answer::Answer;
use crate::ask::{ask, runs_at_most};
use crate::page;
use crate::untold::Untold;

pub use arguments::Arguments;
use arguments::asked;

/// Task attempts of a log that are taken; each takes 40 bytes while the log is read.
const TASKS_MAX: usize = 20_000_000;

/// Reads the log from this machine, plays it, and prints what came of it.
///
/// # Errors
/// The log cannot be read; the question holds no sense; files cannot be written.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    tell(arguments, &spark_log::program::read(&arguments.log, &limits())?)
}

/// How a log is to be read whose question [`tell`] answers.
pub fn limits() -> Limits {
    Limits {
        tasks_max: TASKS_MAX,
        ..Limits::default()
    }
}

/// Plays a log that was read, wherever it lies, and prints what came of it.
///
/// # Errors
/// It is none; the question holds no sense; files cannot be written.
pub fn tell(arguments: &Arguments, log: &SparkRun) -> anyhow::Result<()> {
    if log.reading.lines_parsed == 0 {
        bail!("{} holds no line of a Spark event log", arguments.log);
    }
    let asked = asked(arguments, log)?;
    // Before a minute's work, not after it.
    if let Some(folder) = &arguments.out {
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    let bar = progress_bar(runs_at_most(&asked));
    let answer = ask(log, TASKS_MAX, &asked, &|| bar.inc(1));
    bar.finish_and_clear();
    let told = match answer {
        Ok(answer) => Told {
            json: serde_json::to_string_pretty(&answer)?,
            words: words(&answer),
            page: Some(page::render(&answer)?),
        },
        Err(why) if why.is_of_the_question() => return Err(why).with_context(|| arguments.log.clone()),
        Err(why) => {
            let untold = Untold::of(log, TASKS_MAX, &why);
            Told {
                json: serde_json::to_string_pretty(&untold)?,
                words: words_of_untold(&untold),
                page: None,
            }
        }
    };
    if let Some(folder) = &arguments.out {
        write(&folder.join("what-if.json"), &(told.json.clone() + "\n"))?;
        if let Some(page) = &told.page {
            write(&folder.join("what-if.html"), page)?;
        }
    }
    print(&if arguments.json { told.json + "\n" } else { told.words })
}

/// What is told of a log, in its three forms.
struct Told {
    json: String,
    words: String,
    /// None where there is nothing to draw.
    page: Option<String>,
}

/// A bar on stderr, if stderr is a terminal.
fn progress_bar(runs: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(runs), ProgressDrawTarget::stderr());
    bar.set_style(
        ProgressStyle::with_template("{bar:40} {pos} of at most {len} runs, {eta} to go")
            .expect("the template is constant"),
    );
    bar
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

/// Prints to stdout. Whoever reads may stop early, as `head` does: that is not an error.
fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome.context("writing to stdout"),
    }
}

/// Why there is no answer, for a terminal.
fn words_of_untold(untold: &Untold) -> String {
    let seconds = |it: Option<f64>| it.map_or_else(|| "not known".to_owned(), |seconds| format!("{seconds} s"));
    let (logged, replayed) = (seconds(untold.logged_seconds), seconds(untold.replayed_seconds));
    let mut lines = vec![
        format!(
            "What losses would do to this run is not said: {}.",
            untold.not_said_because
        ),
        format!("logged {logged}, played again {replayed}"),
    ];
    lines.extend(untold.carries.iter().map(|words| format!("note: {words}")));
    lines.join("\n") + "\n"
}

/// The answer for a terminal.
fn words(answer: &Answer) -> String {
    let mut lines = vec![
        page::headline(answer),
        String::new(),
        format!(
            "logged {} s, played again {} s, undisturbed {} s; {} tasks, {} executors on {} nodes",
            answer.logged_seconds,
            answer.replayed_seconds,
            answer.undisturbed_seconds,
            answer.application.tasks,
            answer.application.executors,
            answer.application.nodes,
        ),
        format!("hit: {}", answer.question.hit),
        format!("a drill would say: {}", page::verdicts_words(answer.result.verdicts)),
    ];
    lines.extend(answer.carries.iter().map(|words| format!("note: {words}")));
    lines.push(String::new());
    lines.push("nodes at once   p50 s    p90 s    p99 s   failed".to_owned());
    for row in &answer.by_victims {
        let (time, failed) = (row.result.run_seconds, row.result.failed * 100.0);
        let numbers = format!("{:9.1}{:9.1}{:9.1}{failed:8.1}%", time.p50, time.p90, time.p99);
        lines.push(format!("{:13}{numbers}", row.victims));
    }
    if let Some(month) = &answer.month {
        lines.push(String::new());
        lines.push(page::month_words(month));
    }
    if !answer.remedies.is_empty() {
        lines.push(String::new());
        lines.push("what would help: seconds until the work is done, a failed run being done again".to_owned());
        for effect in &answer.remedies {
            let sure = if effect.is_sure { "" } else { "  (no more than chance)" };
            let (mean, around) = (effect.until_done_seconds, effect.plus_minus_seconds);
            lines.push(format!("{mean:+9.1} ±{around:<6.1} {}{sure}", effect.change));
        }
    }
    lines.join("\n") + "\n"
}
