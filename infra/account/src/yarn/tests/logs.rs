//! Event logs for an independent judge to read.
//!
//! Separate because it writes files, and so runs only when asked to.

use super::*;

/// Writes the event logs of all kinds of disturbances, and the truth, for Spark's own History Server to read:
/// see `tests/conformance/history_server.py`.
#[test]
#[ignore = "writes files: set EVENT_LOGS to a folder"]
fn event_logs_for_the_history_server() {
    let folder = std::path::PathBuf::from(std::env::var("EVENT_LOGS").unwrap());
    let mut truths = Vec::new();
    let cases: [(&str, i64, &[&str], bool); 11] = [
        ("", 0, &[], false),
        ("", 5, &["i-task-1", "i-task-2", "i-task-3"], false),
        ("", 20, &["i-task-1", "i-task-2", "i-task-3"], true),
        ("", 100, &["i-task-5", "i-task-6"], false),
        ("", 275, &["i-task-5", "i-task-6"], false),
        ("", 20, &[CORE], false),
        ("--conf spark.stage.maxConsecutiveAttempts=1", 100, &["i-task-5"], false),
        (
            "--conf spark.shuffle.service.enabled=false",
            100,
            &["i-task-1", "i-task-4"],
            false,
        ),
        (
            "--conf spark.decommission.enabled=true --conf spark.storage.decommission.enabled=true",
            60,
            &["i-task-1"],
            true,
        ),
        (
            "--conf spark.decommission.enabled=true --conf spark.shuffle.service.enabled=false",
            60,
            &["i-task-1"],
            true,
        ),
        (
            "--conf spark.resourceManager.cleanupExpiredHost=false",
            170,
            &["i-task-1", "i-task-3"],
            true,
        ),
    ];
    let mut runs = Vec::new();
    for (seed, (options, after, victims, notice)) in (20..).zip(cases) {
        let (mut world, _) = workshop_of(seed, &format!("{CLUSTER} {options}"), Workload::workshop());
        world.pass(after);
        world.lose(victims, notice);
        if !victims.is_empty() {
            world.pass(70);
            world.join("i-task-20", true);
        }
        runs.push(world);
    }
    runs.push(workshop_of(40, CLUSTER, Workload::failing()).0);
    runs.push(workshop_of(41, "--conf spark.eventLog.compress=true", Workload::short()).0);
    let rolling = "--conf spark.eventLog.rolling.enabled=true --conf spark.eventLog.compress=true";
    runs.push(workshop_of(42, rolling, Workload::short()).0);
    runs.extend((100..120).map(|seed| lost::random_losses(seed).0));
    for mut world in runs {
        world.finish();
        for (key, bytes) in world
            .objects
            .iter()
            .filter(|(key, _)| key.starts_with("s3://logs/spark/"))
        {
            let path = folder.join(key.trim_start_matches("s3://logs/spark/"));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        truths.push(world.yarn.truth()[0].clone());
    }
    std::fs::write(folder.join("truth.json"), serde_json::to_vec_pretty(&truths).unwrap()).unwrap();
}
