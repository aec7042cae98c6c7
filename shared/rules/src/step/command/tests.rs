//! Which command runs behind those that run it.

use super::*;

fn words(text: &str) -> Vec<String> {
    shell::commands(text, &[]).into_iter().flatten().collect()
}

/// What follows the command of Spark's, and whether its status counts.
fn spark(text: &str) -> (String, bool) {
    match read(&words(text)) {
        Command::Spark(spark) => (spark.words.join(" "), spark.is_direct),
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn spark_is_found_behind_what_hands_on_its_status() {
    for before in [
        "",
        "/usr/bin/",
        "sudo ",
        "sudo -u hadoop ",
        "sudo -E -u hadoop -H ",
        "sudo -uhadoop --preserve-env=A X=1 ",
        "/usr/bin/env ",
        "env -i -u X A=1 B='x y' ",
        "env --unset=X ",
        "nohup ",
        "nice -n 10 ",
        "nice -10 ",
        "nice --adjustment=5 ",
        "time -p ",
        "timeout 3600 ",
        "timeout -k 10 -s KILL --preserve-status 2h ",
        "exec ",
        "sudo -E timeout 1h nice -n 5 env A=1 ",
    ] {
        assert_eq!(
            spark(&format!("{before}spark-submit x.py 1")),
            ("x.py 1".into(), true),
            "{before}"
        );
    }
    assert_eq!(spark("env -S 'A=1 spark-submit x.py' 1"), ("x.py 1".into(), true));
    assert_eq!(
        spark("/usr/lib/spark/bin/spark-class org.apache.spark.deploy.SparkSubmit x.py"),
        ("x.py".into(), true)
    );
}

#[test]
fn a_shells_status_is_its_own() {
    for (text, expected) in [
        ("bash -c 'spark-submit x.py'", "x.py"),
        (
            "bash -lexc 'set -e; spark-submit --conf \"a=b c\" x.py | tee log'",
            "--conf a=b c x.py",
        ),
        ("sh -e -c 'cd /tmp && /usr/bin/spark-submit x.py; echo done'", "x.py"),
        ("bash -euo pipefail -c 'spark-submit x.py'", "x.py"),
        (
            "bash --login -c 'sudo -u hadoop spark-submit x.py > log 2>&1 &'",
            "x.py",
        ),
        ("sudo bash -c \"bash -c 'spark-submit x.py'\"", "x.py"),
        ("sudo su - hadoop -c 'spark-submit x.py'", "x.py"),
        ("bash -c 'spark-submit \"$@\"' me x.py 1", "x.py 1"),
        ("bash -c 'OUT=$(spark-submit x.py)'", "x.py"),
        ("bash /home/hadoop/run-spark.sh 7", "7"),
        ("bash -x s3://b/spark/run.sh", ""),
        ("s3://b/run_spark.sh 1 2", "1 2"),
        ("./run.sh spark-submit x.py", "x.py"),
    ] {
        assert_eq!(spark(text), (expected.into(), false), "{text}");
    }
}

#[test]
fn a_session_ends_well_whatever_its_jobs_did_and_a_file_of_sql_does_not() {
    assert!(!spark("pyspark").1);
    assert!(!spark("spark-shell -i x.scala").1);
    assert!(spark("spark-sql -f s3://b/x.sql").1);
}

#[test]
fn what_is_known_to_be_something_else_is_told_from_what_may_be_anything() {
    for (text, name) in [
        ("s3-dist-cp --src s3://b/spark/ --dest hdfs:///x", "s3-dist-cp"),
        ("hive-script --run-hive-script --args -f s3://b/q.q", "hive-script"),
        ("/usr/bin/hadoop jar spark.jar", "hadoop"),
        ("bash -c 'set -e; aws s3 cp s3://b/spark /tmp && hive -f x.q'", "aws"),
        ("bash -c 'echo spark'", "echo"),
    ] {
        assert_eq!(read(&words(text)), Command::Other(name.into()), "{text}");
    }
    for (text, name) in [
        ("python3 /home/hadoop/job.py", "python3"),
        ("bash -c 'cd /tmp && ./job 7'", "job"),
        ("bash job.sh", "job.sh"),
        ("s3://b/job.sh", "job.sh"),
        ("", "nothing"),
        ("bash", "a shell"),
    ] {
        assert_eq!(read(&words(text)), Command::Unknown(name.into()), "{text}");
    }
}

/// A text in quotes, as a shell takes them off.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[test]
fn shells_in_shells_are_followed_eight_deep() {
    let nested =
        |depth: u32, text: &str| (0..depth).fold(text.to_owned(), |text, _| format!("bash -c {}", quoted(&text)));
    assert_eq!(spark(&nested(8, "spark-submit x.py")), ("x.py".into(), false));
    let read = |text: &str| read(&words(text));
    assert_eq!(read(&nested(9, "spark-submit x.py")), Command::Unknown("bash".into()));
    let su = "su hadoop -c 'spark-submit x.py'";
    assert_eq!(spark(&nested(7, su)), ("x.py".into(), false));
    assert_eq!(read(&nested(8, su)), Command::Unknown("su".into()));
}

#[test]
fn options_of_what_hands_on_a_status_are_none_of_sparks() {
    for before in [
        "sudo -S ",
        "sudo -- ",
        "sudo --user hadoop --chdir /tmp ",
        "sudo -Eu hadoop ",
        "env --chdir /tmp -u X ",
        "env -S 'A=1 nice' ",
        "env '-SA=1 nice' ",
        "ionice -c 2 -n 7 ",
        "ionice --class idle ",
        "stdbuf -oL -e 0 ",
        "stdbuf --output 0 ",
        "time -f %e -o log ",
        "nice ",
        "exec -a name ",
        "command ",
        "setsid --wait ",
        "timeout --signal KILL 1h ",
    ] {
        assert_eq!(
            spark(&format!("{before}spark-submit x.py 1")),
            ("x.py 1".into(), true),
            "{before}"
        );
    }
}

#[test]
fn a_shells_options_are_told_from_its_script_and_from_its_list() {
    for (text, expected) in [
        ("bash --rcfile spark.rc -c 'spark-submit x.py'", "x.py"),
        ("bash --init-file spark.rc -c 'spark-submit x.py'", "x.py"),
        ("bash -O extglob +o posix -c 'spark-submit x.py'", "x.py"),
        ("bash -c -ec 'spark-submit x.py'", "x.py"),
        ("bash -- run-spark.sh 1", "1"),
        ("bash - run-spark.sh 1", "1"),
        ("bash -e -- -c-spark.sh 1", "1"),
        ("runuser -u hadoop --command 'spark-submit x.py'", "x.py"),
        ("script-runner.jar s3://b/run-spark.sh 7", "7"),
        ("S3://B/run_spark 1", "1"),
        ("s3a://b/run_spark 1", "1"),
        ("/home/hadoop/spark.ksh 1", "1"),
        ("/home/hadoop/spark.BASH 1", "1"),
    ] {
        assert_eq!(spark(text), (expected.into(), false), "{text}");
    }
}

#[test]
fn a_file_or_a_text_of_sql_ends_as_its_statements_do() {
    assert!(spark("spark-sql -e 'select 1'").1);
    assert!(!spark("spark-sql --conf a=1").1);
    assert!(spark("spark-example SparkPi 10").1);
}

#[test]
fn what_may_be_anything_weighs_more_in_a_list_than_what_is_known() {
    for (text, name) in [
        ("bash -c 'hive -f x.q; ./job'", "job"),
        ("bash -c './job; hive -f x.q'", "job"),
        ("bash -c './first && ./second'", "first"),
        // A program of one's own is not a script, whatever it is called; a script's name is its owner's.
        ("python3 /home/hadoop/spark_job.py", "python3"),
        ("bash /home/hadoop/hive", "hive"),
        (
            "spark-class org.apache.spark.deploy.history.HistoryServer",
            "spark-class",
        ),
        ("spark-class2", "spark-class2"),
        ("su hadoop", "su"),
        ("sudo", "nothing"),
        ("env -S", "nothing"),
        ("bash -c ''", "a shell"),
    ] {
        assert_eq!(read(&words(text)), Command::Unknown(name.into()), "{text}");
    }
    assert_eq!(
        read(&words("bash -c 'hive -f x.q; echo done'")),
        Command::Other("hive".into())
    );
}
