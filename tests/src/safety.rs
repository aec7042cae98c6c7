//! Whom a drill may hit, and when: read from the account's own state, by instance and by second.
//!
//! Separate because it is what must never go wrong, whatever the verdict: every story has neighbours who would be hit.

use account::ec2::{Cause, Instance as Machine, Market};
use account::emr::{Cluster, Instance as Node, Role};
use account::fis::{Experiment, Status};
use chrono::{DateTime, TimeDelta, Utc};
use local::fault::Kind as Fault;
use local::run::Run;
use local::strangers::is_stranger;
use local::world::State;

/// Between the look at the account and the start of an experiment lie some calls, which may be throttled.
const LOOK: TimeDelta = TimeDelta::seconds(30);
/// EC2's and EMR's answers may be as old as this where they are stale.
const STALE: TimeDelta = TimeDelta::seconds(60);
/// Between the last look at the step, the cluster's tags and the lever, and the start of an experiment.
const LAST_LOOK: TimeDelta = TimeDelta::seconds(4);

/// The one thing that a drill does.
const ACTION: &str = "aws:ec2:send-spot-instance-interruptions";
/// What a drill's experiment says of itself.
pub const STEP_TAG: &str = "spot-drill:step";
const CLUSTER_TAG: &str = "spot-drill:cluster";

/// Everything wrong with whom the drills chose and hit.
pub fn wrongs(run: &Run, state: &State) -> Vec<String> {
    let mut wrongs = Vec::new();
    for experiment in state.account.fis.experiments() {
        if experiment.tags.contains_key(STEP_TAG) {
            wrongs.extend(experiment_wrongs(run, state, experiment));
            wrongs.extend(against_the_settings(run, experiment));
            wrongs.extend(astray(run, state, experiment));
        }
    }
    for machine in state.account.ec2.instances() {
        wrongs.extend(hit_wrongly(state, machine));
    }
    wrongs
}

/// The cluster of a drill's experiment, by its tag.
fn cluster_of<'a>(state: &'a State, experiment: &Experiment) -> Option<&'a Cluster> {
    state.account.emr.cluster(experiment.tags.get(CLUSTER_TAG)?)
}

fn experiment_wrongs(run: &Run, state: &State, experiment: &Experiment) -> Vec<String> {
    let id = &experiment.id;
    let Some(cluster) = cluster_of(state, experiment) else {
        return vec![format!("safety: experiment {id} is of a cluster that does not exist")];
    };
    let mut wrongs: Vec<String> = experiment
        .definition
        .targets
        .values()
        .flat_map(|target| &target.resource_arns)
        .filter_map(|arn| {
            let why = may_not_be_chosen(state, cluster, arn, experiment.created_at)?;
            Some(format!("safety: experiment {id} was asked to hit {arn}, which {why}"))
        })
        .collect();
    if let Some(step) = experiment.tags.get(STEP_TAG).and_then(|id| cluster.step(id)) {
        let asked = experiment.created_at;
        let ending = step.cancel_requested_at.into_iter().chain(step.ended_at).min();
        if ending.is_some_and(|at| at + LAST_LOOK < asked) {
            wrongs.push(format!(
                "safety: experiment {id} was asked for at {asked}, step {} was to end at {ending:?}",
                step.id
            ));
        }
    }
    wrongs.extend(against_the_owners_word(run, state, cluster, experiment));
    wrongs
}

/// An experiment that FIS resolves to somebody else than was chosen is stopped, and its report says so, if there is one that
/// knows of it.
fn astray(run: &Run, state: &State, experiment: &Experiment) -> Option<String> {
    strays(experiment).next()?;
    let id = &experiment.id;
    let entries = state.account.journal.entries().iter();
    let asked = entries.filter(|entry| entry.subject == "StopExperiment" && entry.at >= experiment.created_at);
    let stopped = asked.count() > 0 || experiment.state.status != Status::Completed;
    if run.stage.faults.lets_each_live() && !run.stage.faults.refuses_or_garbles() && !stopped {
        return Some(format!(
            "safety: experiment {id} hit somebody who was not chosen, and nobody stopped it"
        ));
    }
    let told = drill_told(run, experiment)?
        .experiments
        .into_iter()
        .find(|one| one.experiment_id.as_deref() == Some(id))?;
    // One that was written before FIS resolved anybody knows of nobody.
    (told.resolved_are_victims && !told.resolved.is_empty())
        .then(|| format!("safety: the report of {id} says that FIS resolved those that were chosen"))
}

/// What the report of an experiment's step says of its drill. `None`: it has none.
fn drill_told(run: &Run, experiment: &Experiment) -> Option<report::DrillFacts> {
    let step_id = experiment.tags.get(STEP_TAG)?;
    let step = run.steps.iter().find(|one| one.step_id == *step_id)?;
    Some(step.report().ok()?.drill)
}

/// Whom FIS resolved and nobody chose.
fn strays(experiment: &Experiment) -> impl Iterator<Item = &String> {
    let targets = experiment.definition.targets.values();
    let chosen: Vec<&String> = targets.flat_map(|target| &target.resource_arns).collect();
    let resolved = experiment.resolved.values().flatten();
    resolved.filter(move |id| !chosen.iter().any(|arn| arn.ends_with(id.as_str())))
}

