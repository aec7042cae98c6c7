//! Temporary.
#[test]
fn speed() {
    let scenario = local::scenario::Scenario::find("short-job").unwrap();
    let began = std::time::Instant::now();
    for seed in 0..20 {
        tests::in_a_world(seed, local::fault::Faults::default(), async |_| {});
    }
    println!("a world: {:.1} ms", 1000.0 * began.elapsed().as_secs_f64() / 20.0);
    for name in ["short-job"; 12] {
        let scenario = local::scenario::Scenario::find(name).unwrap();
        let run = local::run::run(scenario, &scenario.settings(), 1, |_| {}).unwrap();
        let state = run.world.lock();
        let mut kinds = std::collections::BTreeMap::<String, usize>::new();
        for entry in state.account.journal.entries() {
            *kinds
                .entry(format!(
                    "{:?} {}",
                    entry.kind,
                    if format!("{:?}", entry.kind) == "Call" {
                        entry.subject.clone()
                    } else {
                        entry.source.clone()
                    }
                ))
                .or_default() += 1;
        }
        let _ = kinds;
    }
    let _ = scenario;
}
