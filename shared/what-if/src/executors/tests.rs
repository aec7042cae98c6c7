//! What a log says of its executors, by the smallest logs that say it.

use super::*;
use crate::warmth::tests::task;

#[test]
fn an_executor_of_whose_coming_the_log_does_not_tell_comes_with_its_first_task() {
    let run = SparkRun {
        started_at_ms: Some(1_000),
        ended_at_ms: Some(60_000),
        executors: vec![spark_log::Executor {
            id: "1".to_owned(),
            host: "node-1".to_owned(),
            cores: 1,
            ..spark_log::Executor::default()
        }],
        task_attempts: vec![task(1, 9_000, 500), task(1, 6_000, 4_000)],
        ..SparkRun::default()
    };
    let plan = crate::rebuild(&run, 10).unwrap();
    let five_seconds_after_the_start = Anchor {
        jobs_ended: 0,
        then_ms: 5_000,
    };
    assert_eq!(plan.executors[0].comes, five_seconds_after_the_start);
}

#[test]
fn the_gap_is_from_an_end_after_the_stages_first_launch_to_the_next_launch_on_that_executor() {
    // The stage begins at 1 s on another executor. When a task ended on this one, when the next was launched there.
    for (ended_at_ms, launched_at_ms, gap_ms) in [
        (1_001, 1_500, 499),
        // It was free when the stage began: that it waited is not its gap.
        (1_000, 1_500, 0),
        (900, 1_500, 0),
        // Its end was stamped a little late.
        (1_510, 1_500, -10),
        // It is one of those with which the stage began.
        (1_010, 1_000, 0),
    ] {
        let first = task(1, 1_000, 5_000);
        let (before, next) = (task(2, 0, ended_at_ms), task(2, launched_at_ms, 5_000));
        let run = SparkRun {
            task_attempts: vec![before, first, next],
            ..SparkRun::default()
        };
        let found_ms = Busy::of(&run).gap_ms(&[&first, &next], 1_000);
        assert_eq!(found_ms, gap_ms, "from {ended_at_ms} to {launched_at_ms}");
    }
}

/// One with this many cores, that came and was removed then.
fn executor(id: u32, cores: i64, added_at_ms: i64, removed: Option<&(i64, Removal)>) -> spark_log::Executor {
    spark_log::Executor {
        id: id.to_string(),
        host: format!("node-{id}"),
        cores,
        added_at_ms: Some(added_at_ms),
        removed_at_ms: removed.map(|(at_ms, _)| *at_ms),
        removal: removed.map(|(_, removal)| removal.clone()),
        ..spark_log::Executor::default()
    }
}

#[test]
fn an_executor_runs_as_many_tasks_at_once_as_its_cores_suffice_for_or_as_it_did() {
    for (cores, task_cpus, slots) in [
        (5, "2", 2),
        (4, "1", 4),
        // Neither is what it ran by: two at once, of three.
        (1, "2", 2),
        (-1, "1", 2),
        (3, "0", 3),
    ] {
        let run = SparkRun {
            settings: [("spark.task.cpus".to_owned(), task_cpus.to_owned())].into(),
            executors: vec![executor(1, cores, 500, None)],
            task_attempts: vec![task(1, 1_000, 5_000), task(1, 2_000, 1_000), task(1, 3_000, 500)],
            ..SparkRun::default()
        };
        let plan = crate::rebuild(&run, 10).unwrap();
        assert_eq!(plan.executors[0].slots, slots, "{cores} for {task_cpus}");
    }
}

#[test]
fn an_executor_that_was_removed_in_the_last_two_seconds_went_with_the_application() {
    for (removed_at_ms, ends) in [
        (57_999, Some((57_499, End::LostWithNode))),
        (58_000, None),
        (59_000, None),
    ] {
        let run = SparkRun {
            started_at_ms: Some(500),
            ended_at_ms: Some(60_000),
            executors: vec![executor(1, 1, 500, Some(&(removed_at_ms, Removal::WorkerLost)))],
            task_attempts: vec![task(1, 1_000, 5_000)],
            ..SparkRun::default()
        };
        let plan = crate::rebuild(&run, 10).unwrap();
        let found = plan.executors[0].ends.map(|(at, end)| (at.then_ms, end));
        assert_eq!(found, ends, "{removed_at_ms}");
    }
}

