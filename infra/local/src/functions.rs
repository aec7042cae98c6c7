//! The functions as Lambda has them: their settings from the template's environment, and a call of their `handle`; or a
//! program of its own that does both.
//!
//! Separate because it is the only place that knows the functions' crates.

mod endpoint;

use std::collections::BTreeMap;

use account::template;
use aws::invocation::Invocation;
use aws::{Aws, Error};
use chrono::{DateTime, Utc};
use clap::Parser;
use clap::error::ErrorKind;
use lambda_runtime::Diagnostic;
use serde::Serialize;
use serde_json::Value;

#[cfg(target_os = "linux")]
use crate::runtime_api::Binary;

pub use endpoint::Endpoint;

/// The functions' crates, whose names their binaries have too, by their logical ids in the template.
pub const CRATES: [(&str, &str); 4] = [
    ("StartExperiment", "start-experiment"),
    ("RecordInterruption", "record-interruption"),
    ("WriteReport", "write-report"),
    ("SubmitStep", "submit-step"),
];

/// A deployed function.
#[derive(Debug, Clone)]
pub enum Function {
    /// `start-experiment`
    StartExperiment(Box<start_experiment::Config>),
    /// `record-interruption`
    RecordInterruption(Box<record_interruption::Config>),
    /// `write-report`
    WriteReport(Box<write_report::Config>),
    /// `submit-step`
    SubmitStep(Box<submit_step::Config>),
    /// Any of them, as the binary that is deployed.
    #[cfg(target_os = "linux")]
    Binary(Box<Binary>),
    /// Any of them, behind cargo-lambda's endpoint.
    Endpoint(Endpoint),
}

impl Function {
    /// The function that a template's resource stands for, with the settings that its environment gives it.
    pub fn deploy(logical_id: &str, function: &template::Function) -> Result<Self, String> {
        let configured = match logical_id {
            "StartExperiment" => settings(function).map(|config| Self::StartExperiment(Box::new(config))),
            "RecordInterruption" => settings(function).map(|config| Self::RecordInterruption(Box::new(config))),
            "WriteReport" => settings(function).map(|config| Self::WriteReport(Box::new(config))),
            "SubmitStep" => settings(function).map(|config| Self::SubmitStep(Box::new(config))),
            _ => {
                return Err(format!(
                    "function {logical_id} of the template is none that is known here"
                ));
            }
        };
        configured.map_err(|error| format!("function {logical_id}: {error}"))
    }

    /// Runs one invocation.
    pub async fn invoke(
        &self,
        aws: &Aws,
        request_id: String,
        deadline: DateTime<Utc>,
        payload: Value,
    ) -> Result<Value, Diagnostic> {
        let invocation = Invocation {
            request_id,
            deadline,
            payload,
        };
        match self {
            Self::StartExperiment(config) => answer(start_experiment::handle(aws, config, invocation).await),
            Self::RecordInterruption(config) => answer(record_interruption::handle(aws, config, invocation).await),
            Self::WriteReport(config) => answer(write_report::handle(aws, config, invocation).await),
            Self::SubmitStep(config) => answer(submit_step::handle(aws, config, invocation).await),
            #[cfg(target_os = "linux")]
            Self::Binary(binary) => binary.invoke(&invocation).await,
            Self::Endpoint(endpoint) => endpoint.invoke(&invocation).await,
        }
    }
}

/// What each of the deployed functions runs as, made from its settings and its crate's name.
pub fn each(
    deployed: &BTreeMap<String, template::Function>,
    make: impl Fn(&template::Function, &'static str) -> anyhow::Result<Function>,
) -> anyhow::Result<BTreeMap<String, Function>> {
    let known = CRATES
        .iter()
        .filter_map(|(id, name)| Some((id, name, deployed.get(*id)?)));
    known
        .map(|(id, name, function)| Ok(((*id).to_owned(), make(function, name)?)))
        .collect()
}

fn answer<T: Serialize>(result: Result<T, Error>) -> Result<Value, Diagnostic> {
    let outcome = result.map_err(Diagnostic::from)?;
    serde_json::to_value(outcome).map_err(|error| Diagnostic {
        error_type: "Serialization".into(),
        error_message: error.to_string(),
    })
}

/// The very struct that reads the environment on Lambda, given the template's variables as flags: this process's own
/// environment must not reach a simulated function. A variable that no setting reads is a mistake of the template's.
fn settings<C: Parser>(function: &template::Function) -> Result<C, String> {
    let variables = function.environment.iter();
    let flags = variables
        .map(|(name, value)| format!("--{}={value}", name.to_lowercase().replace('_', "-")))
        // Which Lambda itself sets.
        .chain([format!("--memory-mb={}", function.memory_mb)]);
    C::try_parse_from(std::iter::once("bootstrap".to_owned()).chain(flags)).map_err(|error| match error.kind() {
        ErrorKind::UnknownArgument => format!("a variable that the function does not read: {error}"),
        _ => error.to_string(),
    })
}
