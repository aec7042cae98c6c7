//! What a step runs and whether it waits for it, by the smallest examples.

use super::*;

fn step(jar: &str, args: &[&str]) -> Step {
    Step {
        id: "s-1".into(),
        name: "job".into(),
        state: "RUNNING".into(),
        created_at: None,
        started_at: None,
        ended_at: None,
        jar: jar.into(),
        args: args.iter().map(|&word| word.to_owned()).collect(),
        properties: BTreeMap::new(),
        failure: None,
        log_uri: None,
        application_ids: Vec::new(),
    }
}

#[test]
fn the_workshops_step_is_spark() {
    let step = step(
        "command-runner.jar",
        &[
            "spark-submit",
            "--deploy-mode",
            "cluster",
            "s3://bucket/script.py",
            "s3://bucket/out/",
        ],
    );
    assert_eq!(step.spark_arguments().unwrap()[0], "--deploy-mode");
    assert_eq!(step.output().unwrap().to_string(), "s3://bucket/out/");
    assert_eq!(step.waits_for_application(&BTreeMap::new()), Waits::Yes);
    assert_eq!(step.launch(), Launch::Direct);
}

#[test]
fn a_script_that_speaks_of_spark_is_spark_and_its_status_is_its_own() {
    let runner = "s3://eu-west-1.elasticmapreduce/libs/script-runner/script-runner.jar";
    let script = step(runner, &["s3://bucket/run-spark-job.sh", "7"]);
    assert_eq!(script.launch(), Launch::Wrapped);
    assert_eq!(script.program().as_deref(), Some("s3://bucket/run-spark-job.sh"));
    assert_eq!(script.application_arguments(), ["7"]);
    assert_eq!(script.waits_for_application(&BTreeMap::new()), Waits::Unknown);
    assert_eq!(step(runner, &["s3://bucket/job.sh"]).launch(), Launch::Unknown);
}

#[test]
fn other_steps_are_not_spark_and_are_named_by_what_they_run() {
    for (jar, args, launch, runs) in [
        (
            "command-runner.jar",
            vec!["s3-dist-cp", "--src", "s3://bucket/spark/"],
            Launch::Other,
            "s3-dist-cp",
        ),
        (
            "command-runner.jar",
            vec!["bash", "-c", "echo spark"],
            Launch::Other,
            "echo",
        ),
        (
            "s3://bucket/my.jar",
            vec!["spark-submit"],
            Launch::Unknown,
            "s3://bucket/my.jar",
        ),
        (
            "/usr/lib/hadoop/hadoop-streaming.jar",
            vec![],
            Launch::Other,
            "hadoop-streaming.jar",
        ),
        ("command-runner.jar", vec![], Launch::Unknown, "nothing"),
    ] {
        let step = step(jar, &args);
        assert_eq!((step.launch(), step.runs().as_str()), (launch, runs), "{jar} {args:?}");
        assert_eq!(step.spark_arguments(), None);
    }
    let long = "x".repeat(5_000);
    assert!(step(&long, &[]).runs().chars().count() < 100);
}

#[test]
fn whether_a_step_waits_is_said_by_its_options_and_by_the_clusters_defaults() {
    let waits = |args: &str, defaults: &[(&str, &str)]| {
        let words: Vec<&str> = std::iter::once("spark-submit").chain(args.split('|')).collect();
        let defaults = defaults.iter().map(|&(key, value)| (key.to_owned(), value.to_owned()));
        step("command-runner.jar", &words).waits_for_application(&defaults.collect())
    };
    let (mode, wait) = ("spark.submit.deployMode", "spark.yarn.submit.waitAppCompletion");
    for value in ["false", "False", "FALSE", " false "] {
        let args = format!("--deploy-mode|cluster|--conf|{wait}={value}|x.py");
        assert_eq!(waits(&args, &[]), Waits::No, "{value:?}");
        assert_eq!(
            waits("--deploy-mode=cluster|x.py", &[(wait, value)]),
            Waits::No,
            "{value:?}"
        );
    }
    // The step's own word wins, and in client mode the driver runs inside the step.
    assert_eq!(
        waits(&format!("-c|{wait}=true|x.py"), &[(mode, "cluster"), (wait, "false")]),
        Waits::Yes
    );
    assert_eq!(waits("x.py", &[(mode, "cluster"), (wait, "false")]), Waits::No);
    assert_eq!(waits("x.py", &[(wait, "false")]), Waits::Yes);
    assert_eq!(
        waits("--deploy-mode|client|x.py", &[(mode, "cluster"), (wait, "false")]),
        Waits::Yes
    );
    assert_eq!(
        waits(&format!("--conf|{wait}=no|--deploy-mode|cluster|x.py"), &[]),
        Waits::Unknown
    );
    // The application's own arguments are none of Spark's.
    assert_eq!(
        waits(&format!("--deploy-mode|cluster|x.py|--conf|{wait}=false"), &[]),
        Waits::Yes
    );
    // A file of properties is read instead of the defaults, and nobody here has read it.
    let with_file = |rest: &str| waits(&format!("--properties-file|p.conf|{rest}|x.py"), &[(wait, "true")]);
    assert_eq!(with_file("--verbose"), Waits::Unknown);
    assert_eq!(with_file("--deploy-mode|cluster"), Waits::Unknown);
    assert_eq!(with_file("--deploy-mode|client"), Waits::Yes);
    assert_eq!(with_file(&format!("--conf|{wait}=true")), Waits::Yes);
    assert_eq!(
        with_file(&format!("--deploy-mode|cluster|--conf|{wait}=false")),
        Waits::No
    );
}

