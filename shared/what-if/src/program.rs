//! What the program `what-if` adds: arguments, a bar, words for people, files.
//!
//! Separate from the rest, which knows no files and no terminal.

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Parser;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use spark_log::Limits;

use crate::answer::Answer;
use crate::ask::{Asked, MarketChoice, MonthAsked, Replaced, ask, runs_at_most};
use crate::course::{Surroundings, Victims};
use crate::page;

/// Task attempts of a log that are taken; each takes 40 bytes while the log is read.
const TASKS_MAX: usize = 20_000_000;

/// Plays a Spark job again from its event log, a thousand times, and takes nodes away from it each time.
///
/// The log is one file, or the folder of a rolling log, of any cluster, as `spark-log` reads it. What is printed is what
/// the losses would do, by the moment and by their number, and what would help.
#[derive(Debug, Parser)]
#[command(name = "what-if", version)]
pub struct Arguments {
    /// The log: a file, or a folder that holds one.
    log: String,
    /// Nodes that go at once, drawn at random.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    victims: u32,
    /// Those with most shuffle output go, instead of random ones.
    #[arg(long, conflicts_with = "driver")]
    most_output: bool,
    /// The driver's node goes, and no other.
    #[arg(long)]
    driver: bool,
    /// When: a moment (90s, 5m) or two (90s..5m) after the application's start; the whole run unless set.
    #[arg(long, value_name = "TIME[..TIME]", value_parser = parse_window)]
    at: Option<(u32, u32)>,
    /// How many runs.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    runs: u32,
    /// The same seed gives the same bytes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long before it goes a node is told; Spot gives two minutes.
    #[arg(long, default_value = "120s", value_name = "TIME", value_parser = parse_time)]
    notice: u32,
    /// From a node's loss to its replacement, or `never`; unless set, as the log shows it, or else 3m.
    #[arg(long, value_name = "TIME", value_parser = parse_replaced)]
    replaced_after: Option<Replaced>,
    /// Nodes that are never hit, by the host names of the log: core and On-Demand nodes.
    #[arg(long, value_name = "HOST", value_delimiter = ',')]
    stays: Vec<String>,
    /// A Spark property that is to differ from the log's; may be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = parse_property)]
    properties: Vec<(String, String)>,
    /// Reckons a month in a market: `calm`, `busy`, how often an hour a node is taken, or a file with lines of seconds and
    /// running instances.
    #[arg(long, requires_all = ["price_spot", "price_on_demand"])]
    market: Option<String>,
    /// A node's price an hour on Spot.
    #[arg(long, value_name = "PRICE")]
    price_spot: Option<f64>,
    /// A node's price an hour on On-Demand.
    #[arg(long, value_name = "PRICE")]
    price_on_demand: Option<f64>,
    /// Runs in a month.
    #[arg(long, default_value_t = 30, value_name = "N")]
    runs_a_month: u32,
    /// Leaves out what would help, which takes most of the time.
    #[arg(long)]
    no_remedies: bool,
    /// One JSON object instead of words.
    #[arg(long)]
    json: bool,
    /// Writes what-if.json and what-if.html there.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Threads; as many as there are cores unless set. The bytes do not depend on it.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

/// Reads the log, plays it, and prints what came of it.
///
/// # Errors
/// The log cannot be read or played again; the question does not suit it; files cannot be written.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let limits = Limits {
        tasks_max: TASKS_MAX,
        ..Limits::default()
    };
    let log = spark_log::program::read(&arguments.log, &limits)?;
    if log.reading.lines_parsed == 0 {
        bail!("{} holds no line of a Spark event log", arguments.log);
    }
    let asked = asked(arguments)?;
    let bar = progress_bar(runs_at_most(&asked));
    let answer = ask(&log, TASKS_MAX, &asked, &|| bar.inc(1)).with_context(|| arguments.log.clone());
    bar.finish_and_clear();
    let answer = answer?;
    let json = serde_json::to_string_pretty(&answer)? + "\n";
    if let Some(folder) = &arguments.out {
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        write(&folder.join("what-if.json"), &json)?;
        write(&folder.join("what-if.html"), &page::render(&answer)?)?;
    }
    print(&if arguments.json { json } else { words(&answer) })
}

