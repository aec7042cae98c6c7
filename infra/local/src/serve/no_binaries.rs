//! In the place of `binaries` where the functions' binaries cannot be run as Lambda runs them.
//!
//! Separate because it is all that is left of it there.

use std::collections::BTreeMap;
use std::path::Path;

use account::template;
use anyhow::bail;

use crate::functions::Function;
use crate::gate::Gate;
use crate::world::World;

/// An error that says what works instead.
pub fn functions(
    folder: &Path,
    _: &BTreeMap<String, template::Function>,
    _: &World,
    _: &Gate,
    _: String,
    _: &Path,
) -> anyhow::Result<BTreeMap<String, Function>> {
    bail!(
        "the binaries in {} can be run as Lambda runs them on Linux only: use --functions in-process, or cargo-lambda \
         and --functions http://127.0.0.1:9000 --pace 1",
        folder.display()
    )
}
