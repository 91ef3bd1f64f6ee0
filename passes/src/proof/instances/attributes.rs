//! Attributes that a rank admits.

use super::Instance;
use crate::rewrite::{Expr, Item, OpPattern};
use orogen_ir::flow::ValueId;
use orogen_ir::ops::{AttrDef, AttrKind, OpDef};
use orogen_ir::types::{Attr, Attrs};

impl Instance<'_, '_> {
    pub(super) fn attributes(&mut self, def: &OpDef, op: &OpPattern, args: &[ValueId]) -> Option<Attrs> {
        let rank = args.first().and_then(|it| self.shape(*it)).map_or(0, |it| it.len());
        let mut attrs = Attrs::none();
        for (name, expr) in &op.attrs {
            let schema = def.attrs.iter().find(|it| it.name == &**name)?;
            let value = match (expr, self.literal(expr)) {
                (_, Some(value)) => value,
                (Expr::Name(it), None) if self.attrs.contains_key(&it.index()) => {
                    self.attrs[&it.index()].clone()
                }
                (Expr::Name(it), None) if self.types.contains_key(&it.index()) => {
                    Attr::DType(self.types[&it.index()])
                }
                (Expr::List(items), None) => {
                    let list = self.values_of(def.name, schema, rank);
                    let list: Vec<Attr> = list.into_iter().filter(|it| self.fits_list(items, it)).collect();
                    let list = self.one_of(&list)?;
                    self.note_members(items, &list);
                    list
                }
                _ => {
                    let list = self.values_of(def.name, schema, rank);
                    self.one_of(&list)?
                }
            };
            if let Expr::Name(it) = expr {
                self.attrs.insert(it.index(), value.clone());
                if let Attr::DType(dtype) = value {
                    self.types.insert(it.index(), dtype);
                }
            }
            attrs = attrs.with(name, value);
        }
        // What a pattern takes along, and what must be given.
        let takes_more = op.rest.is_some() || op.capture.is_some();
        for schema in def.attrs {
            let given = op.attrs.iter().any(|it| *it.0 == *schema.name);
            if given || !(schema.required || (takes_more && self.choices.pick(2) == 1)) {
                continue;
            }
            let list = self.values_of(def.name, schema, rank);
            if let Some(value) = self.one_of(&list) {
                attrs = attrs.with(schema.name, value);
            }
        }
        Some(attrs)
    }

    /// Whether a list can be one that a pattern writes out: of as many members, each what its name stands for already.
    fn fits_list(&self, items: &[Item], list: &Attr) -> bool {
        let Attr::Ints(list) = list else { return false };
        let known = |it: &Item| match &it.expr {
            Expr::Name(name) => self.attrs.get(&name.index()).cloned(),
            Expr::Int(it) => Some(Attr::Int(*it)),
            _ => None,
        };
        items.iter().any(|it| it.spread)
            || (items.len() == list.len()
                && items
                    .iter()
                    .zip(list.iter())
                    .all(|(it, member)| known(it).is_none_or(|it| it == Attr::Int(*member))))
    }

    fn note_members(&mut self, items: &[Item], list: &Attr) {
        let Attr::Ints(list) = list else { return };
        for (item, member) in items.iter().zip(list.iter()).filter(|_| items.iter().all(|it| !it.spread)) {
            if let Expr::Name(name) = &item.expr {
                self.attrs.entry(name.index()).or_insert(Attr::Int(*member));
            }
        }
    }

    fn literal(&self, expr: &Expr) -> Option<Attr> {
        Some(match expr {
            Expr::Int(it) => Attr::Int(*it),
            Expr::Float(it) => Attr::Float(*it),
            Expr::Bool(it) => Attr::Bool(*it),
            Expr::Text(it) => Attr::Str(it.clone()),
            Expr::DType(it) => Attr::DType(*it),
            Expr::List(items) => {
                let one = |it: &Item| match (&it.expr, it.spread) {
                    (Expr::Int(value), false) => Some(*value),
                    _ => None,
                };
                Attr::from(items.iter().map(one).collect::<Option<Vec<i64>>>()?)
            }
            _ => return None,
        })
    }

    /// The values of an attribute for an operand of a rank.
    fn values_of(&self, op: &str, schema: &AttrDef, rank: usize) -> Vec<Attr> {
        let count = i64::try_from(rank).unwrap_or(0);
        let spatial = rank.saturating_sub(2);
        match (schema.name, schema.kind) {
            ("perm", _) => permutations(rank).into_iter().map(Attr::from).collect(),
            ("axes", _) => {
                let of = if op == "unsqueeze" { count + 1 } else { count };
                let mut list = subsets(of);
                if op == "slice" {
                    list.retain(|it| it.len() == 1);
                }
                list.into_iter().map(Attr::from).collect()
            }
            ("axis", _) => (0..count).map(Attr::from).collect(),
            ("strides" | "dilations", _) => vec![vec![1; spatial].into(), vec![2; spatial].into()],
            ("pads", _) => {
                let ends: Vec<i64> = (0..2 * spatial).map(|it| (it % 3) as i64).collect();
                // As wide as a kernel: windows that lie outside.
                let wide: Vec<i64> = (0..2 * spatial).map(|it| if it == 0 { 2 } else { 0 }).collect();
                vec![vec![0; 2 * spatial].into(), vec![1; 2 * spatial].into(), ends.into(), wide.into()]
            }
            ("kernel", _) => vec![vec![2; spatial].into()],
            ("mode", _) if op == "pad" => vec!["constant".into(), "edge".into()],
            ("block", _) => vec![2.into()],
            (_, AttrKind::Bool) => vec![false.into(), true.into()],
            (_, AttrKind::Float) => vec![0.001.into()],
            ("group", _) => vec![1.into(), 2.into()],
            (_, AttrKind::Int) => vec![1.into()],
            (_, AttrKind::DType) => self.classes.iter().map(|it| Attr::DType(*it)).collect(),
            _ => Vec::new(),
        }
    }
}

/// All permutations of so many axes, in order.
fn permutations(rank: usize) -> Vec<Vec<i64>> {
    let mut all: Vec<Vec<i64>> = vec![Vec::new()];
    for _ in 0..rank {
        let longer = |it: &Vec<i64>| -> Vec<Vec<i64>> {
            let rest = (0..rank as i64).filter(|axis| !it.contains(axis));
            rest.map(|axis| it.iter().copied().chain([axis]).collect()).collect()
        };
        all = all.iter().flat_map(longer).collect();
    }
    all
}

/// All lists of axes below `count` in increasing order, but for the empty one.
fn subsets(count: i64) -> Vec<Vec<i64>> {
    (1..1i64 << count.clamp(0, 8)).map(|set| (0..count).filter(|it| set >> it & 1 == 1).collect()).collect()
}
