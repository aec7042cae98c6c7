//! How many tasks are simulated in a second: `cargo bench --workspace --bench what_if`.
//!
//! A job of 100,000 tasks in four stages on 100 executors of four cores loses three nodes at a moment that differs from
//! run to run; the rate is over all task attempts that began, on as many threads as there are cores.

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher};
use what_if::{
    Anchor, Disturbance, Executor, Experiment, Facts, Job, Pace, Plan, Simulation, Stage, Surroundings, Victims,
};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

const AT_ONCE: Anchor = Anchor {
    jobs_ended: 0,
    then_ms: 0,
};

fn plan() -> Plan {
    let stage = |id: u32| Stage {
        id: i64::from(id),
        name: format!("stage {id}"),
        durations_ms: (0..25_000_u32)
            .map(|task| 1_500 + task.wrapping_mul(2_654_435_761) % 1_000)
            .collect(),
        firsts: (0..25_000_u32).map(|task| task < 400).collect(),
        first_ms: 300,
        fresh_ms: 500,
        parents: if id == 0 { Vec::new() } else { vec![id as usize - 1] },
        is_map: id < 3,
        reads_ms: 200,
        lead_ms: 20,
        tail_ms: 10,
        gap_ms: 2,
    };
    let executor = |id: u32| Executor {
        id,
        node: id / 2,
        slots: 4,
        comes: AT_ONCE,
        ends: None,
        silent_from: None,
    };
    Plan {
        logged_ms: 0,
        jobs: vec![Job {
            id: 0,
            starts: AT_ONCE,
            rank: 0,
            targets: vec![3],
            tail_ms: 5,
        }],
        stages: (0..4).map(stage).collect(),
        executors: (0..100).map(executor).collect(),
        nodes: (0..50).map(|node| format!("node-{node}")).collect(),
        driver_node: None,
        driver_in_cluster: false,
        driver_attempts_max: 2,
        rules: spark_rules::Rules::of(|_| None),
        pace: Pace::default(),
        tail_ms: 5,
        replaced_after_ms: None,
        assumed: Vec::new(),
    }
}

#[divan::bench(args = [1, 2], sample_count = 5, sample_size = 1)]
fn tasks_simulated(bencher: Bencher<'_, '_>, threads: usize) {
    let plan = plan();
    let around = Surroundings::default();
    let calm_ms = Simulation::new(&plan, &Facts::of(&plan), &around).calm_ms();
    let experiment = Experiment {
        runs: 40,
        seed: 1,
        threads,
        disturbance: Disturbance::Swept {
            from_ms: 0,
            to_ms: calm_ms,
            victims: Victims::Random(3),
        },
    };
    let runs = experiment.play(&plan, &around, &|| ());
    let tasks: u64 = runs.iter().map(|run| u64::from(run.outcome.tasks)).sum();
    bencher
        .counter(ItemsCount::new(tasks))
        .bench_local(|| experiment.play(&plan, &around, &|| ()));
}
