//! How fast the functions start: a Spot interruption warning leaves two minutes, and a burst of them starts hundreds.
//!
//! ```sh
//! cargo build --release
//! cargo run --release --manifest-path tests/benches/cold-start/Cargo.toml -- --memory 128
//! ```
//!
//! The first time it installs boto3 and the SDK for JavaScript, which takes a network, Python 3.11, Node and npm. On a
//! machine that does other things too, put `nice -n -20` before it; a quiet one is better.
//!
//! # What is measured
//!
//! Each program is started anew, `--runs` times, all of them in turns within one run, so that the machine's noise hits
//! all alike; one turn more, the first, is thrown away, so that files are in the page cache. A program is the very binary
//! that Lambda would run, and finds around it:
//!
//! * Lambda's [Runtime API](runtime_api), which hands it two events, the second a moment after the first is answered;
//! * AWS, as [two TLS endpoints](endpoint) on this machine, with a certificate authority of this run: EC2's, and that of
//!   all others. Each connection costs a whole handshake;
//! * with `--memory 128`, [Lambda's share of a CPU](cpu_share) for so much memory, from its first event on: Lambda gives
//!   the full CPU during init. Verified before each run with a busy loop. It needs root and Linux's control groups.
//!
//! # How to read it
//!
//! Each figure is the median, with the tenth and ninetieth percentile. Read the ratios: the milliseconds are this machine's.
//!
//! * *init*: from the program's start until it asks for its first event;
//! * *first event*: from the event to its answer. record-interruption, boto3 and Node ask EC2 for one instance and update
//!   one item; the other functions make one call and find that there is nothing to do; hello world makes none;
//! * *start → first TLS call*: init, and from the first event until a call of it is answered, at hello world: until it has
//!   answered. A call that a program makes before its first event does not count as one;
//! * *beyond its calls*: the event's time in which no call was under way. A call lasts from its arrival at the endpoint, or
//!   its connection's if it is the first there, until its answer is handed to the socket: the client's own share of a
//!   handshake counts as the call's, the time on the wire as the program's;
//! * *peak RSS*: Linux's `VmHWM` after both events.
//!
//! The functions trust one authority alone, as with `TRUSTED_ROOTS=amazon`; the row `+system-roots` reads the machine's
//! whole store. boto3 reads the store that it brings, as on AWS, and Node has its roots compiled in; both with the
//! authority besides.
//!
//! # What it is not
//!
//! AWS: there, the network lies between, handshakes are with RSA certificates in longer chains, the first page of a file
//! comes from afar, and the processor may be another. Python's and Node's bootstraps are smaller than Lambda's own.
//!
//! # Layout
//!
//! * [`program`]: what is compared; [`prepare`]: making it; `bin/hello.rs`, `clients/`: those that are not ours;
//! * [`measure`]: one start, and what each figure means; [`clock`], [`cpu_share`]: what it stands on;
//! * [`runtime_api`], [`endpoint`], [`answers`], [`certificate`]: what the programs find around them;
//! * [`table`], [`target`]: how it reads, and what should be reached.

mod answers;
mod certificate;
mod clock;
mod cpu_share;
mod endpoint;
mod measure;
mod prepare;
mod program;
mod runtime_api;
mod table;
mod target;

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};

use certificate::Certificates;
use cpu_share::CpuShare;
use endpoint::Endpoint;
use prepare::Clients;
use program::Program;
use table::Series;

#[derive(Debug, Parser)]
#[command(
    about = "Measures how fast the functions start, beside hello world, boto3 and Node",
    args_conflicts_with_subcommands = true
)]
struct Arguments {
    /// Starts of each program that count
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// These programs alone, separated by commas; without hello-world and boto3 there is nothing to compare with
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Besides the full CPU, Lambda's share of one with so many MB; several separated by commas
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(128..=1769))]
    memory: Vec<u32>,
    /// Where the functions' release binaries are
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../target/release"))]
    functions: PathBuf,
    /// Fail unless every target is met
    #[arg(long)]
    strict: bool,
    #[command(subcommand)]
    inner: Option<Inner>,
}

