//! `drill`: runs a scenario, shows its journal as it goes, and writes the report.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use account::api::Time;
use account::journal::{Entry, Kind};
use anyhow::{Context, anyhow, bail};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use rules::verdict::Verdict;
use serde_json::json;

use crate::busy_region::{self, Plan};
use crate::comparison::{Comparison, Written};
use crate::index_file;
use crate::job::{Job, JobArguments, Sitting};
use crate::real_spark;
use crate::run::{self, Run, StepRun};
use crate::scenario::{SCENARIOS, Scenario};
use crate::settings::Settings;

/// What `drill` takes.
#[derive(Debug, Args)]
pub struct Drill {
    /// The story; --list shows them.
    #[arg(long, default_value = "workshop", value_name = "NAME", conflicts_with = "job")]
    scenario: String,
    /// List the stories and stop.
    #[arg(long)]
    list: bool,
    /// All chance is drawn from this: the same seed gives the same bytes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where the report and the journal go, and an index.html over all runs that lie there.
    #[arg(long, default_value = "out", value_name = "DIR")]
    out: PathBuf,
    /// Change the story: units, units-min, units-max, delay, wait, victims, waves, wave-interval, mode, twice, again, lost,
    /// hours-late, mangled, errors, throttled, lost-requests, lost-answers, refused, garbled, fis-refused, stale, skew. In
    /// busy-region: clusters, steps, transient, peak, hours, lost.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// Print the journal as JSON lines, and last the verdict.
    #[arg(long)]
    json: bool,
    /// Show each AWS call and each event too.
    #[arg(long, short)]
    verbose: bool,
    /// Exit with status 1 when a verdict is this or worse; without it the status is 0 whatever the drill found. To
    /// `inconclusive` everything but survived is worse, a step without a report too: what was not shown does not pass.
    #[arg(long, value_enum, value_name = "VERDICT")]
    fail_on: Option<FailOn>,
    #[command(flatten)]
    job: JobArguments,
}

/// From which verdict on a drill fails a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// Inconclusive, degraded or failed, and steps without a report: all but survived.
    Inconclusive,
    /// Degraded or failed.
    Degraded,
    /// Failed.
    Failed,
}

impl FailOn {
    /// `None`: the step has no report.
    fn is_met_by(self, verdict: Option<Verdict>) -> bool {
        match verdict {
            Some(Verdict::Failed) => true,
            Some(Verdict::Degraded) => self != Self::Failed,
            Some(Verdict::Inconclusive) | None => self == Self::Inconclusive,
            Some(Verdict::Survived) => false,
        }
    }
}

/// Runs the command.
pub fn run(drill: &Drill) -> anyhow::Result<ExitCode> {
    if drill.list {
        for scenario in SCENARIOS {
            out(&format!("{:<22} {}", scenario.name, scenario.about))?;
        }
        out(&format!(
            "{:<22} ten thousand steps a day, few of them watched: what it costs everybody else",
            busy_region::NAME
        ))?;
        return Ok(ExitCode::SUCCESS);
    }
    if drill.scenario == busy_region::NAME {
        return tell_region(drill);
    }
    let (folder, run, comparison) = match Job::read(&drill.job)? {
        Some(job) => tell_job(drill, &job)?,
        None => tell_story(drill)?,
    };
    let written = write(&folder, &run)?;
    index_file::keep(&drill.out)?;
    let mut status = ExitCode::SUCCESS;
    for (step, path) in run.steps.iter().zip(written) {
        let verdict = conclude(drill, step, path.as_deref())?;
        if drill.fail_on.is_some_and(|limit| limit.is_met_by(verdict)) {
            status = ExitCode::FAILURE;
        }
    }
    if let Some(comparison) = comparison {
        compare(drill, &comparison, &folder)?;
        if drill.fail_on.is_some() && !comparison.is_same() {
            status = ExitCode::FAILURE;
        }
    }
    Ok(status)
}

/// Virtual minutes of the busy Region between two lines of progress, where nobody sees a bar.
const MINUTES_A_LINE: u64 = 12 * 60;

