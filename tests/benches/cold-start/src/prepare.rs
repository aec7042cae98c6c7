//! Makes what is compared with: builds hello world, installs boto3 and bundles the JavaScript, each from pins, and kept in
//! the target folder. Apart because only this needs a network, and only the first time.

use std::ffi::OsStr;
use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::process::Command;
use tokio::time::timeout;
use zip::write::SimpleFileOptions;

/// The longest that an installation may take.
const INSTALL_SECONDS_MAX: u64 = 900;

/// Where they are.
#[derive(Debug)]
pub struct Clients {
    /// Hello world on lambda_runtime.
    pub hello: PathBuf,
    /// The interpreter that has boto3.
    pub python: PathBuf,
    /// The root certificates that boto3 reads where nobody says otherwise.
    pub python_roots: PathBuf,
    /// The Python program.
    pub python_handler: PathBuf,
    /// The JavaScript program, with the SDK in the same file.
    pub node_bundle: PathBuf,
}

impl Clients {
    /// Makes those that are not there yet.
    pub async fn prepare() -> Result<Self> {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let program = std::env::current_exe()?;
        let release = program.parent().context("a program lies in a folder")?;
        let target = release.parent().context("target/release has a parent")?;
        build_hello(package, target).await?;
        let boto3 = install_boto3(&package.join("clients/boto3"), target).await?;
        Ok(Self {
            hello: release.join("hello"),
            python: boto3.join("bin/python"),
            python_roots: boto3.join("lib/python3.11/site-packages/botocore/cacert.pem"),
            python_handler: package.join("clients/boto3/handler.py"),
            node_bundle: bundle_node(&package.join("clients/node"), target).await?,
        })
    }
}

async fn build_hello(package: &Path, target: &Path) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args([
        "build",
        "--release",
        "--quiet",
        "--bin",
        "hello",
        "--locked",
        "--manifest-path",
    ]);
    build.arg(package.join("Cargo.toml")).arg("--target-dir").arg(target);
    run("building hello world", &mut build).await
}

async fn install_boto3(source: &Path, target: &Path) -> Result<PathBuf> {
    let folder = target.join("clients").join("boto3");
    let pins = fs::read_to_string(source.join("requirements.txt"))?;
    if is_complete(&folder, &pins) {
        return Ok(folder);
    }
    fresh(&folder)?;
    let mut make = Command::new("python3.11");
    make.args(["-m", "venv"]).arg(&folder);
    run("making a Python environment", &mut make).await?;
    let mut install = Command::new(folder.join("bin/python"));
    install.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--requirement",
    ]);
    install.arg(source.join("requirements.txt"));
    run("installing boto3", &mut install).await?;
    complete(&folder, &pins)?;
    Ok(folder)
}

async fn bundle_node(source: &Path, target: &Path) -> Result<PathBuf> {
    let folder = target.join("clients").join("node");
    let bundle = folder.join("bundle.js");
    let names = ["package.json", "package-lock.json", "handler.mjs"];
    let mut pins = String::new();
    for name in names {
        pins += &fs::read_to_string(source.join(name)).with_context(|| format!("reading {name}"))?;
    }
    if is_complete(&folder, &pins) {
        return Ok(bundle);
    }
    fresh(&folder)?;
    for name in names {
        fs::copy(source.join(name), folder.join(name))?;
    }
    let mut install = Command::new("npm");
    install.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]);
    run("installing the SDK for JavaScript", install.current_dir(&folder)).await?;
    let mut esbuild = Command::new(folder.join("node_modules/.bin/esbuild"));
    esbuild.args([
        "handler.mjs",
        "--bundle",
        "--minify",
        "--platform=node",
        "--target=node20",
        "--log-level=warning",
    ]);
    run("bundling", esbuild.arg("--outfile=bundle.js").current_dir(&folder)).await?;
    complete(&folder, &pins)?;
    Ok(bundle)
}

/// Bytes of a zip with this file alone, compressed as zip programs do where nobody asks for more.
pub fn zipped_size(file: &Path) -> Result<usize> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    archive.start_file(
        "bootstrap",
        SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated),
    )?;
    archive.write_all(&fs::read(file)?)?;
    Ok(archive.finish()?.into_inner().len())
}

fn is_complete(folder: &Path, pins: &str) -> bool {
    fs::read_to_string(folder.join("complete")).is_ok_and(|found| found == pins)
}

fn complete(folder: &Path, pins: &str) -> Result<()> {
    Ok(fs::write(folder.join("complete"), pins)?)
}

fn fresh(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    Ok(fs::create_dir_all(folder)?)
}

async fn run(what: &str, command: &mut Command) -> Result<()> {
    let program = command.as_std().get_program().to_owned();
    let program = Path::new(&program).file_name().unwrap_or(OsStr::new("?")).to_owned();
    let mut child = command
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("{what}: is {} installed?", program.display()))?;
    let status = timeout(Duration::from_secs(INSTALL_SECONDS_MAX), child.wait())
        .await
        .with_context(|| format!("{what}: not done in {INSTALL_SECONDS_MAX} s"))??;
    if !status.success() {
        bail!("{what}: {} ended with {status}", program.display());
    }
    Ok(())
}
