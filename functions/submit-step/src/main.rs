//! The Lambda `submit-step`: settings, clients, and the runtime's loop around [`handle`].

use aws::Aws;
use aws::invocation::{Invocation, answer, log_as_json};
use clap::Parser;
use lambda_runtime::{LambdaEvent, run, service_fn};
use serde_json::Value;
use submit_step::{Config, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    log_as_json();
    let config = Config::parse();
    let aws = Aws::from_environment(&config.clients.trusted_roots)?;
    run(service_fn(async |event: LambdaEvent<Value>| {
        answer(&aws, handle(&aws, &config, Invocation::new(event, aws.now())).await)
    }))
    .await
}