fn asked(arguments: &Arguments) -> anyhow::Result<Asked> {
    let victims = match (arguments.driver, arguments.most_output) {
        (true, _) => Victims::Driver,
        (_, true) => Victims::MostOutput(arguments.victims),
        _ => Victims::Random(arguments.victims),
    };
    let month = match (&arguments.market, arguments.price_spot, arguments.price_on_demand) {
        (Some(market), Some(spot_price), Some(on_demand_price)) => Some(MonthAsked {
            market: choose_market(market)?,
            spot_price,
            on_demand_price,
            runs: arguments.runs_a_month,
        }),
        _ => None,
    };
    Ok(Asked {
        runs: arguments.runs,
        seed: arguments.seed,
        threads: arguments
            .threads
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, Into::into)),
        victims,
        between_ms: arguments.at,
        around: Surroundings {
            notice_ms: arguments.notice,
            nodes_that_stay: arguments.stays.clone(),
            ..Surroundings::default()
        },
        replaced: arguments.replaced_after.unwrap_or(Replaced::AsLogged),
        month,
        properties: arguments.properties.clone(),
        remedies: !arguments.no_remedies,
    })
}

fn choose_market(text: &str) -> anyhow::Result<MarketChoice> {
    Ok(match text {
        "calm" => MarketChoice::Calm,
        "busy" => MarketChoice::Busy,
        _ => match text.parse::<f64>() {
            Ok(hourly) if hourly > 0.0 && hourly.is_finite() => MarketChoice::Hourly(hourly),
            Ok(_) => bail!("a market's rate is above zero, and {text} is not"),
            Err(_) => {
                let trace = std::fs::read_to_string(text).with_context(|| format!("reading the trace {text}"))?;
                MarketChoice::Trace(trace)
            }
        },
    })
}

/// A time: a number with `ms`, `s`, `m` or `h`; seconds without.
fn parse_time(text: &str) -> Result<u32, String> {
    let digits = text
        .find(|it: char| !it.is_ascii_digit() && it != '.')
        .unwrap_or(text.len());
    let unit_ms = match &text[digits..] {
        "ms" => 1.0,
        "" | "s" => 1_000.0,
        "m" | "min" => 60_000.0,
        "h" => 3_600_000.0,
        unit => return Err(format!("{unit} is none of ms, s, m, h")),
    };
    let number: f64 = text[..digits]
        .parse()
        .map_err(|_| format!("{text} is no time, such as 90s"))?;
    let milliseconds = number * unit_ms;
    if milliseconds < f64::from(i32::MAX) {
        Ok(milliseconds as u32)
    } else {
        Err(format!("{text} is longer than 24 days"))
    }
}

fn parse_window(text: &str) -> Result<(u32, u32), String> {
    match text.split_once("..") {
        Some((from, to)) => Ok((parse_time(from)?, parse_time(to)?)),
        None => parse_time(text).map(|at| (at, at)),
    }
}

fn parse_replaced(text: &str) -> Result<Replaced, String> {
    match text {
        "never" => Ok(Replaced::Never),
        _ => parse_time(text).map(Replaced::AfterMs),
    }
}

fn parse_property(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("it is written KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
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
        String::new(),
    ];
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_hold_together() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn times_have_units_and_windows_two_of_them() {
        assert_eq!(parse_window("90s..2m"), Ok((90_000, 120_000)));
        assert_eq!(parse_window("1.5"), Ok((1_500, 1_500)));
        assert!(parse_time("5 parsecs").is_err());
        assert!(parse_time("900h").is_err());
        assert_eq!(parse_replaced("never"), Ok(Replaced::Never));
    }
}