#[test]
fn the_last_conf_wins() {
    let step = step(
        "command-runner.jar",
        &["spark-submit", "--conf", "a=1", "--conf=a=2=3", "x.py"],
    );
    assert_eq!(step.spark_conf("a").unwrap(), "2=3");
    assert_eq!(step.spark_conf("b"), None);
    assert!(step.output().is_none());
}

#[test]
fn a_step_is_over_in_each_of_the_states_that_it_never_leaves_and_ending_when_somebody_asked_for_its_end() {
    let in_state = |state: &str| Step {
        state: state.into(),
        ..step("command-runner.jar", &[])
    };
    for state in ["COMPLETED", "FAILED", "CANCELLED", "INTERRUPTED"] {
        assert!(in_state(state).is_over() && !in_state(state).is_ending(), "{state}");
    }
    for state in ["PENDING", "RUNNING", "CANCEL_PENDING"] {
        assert!(!in_state(state).is_over(), "{state}");
        assert_eq!(in_state(state).is_ending(), state == "CANCEL_PENDING");
    }
}

#[test]
fn a_step_ran_from_its_begin_to_its_end_and_completed_if_emr_says_so() {
    let ran = |began: Option<i64>, ended: Option<i64>| {
        let at = |seconds: Option<i64>| seconds.and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        let step = Step {
            started_at: at(began),
            ended_at: at(ended),
            ..step("command-runner.jar", &[])
        };
        step.run_seconds()
    };
    assert_eq!(ran(Some(100), Some(350)), Some(250));
    assert_eq!((ran(None, Some(350)), ran(Some(100), None)), (None, None));
    let completed = |state: &str| {
        let step = Step {
            state: state.into(),
            ..step("command-runner.jar", &[])
        };
        step.has_completed()
    };
    assert!(completed("COMPLETED") && !completed("FAILED") && !completed("RUNNING"));
}

#[test]
fn a_name_is_told_in_sixty_characters_and_on_one_line() {
    let runs = |jar: &str| step(jar, &[]).runs();
    assert_eq!(runs(&"x".repeat(60)), "x".repeat(60));
    assert_eq!(runs(&"x".repeat(61)), format!("{}…", "x".repeat(60)));
    assert_eq!(runs("my\njar"), "my jar");
    assert_eq!(step("command-runner.jar", &["spark-submit", "x.py"]).runs(), "Spark");
}

#[test]
fn the_master_says_where_the_driver_runs_before_the_deploy_mode_does() {
    let waits = |args: &str| {
        let words: Vec<&str> = std::iter::once("spark-submit").chain(args.split(' ')).collect();
        let defaults = [("spark.yarn.submit.waitAppCompletion".to_owned(), "false".to_owned())];
        step("command-runner.jar", &words).waits_for_application(&defaults.into())
    };
    assert_eq!(waits("--master yarn-cluster x.py"), Waits::No);
    assert_eq!(waits("--master yarn-client x.py"), Waits::Yes);
    assert_eq!(waits("--master local[2] --deploy-mode cluster x.py"), Waits::Yes);
    assert_eq!(waits("--master yarn --deploy-mode cluster x.py"), Waits::No);
    assert_eq!(waits("--deploy-mode ${MODE} x.py"), Waits::Unknown);
    assert_eq!(
        waits("--deploy-mode ${MODE} --conf spark.yarn.submit.waitAppCompletion=TRUE x.py"),
        Waits::Yes
    );
}

#[test]
fn the_output_is_the_last_argument_if_that_is_a_folder_in_s3() {
    let output = |last: &str| {
        let step = step("command-runner.jar", &["spark-submit", "x.py", "s3://b-in/", last]);
        step.output().map(|place| place.to_string())
    };
    assert_eq!(output("s3://bucket/out").as_deref(), Some("s3://bucket/out/"));
    assert_eq!(output("s3://bucket/v1.2/out").as_deref(), Some("s3://bucket/v1.2/out/"));
    assert_eq!(output("s3://bucket/v1.2/").as_deref(), Some("s3://bucket/v1.2/"));
    assert_eq!(output("s3://bucket/table.csv"), None);
    assert_eq!(output("7"), None);
}

#[test]
fn all_words_of_a_step_may_name_a_place_its_jar_and_its_properties_too() {
    let mut step = step("s3://code/my.jar", &["a", "b"]);
    step.properties.insert("out".into(), "s3://data/out/".into());
    let words: Vec<&str> = step.words().collect();
    assert_eq!(words, ["s3://code/my.jar", "a", "b", "out", "s3://data/out/"]);
}

#[test]
fn a_script_that_is_known_to_be_something_else_is_not_spark_though_its_words_speak_of_it() {
    let runner = "s3://eu-west-1.elasticmapreduce/libs/script-runner/script-runner.jar";
    let other = step(runner, &["/usr/bin/s3-dist-cp", "--src", "s3://b/spark/"]);
    assert_eq!((other.launch(), other.runs().as_str()), (Launch::Other, "s3-dist-cp"));
    assert_eq!(step(runner, &[]).launch(), Launch::Unknown);
    let spark = step("command-runner.jar", &["spark-submit", "x.py", "1"]);
    assert_eq!(spark.program().as_deref(), Some("x.py"));
    assert_eq!(spark.application_arguments(), ["1"]);
    assert_eq!(step("s3://b/my.jar", &["1"]).application_arguments(), [""; 0]);
}
