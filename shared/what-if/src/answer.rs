//! What the runs come to: one value, which is the JSON, and of which the page is made.
//!
//! Separate because it is what others read. Times are seconds from the application's start; chances are from 0 to 1.

use rules::verdict::Verdict;
use serde::Serialize;

use crate::course::Ending;
use crate::distribution::{Distribution, round, seconds};
use crate::experiment::Run;
use crate::plan::Plan;
use crate::remedy::Effect;

/// The version of what is told.
pub(crate) const SCHEMA: &str = "what-if/1";

/// The parts into which the curve cuts the run.
const PARTS: u32 = 24;

/// The whole answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// The schema's version; it changes when a field changes its meaning or goes.
    pub schema: &'static str,
    /// What the log says of itself.
    pub application: Application,
    /// How long the run took, by the log.
    pub logged_seconds: f64,
    /// How long it takes when it is played again as it was, with what the log itself holds of losses, and no other.
    pub replayed_seconds: f64,
    /// How long it takes without those.
    pub undisturbed_seconds: f64,
    /// What was asked.
    pub question: Question,
    /// What the runs came to.
    pub result: Spread,
    /// The same by the moment of the hit.
    pub curve: Vec<Part>,
    /// The same by the number of nodes that go at once.
    pub by_victims: Vec<ByVictims>,
    /// A month of this job.
    pub month: Option<Month>,
    /// What would help, the best first.
    pub remedies: Vec<Effect>,
    /// How far the log carries: what of the run it does not tell. Nothing if it is whole.
    pub carries: Vec<String>,
    /// What was taken for granted.
    pub assumed: Vec<String>,
}

/// What the log says of itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Application {
    /// `App ID`.
    pub id: Option<String>,
    /// `App Name`.
    pub name: Option<String>,
    /// `Spark Version`.
    pub spark_version: Option<String>,
    /// Jobs.
    pub jobs: usize,
    /// Stages that ran, each shuffle's once.
    pub stages: usize,
    /// Tasks of them.
    pub tasks: usize,
    /// Executors.
    pub executors: usize,
    /// Nodes.
    pub nodes: usize,
    /// Whether the log has no end.
    pub in_progress: bool,
}

/// What was asked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Question {
    /// Runs.
    pub runs: u32,
    /// Their seed.
    pub seed: u64,
    /// Who is hit and when, in words.
    pub hit: String,
    /// How long before it goes a node is told.
    pub notice_seconds: f64,
    /// From a node's loss to its replacement; none if nothing comes.
    pub replaced_after_seconds: Option<f64>,
    /// Whether the driver's node may be hit: none if no executor shares a node with it.
    pub driver_may_go: Option<bool>,
    /// Nodes that may be hit.
    pub nodes_at_risk: u32,
}

/// What runs came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Spread {
    /// Run time of those that finished.
    pub run_seconds: Distribution,
    /// Run time beyond what it would have been undisturbed on machines of the same pace, of those that finished.
    pub added_seconds: Distribution,
    /// Task time thrown away, hours.
    pub lost_task_hours: Distribution,
    /// Stage attempts that failed.
    pub failed_stages: Distribution,
    /// The chance that the run fails, for whatever reason.
    pub failed: f64,
    /// The chance that a stage is given up.
    pub stage_given_up: f64,
    /// The chance that a driver goes, whether it is started again or not.
    pub driver_lost: f64,
    /// The chance that no executor is left.
    pub no_executors: f64,
    /// The chance that nothing of the run is hit.
    pub not_hit: f64,
    /// The chance of each verdict that a drill would have, as far as a run's course decides it.
    pub verdicts: Verdicts,
}

/// The chances of a drill's verdicts. What a report rests on besides the run, its output's marker and what EMR refuses to
/// say, is not simulated.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Verdicts {
    /// It ended well although a loss took something of it.
    pub survived: f64,
    /// It ended well, and had to begin again, or lacked a node at its end that should have been replaced by then.
    pub degraded: f64,
    /// A loss made it fail.
    pub failed: f64,
    /// Nothing of it was hit.
    pub inconclusive: f64,
}

/// A part of the run, and what a hit within it comes to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Part {
    /// From this moment.
    pub from_seconds: f64,
    /// To this one.
    pub to_seconds: f64,
    /// Runs that were hit within it.
    pub runs: usize,
    /// Run time of those that finished.
    pub run_seconds: Distribution,
    /// Run time beyond what it would have been undisturbed on machines of the same pace, of those that finished.
    pub added_seconds: Distribution,
    /// The chance that the run fails.
    pub failed: f64,
    /// The stage that ran most often when the hit came.
    pub stage: Option<String>,
}

/// What so many victims come to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ByVictims {
    /// Nodes that go at once.
    pub victims: u32,
    /// What the runs came to.
    pub result: Spread,
}

