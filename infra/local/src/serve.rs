//! `serve`: the account over TCP, for clients that are not ours: the `aws` CLI, boto3, the functions' own binaries.
//!
//! Separate from `drill` because nobody tells a story here: the cluster is there, and what happens to it is up to the
//! clients. How time passes meanwhile is `pace`'s matter, HTTP is `connection`'s.

#[cfg(target_os = "linux")]
mod binaries;
#[cfg(not(target_os = "linux"))]
#[path = "serve/no_binaries.rs"]
mod binaries;
mod connection;
mod host;
pub(crate) mod pace;
mod page;
mod reports;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use account::api::{REGION, Time};
use account::emr::ClusterState;
use account::template::STACK;
use account::wire::Service;
use anyhow::{Context, anyhow, bail};
use chrono::{SubsecRound, TimeDelta};
use clap::Args;
use connection::Server;
use host::Host;
use tokio::net::TcpListener;

use crate::director;
use crate::gate::{Gate, Moment, Pace};
use crate::real_spark::Served;
use crate::run;
use crate::scenario::{CLUSTER_NAME, DATA_BUCKET, RESULTS_PREFIX, Scenario};
use crate::settings::Settings;
use crate::world::World;

/// The log group that Spot warnings go to, as in the workshop.
const LOG_GROUP: &str = "/aws/events/spotinterruptions";

/// A cluster is ready long before this, in virtual seconds, or never.
const START_SECONDS_MAX: u32 = 3600;

/// What `serve` takes.
#[derive(Debug, Args)]
pub struct Serve {
    /// The port on 127.0.0.1; 0 for any that is free.
    #[arg(long, default_value_t = 4566)]
    port: u16,
    /// How fast virtual time passes: virtual seconds per real second (1, 60, …); `leap`, from one event to the next
    /// while no request is being answered; or `held`, only while a client waits for it.
    ///
    /// Wait with `curl -X POST "$AWS_ENDPOINT_URL/-/sleep?seconds=90"`, which answers when 90 virtual seconds have
    /// passed, at every pace. A client's own `sleep 90` takes 90 virtual seconds at pace 1 and 90 virtual minutes at pace
    /// 60. At `leap` everything that is under way has ended long before, and time stands still since; at `held` it takes no
    /// virtual time at all.
    #[arg(long, default_value = "1", value_name = "PACE")]
    pace: Pace,
    /// What runs the functions: `in-process`; the URL at which `cargo lambda watch` listens, such as
    /// http://127.0.0.1:9000; or a folder with their binaries, such as target/release, each of which is then run as Lambda
    /// runs it.
    ///
    /// What cargo-lambda runs needs --pace 1. Binaries from a folder run at pace 1, and at `leap` and `held` too, where
    /// time passes as fast as the machine's while one runs, and libfaketime (Debian's package faketime) shows them the
    /// account's clock; on Linux only. Their lines are in the log groups /aws/lambda/… of the account.
    #[arg(long, default_value = "in-process", value_name = "HOST")]
    functions: Host,
    /// The story that the cluster and its job are taken from; `drill --list` shows them.
    #[arg(long, default_value = "workshop", value_name = "NAME")]
    scenario: String,
    /// All chance is drawn from this.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Change the story, as for `drill`.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// A parameter of infra/template.yaml, as CloudFormation takes it: which buckets the reports may read, for instance.
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = parameter)]
    parameters: Vec<(String, String)>,
    /// When virtual time begins. By default so long ago that it is now when the cluster is ready, since clients compare
    /// the account's times with their own clock.
    #[arg(long, value_name = "TIME")]
    begin: Option<Time>,
    /// Run Spark steps on Apache Spark, which writes into this folder, its S3 included; EC2, EMR and FIS stay simulated. Needs
    /// Java 17, pyspark, and a pace from 1 to 60. Linux only.
    #[arg(long, value_name = "DIR")]
    spark: Option<PathBuf>,
    /// Where reports go as they appear.
    #[arg(long, default_value = "out/serve", value_name = "DIR")]
    out: PathBuf,
}

/// What is deployed, and in what kind of account.
struct Deployment<'a> {
    scenario: Scenario,
    settings: &'a Settings,
    parameters: BTreeMap<String, String>,
    seed: u64,
}

fn parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| format!("expected NAME=VALUE, found {text:?}"))?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Runs the command; it only ends with an error, or with the process.
pub fn run(serve: &Serve) -> anyhow::Result<ExitCode> {
    let scenario = Scenario::find(&serve.scenario).map_err(|error| anyhow!(error))?;
    let mut settings = scenario.settings();
    for set in &serve.sets {
        settings.set(set).map_err(|error| anyhow!("--set {set}: {error}"))?;
    }
    serve.functions.check(serve.pace)?;
    let spark = match &serve.spark {
        Some(folder) => Some(Served::prepare(folder, serve.pace, serve.seed)?),
        None => None,
    };
    let mut parameters = scenario.parameters(&settings);
    parameters.insert("TrackingLogGroup".into(), LOG_GROUP.into());
    parameters.extend(serve.parameters.iter().cloned());
    let deployment = Deployment {
        scenario,
        settings: &settings,
        parameters,
        seed: serve.seed,
    };
    let start = match serve.begin {
        Some(_) => TimeDelta::zero(),
        None => start_takes(&deployment)?,
    };
    runtime()?.block_on(async {
        let address = (Ipv4Addr::LOCALHOST, serve.port);
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("listening on port {}", serve.port))?;
        let port = listener.local_addr().context("the port that is listened on")?.port();
        let (real, now) = (Moment::now().real, machine_time());
        let world = begin(&deployment, serve.begin.unwrap_or(now - start)).await?;
        let cluster = start_cluster(&world, scenario, &settings, spark.is_some()).await?;
        let gate = Gate::new(serve.pace);
        serve
            .functions
            .run_functions(&world, &gate, format!("http://127.0.0.1:{port}"), &serve.out)?;
        // What the machine needed until here is made up for.
        let begun = Moment {
            real,
            virtually: tokio::time::Instant::now(),
        };
        let runs_on = spark.as_ref().map(Served::name);
        if let Some(name) = &runs_on {
            eprintln!("Spark steps run on {name}.");
        }
        match spark {
            Some(spark) => drop(tokio::spawn(spark.keep(world.clone(), begun))),
            None => drop(tokio::spawn(pace::keep(world.clone(), gate.clone(), begun))),
        }
        tokio::spawn(reports::keep(world.clone(), serve.out.clone()));
        announce(port, &cluster)?;
        Server::new(world, gate, runs_on).run(listener).await
    })
}