/// Tells of a busy Region, and says what was counted. There are too many reports to keep any.
fn tell_region(drill: &Drill) -> anyhow::Result<ExitCode> {
    let asked = [
        ("--json", drill.json),
        ("--verbose", drill.verbose),
        ("--fail-on", drill.fail_on.is_some()),
    ];
    if let Some((flag, _)) = asked.iter().find(|(_, is_asked)| *is_asked) {
        bail!(
            "{flag} is not for {}: it prints what was counted, and its status is 1 when a step was left without a report or \
             the neighbour was throttled",
            busy_region::NAME
        );
    }
    let mut plan = Plan::default();
    for set in &drill.sets {
        plan.set(set).map_err(|error| anyhow!("--set {set}: {error}"))?;
    }
    let progress = std::io::stderr().is_terminal().then(|| {
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos} of {len} virtual minutes, {eta} left") {
            bar.set_style(style);
        }
        bar
    });
    let seen = busy_region::tell(&plan, drill.seed, |minute, of| {
        if let Some(bar) = &progress {
            bar.set_length(of);
            bar.set_position(minute);
        } else if minute > 0 && minute % MINUTES_A_LINE == 0 {
            // A log has no bar, and a fortnight takes half an hour.
            eprintln!("{} of {} virtual hours", minute / 60, of / 60);
        }
    })?;
    if let Some(bar) = progress {
        bar.finish_and_clear();
    }
    seen.lines().iter().try_for_each(|line| out(line))?;
    let is_well = seen.without_report.is_empty() && seen.neighbour.throttles == 0;
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs a story; answers the folder of its reports.
fn tell_story(drill: &Drill) -> anyhow::Result<(PathBuf, Run, Option<Comparison>)> {
    let scenario = Scenario::find(&drill.scenario).map_err(|error| anyhow!("{error}, {}", busy_region::NAME))?;
    let settings = set(scenario.settings(), drill)?;
    let folder = drill.out.join(scenario.name);
    make(&folder)?;
    let mut screen = Screen::new(drill, scenario.name);
    let run = run::run(scenario, &settings, drill.seed, |entry| screen.show(entry))?;
    screen.close()?;
    Ok((folder, run, None))
}

/// Runs a job of the user's own; answers the folder of its reports, and the job undisturbed beside it if that was asked for.
fn tell_job(drill: &Drill, job: &Job) -> anyhow::Result<(PathBuf, Run, Option<Comparison>)> {
    let settings = set(Job::settings(), drill)?;
    let folder = drill.out.join(&job.name);
    make(&folder)?;
    let sitting = Sitting {
        settings: &settings,
        seed: drill.seed,
        pace: drill.job.pace,
        out: &folder,
        baseline: None,
    };
    let mut screen = Screen::new(drill, &job.name);
    if !drill.job.baseline {
        let run = real_spark::run(job, sitting, |entry| screen.show(entry))?;
        screen.close()?;
        return Ok((folder, run, None));
    }
    eprintln!("Running {} undisturbed first.", job.name);
    let undisturbed_folder = folder.join("baseline");
    let undisturbed = Settings {
        mode: "off".into(),
        ..settings.clone()
    };
    let alone = Sitting {
        settings: &undisturbed,
        out: &undisturbed_folder,
        ..sitting
    };
    let told = |run: &Run| run.steps.first().and_then(|step| step.report().ok());
    let undisturbed = told(&real_spark::run(job, alone, |_| ())?);
    let output = undisturbed.as_ref().and_then(|report| report.output.as_ref());
    let beside = Sitting {
        baseline: output.map(|output| (undisturbed_folder.as_path(), output.location.as_str())),
        ..sitting
    };
    let run = real_spark::run(job, beside, |entry| screen.show(entry))?;
    screen.close()?;
    let written = real_spark::rows(&[&folder, &undisturbed_folder])?;
    let written = <[Written; 2]>::try_from(written).map_err(|_| anyhow!("the rows of two runs were counted"))?;
    let comparison = Comparison::new(told(&run).as_ref(), undisturbed.as_ref(), written);
    Ok((folder, run, Some(comparison)))
}

fn set(mut settings: Settings, drill: &Drill) -> anyhow::Result<Settings> {
    for set in &drill.sets {
        settings.set(set).map_err(|error| anyhow!("--set {set}: {error}"))?;
    }
    Ok(settings)
}

/// Says how the run was beside itself undisturbed.
fn compare(drill: &Drill, comparison: &Comparison, folder: &Path) -> anyhow::Result<()> {
    let json = serde_json::to_string(comparison).context("writing the comparison")?;
    let path = folder.join("comparison.json");
    std::fs::write(&path, &json).with_context(|| format!("writing {}", path.display()))?;
    if drill.json {
        return out(&json);
    }
    comparison.lines().iter().try_for_each(|line| out(line))
}