/// A month of the job.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Month {
    /// The market, in words.
    pub market: String,
    /// Runs in a month.
    pub runs: u32,
    /// Nodes that a run uses.
    pub nodes: usize,
    /// Node hours on Spot, lost work and runs done again included.
    pub spot_node_hours: f64,
    /// Node hours on On-Demand, where nothing is taken.
    pub on_demand_node_hours: f64,
    /// Cost where those that may be hit are Spot, in the unit of the prices that were given.
    pub spot_cost: f64,
    /// Cost on On-Demand.
    pub on_demand_cost: f64,
    /// What a run comes to in this market.
    pub result: Spread,
}

impl Spread {
    /// Of these runs.
    pub fn of(runs: &[Run]) -> Self {
        let chance = |is: &dyn Fn(&Run) -> bool| {
            round(runs.iter().filter(|run| is(run)).count() as f64 / runs.len().max(1) as f64)
        };
        let said = |verdict| chance(&|run| run.outcome.verdict() == verdict);
        let finished = || runs.iter().filter(|run| run.outcome.ending == Ending::Finished);
        let added = |run: &Run| f64::from(run.outcome.run_ms) - f64::from(run.calm_ms);
        Self {
            run_seconds: Distribution::of(finished().map(|run| seconds(run.outcome.run_ms))),
            added_seconds: Distribution::of(finished().map(|run| added(run) / 1_000.0)),
            lost_task_hours: Distribution::of(runs.iter().map(|run| seconds(run.outcome.lost_task_ms) / 3_600.0)),
            failed_stages: Distribution::of(runs.iter().map(|run| f64::from(run.outcome.stages_failed))),
            failed: chance(&|run| run.outcome.ending != Ending::Finished),
            stage_given_up: chance(&|run| matches!(run.outcome.ending, Ending::StageGivenUp(_))),
            driver_lost: chance(&|run| run.outcome.driver_lost),
            no_executors: chance(&|run| run.outcome.ending == Ending::NoExecutors),
            not_hit: chance(&|run| run.outcome.nodes_lost == 0),
            verdicts: Verdicts {
                survived: said(Verdict::Survived),
                degraded: said(Verdict::Degraded),
                failed: said(Verdict::Failed),
                inconclusive: said(Verdict::Inconclusive),
            },
        }
    }
}

/// What runs came to, by the moment of their hit.
pub(crate) fn curve(plan: &Plan, runs: &[Run], calm_ms: u32) -> Vec<Part> {
    let mut parts = Vec::new();
    for part in 0..PARTS {
        let moment = |part: u32| u64::from(calm_ms) * u64::from(part) / u64::from(PARTS);
        let (from_ms, to_ms) = (moment(part), moment(part + 1));
        let is_in = |run: &&Run| run.hit_ms.is_some_and(|at| (from_ms..to_ms).contains(&u64::from(at)));
        let hit: Vec<Run> = runs.iter().filter(is_in).copied().collect();
        if hit.is_empty() {
            continue;
        }
        let mut stages: Vec<usize> = hit.iter().filter_map(|run| run.outcome.stage_hit).collect();
        stages.sort_unstable();
        let most = stages.chunk_by(|one, other| one == other).max_by_key(|same| same.len());
        let spread = Spread::of(&hit);
        parts.push(Part {
            from_seconds: seconds(from_ms),
            to_seconds: seconds(to_ms),
            runs: hit.len(),
            run_seconds: spread.run_seconds,
            added_seconds: spread.added_seconds,
            failed: spread.failed,
            stage: most.map(|same| stage_name(plan, same[0])),
        });
    }
    parts
}

/// A stage as Spark's pages call it.
pub(crate) fn stage_name(plan: &Plan, stage: usize) -> String {
    let stage = &plan.stages[stage];
    format!("stage {} ({})", stage.id, stage.name)
}

#[cfg(test)]
impl Answer {
    /// Of a run of a hundred seconds, of which nothing is said yet.
    pub(crate) fn blank() -> Self {
        Self {
            schema: SCHEMA,
            application: Application {
                id: None,
                name: None,
                spark_version: None,
                jobs: 1,
                stages: 1,
                tasks: 1,
                executors: 1,
                nodes: 1,
                in_progress: false,
            },
            logged_seconds: 100.0,
            replayed_seconds: 100.0,
            undisturbed_seconds: 100.0,
            question: Question {
                runs: 10,
                seed: 1,
                hit: "one node".to_owned(),
                notice_seconds: 0.0,
                replaced_after_seconds: None,
                driver_may_go: None,
                nodes_at_risk: 1,
            },
            result: Spread::of(&[]),
            curve: Vec::new(),
            by_victims: Vec::new(),
            month: None,
            remedies: Vec::new(),
            carries: Vec::new(),
            assumed: Vec::new(),
        }
    }
}

#[cfg(test)]
impl Part {
    /// Whose runs fail with this chance; a hit within it adds nothing.
    pub(crate) fn that_fails(from_seconds: f64, to_seconds: f64, failed: f64) -> Self {
        Self {
            from_seconds,
            to_seconds,
            runs: 1,
            run_seconds: Distribution::default(),
            added_seconds: Distribution::default(),
            failed,
            stage: None,
        }
    }
}
