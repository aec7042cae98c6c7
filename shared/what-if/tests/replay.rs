//! Real logs played again without any hit take as long as they say.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use spark_log::{Limits, Part, SparkRun, order_parts, read};
use what_if::{Facts, Plan, Simulation, Surroundings, Unfit, rebuild};

const TASKS_MAX: usize = 1 << 20;

fn log(folder: &Path) -> SparkRun {
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap().path();
        if entry.is_dir() {
            return log(&entry);
        }
        names.push(entry.to_string_lossy().into_owned());
    }
    order_parts(&mut names);
    read_parts(names)
}

fn read_parts(names: Vec<String>) -> SparkRun {
    let parts = names.into_iter().map(|name| Part {
        bytes: File::open(&name).unwrap(),
        name,
    });
    let limits = Limits {
        tasks_max: TASKS_MAX,
        ..Limits::default()
    };
    read(parts.collect(), &limits)
}

fn cases() -> Vec<(String, Result<Plan, Unfit>)> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths: Vec<PathBuf> = Vec::new();
    for folder in ["tests/data", "../../tests/data/spark-event-logs"] {
        paths.extend(
            fs::read_dir(tests.join(folder))
                .unwrap()
                .map(|entry| entry.unwrap().path()),
        );
    }
    paths.retain(|path| path.extension().is_none_or(|extension| extension == "gz"));
    paths.sort();
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    let read_one = |path: &Path| {
        if path.is_dir() {
            log(&path.join("log"))
        } else {
            read_parts(vec![path.to_string_lossy().into_owned()])
        }
    };
    paths
        .iter()
        .map(|it| (name(it), rebuild(&read_one(it), TASKS_MAX)))
        .collect()
}

#[test]
fn a_run_played_again_takes_as_long_as_its_log_says() {
    let mut errors = Vec::new();
    for (name, plan) in cases() {
        let plan = match plan {
            Ok(plan) => plan,
            Err(unfit) => {
                eprintln!("{name}: {unfit}");
                continue;
            }
        };
        let facts = Facts::of(&plan);
        let around = Surroundings::default();
        let played_ms = Simulation::new(&plan, &facts, &around).calm_ms();
        let error = f64::from(played_ms) / f64::from(plan.logged_ms) - 1.0;
        eprintln!(
            "{name}: logged {} ms, played {played_ms} ms: {:+.1} %",
            plan.logged_ms,
            error * 100.0
        );
        errors.push(error.abs());
    }
    errors.sort_unstable_by(f64::total_cmp);
    assert!(errors.len() >= 20, "{} logs", errors.len());
    let (median, p95) = (errors[errors.len() / 2], errors[(errors.len() * 95).div_ceil(100) - 1]);
    assert!(median <= 0.05 && p95 <= 0.15, "median {median:.3}, p95 {p95:.3}");
}