/// How long the cluster's start takes in virtual time: it is the same in every world of this seed.
fn start_takes(deployment: &Deployment<'_>) -> anyhow::Result<TimeDelta> {
    runtime()?.block_on(async {
        let epoch = machine_time();
        let world = begin(deployment, epoch).await?;
        start_cluster(&world, deployment.scenario, deployment.settings, false).await?;
        Ok(world.clock.now() - epoch)
    })
}

/// One thread and a paused clock, as for a drill; `pace` lets the clock go on.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .start_paused(true)
        .build()
        .context("starting the runtime")
}

/// The machine's time, to the millisecond. From when virtual time begins it has nothing to do with it.
#[expect(
    clippy::disallowed_methods,
    reason = "where virtual time begins is up to the user, and `now` is one answer"
)]
fn machine_time() -> Time {
    Time::from(SystemTime::now()).trunc_subsecs(3)
}

/// The account with the template deployed, its log of Spot warnings on, and the workshop's data in their bucket.
async fn begin(deployment: &Deployment<'_>, epoch: Time) -> anyhow::Result<World> {
    let Deployment {
        scenario,
        settings,
        ref parameters,
        seed,
    } = *deployment;
    let world = World::new(run::TEMPLATE, parameters, seed, epoch, settings.faults())
        .map_err(|error| anyhow!("deploying infra/template.yaml: {error}"))?;
    {
        let mut state = world.lock();
        let now = world.clock.now();
        state.account.journal.omit_calls();
        state.draw_calls_apart();
        state.account.s3.create_bucket(DATA_BUCKET);
        let script = format!("# What this job does is the scenario's matter: {}.\n", scenario.about);
        for (key, bytes) in [
            ("script.py".to_owned(), script.as_str()),
            (format!("{RESULTS_PREFIX}part-00000-of-last-week"), "old"),
            (format!("{RESULTS_PREFIX}_SUCCESS"), ""),
        ] {
            state
                .account
                .s3
                .put(&format!("s3://{DATA_BUCKET}/{key}"), bytes.to_owned(), now)?;
        }
    }
    director::prepare(&world, scenario);
    tokio::spawn(world.clone().run());
    Ok(world)
}

/// Makes the story's cluster and waits, in virtual time that leaps, until it is ready. Answers its id.
async fn start_cluster(
    world: &World,
    scenario: Scenario,
    settings: &Settings,
    is_sparks: bool,
) -> anyhow::Result<String> {
    let now = world.clock.now();
    let request = scenario.cluster(settings);
    let answer = world.lock().account.call(now, Service::Emr, "RunJobFlow", request)?;
    world.changed();
    let id = answer["JobFlowId"]
        .as_str()
        .context("RunJobFlow answers an id")?
        .to_owned();
    if is_sparks {
        world.lock().account.emr.run_outside(&id);
    }
    for _ in 0..START_SECONDS_MAX {
        let state = world.lock().account.emr.cluster(&id).map(|cluster| cluster.state);
        if matches!(state, Some(ClusterState::Waiting | ClusterState::Running)) {
            return Ok(id);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    bail!("cluster {id} was not ready after {START_SECONDS_MAX} virtual seconds")
}

/// Says how clients find the account: lines for a shell on standard output, the rest beside it.
fn announce(port: u16, cluster: &str) -> anyhow::Result<()> {
    let endpoint = format!("http://127.0.0.1:{port}");
    let variables = [
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("AWS_REGION", REGION),
        ("AWS_DEFAULT_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", "simulated"),
        ("AWS_SECRET_ACCESS_KEY", "simulated"),
        ("AWS_PAGER", ""),
        ("S3_BUCKET", DATA_BUCKET),
        ("STACK_NAME", STACK),
        ("FIS_EXP_NAME", STACK),
        ("EMRClusterName", CLUSTER_NAME),
        ("EMRClusterID", cluster),
        ("LOG_GROUP", LOG_GROUP),
    ];
    let mut out = std::io::stdout().lock();
    for (name, value) in variables {
        writeln!(out, "export {name}={value}").context("writing to standard output")?;
    }
    out.flush().context("writing to standard output")?;
    eprintln!("\nServing the account at {endpoint}, where a browser shows it. Ctrl-C stops.");
    Ok(())
}

#[cfg(test)]
mod tests;
