//! What happens: the drill's settings, who interrupts whom and when, what comes back, who ends what, what is told again.

use std::collections::BTreeMap;

use account::emr::Role;
use local::plot::{Deed, Moment, What, Whom};
use local::run::TEMPLATE;

use super::shape::Shape;
use super::{Chance, texts};

/// The deployment's parameters.
pub(super) fn parameters(chance: &mut Chance, kinds: &mut Vec<&'static str>) -> BTreeMap<String, String> {
    let drilled = chance.percent(75);
    kinds.push(if drilled { "drill" } else { "no drill" });
    let mode = if drilled { "run" } else { "off" };
    let delay = if chance.percent(40) {
        chance.between(5, 40)
    } else {
        chance.between(40, 200)
    };
    let waves = chance.one(&[1, 1, 1, 1, 1, 2]);
    let mut parameters = texts(&[
        ("Mode", mode.into()),
        ("DelaySeconds", delay.to_string()),
        ("WaitSecondsMax", chance.between(60, 300).to_string()),
        ("InstancesToInterrupt", chance.between(1, 4).to_string()),
        ("Waves", waves.to_string()),
        ("WaveIntervalSeconds", "120".into()),
    ]);
    // How long a report waits changes nothing that is true.
    let wait = chance.one(&[0, 0, 60, 300]);
    if TEMPLATE.contains("\n  RecoverySecondsMax:") {
        parameters.insert("RecoverySecondsMax".into(), wait.to_string());
    }
    parameters
}

/// Everything but the steps, of which the first begins so many seconds after the cluster is ready.
pub(super) fn draw(
    chance: &mut Chance,
    shape: &Shape,
    steps: usize,
    begins: u32,
    parameters: &BTreeMap<String, String>,
    kinds: &mut Vec<&'static str>,
) -> Vec<Deed> {
    let mut deeds = Vec::new();
    let step = chance.0.usize(..steps);
    if kinds.contains(&"does not wait") && chance.percent(60) {
        // Such a step lasts for seconds: that is when instances must go.
        let whom = Whom::Nodes {
            role: Role::Task,
            count: 3,
            from: 0,
        };
        let seconds = (begins + chance.between(0, 14)).saturating_sub(120);
        let what = What::Reclaim(whom);
        deeds.push(Deed {
            after: Moment::Ready,
            seconds,
            what,
        });
    }
    for _ in 0..chance.one(&[0, 0, 1, 1, 2]) {
        deeds.push(interruption(chance, step, begins, kinds));
    }
    lack(chance, step, &mut deeds, kinds);
    ends(chance, shape, step, parameters, &mut deeds, kinds);
    guards(chance, &mut deeds, kinds);
    told_again(chance, steps, &mut deeds);
    deeds
}

/// Somebody else takes instances: before the step, in it, after it; several at once.
fn interruption(chance: &mut Chance, step: usize, begins: u32, kinds: &mut Vec<&'static str>) -> Deed {
    let (after, seconds) = match chance.between(0, 10) {
        // Two minutes later the first step is about to begin, or has just begun.
        10 => (Moment::Ready, (begins + chance.between(0, 30)).saturating_sub(120)),
        0 => (Moment::Ready, chance.between(0, 60)),
        1 => (Moment::StepEnded(step), chance.between(0, 60)),
        2 | 3 => (Moment::Asked, chance.between(10, 120)),
        _ => (Moment::StepBegan(step), chance.between(0, 400)),
    };
    let nodes = |role: Role, chance: &mut Chance| Whom::Nodes {
        role,
        count: chance.between(1, 5) as usize,
        from: chance.between(0, 9) as usize,
    };
    let whom = match chance.between(0, 11) {
        0..5 => nodes(Role::Task, chance),
        5..8 => nodes(Role::Core, chance),
        8 => nodes(Role::Master, chance),
        9 => Whom::Driver,
        _ => Whom::Chosen(chance.between(1, 2) as usize),
    };
    let what = match chance.between(0, 9) {
        0..4 => What::Experiment(whom),
        4..9 => What::Reclaim(whom),
        _ => What::Terminate(whom),
    };
    kinds.push(match what {
        What::Experiment(_) => "other experiment",
        What::Reclaim(_) => "reclaimed",
        _ => "terminated by a user",
    });
    Deed { after, seconds, what }
}

