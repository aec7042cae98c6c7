//! How many rows a run wrote, beside a baseline's and an earlier run's, where the deployment may read them.

use local::scenario::DATA_BUCKET;
use local::world::World;
use report::{Output, Report};
use serde_json::json;

use crate::staging::*;

const PARQUET: &[u8] = include_bytes!("../../../shared/rows/tests/data/plain.parquet");
const ORC: &[u8] = include_bytes!("../../../shared/rows/tests/data/zstd.orc");
const ON: (&str, &str) = ("CountRows", "on");
const BASE: &str = "s3://emr-spot-workshop-data/base/";

fn put(world: &World, uri: &str, bytes: &'static [u8]) {
    let now = world.clock.now();
    world.lock().account.s3.put(uri, bytes, now).unwrap();
}

/// The report of the short job, which writes these files besides its own.
async fn reported(world: &World, cluster: &str, files: &[(&str, &'static [u8])]) -> Report {
    let step = run_step(world, cluster, short()).await;
    sleep(20).await;
    for (name, bytes) in files {
        put(world, &format!("{OUT}{name}"), bytes);
    }
    until(world, |state| has_report(state, cluster, &step)).await;
    sleep(60).await;
    report_of(world, cluster, &step)
}

fn output(report: &Report) -> &Output {
    report.output.as_ref().unwrap()
}

#[test]
fn rows_are_counted_by_footers_and_lines_and_compared_with_the_last_undisturbed_run() {
    in_a_world(1, &[ON], no_faults(), async |world| {
        prepare(&world);
        let cluster = cluster_up(&world, small("nightly")).await;
        let plain = reported(&world, &cluster, &[]).await;
        let own = output(&plain).rows.expect("text is counted");
        assert_eq!(output(&plain).rows_undisturbed, None);
        let files = [
            ("part-a.snappy.parquet", PARQUET),
            ("part-b.zstd.orc", ORC),
            ("part-c.csv", &b"a,b\n1,2\n3,4"[..]),
            ("_temporary/part-d.parquet", &b"no data"[..]),
        ];
        let more = reported(&world, &cluster, &files[..3]).await;
        let counted = output(&more);
        assert_eq!(
            counted.rows,
            Some(own + 1_234 + 1_234 + 3),
            "{:?}",
            counted.rows_unknown
        );
        assert_eq!(counted.rows_undisturbed, Some(own));
        // A file of which nothing can be told costs the number, and is named.
        let odd = reported(&world, &cluster, &[("part-e.parquet", b"no Parquet at all")]).await;
        let told = output(&odd);
        assert_eq!(told.rows, None);
        let why = told.rows_unknown.as_deref().unwrap();
        assert!(
            why.contains("part-e.parquet") && why.contains("does not end as Parquet does"),
            "{why}"
        );
    });
}

#[test]
fn other_rows_than_the_baselines_are_a_finding() {
    let priced = [ON, ("BaselinePrefix", BASE), ("UnitHourUsd", "0.021")];
    in_a_world(1, &priced, no_faults(), async |world| {
        prepare(&world);
        put(&world, &format!("{BASE}part-00000.parquet"), PARQUET);
        let mut cluster = small("nightly");
        cluster["Tags"] = json!([{"Key": "spot-drill", "Value": "on"}, {"Key": "spot-drill:output", "Value": OUT}]);
        let cluster = cluster_up(&world, cluster).await;
        let report = reported(&world, &cluster, &[]).await;
        let baseline = output(&report).baseline.as_ref().unwrap();
        assert_eq!(baseline.rows, Some(1_234));
        assert_eq!((report.cost.unit_hour_usd, report.cost.fis_usd), (Some(0.021), 0.0));
        let found = report.findings.iter().find(|finding| finding.id == "output-differs");
        assert!(
            found
                .unwrap()
                .evidence
                .contains("1,234 in s3://emr-spot-workshop-data/base/")
        );
    });
}

#[test]
fn nothing_is_read_of_an_output_unless_the_deployment_says_so() {
    in_a_world(1, &[], no_faults(), async |world| {
        prepare(&world);
        let cluster = cluster_up(&world, small("nightly")).await;
        let report = reported(&world, &cluster, &[("part-a.parquet", PARQUET)]).await;
        assert_eq!((output(&report).rows, &output(&report).rows_unknown), (None, &None));
        let state = world.lock();
        let read = state.account.journal.entries().iter().filter(|entry| {
            entry.subject == "GetObject" && entry.data.to_string().contains(&format!("{DATA_BUCKET}/out/"))
        });
        assert_eq!(read.count(), 0);
    });
}
