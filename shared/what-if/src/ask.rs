//! From a log and a question to the answer.
//!
//! Separate because programs ask it, and know nothing else of how it is answered.

use spark_log::SparkRun;

use crate::answer::{Answer, Application, ByVictims, Month, Question, SCHEMA, Spread, curve};
use crate::course::{Ending, Surroundings, Victims};
use crate::distribution::{round, seconds};
use crate::experiment::{Disturbance, Experiment, Run};
use crate::facts::Facts;
use crate::market::Market;
use crate::pace::Pace;
use crate::plan::Plan;
use crate::reach::{Unfit, gaps};
use crate::rebuild::rebuild;
use crate::remedy::{effects, remedies};
use crate::simulation::Simulation;

/// A replacement's time where neither the log nor whoever asks says one, ms: an assumption.
const REPLACED_AFTER_MS: u32 = 180_000;

/// How many nodes go at once where several numbers are tried, as far as there are so many.
const VICTIMS: [u32; 7] = [1, 2, 3, 5, 8, 13, 21];

/// Which market a month is spent in.
#[derive(Debug, Clone, PartialEq)]
pub enum MarketChoice {
    /// [`Market::band`], the lowest.
    Calm,
    /// [`Market::band`], by its upper end.
    Band(f64),
    /// [`Market::busy`].
    Busy,
    /// Each node is taken so many times an hour, alone.
    Hourly(f64),
    /// The text of a trace, for [`Market::trace`].
    Trace(String),
}

/// What a month is to be reckoned with.
#[derive(Debug, Clone, PartialEq)]
pub struct MonthAsked {
    /// The market.
    pub market: MarketChoice,
    /// A node's price an hour on Spot.
    pub spot_price: f64,
    /// A node's price an hour on On-Demand.
    pub on_demand_price: f64,
    /// Runs in a month.
    pub runs: u32,
}

/// When replacements come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaced {
    /// As the log shows it, or else after three minutes.
    AsLogged,
    /// After this long, ms, give or take what [`Surroundings`] says.
    AfterMs(u32),
    /// After a time between these, ms, drawn evenly.
    BetweenMs(u32, u32),
    /// Never.
    Never,
}

/// A question.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// Runs.
    pub runs: u32,
    /// Their seed.
    pub seed: u64,
    /// Threads.
    pub threads: usize,
    /// Who is hit.
    pub victims: Victims,
    /// From when to when, ms; the whole run if it does not say.
    pub between_ms: Option<(u32, u32)>,
    /// What happens around it; what comes back is [`replaced`](Self::replaced)'s to say.
    pub around: Surroundings,
    /// When replacements come.
    pub replaced: Replaced,
    /// A month to be reckoned.
    pub month: Option<MonthAsked>,
    /// Spark's properties that differ from the log's.
    pub properties: Vec<(String, String)>,
    /// The time of tasks in other runs of the job as multiples of their time in this one, for [`Pace::of`].
    pub paces: Vec<f64>,
    /// Whether to try other numbers of nodes that go at once.
    pub by_victims: bool,
    /// Whether to try what would help.
    pub remedies: bool,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The log cannot be played again.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// The run cannot be played to its end even in peace.
    #[error("played again without any hit this run does not end: the log lacks executors")]
    NoEnd,
    /// Nobody may be hit.
    #[error("no node of this run may be hit")]
    NobodyToHit,
    /// The driver has no node that executors share.
    #[error("the driver is on no node of the executors, or not in a container of the cluster: it cannot be hit")]
    DriverElsewhere,
    /// The trace is none.
    #[error("the trace has no two lines of seconds and instances in order of time, with a comma between")]
    Trace,
    /// The window is none.
    #[error("the moments end before they begin, or begin after the run's end")]
    Window,
}

impl Error {
    /// Whether it is the question that makes no sense, and not the log that does not suit it.
    pub fn is_of_the_question(&self) -> bool {
        matches!(self, Self::Trace | Self::Window)
    }
}

