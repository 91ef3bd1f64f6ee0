//! `cargo xtask s0`: the five conditions of stage S0 (RFC 0002), shown on this checkout.
//!
//! The compiler is built twice: as it is, and from a copy of the sources in which everything of the dataflow IR is deleted.
//! Both compile the models of the repository.
//!
//! Modules in reading order: `copy` (the sources without the dataflow IR), `tools` (both compilers, and what they say),
//! `conditions`.

mod conditions;
mod copy;
mod tools;

use crate::workspace;
use anyhow::{Result, bail};
use conditions::Checked;
use std::path::PathBuf;
use std::time::Instant;
use tools::Tools;

/// What is deleted: the dataflow IR and all that needs it. Nothing else may name what is in there.
const REMOVED: &[&str] = &[
    "ir/src/flow",
    "ir/reference/src/flow",
    "ir/reference/src/flow.rs",
    "passes/src/with_flow.rs",
    "passes/src/flow",
    "passes/src/bridge/translate.rs",
    "passes/src/manager/holds/flow.rs",
    "passes/src/proof",
    "passes/src/registry/makers.rs",
    "frontends/driver/src/with_flow.rs",
    "frontends/driver/src/check/flow.rs",
    "frontends/driver/src/compiler/prove.rs",
    "frontends/cli/src/commands/rules/prove.rs",
];

/// Where the feature is asked for, one place in each crate: the borders between what may be deleted and what stays.
const BORDERS: &[&str] = &[
    "ir/src/lib.rs",
    "ir/reference/src/lib.rs",
    "passes/src/lib.rs",
    "frontends/driver/src/lib.rs",
    "frontends/cli/src/commands/rules.rs",
];

/// Checks all conditions, and fails if one does not hold.
pub(crate) fn run() -> Result<()> {
    let root = workspace::root();
    let work = target()?.join("s0");
    let mut failed = 0;
    let mut said = |checked: Result<Checked>| match checked {
        Ok(it) => println!("{}: {}", it.condition, it.what),
        Err(error) => {
            println!("FAILED {error:#}");
            failed += 1;
        }
    };
    said(conditions::own_namespace(&workspace::sources(&root)?));
    let start = Instant::now();
    let tree = copy::without(&root, &work.join("tree"), REMOVED)?;
    let tools = Tools::build(&root, &tree, &work)?;
    said(conditions::removable(&tools, start.elapsed()));
    said(conditions::needed(&tools));
    said(conditions::no_disruption(&tools));
    said(conditions::toggle(&tools));
    match failed {
        0 => Ok(()),
        n => bail!("{n} of 5 conditions do not hold"),
    }
}

/// The target folder that this program was built into.
fn target() -> Result<PathBuf> {
    let here = std::env::current_exe()?;
    match here.ancestors().nth(2) {
        Some(it) => Ok(it.to_path_buf()),
        None => bail!("`{}` lies in no target folder", here.display()),
    }
}