/// The deployment says whether there are drills and how many instances one may hit; and all that one does is to interrupt.
fn against_the_settings(run: &Run, experiment: &Experiment) -> Vec<String> {
    let id = &experiment.id;
    let parameter = |name: &str| run.stage.parameters.get(name).map(String::as_str);
    let mut wrongs = Vec::new();
    if parameter("Mode") == Some("off") {
        wrongs.push(format!("safety: experiment {id} was started though drills are off"));
    }
    let arns = experiment
        .definition
        .targets
        .values()
        .flat_map(|target| &target.resource_arns);
    let (victims, most) = (
        arns.count(),
        parameter("Victims")
            .or(parameter("InstancesToInterrupt"))
            .and_then(|most| most.parse().ok()),
    );
    if most.is_some_and(|most: usize| victims > most) {
        wrongs.push(format!(
            "safety: experiment {id} was to hit {victims}, more than {most:?}"
        ));
    }
    for action in experiment
        .definition
        .actions
        .values()
        .filter(|action| action.action_id != ACTION)
    {
        wrongs.push(format!("safety: experiment {id} also does {}", action.action_id));
    }
    wrongs
}

/// The owner takes back the opt-in, engages the lever, or has the template do something else; or an alarm is on that stops
/// experiments: from then on nobody is hit. The journal says when.
fn against_the_owners_word(run: &Run, state: &State, cluster: &Cluster, experiment: &Experiment) -> Option<String> {
    let mut opted_in = cluster.request_tag("spot-drill") == Some("on");
    let (mut lever, mut alarm, mut edited) = (false, false, false);
    let before = experiment.created_at - LAST_LOOK;
    for entry in state
        .account
        .journal
        .entries()
        .iter()
        .filter(|entry| entry.at <= before)
    {
        match (entry.subject == cluster.id, entry.text.as_str()) {
            (true, "tag spot-drill=on added") => opted_in = true,
            (true, "tag spot-drill removed") => opted_in = false,
            (_, "safety lever engaged") => lever = true,
            (_, "safety lever disengaged") => lever = false,
            (_, "template updated") => edited = true,
            (_, "deed: Alarm(true)") => alarm = true,
            (_, "deed: Alarm(false)") => alarm = false,
            _ => {}
        }
    }
    let why = if lever {
        "the safety lever was engaged"
    } else if edited {
        "the stack's template had an action that no drill takes"
    } else if alarm && !alarm_was_not_known(run, experiment) {
        "an alarm was on that stops experiments"
    } else if opted_in {
        return None;
    } else {
        "its cluster was not opted in"
    };
    Some(format!("safety: experiment {} was started though {why}", experiment.id))
}

/// Where CloudWatch does not say, the drill begins, says so, and leaves it to FIS. Where nobody could read the drill's item,
/// its report cannot say so.
fn alarm_was_not_known(run: &Run, experiment: &Experiment) -> bool {
    drill_told(run, experiment).is_none_or(|drill| drill.experiments.is_empty() || drill.alarm_unknown.is_some())
}

/// Why an instance is none that a drill of this cluster may choose at this time.
fn may_not_be_chosen(state: &State, cluster: &Cluster, arn: &str, at: DateTime<Utc>) -> Option<String> {
    let id = arn.rsplit('/').next().unwrap_or_default();
    let Some(machine) = state.account.ec2.instance(id) else {
        return Some("does not exist".into());
    };
    let Some(node) = node(cluster, id) else {
        return Some("is not of the drill's cluster".into());
    };
    if let Some(why) = not_a_spot_task_node(node, machine, at) {
        return Some(why);
    }
    let look = if state.injected().contains_key(&Fault::Stale) {
        LOOK + STALE
    } else {
        LOOK
    };
    let gone = machine.shutting_down_at.filter(|gone| *gone + look < at)?;
    Some(format!("was going since {gone}"))
}

fn node<'a>(cluster: &'a Cluster, id: &str) -> Option<&'a Node> {
    cluster.instances.iter().find(|node| node.ec2_instance_id == id)
}

fn not_a_spot_task_node(node: &Node, machine: &Machine, at: DateTime<Utc>) -> Option<String> {
    if node.role != Role::Task {
        return Some(format!("is a {} node", node.role.as_str()));
    }
    if machine.market != Market::Spot {
        return Some("is no Spot Instance".into());
    }
    match node.ready_at {
        Some(ready_at) if ready_at <= at => None,
        Some(ready_at) => Some(format!("became a node only at {ready_at}")),
        None => Some("never became a node".into()),
    }
}

/// Whether a drill hit somebody whom it may not hit.
fn hit_wrongly(state: &State, machine: &Machine) -> Option<String> {
    let interruption = machine.interruption.as_ref()?;
    let Cause::Experiment(experiment) = &interruption.cause else {
        return None;
    };
    let experiment = state.account.fis.experiments().find(|one| one.id == *experiment)?;
    // What FIS does of its own is not the drill's choice.
    if !experiment.tags.contains_key(STEP_TAG) || strays(experiment).any(|id| *id == machine.instance_id) {
        return None;
    }
    let id = &machine.instance_id;
    let cluster = cluster_of(state, experiment)?;
    let why = match node(cluster, id) {
        None => Some(whose(state, id)),
        Some(node) => not_a_spot_task_node(node, machine, interruption.noticed_at),
    };
    why.map(|why| format!("safety: a drill of {} interrupted {id}, which {why}", cluster.id))
}

fn whose(state: &State, id: &str) -> String {
    let mut clusters = state.account.emr.clusters();
    match clusters.find(|cluster| node(cluster, id).is_some()) {
        Some(cluster) if is_stranger(cluster) => format!("is a neighbour's: {}", cluster.name),
        Some(cluster) => format!("is of another cluster, {}", cluster.id),
        None => "is no cluster's node".into(),
    }
}
