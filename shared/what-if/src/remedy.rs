//! What would help: one change each, and the same runs once more.
//!
//! Separate because each change is a statement about a cluster or a job, with a price.

use serde::Serialize;

use crate::answer::stage_name;
use crate::course::{Ending, Surroundings, Victims};
use crate::distribution::{round, seconds};
use crate::experiment::{Disturbance, Experiment, Run};
use crate::plan::Plan;

/// A task more costs the driver and an executor about this long, ms: an assumption.
const TASK_MS: u32 = 50;

/// One change.
#[derive(Debug, Clone, PartialEq)]
pub struct Remedy {
    /// What is done.
    pub words: String,
    /// What it costs besides time.
    pub price: String,
    /// The plan with it.
    pub plan: Plan,
    /// What happens around it.
    pub around: Surroundings,
    /// The runs with it.
    pub experiment: Experiment,
}

/// What a change comes to, against the same runs without it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Effect {
    /// What is done.
    pub change: String,
    /// What it costs besides time.
    pub price: String,
    /// Seconds until the work is done, a failed run being done again: the mean over the runs, less that without the change.
    /// Less than none is better.
    pub until_done_seconds: f64,
    /// Twice the standard error of that: the true mean is within it 19 times in 20.
    pub plus_minus_seconds: f64,
    /// The chance of failure, less that without the change.
    pub failed: f64,
    /// Seconds that an undisturbed run takes more.
    pub undisturbed_seconds: f64,
    /// Whether the effect is larger than chance explains.
    pub is_sure: bool,
}

/// The changes that apply to a plan and a question.
pub fn remedies(plan: &Plan, around: &Surroundings, experiment: &Experiment) -> Vec<Remedy> {
    let unchanged = |words: &str, price: &str| Remedy {
        words: words.to_owned(),
        price: price.to_owned(),
        plan: plan.clone(),
        around: around.clone(),
        experiment: experiment.clone(),
    };
    let mut remedies = settings(plan, &unchanged);
    if plan.driver_node.is_some() && around.driver_may_go {
        let mut driver = unchanged(
            "The driver on a node that is not Spot",
            "one On-Demand node, or a core node's room",
        );
        driver.around.driver_may_go = false;
        remedies.push(driver);
    }
    let mut safe = unchanged(
        "Shuffle output kept on nodes that stay",
        "a shuffle service with storage of its own",
    );
    safe.around.output_is_safe = true;
    remedies.push(safe);
    if let Some(stage) = costliest_map(plan) {
        let mut checkpoint = unchanged(
            &format!("A checkpoint after {}", stage_name(plan, stage)),
            "its output written once more; the time for that is not counted here",
        );
        checkpoint.around.checkpoint = Some(stage);
        remedies.push(checkpoint);
    }
    if let Some(split) = halved_nodes(plan) {
        let mut smaller = unchanged(
            "Twice as many nodes of half the size",
            "none, where such a type is offered",
        );
        smaller.plan = split;
        remedies.push(smaller);
    }
    if let Some((stage, split)) = more_partitions(plan) {
        let words = format!("Twice as many partitions in {}", stage_name(plan, stage));
        let mut finer = unchanged(&words, "more tasks for the driver, smaller files");
        finer.plan = split;
        remedies.push(finer);
    }
    if let Disturbance::Swept {
        victims: Victims::Random(count),
        ..
    } = &experiment.disturbance
        && *count > 1
    {
        let fewer = count.div_ceil(2);
        let mut spread = unchanged(
            &format!("More zones and types, so that {fewer} go at once and not {count}"),
            "none, where the job takes several types",
        );
        if let Disturbance::Swept { victims, .. } = &mut spread.experiment.disturbance {
            *victims = Victims::Random(fewer);
        }
        remedies.push(spread);
    }
    remedies.extend(replacements(around, &unchanged));
    remedies
}

/// Changes of what comes back.
fn replacements(around: &Surroundings, unchanged: &impl Fn(&str, &str) -> Remedy) -> Vec<Remedy> {
    let Some(after_ms) = around.replaced_after_ms else {
        return Vec::new();
    };
    let mut soon = unchanged(
        "Replacements in half the time",
        "spare capacity, or types that are easier to get",
    );
    soon.around.replaced_after_ms = Some(after_ms / 2);
    let mut never = unchanged("No waiting for replacements", "none; it saves their cost");
    never.around.replaced_after_ms = None;
    vec![soon, never]
}