/// Answers. The log must have been read with its task attempts, `tasks_max` of them at most; `done` is told of each run.
///
/// # Errors
/// The log or the question does not allow it.
pub fn ask(run: &SparkRun, tasks_max: usize, asked: &Asked, done: &(impl Fn() + Sync)) -> Result<Answer, Error> {
    let mut run = std::borrow::Cow::Borrowed(run);
    if !asked.properties.is_empty() {
        run.to_mut().settings.extend(asked.properties.iter().cloned());
    }
    let logged = rebuild(&run, tasks_max)?;
    if let Some(unfit) = Unfit::of(&run) {
        return Err(unfit.into());
    }
    let mut around = asked.around.clone();
    let (replaced_after_ms, replaced_words) = replaced(asked.replaced, &logged);
    around.replaced_after_ms = replaced_after_ms;
    if let Replaced::BetweenMs(from_ms, to_ms) = asked.replaced {
        around.replaced_spread =
            f64::from(to_ms.saturating_sub(from_ms)) / (f64::from(from_ms) + f64::from(to_ms)).max(1.0);
    }
    let (mut plan, calm_ms) = in_peace(logged.undisturbed(), &around).ok_or(Error::NoEnd)?;
    plan.pace = Pace::of(&asked.paces);
    let nodes = nodes_at_risk(&plan, &around);
    if nodes == 0 {
        return Err(Error::NobodyToHit);
    }
    if asked.victims == Victims::Driver && plan.driver_node.is_none() {
        return Err(Error::DriverElsewhere);
    }
    let (from_ms, to_ms) = asked.between_ms.unwrap_or((0, calm_ms));
    if from_ms > to_ms || from_ms > calm_ms {
        return Err(Error::Window);
    }
    let experiment = Experiment {
        runs: asked.runs,
        seed: asked.seed,
        threads: asked.threads,
        disturbance: Disturbance::Swept {
            from_ms,
            to_ms,
            victims: asked.victims.clone(),
        },
    };
    let runs = experiment.play(&plan, &around, done);
    let mut assumed = logged.assumed.clone();
    assumed.extend(replaced_words);
    assumed.push(pace_words(plan.pace, asked.paces.len()));
    Ok(Answer {
        schema: SCHEMA,
        application: application(&run, &plan),
        logged_seconds: seconds(logged.logged_ms),
        replayed_seconds: seconds(replayed_ms(&logged, &around).unwrap_or(calm_ms)),
        undisturbed_seconds: seconds(calm_ms),
        question: question(asked, &plan, &around, nodes),
        result: Spread::of(&runs),
        curve: curve(&plan, &runs, calm_ms),
        by_victims: if asked.by_victims {
            by_victims(&plan, &around, &experiment, nodes, done)
        } else {
            Vec::new()
        },
        month: month(asked, &plan, &around, nodes, calm_ms, done)?,
        remedies: if asked.remedies {
            effects(remedies(&plan, &around, &experiment), &runs, calm_ms, done)
        } else {
            Vec::new()
        },
        carries: gaps(&run),
        assumed,
    })
}

fn question(asked: &Asked, plan: &Plan, around: &Surroundings, nodes: u32) -> Question {
    Question {
        runs: asked.runs,
        seed: asked.seed,
        hit: words(&asked.victims, asked.between_ms),
        notice_seconds: seconds(around.notice_ms),
        replaced_after_seconds: around.replaced_after_ms.map(seconds),
        driver_may_go: plan.driver_node.map(|_| around.driver_may_go),
        nodes_at_risk: nodes,
    }
}

/// How many runs a question takes at most, for a bar.
pub fn runs_at_most(asked: &Asked) -> u64 {
    const REMEDIES_MAX: u64 = 12;
    let times = 1 + u64::from(asked.month.is_some()) + if asked.remedies { REMEDIES_MAX } else { 0 };
    let by_victims = if asked.by_victims {
        VICTIMS.len() as u64 * u64::from(runs_by_victims(asked.runs))
    } else {
        0
    };
    u64::from(asked.runs) * times + by_victims
}

fn ending_well(plan: &Plan, around: &Surroundings) -> Option<u32> {
    let facts = Facts::of(plan);
    let mut simulation = Simulation::new(plan, &facts, around);
    let outcome = simulation.run_as_logged();
    (outcome.ending == Ending::Finished).then_some(outcome.run_ms)
}

