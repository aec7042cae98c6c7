//! Had it hit at another moment: the run played again from its own event log, with the same losses at other moments.
//!
//! Bounded by what is counted, since nobody reads a clock here: the fewer runs, the more tasks the run has.

use report::what_if::{Elsewhen, Part, WhatIf};
use rules::bearing::Bearing;
use rules::cluster::{Instance, Market, Role};
use rules::drill::Drill;
use rules::hit::InterruptionFacts;
use rules::interruption::NOTICE;
use rules::replacement::Replacement;
use spark_log::{SparkRun, same_host};
use what_if::{Answer, Asked, Replaced, Surroundings, Victims, ask};

use crate::event_log::EventLog;

/// Task attempts of a log that are kept for it: 40 bytes each.
pub(crate) const TASKS_MAX: usize = 200_000;

/// Task attempts that are simulated, about: a second of a whole core takes millions.
const ATTEMPTS_MAX: usize = 8_000_000;
/// Simulated runs.
const RUNS: std::ops::RangeInclusive<usize> = 24..=240;

/// A run that, played again as it was, takes so much longer or shorter than its log says tells nothing of other moments.
const OFF_MAX: f64 = 0.15;

/// What of the drill is played again.
pub(crate) struct Drilled<'a> {
    /// The cluster's and the step's ids: the seed.
    pub ids: [&'a str; 2],
    /// The cluster's instances, those that are gone included.
    pub instances: &'a [Instance],
    /// Those that were interrupted around the run.
    pub interruptions: &'a [InterruptionFacts],
}

impl<'a> Drilled<'a> {
    /// Of a drill.
    pub(crate) fn of(drill: &'a Drill, instances: &'a [Instance], interruptions: &'a [InterruptionFacts]) -> Self {
        Self {
            ids: [&drill.cluster_id, &drill.step_id],
            instances,
            interruptions,
        }
    }
}

/// Plays the run's last attempt again; `None` where there is no event log.
pub(crate) fn tell(log: Option<&EventLog>, drilled: &Drilled<'_>) -> Option<WhatIf> {
    let run = log?.runs.last()?;
    if let Some(why) = not_whole(run) {
        return Some(WhatIf::not_said(why));
    }
    let asked = asked(run, drilled);
    let answer = match ask(run, TASKS_MAX, &asked, &|| ()) {
        Ok(answer) => answer,
        Err(why) => return Some(WhatIf::not_said(why.to_string())),
    };
    let off = answer.replayed_seconds / answer.logged_seconds.max(0.001) - 1.0;
    if off.abs() > OFF_MAX {
        return Some(WhatIf::not_said(format!(
            "played again as it was, the run takes {:.0} s where its log says {:.0} s",
            answer.replayed_seconds, answer.logged_seconds
        )));
    }
    Some(WhatIf::Told(Box::new(elsewhen(answer, run, &asked, drilled))))
}

/// Why a log says too little of its run, if it does.
fn not_whole(run: &SparkRun) -> Option<String> {
    let reading = &run.reading;
    if reading.in_progress {
        Some("the event log has no end".to_owned())
    } else if !reading.skipped.is_empty() {
        let skipped: u64 = reading.skipped.values().sum();
        Some(format!("{skipped} places of the event log could not be read"))
    } else if run.task_attempts.len() >= TASKS_MAX {
        Some(format!(
            "the run has {TASKS_MAX} task attempts or more; the program what-if plays it"
        ))
    } else {
        None
    }
}

fn asked(run: &SparkRun, drilled: &Drilled<'_>) -> Asked {
    let counted = || {
        let all = drilled.interruptions.iter();
        all.filter(|one| one.loss.bearing == Bearing::Counts && one.interrupted.role == Some(Role::Task))
    };
    let mut waits: Vec<i64> = counted()
        .filter_map(|one| match one.replacement {
            Replacement::Replaced { seconds_after_loss, .. } => Some(seconds_after_loss.max(0)),
            _ => None,
        })
        .collect();
    waits.sort_unstable();
    let none_came =
        counted().next().is_some() && counted().all(|one| matches!(one.replacement, Replacement::NotReplaced { .. }));
    let replaced = match waits.get(waits.len() / 2) {
        Some(seconds) => Replaced::AfterMs(u32::try_from(seconds * 1_000).unwrap_or(u32::MAX)),
        None if none_came => Replaced::Never,
        None => Replaced::AsLogged,
    };
    let is_spot_task = |host: &str| {
        let instance = drilled
            .instances
            .iter()
            .find(|one| same_host(host, &one.private_dns_name));
        instance.is_none_or(|one| one.role == Some(Role::Task) && one.market == Market::Spot)
    };
    let stays = run.executors.iter().filter(|executor| !is_spot_task(&executor.host));
    let tasks = run.task_attempts.len().max(1);
    Asked {
        runs: (ATTEMPTS_MAX / tasks).clamp(*RUNS.start(), *RUNS.end()) as u32,
        seed: u64::from(seed(drilled.ids)),
        threads: 1,
        victims: Victims::Random((counted().count() as u32).max(1)),
        between_ms: None,
        around: Surroundings {
            notice_ms: NOTICE.num_milliseconds() as u32,
            nodes_that_stay: stays.map(|executor| executor.host.clone()).collect(),
            ..Surroundings::default()
        },
        replaced,
        month: None,
        properties: Vec::new(),
        paces: Vec::new(),
        by_victims: false,
        remedies: false,
    }
}