/// Spot capacity runs out, and comes back or not; or the target is lowered.
fn lack(chance: &mut Chance, step: usize, deeds: &mut Vec<Deed>, kinds: &mut Vec<&'static str>) {
    if chance.percent(45) {
        kinds.push("no capacity");
        let out = Deed {
            after: Moment::StepBegan(step),
            seconds: chance.between(0, 120),
            what: What::Capacity(Some(0)),
        };
        let (after, seconds) = match chance.between(0, 3) {
            0 => (Moment::StepEnded(step), chance.between(0, 200)),
            1 => (Moment::Noticed, chance.between(130, 500)),
            2 => (Moment::StepBegan(step), out.seconds + chance.between(60, 600)),
            _ => (Moment::Reported(step), 0),
        };
        deeds.push(out);
        if chance.percent(75) {
            deeds.push(Deed {
                after,
                seconds,
                what: What::Capacity(None),
            });
        }
    }
    if chance.percent(12) {
        kinds.push("target changed");
        let what = What::Target(chance.between(0, 24));
        deeds.push(Deed {
            after: Moment::StepBegan(step),
            seconds: chance.between(20, 350),
            what,
        });
    }
}

/// Somebody cancels the step, or ends the cluster.
fn ends(
    chance: &mut Chance,
    shape: &Shape,
    step: usize,
    parameters: &BTreeMap<String, String>,
    deeds: &mut Vec<Deed>,
    kinds: &mut Vec<&'static str>,
) {
    if chance.percent(8) {
        kinds.push("cancelled");
        let delay: u32 = parameters["DelaySeconds"].parse().unwrap_or(90);
        let seconds = if chance.percent(60) {
            (delay + 2).saturating_sub(chance.between(2, 14))
        } else {
            chance.between(5, 400)
        };
        deeds.push(Deed {
            after: Moment::StepBegan(step),
            seconds,
            what: What::Cancel(step),
        });
    }
    if shape.transient {
        return;
    }
    let (after, seconds) = match chance.between(0, 9) {
        0 => (Moment::StepBegan(step), chance.between(30, 500)),
        1 | 2 => (Moment::StepEnded(step), chance.between(0, 30)),
        3 => (Moment::Reported(step), chance.between(0, 200)),
        _ => return,
    };
    kinds.push("ended by a user");
    deeds.push(Deed {
        after,
        seconds,
        what: What::EndCluster,
    });
}

/// The experiment is stopped; the lever is engaged; the opt-in is taken back.
fn guards(chance: &mut Chance, deeds: &mut Vec<Deed>, kinds: &mut Vec<&'static str>) {
    let (kind, after, seconds, what) = match chance.between(0, 39) {
        0 => ("alarm before", Moment::Ready, 0, What::Alarm(true)),
        1..4 => (
            "experiment stopped",
            Moment::Asked,
            chance.between(2, 30),
            What::Alarm(true),
        ),
        4 => ("lever", Moment::StepBegan(0), chance.between(1, 120), What::Lever),
        5 => ("opted out", Moment::StepBegan(0), chance.between(1, 120), What::OptOut),
        _ => return,
    };
    kinds.push(kind);
    deeds.push(Deed { after, seconds, what });
}

/// Ends are told again, and the sweep looks: nothing changes by that.
fn told_again(chance: &mut Chance, steps: usize, deeds: &mut Vec<Deed>) {
    for step in 0..steps {
        if chance.percent(50) {
            let seconds = chance.between(0, 900);
            deeds.push(Deed {
                after: Moment::Reported(step),
                seconds,
                what: What::TellEndAgain(step),
            });
        }
    }
    if chance.percent(30) {
        deeds.push(Deed {
            after: Moment::Reported(0),
            seconds: chance.between(60, 900),
            what: What::Sweep,
        });
    }
}