/// A plan that ends when nothing is hit, and how long that takes: where it lacks executors at some moment, since they were
/// released a little before it needs them, they stay.
fn in_peace(plan: Plan, around: &Surroundings) -> Option<(Plan, u32)> {
    if let Some(calm_ms) = ending_well(&plan, around) {
        return Some((plan, calm_ms));
    }
    let staying = plan.staying();
    ending_well(&staying, around).map(|calm_ms| (staying, calm_ms))
}

/// How long the run takes when it is played again as it was, ms; without the losses that it holds where it does not end
/// with them.
pub(crate) fn replayed_ms(logged: &Plan, around: &Surroundings) -> Option<u32> {
    ending_well(logged, around).or_else(|| in_peace(logged.undisturbed(), around).map(|(_, calm_ms)| calm_ms))
}

fn replaced(replaced: Replaced, logged: &Plan) -> (Option<u32>, Option<String>) {
    match (replaced, logged.replaced_after_ms) {
        (Replaced::AfterMs(after_ms), _) => (Some(after_ms), None),
        (Replaced::BetweenMs(from_ms, to_ms), _) => (Some(from_ms.midpoint(to_ms)), None),
        (Replaced::Never, _) => (None, None),
        (Replaced::AsLogged, Some(after_ms)) => {
            let words = format!("A replacement comes after {} s, as in the log.", seconds(after_ms));
            (Some(after_ms), Some(words))
        }
        (Replaced::AsLogged, None) => {
            let words = "The log shows no replacement: one is taken to come after 180 s.".to_owned();
            (Some(REPLACED_AFTER_MS), Some(words))
        }
    }
}

/// The nodes of a run that may be hit.
fn nodes_at_risk(plan: &Plan, around: &Surroundings) -> u32 {
    let may_go = |(number, name): &(u32, &String)| {
        let has_executor = plan.executors.iter().any(|executor| executor.node == *number);
        let is_driver = plan.driver_node == Some(*number);
        !around.nodes_that_stay.contains(*name) && has_executor && (!is_driver || around.driver_may_go)
    };
    (0..).zip(&plan.nodes).filter(may_go).count() as u32
}

/// What differs from run to run besides the hit, in words.
fn pace_words(pace: Pace, others: usize) -> String {
    match others {
        0 => {
            format!(
                "How fast the machines are in one run against another is not in one log: task times are taken to differ by \
                 {:.1} %, as they did at most in a study of 2,366 runs in AWS (arXiv 2504.11826).",
                pace.deviation * 100.0
            )
        }
        _ => format!(
            "Task times are {:.2} of the log's in the middle of {} runs of the job, give or take {:.0} %: each simulated run \
             has a pace of its own.",
            pace.mean.exp(),
            others + 1,
            pace.deviation * 100.0,
        ),
    }
}

fn words(victims: &Victims, between_ms: Option<(u32, u32)>) -> String {
    let who = match victims {
        Victims::Random(1) => "one node, drawn from those that may be hit".to_owned(),
        Victims::Random(count) => format!("{count} nodes at once, drawn from those that may be hit"),
        Victims::MostOutput(1) => "the node with most shuffle output".to_owned(),
        Victims::MostOutput(count) => format!("the {count} nodes with most shuffle output, at once"),
        Victims::Driver => "the driver's node".to_owned(),
        Victims::Zone { name, .. } => format!("all nodes of {name} that may be hit, at once"),
        Victims::All => "all nodes that may be hit, at once".to_owned(),
    };
    match between_ms {
        None => format!("{who}, at any moment of the run"),
        Some((at, to)) if at == to => format!("{who}, {} s after the application's start", seconds(at)),
        Some((from, to)) => {
            let (from, to) = (seconds(from), seconds(to));
            format!("{who}, at a moment from {from} s to {to} s after the application's start")
        }
    }
}