/// Fowler, Noll and Vo's hash of the ids: <https://datatracker.ietf.org/doc/html/draft-eastlake-fnv>
fn seed(ids: [&str; 2]) -> u32 {
    let bytes = ids.iter().flat_map(|id| id.bytes().chain([b' ']));
    bytes.fold(0x811C_9DC5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

fn elsewhen(answer: Answer, run: &SparkRun, asked: &Asked, drilled: &Drilled<'_>) -> Elsewhen {
    let counts = |one: &&InterruptionFacts| one.loss.bearing == Bearing::Counts;
    let gone = drilled.interruptions.iter().filter(counts);
    let first = gone.filter_map(|one| one.interrupted.terminated_at).min();
    let hit_at_ms = first
        .zip(run.started_at_ms)
        .map(|(at, start)| at.timestamp_millis() - start);
    let part = |part: what_if::Part| Part {
        from_seconds: part.from_seconds,
        to_seconds: part.to_seconds,
        runs: part.runs,
        failed: part.failed,
        added_seconds_p50: part.added_seconds.p50,
        added_seconds_p90: part.added_seconds.p90,
        stage: part.stage,
    };
    Elsewhen {
        runs: answer.question.runs,
        seed: seed(drilled.ids),
        instances: match asked.victims {
            Victims::Random(count) => count,
            _ => 1,
        },
        notice_seconds: answer.question.notice_seconds,
        replaced_after_seconds: answer.question.replaced_after_seconds,
        replaced_as_seen: matches!(asked.replaced, Replaced::AfterMs(_) | Replaced::Never),
        logged_seconds: answer.logged_seconds,
        replayed_seconds: answer.replayed_seconds,
        undisturbed_seconds: answer.undisturbed_seconds,
        hit_at_seconds: hit_at_ms.filter(|ms| *ms >= 0).map(|ms| ms as f64 / 1_000.0),
        failed: answer.result.failed,
        added_seconds_p50: answer.result.added_seconds.p50,
        added_seconds_p90: answer.result.added_seconds.p90,
        parts: answer.curve.into_iter().map(part).collect(),
        assumed: answer.carries.into_iter().chain(answer.assumed).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use spark_log::{Limits, Part, read};

    use super::*;

    /// A real log, as much of it as is given, in percent.
    fn log(percent: usize) -> EventLog {
        let packed: &[u8] = include_bytes!("../../../shared/what-if/tests/data/wordcount.gz");
        let mut text = Vec::new();
        flate2::read::GzDecoder::new(packed).read_to_end(&mut text).unwrap();
        let part = Part {
            name: "app-1".to_owned(),
            bytes: &text[..text.len() * percent / 100],
        };
        let limits = Limits {
            tasks_max: TASKS_MAX,
            ..Limits::default()
        };
        EventLog {
            runs: vec![read(vec![part], &limits)],
            location: String::new(),
        }
    }

    const NOBODY: Drilled<'_> = Drilled {
        ids: ["j-1", "s-1"],
        instances: &[],
        interruptions: &[],
    };

    #[test]
    fn another_moment_is_played_and_the_same_step_has_the_same_numbers() {
        let told = tell(Some(&log(100)), &NOBODY).unwrap();
        assert_eq!(told, tell(Some(&log(100)), &NOBODY).unwrap());
        let WhatIf::Told(told) = told else {
            panic!("nothing is told")
        };
        assert_eq!((told.runs, told.instances, told.replaced_as_seen), (240, 1, false));
        assert!((told.replayed_seconds / told.logged_seconds - 1.0).abs() < 0.05);
        let hit: usize = told.parts.iter().map(|part| part.runs).sum();
        // Others would have come before any executor was there.
        assert!((100..=240).contains(&hit), "{hit}");
        assert!(told.added_seconds_p50 <= told.added_seconds_p90);
        let of_another_step = Drilled {
            ids: ["j-1", "s-2"],
            ..NOBODY
        };
        assert_ne!(tell(Some(&log(100)), &of_another_step), Some(WhatIf::Told(told)));
    }

    #[test]
    fn of_a_log_that_is_not_whole_nothing_is_said_but_why() {
        assert_eq!(tell(None, &NOBODY), None);
        assert_eq!(
            tell(Some(&log(60)), &NOBODY),
            Some(WhatIf::not_said("the event log has no end"))
        );
    }

    #[test]
    fn instances_that_are_not_spot_task_instances_stay() {
        let mut all = log(100);
        let hosts: Vec<String> = all.runs[0]
            .executors
            .iter()
            .map(|executor| executor.host.clone())
            .collect();
        let instance = |host: &String| Instance {
            instance_id: "i-1".into(),
            pool_id: "if-1".into(),
            role: Some(Role::Core),
            instance_type: "r5.xlarge".into(),
            market: Market::Spot,
            state: "RUNNING".into(),
            private_dns_name: host.clone(),
            created_at: None,
            ready_at: None,
            ended_at: None,
            reason: None,
            units: 1,
        };
        let instances: Vec<Instance> = hosts.iter().map(instance).collect();
        let drilled = Drilled {
            instances: &instances,
            ..NOBODY
        };
        let nobody = tell(Some(&all), &drilled);
        assert_eq!(nobody, Some(WhatIf::not_said("no node of this run may be hit")));
        all.runs[0].executors[0].host = "elsewhere".to_owned();
        assert!(matches!(tell(Some(&all), &drilled), Some(WhatIf::Told(_))));
    }
}