#[test]
fn a_replacement_takes_as_long_as_from_a_loss_to_the_next_that_came() {
    use Removal::{KilledByDriver, ProcessLost, WorkerLost};
    // What was removed when, and when others came.
    for (removed, added, after_ms) in [
        (&[(10_000, WorkerLost)][..], &[5_000, 30_000, 40_000][..], Some(20_000)),
        (&[(10_000, WorkerLost)], &[10_000, 30_000], Some(20_000)),
        (&[(10_000, KilledByDriver)], &[30_000], None),
        (&[(10_000, WorkerLost)], &[5_000], None),
        // Each that comes replaces one; of two times the longer is in the middle.
        (
            &[(10_000, WorkerLost), (11_000, ProcessLost)],
            &[30_000, 40_000],
            Some(29_000),
        ),
        (
            &[(10_000, WorkerLost), (11_000, WorkerLost), (12_000, WorkerLost)],
            &[13_000, 14_000, 90_000],
            Some(3_000),
        ),
        (&[], &[30_000], None),
    ] {
        let gone = removed.iter().map(|removed| executor(1, 1, 0, Some(removed)));
        let came = added.iter().map(|at_ms| executor(2, 1, *at_ms, None));
        let run = SparkRun {
            executors: gone.chain(came).collect(),
            ..SparkRun::default()
        };
        assert_eq!(replaced_after_ms(&run), after_ms, "{removed:?}, {added:?}");
    }
}

#[test]
fn all_cores_are_full_if_as_many_tasks_run_as_there_are_cores_at_that_moment() {
    let run = SparkRun {
        executors: vec![
            executor(1, 1, 1_000, Some(&(12_000, Removal::KilledByDriver))),
            executor(2, 2, 5_000, None),
        ],
        task_attempts: vec![
            task(1, 2_000, 2_000),
            task(2, 6_000, 9_000),
            task(2, 7_000, 8_000),
            task(1, 8_000, 1_000),
        ],
        ..SparkRun::default()
    };
    let busy = Busy::of(&run);
    for (at_ms, is_full) in [
        // Nothing is there; nothing is to be done; the first task begins, and ends.
        (500, false),
        (1_999, false),
        (2_000, true),
        (3_999, true),
        (4_000, false),
        // Of three cores two and then all have a task.
        (7_000, false),
        (8_000, true),
        (9_000, false),
        // One core has gone.
        (11_999, false),
        (12_000, true),
        (15_000, false),
    ] {
        assert_eq!(busy.is_full(at_ms), is_full, "{at_ms}");
    }
    let came = SparkRun {
        executors: vec![executor(1, 2, 1_000, None)],
        task_attempts: vec![task(1, 1_000, 2_000)],
        ..SparkRun::default()
    };
    assert!(!Busy::of(&came).is_full(1_000), "it came with both of its cores");
}

#[test]
fn how_an_executor_ended_is_what_its_removal_says_and_who_was_taken_fell_silent_with_its_last_task() {
    use Removal::{Decommissioned, HeartbeatTimeout, KilledByDriver, Preempted, WorkerLost};
    // One task ends by itself at 6 s, or at the last moment, and one is lost then.
    for (removal, ended_at_ms, end, silent_from_ms) in [
        (WorkerLost, Some(6_000), End::LostWithNode, Some(6_000)),
        (WorkerLost, Some(20_000), End::LostWithNode, Some(20_000)),
        (HeartbeatTimeout, None, End::LostWithNode, Some(2_000)),
        (Preempted, Some(6_000), End::Lost, Some(6_000)),
        (Decommissioned, Some(6_000), End::Left, Some(6_000)),
        (KilledByDriver, Some(6_000), End::Released, None),
    ] {
        let lost = TaskAttempt {
            lost: true,
            succeeded: false,
            ..task(1, 5_000, 15_000)
        };
        let ended = ended_at_ms.map(|at_ms| task(1, 3_000, at_ms - 3_000));
        let run = SparkRun {
            started_at_ms: Some(0),
            ended_at_ms: Some(60_000),
            executors: vec![executor(1, 2, 2_000, Some(&(20_000, removal.clone())))],
            task_attempts: ended.into_iter().chain([lost]).collect(),
            ..SparkRun::default()
        };
        let plan = crate::rebuild(&run, 10).unwrap();
        let at = |then_ms| Anchor { jobs_ended: 0, then_ms };
        let found = &plan.executors[0];
        assert_eq!(found.ends, Some((at(20_000), end)), "{removal:?}");
        assert_eq!(
            found.silent_from,
            silent_from_ms.map(at),
            "{removal:?}, {ended_at_ms:?}"
        );
    }
}

#[test]
fn a_task_that_is_launched_a_little_before_anothers_end_has_its_core() {
    // How long the first takes from 1 s on, and when the next is launched.
    for (duration_ms, launched_at_ms, slots) in [
        (5_000, 5_900, 1),
        (5_000, 5_899, 2),
        // Half of its time at most.
        (100, 1_050, 1),
        (100, 1_049, 2),
    ] {
        let run = SparkRun {
            task_attempts: vec![task(1, 1_000, duration_ms), task(1, launched_at_ms, 500)],
            ..SparkRun::default()
        };
        assert_eq!(Busy::of(&run).at_once(1), slots, "{duration_ms}, {launched_at_ms}");
    }
}
