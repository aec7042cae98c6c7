//! Small plans that can be reckoned by hand.

use what_if::{Anchor, Executor, Job, Pace, Plan, Stage, Surroundings};

pub const AT_ONCE: Anchor = Anchor {
    jobs_ended: 0,
    then_ms: 0,
};

/// Properties of Spark by their defaults, or as they are given.
pub fn rules(properties: &[(&str, &'static str)]) -> spark_rules::Rules {
    spark_rules::Rules::of(|key| {
        properties
            .iter()
            .find(|(name, _)| *name == key)
            .map(|(_, value)| *value)
    })
}

pub fn stage(id: i64, tasks: usize, task_ms: u32, parents: &[usize], is_map: bool) -> Stage {
    Stage {
        id,
        name: format!("stage {id}"),
        durations_ms: vec![task_ms; tasks],
        firsts: vec![false; tasks],
        first_ms: 0,
        fresh_ms: 0,
        parents: parents.to_vec(),
        is_map,
        reads_ms: 0,
        lead_ms: 0,
        tail_ms: 0,
        gap_ms: 0,
    }
}

/// Four map tasks of ten seconds and four reduce tasks of ten, on four nodes of one core: twenty seconds.
pub fn two_stages(properties: &[(&str, &'static str)]) -> Plan {
    let executor = |node: u32| Executor {
        id: node,
        node,
        slots: 1,
        comes: AT_ONCE,
        ends: None,
        silent_from: None,
    };
    Plan {
        logged_ms: 20_000,
        jobs: vec![Job {
            id: 0,
            starts: AT_ONCE,
            rank: 0,
            targets: vec![1],
            tail_ms: 0,
        }],
        stages: vec![stage(0, 4, 10_000, &[], true), stage(1, 4, 10_000, &[0], false)],
        executors: (0..4).map(executor).collect(),
        nodes: (0..4).map(|node| format!("node-{node}")).collect(),
        driver_node: None,
        driver_in_cluster: false,
        driver_attempts_max: 2,
        rules: rules(properties),
        pace: Pace::default(),
        tail_ms: 0,
        replaced_after_ms: None,
        assumed: Vec::new(),
    }
}

pub fn around() -> Surroundings {
    Surroundings {
        notice_ms: 0,
        replaced_after_ms: None,
        ..Surroundings::default()
    }
}
