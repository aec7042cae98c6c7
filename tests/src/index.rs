//! The index of all reports, held against the reports that lie beside it.

use local::world::State;

/// The address of the index.
fn place(state: &State) -> String {
    format!("s3://{}/reports/index.html", state.template.buckets["ReportBucket"])
}

/// The index as it lies there.
pub fn page(state: &State) -> Option<String> {
    let object = state.account.s3.get(&place(state)).ok()?;
    String::from_utf8(object.bytes.to_vec()).ok()
}

/// Where a step's page lies, seen from the index.
pub fn href(cluster_id: &str, step_id: &str) -> String {
    format!("./{cluster_id}/{step_id}/report.html")
}

/// Reports that the index does not lead to.
pub(crate) fn wrongs(state: &State) -> Vec<String> {
    let page = page(state).unwrap_or_default();
    let mut wrongs = Vec::new();
    for cluster in state.account.emr.clusters() {
        for step in &cluster.steps {
            let href = href(&cluster.id, &step.id);
            let report = format!(
                "s3://{}/reports/{}",
                state.template.buckets["ReportBucket"],
                href.trim_start_matches("./")
            );
            if state.account.s3.get(&report).is_ok() && !page.contains(&format!("href=\"{href}\"")) {
                wrongs.push(format!("index: {href} is not on it"));
            }
        }
    }
    wrongs
}