/// What this program starts itself as.
#[derive(Debug, Subcommand)]
enum Inner {
    /// Says when, and becomes the program
    #[command(hide = true)]
    Launch {
        #[arg(long)]
        entrance: Option<PathBuf>,
        #[arg(last = true, required = true)]
        command: Vec<PathBuf>,
    },
    /// Uses CPU time in a group, and says how long that took
    #[command(hide = true)]
    Spin {
        #[arg(long)]
        entrance: PathBuf,
        #[arg(long)]
        milliseconds: u32,
    },
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    match &arguments.inner {
        Some(Inner::Launch { entrance, command }) => launch(entrance.as_deref(), command),
        Some(Inner::Spin { entrance, milliseconds }) => {
            println!("{}", cpu_share::spin(entrance, *milliseconds)?);
            Ok(ExitCode::SUCCESS)
        }
        None => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(run(&arguments)),
    }
}

fn launch(entrance: Option<&Path>, command: &[PathBuf]) -> Result<ExitCode> {
    let (program, words) = command.split_first().context("clap demands one")?;
    if let Some(entrance) = entrance {
        cpu_share::enter(entrance)?;
    }
    println!("{}", clock::now());
    Err(Command::new(program).args(words).exec()).with_context(|| format!("starting {}", program.display()))
}

async fn run(arguments: &Arguments) -> Result<ExitCode> {
    let clients = Clients::prepare().await?;
    let folder = tempfile::tempdir()?;
    let certificates = Certificates::new(folder.path(), &clients.python_roots)?;
    let endpoint = Endpoint::serve(certificates.server.clone()).await?;
    let mut programs = program::all(&arguments.functions, &clients, &certificates, &endpoint)?;
    for name in &arguments.only {
        let names: Vec<&str> = programs.iter().map(|program| program.name.as_str()).collect();
        ensure!(names.contains(&name.as_str()), "--only knows {}", names.join(", "));
    }
    programs.retain(|program| arguments.only.is_empty() || arguments.only.contains(&program.name));

    let share = if arguments.memory.is_empty() {
        None
    } else {
        Some(CpuShare::new()?)
    };
    for &megabytes in &arguments.memory {
        println!(
            "{}",
            share
                .as_ref()
                .context("there is one for every --memory")?
                .verify(megabytes)?
        );
    }
    println!("{}", surroundings());

    let series = turns(arguments, &programs, &endpoint, share.as_ref()).await?;
    let sizes = table::sizes(&programs)?;
    for megabytes in shares(arguments) {
        let what = megabytes.map_or("full CPU".to_owned(), |megabytes| {
            format!("a CPU's share for {megabytes} MB after init")
        });
        println!(
            "\n{what}; {} starts, milliseconds\n\n{}",
            arguments.runs,
            table::times(&series, megabytes)?
        );
    }
    println!("\n{}\n", table::of_sizes(&sizes));
    let targets = target::judge(&series, &sizes);
    for target in &targets {
        println!("{} {}", if target.is_met { "met    " } else { "NOT MET" }, target.text);
    }
    let is_failed = arguments.strict && targets.iter().any(|target| !target.is_met);
    Ok(if is_failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn shares(arguments: &Arguments) -> Vec<Option<u32>> {
    std::iter::once(None)
        .chain(arguments.memory.iter().copied().map(Some))
        .collect()
}

async fn turns(
    arguments: &Arguments,
    programs: &[Program],
    endpoint: &Endpoint,
    share: Option<&CpuShare>,
) -> Result<Vec<Series>> {
    let mut all: Vec<Series> = Vec::new();
    for megabytes in shares(arguments) {
        all.extend(programs.iter().map(|program| Series {
            program: program.clone(),
            megabytes,
            samples: Vec::new(),
        }));
    }
    for turn in 0..=arguments.runs {
        for series in &mut all {
            let sample = measure::start(&series.program, endpoint, share, series.megabytes).await?;
            if turn > 0 {
                series.samples.push(sample);
            }
        }
        eprint!("\rturn {turn} of {}", arguments.runs);
    }
    eprintln!();
    Ok(all)
}

/// What else the machine does, and what it is: a run on a busy one is worth nothing.
fn surroundings() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("unknown").to_owned();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "{}, {cores} cores, load {load} at the beginning",
        std::env::consts::ARCH
    )
}
