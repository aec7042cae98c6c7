//! The account over a real socket, whose client is a thread with a clock of its own.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;

use super::*;

/// Serves the workshop's account at this pace, and runs the client beside it with the port and the cluster's id.
fn serve(pace: Pace, client: impl FnOnce(u16, String) + Send + 'static) {
    runtime().unwrap().block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let scenario = Scenario::find("workshop").unwrap();
        let settings = scenario.settings();
        let epoch = "2026-11-20T14:00:00Z".parse().unwrap();
        let deployment = Deployment {
            scenario,
            settings: &settings,
            parameters: scenario.parameters(&settings),
            seed: 7,
        };
        let world = begin(&deployment, epoch).await.unwrap();
        let cluster = start_cluster(&world, scenario, &settings, false).await.unwrap();
        let gate = Gate::new(pace);
        tokio::spawn(pace::keep(world.clone(), gate.clone(), Moment::now()));
        let spark = Some("Apache Spark 9.9".to_owned());
        tokio::spawn(Server::new(world, gate, spark).run(listener));
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || {
            client(port, cluster);
            sender.send(()).ok();
        });
        receiver.await.expect("the client's assertions hold");
        thread.join().unwrap();
    });
}

/// Sends bytes, and reads until the server closes.
fn send(port: u16, request: &str) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

fn ask(port: u16, method: &str, path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: local\r\nconnection: close\r\ncontent-length: {length}\r\n");
    send(port, &format!("{head}{headers}\r\n{body}"))
}

fn emr(port: u16, operation: &str, body: &str) -> String {
    ask(
        port,
        "POST",
        "/",
        &format!("x-amz-target: ElasticMapReduce.{operation}\r\n"),
        body,
    )
}

fn now(port: u16) -> Time {
    let answer = ask(port, "GET", "/-/now", "", "");
    answer.trim_end().rsplit("\r\n").next().unwrap().parse().unwrap()
}

#[test]
fn held_time_passes_only_while_a_client_waits() {
    serve(Pace::Held, |port, cluster| {
        let first = now(port);
        assert!(emr(port, "DescribeCluster", &format!("{{\"ClusterId\":\"{cluster}\"}}")).contains("WAITING"));
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(now(port), first);
        assert!(ask(port, "POST", "/-/sleep?seconds=90", "", "").starts_with("HTTP/1.1 200"));
        assert_eq!(now(port) - first, chrono::TimeDelta::seconds(90));
    });
}

#[test]
fn leaping_time_comes_to_rest_and_is_woken_by_a_step() {
    serve(Pace::Leap, |port, cluster| {
        let settled = |port| {
            let mut last = now(port);
            for _ in 0..100 {
                std::thread::sleep(Duration::from_millis(100));
                let next = now(port);
                if next == last {
                    return last;
                }
                last = next;
            }
            panic!("time does not come to rest");
        };
        let first = settled(port);
        let step =
            r#"{"Name":"s","ActionOnFailure":"CONTINUE","HadoopJarStep":{"Jar":"command-runner.jar","Args":["true"]}}"#;
        let added = emr(
            port,
            "AddJobFlowSteps",
            &format!("{{\"JobFlowId\":\"{cluster}\",\"Steps\":[{step}]}}"),
        );
        assert!(added.contains("StepIds"), "{added}");
        assert!(settled(port) > first);
        assert!(emr(port, "ListSteps", &format!("{{\"ClusterId\":\"{cluster}\"}}")).contains("COMPLETED"));
    });
}

#[test]
fn what_is_no_request_of_awss_is_answered_and_ends_nothing() {
    serve(Pace::Held, |port, _| {
        let starts =
            |answer: String, status: &str| assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        starts(ask(port, "GET", "/", "", ""), "200");
        starts(ask(port, "POST", "/-/sleep?seconds=-1", "", ""), "400");
        starts(ask(port, "POST", "/-/sleep", "", ""), "400");
        starts(ask(port, "GET", "/-/sleep?seconds=1", "", ""), "404");
        starts(send(port, "POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n"), "400");
        let large = send(
            port,
            "PUT /b/k HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999\r\n\r\n",
        );
        assert!(
            large.starts_with("HTTP/1.1 413") && large.contains("<Code>EntityTooLarge</Code>"),
            "{large}"
        );
        let broken = send(
            port,
            "PUT /b/k HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        );
        assert!(broken.contains("<Code>IncompleteBody</Code>"), "{broken}");
        assert!(emr(port, "Nonsense", "{}").contains("no operation Nonsense of"));
        starts(ask(port, "GET", "/", "", ""), "200");
    });
}

#[test]
fn the_page_says_what_happens_now_and_each_part_that_changes_can_be_found() {
    serve(Pace::Held, |port, cluster| {
        let page = || ask(port, "GET", "/", "", "");
        let before = page();
        assert!(
            before.contains("units can take work")
                && before.contains("None yet.")
                && before.contains("Steps run on real Apache Spark 9.9;"),
            "{before}"
        );
        let step = r#"{"Name":"<img src=x>","ActionOnFailure":"CONTINUE","HadoopJarStep":{"Jar":"command-runner.jar","Args":["sleep","300"]}}"#;
        emr(
            port,
            "AddJobFlowSteps",
            &format!("{{\"JobFlowId\":\"{cluster}\",\"Steps\":[{step}]}}"),
        );
        assert!(ask(port, "POST", "/-/sleep?seconds=30", "", "").starts_with("HTTP/1.1 200"));
        let after = page();
        let (_, now) = after.split_once("id=\"now\"").unwrap();
        let (now, _) = now.split_once("<h2>").unwrap();
        assert!(
            now.contains("&lt;img src=x&gt;") && now.contains("RUNNING for ") && now.contains("No drill yet."),
            "{now}"
        );
        assert!(!after.contains("<img"), "a client's name is text");
        // The script finds what has changed by its id.
        for id in [
            "time",
            "reports",
            "now",
            "events",
            "clusters",
            "instances",
            "experiments",
        ] {
            assert_eq!(after.matches(&format!("id=\"{id}\"")).count(), 1, "{id}");
        }
        assert_ne!(before, after);
    });
}

#[test]
fn a_client_that_leaves_while_it_waits_stops_holding_time() {
    serve(Pace::Held, |port, _| {
        let (sender, receiver) = mpsc::channel();
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        stream
            .write_all(b"POST /-/sleep?seconds=80000 HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n")
            .unwrap();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            drop(stream);
            sender.send(()).ok();
        });
        receiver.recv_timeout(Duration::from_secs(10)).unwrap();
        std::thread::sleep(Duration::from_millis(200));
        let first = now(port);
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(now(port), first);
    });
}
