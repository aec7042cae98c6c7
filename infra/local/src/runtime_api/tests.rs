//! Processes of a shell script that speaks the Runtime API, in a world whose time passes as at pace `leap`.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::TimeDelta;
use serde_json::json;

use super::*;
use crate::fault::Faults;
use crate::functions::Function;
use crate::gate::{Moment, Pace};
use crate::run::TEMPLATE;
use crate::serve::pace;
use crate::world::World;

const ID: &str = "StartExperiment";

/// A function whose process runs this script, and whose timeout is so short.
struct Bench {
    world: World,
    gate: Gate,
    lines: mpsc::UnboundedReceiver<LogLine>,
}

impl Bench {
    fn new(script: &str, timeout_seconds: u64) -> Self {
        let epoch = "2027-01-01T00:00:00Z".parse().unwrap();
        let world = World::new(TEMPLATE, &BTreeMap::new(), 7, epoch, Faults::default()).unwrap();
        let gate = Gate::new(Pace::Leap);
        tokio::spawn(pace::keep(world.clone(), gate.clone(), Moment::now()));
        let (logs, lines) = mpsc::unbounded_channel();
        let surroundings = Surroundings {
            endpoint: "http://127.0.0.1:4566".into(),
            gate: gate.clone(),
            wall_clock: None,
            logs,
        };
        let function = {
            let mut state = world.lock();
            let function = state.template.functions.get_mut(ID).unwrap();
            function.timeout_seconds = timeout_seconds;
            function.environment = BTreeMap::from([("SCRIPT".to_owned(), script.to_owned())]);
            function.clone()
        };
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/runtime_api/tests/bootstrap");
        let binary = Binary::new(path, function, Arc::new(surroundings));
        world.run_functions(BTreeMap::from([(ID.to_owned(), Function::Binary(Box::new(binary)))]));
        Self { world, gate, lines }
    }

    async fn invoke(&self, request_id: &str) -> Result<Value, Value> {
        self.world.invoke(ID, request_id, json!({"id": request_id})).await
    }

    /// The next line that the function wrote.
    async fn line(&mut self) -> String {
        let line = self.lines.recv().await.unwrap();
        assert_eq!(line.group, "/aws/lambda/spot-drill-StartExperiment");
        line.text
    }
}

/// Runs on a clock that leaps, with sockets and processes.
fn on_leaping_clock(test: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().start_paused(true).build().unwrap().block_on(test);
}

/// Its state, a letter, as the kernel has it; `None`: there is no such process.
fn state(process: &str) -> Option<char> {
    let status = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    status.rsplit_once(") ")?.1.chars().next()
}

