//! What a log means, by the smallest logs that decide it.

use super::*;
use crate::warmth::tests::task;

#[test]
fn of_a_partitions_attempts_the_first_counts_but_a_copy_only_where_it_ended_first() {
    // When each was launched and whether it is a copy, in the order of their ends.
    for (attempts, counts) in [
        ([(0, false), (5, false)], 0),
        ([(5, false), (0, false)], 1),
        ([(5, false), (5, false)], 0),
        ([(5, true), (0, false)], 0),
        ([(0, false), (5, true)], 0),
    ] {
        let tasks = attempts.map(|(launched_at_ms, speculative)| TaskAttempt {
            partition: 7,
            speculative,
            ..task(1, launched_at_ms, 100)
        });
        let tasks: Vec<&TaskAttempt> = tasks.iter().collect();
        assert_eq!(first_successes(&tasks), BTreeMap::from([(7, counts)]), "{attempts:?}");
    }
}

#[test]
fn a_stage_of_an_rdd_that_was_computed_before_is_the_same_if_it_ran_in_part_or_not_at_all() {
    use StageStatus::{Complete, Skipped};
    // Of which RDD the second is, whether its job ends with it, how many of four tasks it ran, and how it ended.
    for ((rdd_id, is_last, ran, status), stages) in [
        ((Some(5), false, 0, Skipped), 1),
        ((Some(5), false, 3, Complete), 1),
        ((Some(5), false, 4, Skipped), 1),
        ((Some(5), true, 4, Skipped), 1),
        // It was computed once more, or only as far as its job's result needs it.
        ((Some(5), false, 4, Complete), 2),
        ((Some(5), true, 3, Complete), 2),
        ((Some(6), false, 3, Complete), 2),
        ((None, false, 3, Complete), 2),
    ] {
        let stage = |stage_id, rdd_id, status| StageAttempt {
            stage_id,
            rdd_id,
            status,
            ..StageAttempt::default()
        };
        let job = |job_id, stage_ids: &[i64]| spark_log::Job {
            job_id,
            stage_ids: stage_ids.to_vec(),
            ..spark_log::Job::default()
        };
        let of = |stage_id, count| {
            (0..count).map(move |partition| TaskAttempt {
                stage_id,
                partition,
                ..task(1, 1_000, 100)
            })
        };
        let run = SparkRun {
            jobs: vec![job(0, &[0]), job(1, if is_last { &[2] } else { &[2, 3] })],
            stages: vec![stage(0, Some(5), Complete), stage(2, rdd_id, status)],
            task_attempts: of(0, 4).chain(of(2, ran)).collect(),
            ..SparkRun::default()
        };
        let plan = rebuild(&run, 100).unwrap();
        assert_eq!(plan.stages.len(), stages, "{rdd_id:?}, {is_last}, {ran}, {status:?}");
    }
}

#[test]
fn more_tasks_than_can_be_held_and_a_run_of_more_than_24_days_are_refused() {
    const LONGEST_MS: i64 = 1 << 31;
    for (tasks_max, lasts_ms, is_played) in [
        (3, 60_000, true),
        (2, 60_000, false),
        (3, LONGEST_MS - 1, true),
        (3, LONGEST_MS, false),
    ] {
        let run = SparkRun {
            started_at_ms: Some(1_000),
            ended_at_ms: Some(1_000 + lasts_ms),
            task_attempts: vec![task(1, 1_000, 100), task(1, 2_000, 100)],
            ..SparkRun::default()
        };
        let plan = rebuild(&run, tasks_max);
        assert_eq!(plan.is_ok(), is_played, "{tasks_max}, {lasts_ms}: {plan:?}");
    }
}

#[test]
fn tasks_read_for_as_long_as_they_waited_and_fifty_megabytes_take_a_second_and_at_most_two_fifths_of_their_time() {
    // Of each task: how long it took, how long it waited, and what it read.
    for (tasks, reads_ms) in [
        (&[(10_000, 300, 0)][..], 300),
        (&[(10_000, 300, 50_000)], 1_300),
        (&[(1_000, 300, 50_000)], 400),
        (&[(10_000, 900, 0), (10_000, 100, 0), (10_000, 200, 0)], 200),
        (&[], 0),
    ] {
        let tasks: Vec<TaskAttempt> = tasks
            .iter()
            .map(|(duration_ms, fetch_wait_ms, remote_read_kib)| TaskAttempt {
                fetch_wait_ms: *fetch_wait_ms,
                remote_read_kib: *remote_read_kib,
                ..task(1, 0, *duration_ms)
            })
            .collect();
        assert_eq!(
            super::reads_ms(&tasks.iter().collect::<Vec<_>>()),
            reads_ms,
            "{tasks:?}"
        );
    }
}

#[test]
fn a_log_of_local_mode_has_one_executor_on_the_drivers_node() {
    for (driver_host, node) in [(Some("here"), "here"), (None, "driver")] {
        let run = SparkRun {
            started_at_ms: Some(1_000),
            driver_host: driver_host.map(str::to_owned),
            task_attempts: vec![task(u32::MAX, 1_500, 5_000), task(u32::MAX, 2_000, 5_000)],
            ..SparkRun::default()
        };
        let plan = rebuild(&run, 10).unwrap();
        assert_eq!(plan.nodes, [node]);
        let at_once = Anchor {
            jobs_ended: 0,
            then_ms: 0,
        };
        let executor = crate::Executor {
            id: u32::MAX,
            node: 0,
            slots: 2,
            comes: at_once,
            ends: None,
            silent_from: None,
        };
        assert_eq!(plan.executors, [executor]);
        assert!(
            plan.assumed
                .iter()
                .any(|words| words.starts_with("The log is of local mode"))
        );
    }
}
