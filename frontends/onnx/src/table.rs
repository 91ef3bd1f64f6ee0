//! Which operators can be imported, and by what.

use crate::missing::why_missing;
use crate::node::{Node, NodeCx, not_supported};
use crate::sink::Value;
use indexmap::IndexMap;
use orogen_ir::diag::Diagnostic;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

/// The results of a node, in order; trailing ones that the node does not want may be left out.
pub type Converted = Result<Vec<Value>, Diagnostic>;

type ConvertFn = dyn Fn(&mut NodeCx<'_, '_>) -> Converted + Send + Sync;
type CheckFn = dyn Fn(&Node<'_>) -> Result<(), String> + Send + Sync;

/// How one operator is imported in a range of operator set versions.
#[derive(Clone)]
pub(crate) struct OpEntry {
    since: i64,
    until: i64,
    check: Option<Arc<CheckFn>>,
    convert: Arc<ConvertFn>,
}

impl OpEntry {
    /// Whether a node can be imported, judged by its attributes and by which operands and results it has.
    pub(crate) fn check(&self, node: &Node<'_>) -> Result<(), String> {
        self.check.as_ref().map_or(Ok(()), |check| check(node))
    }

    pub(crate) fn convert(&self, cx: &mut NodeCx<'_, '_>) -> Converted {
        (self.convert)(cx)
    }
}

/// The operators an importer knows, by domain, name and version.
///
/// ```
/// use orogen_onnx::OpTable;
/// let mut ops = OpTable::standard();
/// // A custom operator that doubles its operand.
/// ops.register("com.example", "Double", 1.., |cx| {
///     let x = cx.input(0)?;
///     Ok(vec![cx.binary("add", x, x)?])
/// });
/// assert!(ops.knows("com.example", "Double", 1));
/// assert!(ops.knows("", "Conv", 11));
/// ```
#[derive(Clone, Default)]
pub struct OpTable {
    /// Shared by copies until one of them changes: every import has one.
    entries: Arc<IndexMap<String, IndexMap<String, Vec<OpEntry>>>>,
}

impl OpTable {
    /// A table without operators.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an operator of a domain in the given versions of the domain's operator set. A later registration
    /// goes before an earlier one.
    pub fn register(
        &mut self,
        domain: &str,
        name: &str,
        versions: impl RangeBounds<i64>,
        convert: impl Fn(&mut NodeCx<'_, '_>) -> Converted + Send + Sync + 'static,
    ) {
        self.insert(domain, name, versions, None, Arc::new(convert));
    }

    /// Adds an operator with a check that says which of its nodes cannot be imported, and why, before anything
    /// is built.
    pub fn register_checked(
        &mut self,
        domain: &str,
        name: &str,
        versions: impl RangeBounds<i64>,
        check: impl Fn(&Node<'_>) -> Result<(), String> + Send + Sync + 'static,
        convert: impl Fn(&mut NodeCx<'_, '_>) -> Converted + Send + Sync + 'static,
    ) {
        self.insert(domain, name, versions, Some(Arc::new(check)), Arc::new(convert));
    }

    /// Adds a standard operator in the versions up to `until`: a node of these is given the form that it has in the
    /// version after them, whose entry checks and converts it. `form` is what the node alone tells, `operands` what needs
    /// the operands.
    ///
    /// # Panics
    /// When the version after them is not in the table.
    pub(crate) fn older(
        &mut self,
        name: &str,
        until: i64,
        form: fn(&mut Node<'_>) -> Result<(), String>,
        operands: fn(&mut NodeCx<'_, '_>) -> Result<(), Diagnostic>,
    ) {
        let later = self.find("", name, until + 1).expect("what is newer is added first").clone();
        let formed = later.clone();
        let check = move |node: &Node<'_>| {
            let mut node = node.clone();
            form(&mut node)?;
            node.set_opset(until + 1);
            formed.check(&node)
        };
        let convert = move |cx: &mut NodeCx<'_, '_>| {
            form(cx.node_mut()).map_err(not_supported)?;
            operands(cx)?;
            cx.node_mut().set_opset(until + 1);
            later.convert(cx)
        };
        self.insert("", name, ..=until, Some(Arc::new(check)), Arc::new(convert));
    }

    fn insert(
        &mut self,
        domain: &str,
        name: &str,
        versions: impl RangeBounds<i64>,
        check: Option<Arc<CheckFn>>,
        convert: Arc<ConvertFn>,
    ) {
        let (since, until) = bounds(&versions);
        let domain = Arc::make_mut(&mut self.entries).entry(domain.to_string()).or_default();
        let versions = domain.entry(name.to_string()).or_default();
        versions.insert(0, OpEntry { since, until, check, convert });
    }

    /// The versions among these in which the table has the operator; `None` when there is none.
    pub fn overlap(&self, domain: &str, name: &str, versions: &impl RangeBounds<i64>) -> Option<String> {
        let (since, until) = bounds(versions);
        let entries = self.entries.get(domain)?.get(name)?;
        let found = entries.iter().map(|it| (it.since.max(since), it.until.min(until)));
        let found: Vec<(i64, i64)> = found.filter(|it| it.0 <= it.1).collect();
        (!found.is_empty()).then(|| merged(found))
    }

    /// Whether the operator of that domain, name and operator set version is in the table.
    pub fn knows(&self, domain: &str, name: &str, version: i64) -> bool {
        self.find(domain, name, version).is_ok()
    }

    /// Every operator in the table: domain, name and the operator sets it is known in.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, String)> {
        self.entries.iter().flat_map(|(domain, ops)| {
            ops.iter().map(move |(name, versions)| (domain.as_str(), name.as_str(), ranges(versions)))
        })
    }

    /// The entry of an operator, or why there is none.
    pub(crate) fn find(&self, domain: &str, name: &str, version: i64) -> Result<&OpEntry, String> {
        let versions = self.entries.get(domain).and_then(|ops| ops.get(name)).ok_or_else(|| {
            let known = self.entries.contains_key(domain);
            match why_missing(name) {
                Some(reason) if domain.is_empty() || domain == "ai.onnx.ml" => reason.to_string(),
                _ if known => "this operator is not known".to_string(),
                _ => format!("no operator of the domain `{domain}` is known"),
            }
        })?;
        versions
            .iter()
            .find(|it| (it.since..=it.until).contains(&version))
            .ok_or_else(|| format!("it is known only in operator set {}", ranges(versions)))
    }
}

impl std::fmt::Debug for OpTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// The first and the last version of a range.
fn bounds(versions: &impl RangeBounds<i64>) -> (i64, i64) {
    let since = match versions.start_bound() {
        Bound::Included(it) => *it,
        Bound::Excluded(it) => it.saturating_add(1),
        Bound::Unbounded => i64::MIN,
    };
    let until = match versions.end_bound() {
        Bound::Included(it) => *it,
        Bound::Excluded(it) => it.saturating_sub(1),
        Bound::Unbounded => i64::MAX,
    };
    (since, until)
}

/// The versions that entries cover.
fn ranges(entries: &[OpEntry]) -> String {
    merged(entries.iter().map(|it| (it.since, it.until)).collect())
}

/// Ranges in order; those that follow each other are one.
fn merged(mut merged: Vec<(i64, i64)>) -> String {
    merged.sort_unstable();
    merged.dedup_by(|next, last| {
        let joins = next.0 <= last.1.saturating_add(1);
        if joins {
            last.1 = last.1.max(next.1);
        }
        joins
    });
    let list: Vec<String> = merged.into_iter().map(|(since, until)| range(since, until)).collect();
    list.join(" and ")
}

fn range(since: i64, until: i64) -> String {
    match (since, until) {
        (i64::MIN, i64::MAX) => "all".to_string(),
        (i64::MIN, until) => format!("{until} and older"),
        (since, i64::MAX) => format!("{since} and newer"),
        (since, until) if since == until => since.to_string(),
        (since, until) => format!("{since} to {until}"),
    }
}