/// Says what a step's report says, and where it lies.
fn conclude(drill: &Drill, step: &StepRun, path: Option<&Path>) -> anyhow::Result<Option<Verdict>> {
    let Some(path) = path else {
        if drill.json {
            out(&json!({"step_id": step.step_id, "verdict": null, "report": null}).to_string())?;
        } else {
            out(&format!(
                "\nStep {} has no report: it is not a Spark step, or never began.",
                step.step_id
            ))?;
        }
        return Ok(None);
    };
    let report = step.report()?;
    let judgement = &report.judgement;
    if drill.json {
        out(&json!({
            "step_id": step.step_id,
            "verdict": judgement.verdict,
            "sentence": judgement.sentence,
            "report": path,
        })
        .to_string())?;
    } else {
        out(&format!(
            "\n{}: {}\nReport: {}",
            judgement.verdict.word().to_uppercase(),
            judgement.sentence,
            path.display()
        ))?;
    }
    Ok(Some(judgement.verdict))
}

/// Makes the folder of what will be written: before a run that takes minutes, not after it.
fn make(folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("making the folder {}", folder.display()))
}

/// Writes journal and reports; answers, for each step, where its page lies.
fn write(folder: &Path, run: &Run) -> anyhow::Result<Vec<Option<PathBuf>>> {
    let save = |name: &str, bytes: &[u8]| -> anyhow::Result<PathBuf> {
        let path = folder.join(name);
        std::fs::write(&path, bytes).with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    };
    save("journal.jsonl", &journal(run)?)?;
    let several = run.steps.len() > 1;
    let mut pages = Vec::new();
    for (number, step) in run.steps.iter().enumerate() {
        let name = if several {
            format!("report-{}", number + 1)
        } else {
            "report".to_owned()
        };
        if let Some(json) = &step.json {
            save(&format!("{name}.json"), json)?;
        }
        pages.push(
            step.html
                .as_ref()
                .map(|html| save(&format!("{name}.html"), &linked(html, &name)))
                .transpose()?,
        );
    }
    Ok(pages)
}

/// The page as it lies in S3 leads to the `report.json` beside it; here several lie side by side.
fn linked(html: &[u8], name: &str) -> Vec<u8> {
    let page = String::from_utf8_lossy(html);
    page.replace("href=\"report.json\"", &format!("href=\"{name}.json\""))
        .into_bytes()
}

/// The whole journal as JSON lines: the same bytes for the same seed.
pub fn journal(run: &Run) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for entry in run.world.lock().account.journal.entries() {
        serde_json::to_writer(&mut bytes, entry).context("writing the journal")?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

/// Where the journal is shown: as plain lines, below a line of progress where a terminal is.
struct Screen {
    is_json: bool,
    is_verbose: bool,
    begun_at: Option<Time>,
    progress: Option<ProgressBar>,
    result: anyhow::Result<()>,
}

impl Screen {
    fn new(drill: &Drill, name: &str) -> Self {
        let progress = (!drill.json && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
                bar.set_style(style);
            }
            bar.set_message(name.to_owned());
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Self {
            is_json: drill.json,
            is_verbose: drill.verbose,
            begun_at: None,
            progress,
            result: Ok(()),
        }
    }

    fn show(&mut self, entry: &Entry) {
        let begun_at = *self.begun_at.get_or_insert(entry.at);
        if self.result.is_err() {
            return;
        }
        if self.is_json {
            self.result = serde_json::to_string(entry)
                .map_err(anyhow::Error::from)
                .and_then(|line| out(&line));
            return;
        }
        let line = format!(
            "{}  {:<20} {:<22} {}",
            clock(entry.at - begun_at),
            entry.source,
            entry.subject,
            entry.text
        );
        if let Some(progress) = &self.progress {
            progress.set_message(format!("{} virtual", clock(entry.at - begun_at)));
        }
        if self.is_verbose || is_of_interest(entry) {
            self.result = match &self.progress {
                Some(progress) => progress.suspend(|| out(&line)),
                None => out(&line),
            };
        }
    }

    fn close(self) -> anyhow::Result<()> {
        if let Some(progress) = self.progress {
            progress.finish_and_clear();
        }
        self.result
    }
}

/// What a person wants to see of a drill: functions, steps, experiments, interruptions, capacity, stages; not each call.
fn is_of_interest(entry: &Entry) -> bool {
    match entry.kind {
        Kind::Call => false,
        Kind::Event => entry.text.contains("Spot Instance Interruption Warning"),
        Kind::Invocation => entry.text != "begins" || entry.source.contains("start"),
        Kind::Transition => true,
    }
}

fn clock(since: chrono::TimeDelta) -> String {
    let ms = since.num_milliseconds();
    format!(
        "{:02}:{:02}:{:02}.{}",
        ms / 3_600_000,
        ms / 60_000 % 60,
        ms / 1000 % 60,
        ms % 1000 / 100
    )
}

/// One line on standard output. A reader that has gone away (`| head`) is an error that ends the program quietly.
fn out(line: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{line}").context("writing to standard output")
}
