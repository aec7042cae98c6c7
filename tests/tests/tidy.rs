//! The conventions as a test: sizes, names, and a README whose layout is the one that is there.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file that is longer is probably two of something.
const LINES_MAX: usize = 450;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests lies in the repository")
        .to_path_buf()
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            rust_files(&path, found);
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
}

fn all_rust_files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["functions", "shared", "infra", "tests"] {
        rust_files(&root().join(folder), &mut found);
    }
    found.sort();
    assert!(found.len() > 50, "the sources are found");
    found
}

#[test]
fn no_file_is_too_long_and_each_says_what_it_is() {
    for path in all_rust_files() {
        let text = std::fs::read_to_string(&path).unwrap();
        let lines = text.lines().count();
        assert!(
            lines <= LINES_MAX,
            "{} has {lines} lines; is it one noun?",
            path.display()
        );
        let begins = text.starts_with("//!") || text.starts_with("#![");
        assert!(begins, "{} does not say what it is in its first line", path.display());
    }
}

#[test]
fn no_file_has_a_name_that_says_nothing() {
    for path in all_rust_files() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        for bad in ["mod.rs", "utils.rs", "util.rs", "helpers.rs", "common.rs", "misc.rs"] {
            assert_ne!(name, bad, "{}", path.display());
        }
    }
}

/// The crates that this one is built of besides itself, its own and others', without those of tests.
fn crates_under(package: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "--edges", "normal", "--prefix", "none"])
        .args(["--format", "{p}", "--package", package])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let names = lines.lines().filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != package).map(str::to_owned).collect()
}

#[test]
fn the_crates_arrows_run_one_way() {
    /// Each crate, and which of our own it may stand on.
    const CRATES: [(&str, &[&str]); 13] = [
        ("account", &["spark-rules"]),
        ("spark-log", &[]),
        ("spark-rules", &[]),
        ("what-if", &["rules", "spark-log", "spark-rules"]),
        ("rules", &["spark-log"]),
        ("report", &["rules", "spark-log"]),
        ("rows", &[]),
        ("aws", &["rules", "spark-log"]),
        ("submit-step", &["aws", "rules", "spark-log"]),
        ("start-experiment", &["aws", "rules", "spark-log"]),
        ("record-interruption", &["aws", "rules", "spark-log"]),
        (
            "write-report",
            &["aws", "report", "rows", "rules", "spark-log", "spark-rules", "what-if"],
        ),
        (
            "local",
            &[
                "account",
                "aws",
                "record-interruption",
                "report",
                "rows",
                "rules",
                "spark-log",
                "spark-rules",
                "start-experiment",
                "submit-step",
                "what-if",
                "write-report",
            ],
        ),
    ];
    let ours: BTreeSet<&str> = CRATES.iter().map(|(name, _)| *name).collect();
    for (name, allowed) in CRATES {
        let under = crates_under(name);
        let stands_on: Vec<&str> = under
            .iter()
            .map(String::as_str)
            .filter(|it| ours.contains(it))
            .collect();
        assert_eq!(stands_on, allowed, "{name}");
    }
}

#[test]
fn the_pure_crates_reach_no_runtime_and_no_sdk() {
    for name in ["account", "spark-log", "rules", "report", "what-if"] {
        let under = crates_under(name);
        assert!(under.contains("serde"), "the crates under {name} are found");
        // s3s is built on the types of hyper and tokio, and runs nothing by itself.
        let impure = match name {
            "account" => vec!["lambda_runtime"],
            _ => vec!["tokio", "hyper", "mio", "lambda_runtime"],
        };
        let found: Vec<&String> = under
            .iter()
            .filter(|it| impure.contains(&it.as_str()) || it.starts_with("aws-"))
            .collect();
        assert!(found.is_empty(), "{name} reaches {found:?}");
    }
}

#[test]
fn the_readmes_layout_is_the_one_that_is_there() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let layout = readme.split("## Layout").nth(1).expect("the README has a layout");
    let tree = layout.split("```").nth(1).expect("as a tree");
    let mut folders: Vec<String> = Vec::new();
    let mut seen = 0;
    for line in tree.lines().skip(1).filter(|line| !line.trim().is_empty()) {
        let depth = (line.len() - line.trim_start().len()) / 2;
        for name in line.split_whitespace().take(1) {
            folders.truncate(depth);
            folders.push(name.trim_end_matches('/').to_owned());
            let path = root().join(folders.join("/"));
            assert!(
                path.exists(),
                "the README's layout names {}, which is not there",
                path.display()
            );
            seen += 1;
        }
    }
    assert!(seen > 15, "the tree names {seen} places");
}