/// Changes of Spark's properties.
fn settings(plan: &Plan, unchanged: &impl Fn(&str, &str) -> Remedy) -> Vec<Remedy> {
    let mut remedies = Vec::new();
    if !plan.rules.migrate_shuffle {
        let mut leave = unchanged(
            "spark.decommission.enabled and spark.storage.decommission.enabled",
            "none; blocks travel while the notice lasts",
        );
        (leave.plan.rules.decommission, leave.plan.rules.migrate_shuffle) = (true, true);
        remedies.push(leave);
    }
    if plan.rules.stage_attempts_max < 10 {
        let mut patient = unchanged("spark.stage.maxConsecutiveAttempts=10", "a hopeless stage fails later");
        patient.plan.rules.stage_attempts_max = 10;
        remedies.push(patient);
    }
    if !plan.rules.speculation {
        let mut copies = unchanged(
            "spark.speculation=true",
            "some tasks run twice; not for tasks that write without a committer",
        );
        copies.plan.rules.speculation = true;
        remedies.push(copies);
    }
    if plan.rules.shuffle_service && !plan.rules.cleanup_expired_host {
        let mut forget = unchanged(
            "spark.resourceManager.cleanupExpiredHost=true",
            "none; EMR's Spark has it",
        );
        forget.plan.rules.cleanup_expired_host = true;
        remedies.push(forget);
    }
    remedies
}

/// The stage whose output took the most task time and is read by others.
fn costliest_map(plan: &Plan) -> Option<usize> {
    let time = |stage: &usize| -> u64 { plan.stages[*stage].durations_ms.iter().map(|ms| u64::from(*ms)).sum() };
    (0..plan.stages.len())
        .filter(|stage| plan.stages[*stage].is_map)
        .max_by_key(time)
}

/// The same cores on twice as many nodes.
fn halved_nodes(plan: &Plan) -> Option<Plan> {
    let mut split = plan.clone();
    split.executors.clear();
    let mut twins: Vec<Option<u32>> = vec![None; plan.nodes.len()];
    let mut on_node = vec![0_u32; plan.nodes.len()];
    for executor in &plan.executors {
        let node = executor.node as usize;
        let twin = *twins[node].get_or_insert_with(|| {
            split.nodes.push(format!("{} (second half)", plan.nodes[node]));
            split.nodes.len() as u32 - 1
        });
        on_node[node] += 1;
        let (mut first, mut second) = (executor.clone(), executor.clone());
        second.node = twin;
        first.slots = executor.slots.div_ceil(2);
        second.slots = executor.slots - first.slots;
        if second.slots > 0 {
            split.executors.extend([first, second]);
        } else {
            // One core cannot be cut: every other executor moves.
            first.node = if on_node[node].is_multiple_of(2) {
                twin
            } else {
                executor.node
            };
            split.executors.push(first);
        }
    }
    let used = |node: u32| split.executors.iter().any(|executor| executor.node == node);
    let all_used = (0..split.nodes.len() as u32).filter(|node| used(*node)).count();
    (all_used > plan.nodes.len()).then_some(split)
}

/// The stage that takes longest, in twice as many tasks.
fn more_partitions(plan: &Plan) -> Option<(usize, Plan)> {
    let longest = |stage: &usize| plan.stages[*stage].durations_ms.iter().max().copied();
    let stage = (0..plan.stages.len()).max_by_key(longest)?;
    let mut split = plan.clone();
    let (whole, halves) = (&plan.stages[stage], &mut split.stages[stage]);
    halves.durations_ms.clear();
    halves.firsts.clear();
    for (task, is_first) in whole.firsts.iter().enumerate() {
        let longer_ms = if *is_first { whole.first_ms } else { 0 };
        let half_ms = (whole.warm_ms(task) / 2).saturating_add(TASK_MS + longer_ms);
        halves.durations_ms.extend([half_ms; 2]);
        halves.firsts.extend([*is_first; 2]);
    }
    Some((stage, split))
}

/// The effects of the changes, the best first. `runs` are those without a change, `calm_ms` their undisturbed time.
pub fn effects(remedies: Vec<Remedy>, runs: &[Run], calm_ms: u32, done: &(impl Fn() + Sync)) -> Vec<Effect> {
    let failed = |runs: &[Run]| {
        let failed = runs.iter().filter(|run| run.outcome.ending != Ending::Finished).count();
        failed as f64 / runs.len().max(1) as f64
    };
    let mut effects = Vec::new();
    for remedy in remedies {
        let changed = remedy.experiment.play(&remedy.plan, &remedy.around, done);
        let facts = crate::Facts::of(&remedy.plan);
        let changed_calm_ms = crate::Simulation::new(&remedy.plan, &facts, &remedy.around).calm_ms();
        let differences: Vec<f64> = changed
            .iter()
            .zip(runs)
            .map(|(with, without)| seconds(with.until_done_ms()) - seconds(without.until_done_ms()))
            .collect();
        let count = differences.len().max(1) as f64;
        let mean = differences.iter().sum::<f64>() / count;
        let variance = differences.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
        let plus_minus = 2.0 * (variance / count).sqrt();
        effects.push(Effect {
            change: remedy.words,
            price: remedy.price,
            until_done_seconds: round(mean),
            plus_minus_seconds: round(plus_minus),
            failed: round(failed(&changed) - failed(runs)),
            undisturbed_seconds: round(seconds(changed_calm_ms) - seconds(calm_ms)),
            is_sure: mean.abs() > plus_minus && mean.abs() >= 0.001,
        });
    }
    effects.sort_by(|one, other| one.until_done_seconds.total_cmp(&other.until_done_seconds));
    effects
}
