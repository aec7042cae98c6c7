//! `cargo faults`: trials by the thousand on all cores, and what was injected in them.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use account::journal::{Entry, Kind};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use local::fault::Kind as Fault;
use tests::trial::{Outcome, Trial, kind};

/// Failures that are shrunk and told in full.
const TOLD_MAX: usize = 20;

/// Tells stories with faults, holds each against what must hold in all, and counts.
#[derive(Debug, Parser)]
#[command(name = "faults")]
struct Command {
    /// How many seeds.
    #[arg(long, default_value_t = 20_000)]
    seeds: u64,
    /// The first.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Tell this one, its journal and its reports.
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// Leave this fault out, of the one seed; as often as is wanted.
    #[arg(long, requires = "seed", value_name = "FAULT")]
    without: Vec<String>,
    /// Of the seeds, only those that draw this fault.
    #[arg(long, value_name = "FAULT", conflicts_with = "seed")]
    with: Option<String>,
    /// Begin no more after so many minutes.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Begin no more once a drill is wrong.
    #[arg(long)]
    first: bool,
    /// Fail if a kind of fault came less often.
    #[arg(long, default_value_t = 0, value_name = "TIMES")]
    each: u64,
}

/// What was told so far.
#[derive(Default)]
struct Count {
    told: u64,
    endless: u64,
    injected: BTreeMap<Fault, (u64, u64)>,
    verdicts: BTreeMap<String, u64>,
    wrong: BTreeMap<u64, Vec<String>>,
}

impl Count {
    fn add(&mut self, seed: u64, outcome: &Outcome) {
        self.told += 1;
        match &outcome.run {
            None => self.endless += 1,
            Some(run) => {
                for (kind, times) in run.world.lock().injected() {
                    let (runs, all) = self.injected.entry(*kind).or_default();
                    *runs += 1;
                    *all += times;
                }
                for step in &run.steps {
                    let verdict = step.report().map(|report| report.judgement.verdict.word().to_owned());
                    *self
                        .verdicts
                        .entry(verdict.unwrap_or_else(|_| "no report".to_owned()))
                        .or_default() += 1;
                }
            }
        }
        if !outcome.wrongs.is_empty() {
            self.wrong.insert(seed, outcome.wrongs.clone());
        }
    }

    fn print(&self) {
        println!("{:>10}  {:>10}  fault", "times", "drills");
        for kind in Fault::ALL {
            let (runs, times) = self.injected.get(&kind).copied().unwrap_or_default();
            println!("{times:>10}  {runs:>10}  {}", kind.words());
        }
        println!("\n{:>10}  verdict of a step", "times");
        for (verdict, times) in &self.verdicts {
            println!("{times:>10}  {verdict}");
        }
        println!("{:>10}  of drills that wait for ever: no capacity comes", self.endless);
    }

    /// Kinds of faults that came less often than this.
    fn rare(&self, least: u64) -> Vec<Fault> {
        let times = |kind: &Fault| self.injected.get(kind).map_or(0, |(_, times)| *times);
        Fault::ALL.into_iter().filter(|kind| times(kind) < least).collect()
    }
}

fn main() -> ExitCode {
    let command = Command::parse();
    match command.seed {
        Some(seed) => tell_one(seed, &command.without),
        None => match command.with.as_deref().map(|with| Trial::draw(0).without(with)) {
            Some(Err(error)) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
            _ => tell_all(&command),
        },
    }
}

fn tell_one(seed: u64, without: &[String]) -> ExitCode {
    let drawn = without
        .iter()
        .try_fold(Trial::draw(seed), |trial, name| trial.without(name));
    let trial = match drawn {
        Ok(trial) => trial,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    println!("{:#?}", trial.story);
    let outcome = trial.tell();
    match &outcome.run {
        Some(run) => {
            run.world.lock().account.journal.entries().iter().for_each(print);
            for json in run.steps.iter().filter_map(|step| step.json.as_deref()) {
                println!("{}", String::from_utf8_lossy(json));
            }
        }
        // What has no end is told once more, entry by entry.
        None => _ = trial.story.plot.tell(print),
    }
    println!("faults: {}", trial.names().join(", "));
    for wrong in &outcome.wrongs {
        println!("wrong: {wrong}");
    }
    if outcome.wrongs.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn print(entry: &Entry) {
    let at = entry.at.format("%d %H:%M:%S%.3f");
    println!("{at}  {:<28} {:<22} {}", entry.source, entry.subject, entry.text);
    if entry.kind == Kind::Invocation && entry.text.starts_with("ends") {
        println!("    {}", entry.data);
    }
}

fn tell_all(command: &Command) -> ExitCode {
    let bar = ProgressBar::new(command.seeds);
    let style = "{elapsed_precise} {wide_bar} {pos}/{len} drills, {per_sec}, {msg}";
    bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
    let (next, count) = (AtomicU64::new(0), Mutex::new(Count::default()));
    let limit = Duration::from_secs(command.minutes * 60);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= command.seeds || bar.elapsed() >= limit {
                        return;
                    }
                    let seed = command.from + number;
                    bar.inc(1);
                    if command
                        .with
                        .as_ref()
                        .is_some_and(|with| !Trial::draw(seed).names().contains(&with.as_str()))
                    {
                        continue;
                    }
                    let outcome = told(seed);
                    if command.first && !outcome.wrongs.is_empty() {
                        next.store(command.seeds, Ordering::Relaxed);
                    }
                    let mut count = count.lock().unwrap_or_else(PoisonError::into_inner);
                    count.add(seed, &outcome);
                    bar.set_message(format!("{} wrong", count.wrong.len()));
                }
            });
        }
    });
    let seconds = bar.elapsed().as_secs_f64();
    bar.finish_and_clear();
    let count = count.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!(
        "{} drills in {seconds:.1} s, {:.0} a second\n",
        count.told,
        count.told as f64 / seconds
    );
    count.print();
    conclude(&count, command.each)
}

/// A function that panics is a bug of its own, which the world tells of; a panic here is a bug of the account's or of a
/// check's, and no less a failure.
fn told(seed: u64) -> Outcome {
    catch_unwind(AssertUnwindSafe(|| Trial::draw(seed).tell())).unwrap_or_else(|_| Outcome {
        run: None,
        wrongs: vec!["panic: see above".to_owned()],
    })
}

fn conclude(count: &Count, least: u64) -> ExitCode {
    let rare = count.rare(least);
    for kind in &rare {
        println!("\nless often than {least} times: {}", kind.words());
    }
    for (seed, wrongs) in count.wrong.iter().take(TOLD_MAX) {
        let kind = wrongs.first().map_or("", |wrong| kind(wrong));
        let least = catch_unwind(|| Trial::draw(*seed).shrink(kind)).unwrap_or_else(|_| Trial::draw(*seed));
        let all = Trial::draw(*seed);
        let needless = all.names().into_iter().filter(|name| !least.names().contains(name));
        let without: String = needless.map(|name| format!(" --without {name}")).collect();
        println!("\ncargo faults --seed {seed}{without}");
        for wrong in wrongs {
            println!("  {wrong}");
        }
    }
    if count.wrong.is_empty() && rare.is_empty() {
        println!("\nnothing is wrong");
        return ExitCode::SUCCESS;
    }
    println!("\n{} of {} drills are wrong", count.wrong.len(), count.told);
    ExitCode::FAILURE
}