/// Waits until a process is in this state, for some seconds.
async fn becomes(process: &str, wanted: Option<char>) {
    let begun = Moment::now().real;
    // A process that nobody has asked about yet is a zombie, and gone for all that matters.
    while state(process).filter(|state| *state != 'Z') != wanted {
        assert!(begun.elapsed().as_secs() < 10, "{process} is {:?}", state(process));
        std::thread::sleep(Duration::from_millis(5));
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_process_answers_waits_frozen_and_answers_again() {
    on_leaping_clock(async {
        let script =
            r#"while next; do n=$((n + 1)); respond "{\"process\": \"$$\", \"n\": $n, \"id\": \"$id\"}"; done"#;
        let bench = Bench::new(script, 10);
        let first = bench.invoke("a-1").await.unwrap();
        let process = first["process"].as_str().unwrap().to_owned();
        assert_eq!(first, json!({"process": process, "n": 1, "id": "a-1"}));
        becomes(&process, Some('T')).await;
        let second = bench.invoke("a-2").await.unwrap();
        assert_eq!(second, json!({"process": process, "n": 2, "id": "a-2"}));
        becomes(&process, Some('T')).await;
        drop(bench);
    });
}

#[test]
fn concurrent_invocations_have_processes_of_their_own_which_end_with_the_account() {
    let mut processes = Vec::new();
    on_leaping_clock(async {
        let bench = Bench::new(r#"while next; do sleep 0.2; respond "\"$$\""; done"#, 10);
        let (one, other) = tokio::join!(bench.invoke("b-1"), bench.invoke("b-2"));
        processes = [one, other]
            .map(|answer| answer.unwrap().as_str().unwrap().to_owned())
            .to_vec();
        assert_ne!(processes[0], processes[1]);
        let third = bench.invoke("b-3").await.unwrap();
        assert!(
            processes.iter().any(|process| third == json!(process)),
            "one of them is reused"
        );
    });
    on_leaping_clock(async {
        for process in &processes {
            becomes(process, None).await;
        }
    });
}

#[test]
fn an_error_is_the_functions_own_and_the_process_stays() {
    on_leaping_clock(async {
        let script = r#"while next; do
            ask POST "invocation/$id/error" "{\"errorType\": \"Aws\", \"errorMessage\": \"by $$\"}"; done"#;
        let bench = Bench::new(script, 10);
        let first = bench.invoke("c-1").await.unwrap_err();
        assert_eq!(first["errorType"], "Aws");
        assert_eq!(bench.invoke("c-2").await.unwrap_err(), first);
    });
}

#[test]
fn a_process_that_hangs_is_killed_at_the_timeout_and_the_next_attempt_has_a_new_one() {
    on_leaping_clock(async {
        let mut bench = Bench::new("echo $$; next; exec sleep 1000", 1);
        let begun = Moment::now().real;
        let error = bench.invoke("d-1").await.unwrap_err();
        assert!(begun.elapsed() >= Duration::from_secs(1), "its time is real");
        let message = "d-1 Task timed out after 1.00 seconds";
        assert_eq!(error, json!({"errorType": "Sandbox.Timedout", "errorMessage": message}));
        let process = bench.line().await;
        becomes(&process, None).await;
        assert_eq!(bench.invoke("d-1").await.unwrap_err()["errorType"], "Sandbox.Timedout");
        assert_ne!(bench.line().await, process);
    });
}

#[test]
fn a_process_that_dies_fails_its_invocation_and_the_next_has_a_new_one() {
    on_leaping_clock(async {
        let script = r#"next; [ "$id" = e-1 ] && kill -9 $$; [ "$id" = e-2 ] && exit 3; respond '"alive"'; next"#;
        let bench = Bench::new(script, 10);
        let error = |id: &str, how: &str| {
            let message = format!("RequestId: {id} Error: Runtime exited with error: {how}");
            json!({"errorType": "Runtime.ExitError", "errorMessage": message})
        };
        assert_eq!(bench.invoke("e-1").await, Err(error("e-1", "signal: killed")));
        assert_eq!(bench.invoke("e-2").await, Err(error("e-2", "exit status 3")));
        assert_eq!(bench.invoke("e-3").await, Ok(json!("alive")));
    });
}

#[test]
fn a_process_that_died_while_it_was_frozen_is_not_asked() {
    on_leaping_clock(async {
        let bench = Bench::new(r#"while next; do respond "\"$$\""; done"#, 10);
        let first = bench.invoke("f-1").await.unwrap();
        let id = first.as_str().unwrap().parse().unwrap();
        let process = rustix::process::Pid::from_raw(id).unwrap();
        rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
        becomes(first.as_str().unwrap(), None).await;
        let second = bench.invoke("f-2").await.unwrap();
        assert_ne!(second, first);
    });
}

#[test]
fn an_init_that_fails_is_tried_twice_and_says_why() {
    on_leaping_clock(async {
        let script =
            r#"echo init; ask POST init/error '{"errorType": "Config", "errorMessage": "no TABLE_NAME"}'; exit 1"#;
        let mut bench = Bench::new(script, 10);
        let error = json!({"errorType": "Config", "errorMessage": "no TABLE_NAME"});
        assert_eq!(bench.invoke("g-1").await, Err(error));
        assert_eq!([bench.line().await, bench.line().await], ["init", "init"]);
        let bench = Bench::new("exit 1", 10);
        assert_eq!(bench.invoke("g-2").await.unwrap_err()["errorType"], "Runtime.ExitError");
    });
}

#[test]
fn the_runtime_api_refuses_what_is_out_of_order() {
    on_leaping_clock(async {
        let script = r#"ask POST invocation/h-1/response '{}'; echo "${answer:0:12}"
            next; ask GET invocation/next; echo "${answer:0:12}"
            ask POST invocation/other/response '{}'; echo "${answer:0:12}"
            ask GET invocation/last; echo "${answer:0:12}"
            respond '"done"'; echo "${answer:0:12}"; next"#;
        let mut bench = Bench::new(script, 10);
        assert_eq!(bench.invoke("h-1").await, Ok(json!("done")));
        for status in [403, 403, 400, 404, 202] {
            assert_eq!(bench.line().await, format!("HTTP/1.1 {status}"));
        }
    });
}

#[test]
fn a_process_sees_lambdas_environment_and_nothing_of_ours() {
    on_leaping_clock(async {
        let script = r#"next; respond "{\"name\": \"$AWS_LAMBDA_FUNCTION_NAME\", \"memory\": \"$AWS_LAMBDA_FUNCTION_MEMORY_SIZE\",
            \"home\": \"$HOME\", \"cargo\": \"$CARGO_MANIFEST_DIR\", \"key\": \"$AWS_ACCESS_KEY_ID\", \"deadline\": $deadline}"; next"#;
        let bench = Bench::new(script, 10);
        let begun = bench.world.clock.now();
        let answer = bench.invoke("i-1").await.unwrap();
        let name = "spot-drill-StartExperiment";
        let deadline = (begun + TimeDelta::seconds(10)).timestamp_millis();
        assert_eq!(
            answer,
            json!({"name": name, "memory": "256", "home": "", "cargo": "", "key": name, "deadline": deadline})
        );
    });
}

#[test]
fn time_passes_as_fast_as_the_process_sleeps_and_leaps_when_it_has_answered() {
    on_leaping_clock(async {
        let bench = Bench::new(r#"while next; do sleep 0.5; respond '""'; done"#, 10);
        let (begun, real) = (bench.world.clock.now(), Moment::now().real);
        bench.invoke("j-1").await.unwrap();
        let passed = (bench.world.clock.now() - begun).to_std().unwrap();
        assert!(
            passed >= Duration::from_millis(490) && passed <= real.elapsed(),
            "{passed:?}"
        );
        // As a client waits, for whom an account at rest lets time go.
        let answering = bench.gate.answer();
        let _waiting = answering.wait();
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert!(real.elapsed() < Duration::from_secs(60));
    });
}