pub(crate) fn application(run: &SparkRun, plan: &Plan) -> Application {
    Application {
        id: run.application_id.clone(),
        name: run.application_name.clone(),
        spark_version: run.spark_version.clone(),
        jobs: plan.jobs.len(),
        stages: plan.stages.len(),
        tasks: plan.tasks(),
        executors: plan.executors.len(),
        nodes: plan.nodes.len(),
        in_progress: run.reading.in_progress,
    }
}

/// Runs for each number of nodes that go at once.
fn runs_by_victims(runs: u32) -> u32 {
    (runs / 5).max(1)
}

fn by_victims(
    plan: &Plan,
    around: &Surroundings,
    experiment: &Experiment,
    nodes: u32,
    done: &(impl Fn() + Sync),
) -> Vec<ByVictims> {
    let mut answers = Vec::new();
    for count in VICTIMS.into_iter().filter(|count| *count <= nodes) {
        let mut fewer = Experiment {
            runs: runs_by_victims(experiment.runs),
            ..experiment.clone()
        };
        if let Disturbance::Swept { victims, .. } = &mut fewer.disturbance {
            *victims = Victims::Random(count);
        }
        answers.push(ByVictims {
            victims: count,
            result: Spread::of(&fewer.play(plan, around, done)),
        });
    }
    answers
}

fn month(
    asked: &Asked,
    plan: &Plan,
    around: &Surroundings,
    nodes: u32,
    calm_ms: u32,
    done: &(impl Fn() + Sync),
) -> Result<Option<Month>, Error> {
    let Some(month) = &asked.month else { return Ok(None) };
    let market = match &month.market {
        MarketChoice::Calm => Market::band(nodes, 0.05),
        MarketChoice::Band(upper) => Market::band(nodes, *upper),
        MarketChoice::Busy => Market::busy(nodes),
        MarketChoice::Hourly(hourly) => Market::Rate {
            nodes,
            hourly: *hourly,
            together: 1,
        },
        MarketChoice::Trace(text) => Market::trace(text, nodes).ok_or(Error::Trace)?,
    };
    let experiment = Experiment {
        runs: asked.runs,
        seed: asked.seed,
        threads: asked.threads,
        disturbance: Disturbance::Market(market.clone()),
    };
    let runs = experiment.play(plan, around, done);
    let slots: u32 = plan.executors.iter().map(|executor| executor.slots).sum();
    let slots_per_node = f64::from(slots) / plan.nodes.len() as f64;
    let node_hours = |runs: &[Run]| {
        let slot_ms: u64 = runs.iter().map(|run| run.outcome.slot_ms).sum();
        slot_ms as f64 / runs.len().max(1) as f64 / slots_per_node / 3_600_000.0
    };
    let facts = Facts::of(plan);
    let calm = Run {
        hit_ms: None,
        outcome: Simulation::new(plan, &facts, around).run_as_logged(),
        calm_ms,
    };
    let failed = runs.iter().filter(|run| run.outcome.ending != Ending::Finished).count() as f64;
    // A run that failed is begun again, in the same market, until one ends well.
    let attempts = 1.0 / (1.0 - failed / runs.len() as f64).max(1.0 / runs.len() as f64);
    let spot_node_hours = node_hours(&runs) * attempts * f64::from(month.runs);
    // Nodes that are never taken are paid as such.
    let at_risk = f64::from(nodes) / plan.nodes.len() as f64;
    let price = at_risk * month.spot_price + (1.0 - at_risk) * month.on_demand_price;
    // On machines of the same paces.
    let each_ms = runs.iter().map(|run| f64::from(run.calm_ms)).sum::<f64>() / runs.len() as f64;
    let pace = each_ms / f64::from(calm_ms.max(1));
    let on_demand_node_hours = node_hours(&[calm]) * pace * f64::from(month.runs);
    Ok(Some(Month {
        market: market.words(),
        runs: month.runs,
        nodes: plan.nodes.len(),
        spot_node_hours: round(spot_node_hours),
        on_demand_node_hours: round(on_demand_node_hours),
        spot_cost: round(spot_node_hours * price),
        on_demand_cost: round(on_demand_node_hours * month.on_demand_price),
        result: Spread::of(&runs),
    }))
}

#[cfg(test)]
mod tests;
