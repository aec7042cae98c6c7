//! What is asked on the command line, and the question that it makes.
//!
//! Separate because it is read by people and by `clap`, and says nothing of how it is answered.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Parser;
use spark_log::SparkRun;

use super::limits;
use crate::ask::{Asked, MarketChoice, MonthAsked, Replaced};
use crate::cluster::Cluster;
use crate::course::{Surroundings, Victims};
use crate::pace::pace_of;

/// Plays a Spark job again from its event log, a thousand times, and takes nodes away from it each time.
///
/// The log is one file, or the folder of a rolling log, of any cluster, as `spark-log` reads it. What is printed is what
/// the losses would do, by the moment and by their number, and what would help.
#[derive(Debug, Parser)]
#[command(name = "what-if", version)]
pub struct Arguments {
    /// The log: a file, or a folder that holds one; in S3, as s3://bucket/key, for the program `local` alone.
    pub log: String,
    /// Nodes that go at once, drawn at random.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    victims: u32,
    /// Those with most shuffle output go, instead of random ones.
    #[arg(long, conflicts_with = "driver")]
    most_output: bool,
    /// The driver's node goes, and no other.
    #[arg(long)]
    driver: bool,
    /// When: a moment (90s, 5m) or two (90s..5m) after the application's start; the whole run unless set.
    #[arg(long, value_name = "TIME[..TIME]", value_parser = parse_window)]
    at: Option<(u32, u32)>,
    /// How many runs.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    runs: u32,
    /// The same seed gives the same bytes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long before it goes a node is told; Spot gives two minutes.
    #[arg(long, default_value = "120s", value_name = "TIME", value_parser = parse_time)]
    notice: u32,
    /// From a node's loss to its replacement, or two times between which it is, or `never`; unless set, as the log shows it,
    /// or else 3m.
    #[arg(long, value_name = "TIME[..TIME]", value_parser = parse_replaced)]
    replaced_after: Option<Replaced>,
    /// Nodes that are never hit, by the host names of the log: core and On-Demand nodes.
    #[arg(long, value_name = "HOST", value_delimiter = ',')]
    stays: Vec<String>,
    /// A Spark property that is to differ from the log's; may be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = parse_property)]
    properties: Vec<(String, String)>,
    /// Reckons a month in a market: a band of the Spot Instance Advisor (`5-10%`), `calm` (its lowest), `busy`, how often an
    /// hour a node is taken, or a file with lines of seconds and running instances.
    #[arg(long, requires_all = ["price_spot", "price_on_demand"])]
    market: Option<String>,
    /// A node's price an hour on Spot.
    #[arg(long, value_name = "PRICE")]
    price_spot: Option<f64>,
    /// A node's price an hour on On-Demand.
    #[arg(long, value_name = "PRICE")]
    price_on_demand: Option<f64>,
    /// Runs in a month.
    #[arg(long, default_value_t = 30, value_name = "N")]
    runs_a_month: u32,
    /// What AWS says of the cluster, as the aws command line prints it: which nodes are Spot, and their zones. May be given
    /// several times: emr describe-cluster, list-instances, list-instance-fleets or -groups, ec2 describe-instances.
    #[arg(long, value_name = "FILE")]
    cluster: Vec<PathBuf>,
    /// All nodes of this zone go, instead of random ones.
    #[arg(long, requires = "cluster", conflicts_with_all = ["driver", "most_output"])]
    zone: Option<String>,
    /// The log of another run of the job: how much the pace differs from run to run. May be given several times.
    #[arg(long, value_name = "LOG")]
    also: Vec<String>,
    /// Leaves out what would help, which takes most of the time.
    #[arg(long)]
    no_remedies: bool,
    /// One JSON object instead of words.
    #[arg(long)]
    pub(super) json: bool,
    /// Writes what-if.json and what-if.html there.
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Threads; as many as there are cores unless set. The bytes do not depend on it.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

/// The question, of this log.
pub(super) fn asked(arguments: &Arguments, log: &SparkRun) -> anyhow::Result<Asked> {
    let cluster = read_cluster(&arguments.cluster)?;
    let hosts = || log.executors.iter().map(|executor| &executor.host);
    let victims = match (&arguments.zone, arguments.driver, arguments.most_output) {
        (Some(zone), ..) => zone_of(zone, cluster.as_ref(), hosts())?,
        (_, true, _) => Victims::Driver,
        (_, _, true) => Victims::MostOutput(arguments.victims),
        _ => Victims::Random(arguments.victims),
    };
    let mut stays = arguments.stays.clone();
    if let Some(cluster) = &cluster {
        stays.extend(hosts().filter(|host| cluster.stays(host) == Some(true)).cloned());
    }
    let month = match (&arguments.market, arguments.price_spot, arguments.price_on_demand) {
        (Some(market), Some(spot_price), Some(on_demand_price)) => Some(MonthAsked {
            market: choose_market(market)?,
            spot_price,
            on_demand_price,
            runs: arguments.runs_a_month,
        }),
        _ => None,
    };
    Ok(Asked {
        runs: arguments.runs,
        seed: arguments.seed,
        threads: arguments
            .threads
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, Into::into)),
        victims,
        between_ms: arguments.at,
        around: Surroundings {
            notice_ms: arguments.notice,
            nodes_that_stay: stays,
            ..Surroundings::default()
        },
        replaced: arguments.replaced_after.unwrap_or(Replaced::AsLogged),
        month,
        properties: arguments.properties.clone(),
        paces: paces(arguments, log)?,
        by_victims: true,
        remedies: !arguments.no_remedies,
    })
}

/// What the files say of the cluster; none without any.
fn read_cluster(files: &[PathBuf]) -> anyhow::Result<Option<Cluster>> {
    let mut text = String::new();
    for file in files {
        let name = || format!("reading {}", file.display());
        text += &std::fs::read_to_string(file).with_context(name)?;
        text.push('\n');
    }
    let cluster = || Cluster::parse(&text).context("the description of the cluster");
    (!files.is_empty()).then(cluster).transpose()
}

/// The log's hosts in a zone.
fn zone_of<'h>(
    zone: &str,
    cluster: Option<&Cluster>,
    hosts: impl Iterator<Item = &'h String>,
) -> anyhow::Result<Victims> {
    let cluster = cluster.context("--zone needs --cluster")?;
    let mut there: Vec<String> = hosts.filter(|host| cluster.is_in(host, zone)).cloned().collect();
    there.sort();
    there.dedup();
    if there.is_empty() {
        bail!(
            "no node of this run lies in {zone}; the cluster's zones are: {}",
            cluster.zones().join(", ")
        );
    }
    Ok(Victims::Zone {
        name: zone.to_owned(),
        hosts: there.into(),
    })
}

/// The paces of the job's other runs.
fn paces(arguments: &Arguments, log: &SparkRun) -> anyhow::Result<Vec<f64>> {
    let pace = |path: &String| {
        let other = spark_log::program::read(path, &limits())?;
        pace_of(&other, log).with_context(|| format!("{path} is not of the same job: it has too few of its tasks"))
    };
    arguments.also.iter().map(pace).collect()
}

fn choose_market(text: &str) -> anyhow::Result<MarketChoice> {
    Ok(match text {
        "calm" => MarketChoice::Calm,
        "busy" => MarketChoice::Busy,
        band if band.ends_with('%') => MarketChoice::Band(parse_band(band)?),
        _ => match text.parse::<f64>() {
            Ok(hourly) if hourly > 0.0 && hourly.is_finite() => MarketChoice::Hourly(hourly),
            Ok(_) => bail!("a market's rate is above zero, and {text} is not"),
            Err(_) => {
                let trace = std::fs::read_to_string(text).with_context(|| format!("reading the trace {text}"))?;
                MarketChoice::Trace(trace)
            }
        },
    })
}

/// The upper end of one of the Spot Instance Advisor's bands, as a part of one. The highest has none: it is taken for 30 %.
fn parse_band(text: &str) -> anyhow::Result<f64> {
    let bands = [
        ("<5%", 0.05),
        ("5-10%", 0.1),
        ("10-15%", 0.15),
        ("15-20%", 0.2),
        (">20%", 0.3),
    ];
    let found = bands.iter().find(|(name, _)| *name == text);
    found
        .map(|(_, upper)| *upper)
        .with_context(|| format!("{text} is none of the advisor's bands: <5%, 5-10%, 10-15%, 15-20%, >20%"))
}

/// A time: a number with `ms`, `s`, `m` or `h`; seconds without.
fn parse_time(text: &str) -> Result<u32, String> {
    let digits = text
        .find(|it: char| !it.is_ascii_digit() && it != '.')
        .unwrap_or(text.len());
    let unit_ms = match &text[digits..] {
        "ms" => 1.0,
        "" | "s" => 1_000.0,
        "m" | "min" => 60_000.0,
        "h" => 3_600_000.0,
        unit => return Err(format!("{unit} is none of ms, s, m, h")),
    };
    let number: f64 = text[..digits]
        .parse()
        .map_err(|_| format!("{text} is no time, such as 90s"))?;
    let milliseconds = number * unit_ms;
    if milliseconds < f64::from(i32::MAX) {
        Ok(milliseconds as u32)
    } else {
        Err(format!("{text} is longer than 24 days"))
    }
}

fn parse_window(text: &str) -> Result<(u32, u32), String> {
    match text.split_once("..") {
        Some((from, to)) => Ok((parse_time(from)?, parse_time(to)?)),
        None => parse_time(text).map(|at| (at, at)),
    }
}

fn parse_replaced(text: &str) -> Result<Replaced, String> {
    match text {
        "never" => Ok(Replaced::Never),
        _ => match text.split_once("..") {
            Some((from, to)) => Ok(Replaced::BetweenMs(parse_time(from)?, parse_time(to)?)),
            None => parse_time(text).map(Replaced::AfterMs),
        },
    }
}

fn parse_property(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("it is written KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_hold_together() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn times_have_units_and_windows_two_of_them() {
        assert_eq!(parse_window("90s..2m"), Ok((90_000, 120_000)));
        assert_eq!(parse_window("1.5"), Ok((1_500, 1_500)));
        assert!(parse_time("5 parsecs").is_err());
        assert!(parse_time("900h").is_err());
        assert_eq!(parse_replaced("never"), Ok(Replaced::Never));
        assert_eq!(parse_replaced("1m..90s"), Ok(Replaced::BetweenMs(60_000, 90_000)));
    }
}
