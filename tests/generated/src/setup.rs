//! What all models are drawn with.

use crate::cases::Cases;
use crate::draw::{Draft, Draw};
use crate::peer::Peer;
use crate::recipes;
use orogen::Compiler;
use orogen_onnx::OpTable;
use std::path::Path;

/// How nodes of an operator are drawn.
pub(crate) type Recipe = fn(&mut Draw<'_>, &str) -> Option<Draft>;

/// An operator of the importer's table.
#[derive(Clone, Debug)]
pub struct Operator {
    /// Its domain; empty for the standard one.
    pub domain: String,
    /// Its name.
    pub name: String,
    pub(crate) recipe: Option<Recipe>,
}

/// The compiler, its operators, and nodes that are known to be right.
#[derive(Debug)]
pub struct Setup {
    /// What imports and compiles.
    pub compiler: Compiler,
    /// Every operator of the importer.
    pub operators: Vec<Operator>,
    pub(crate) table: OpTable,
    pub(crate) cases: Cases,
    pub(crate) peer: Option<Peer>,
}

impl Setup {
    /// With a compiler, which may be one that is wrong.
    pub fn new(compiler: Compiler) -> Setup {
        let table = OpTable::standard();
        let operator = |(domain, name): (&str, &str)| {
            let recipe = recipes::find(domain, name);
            Operator { domain: domain.into(), name: name.into(), recipe }
        };
        let operators = table.iter().map(|(domain, name, _)| operator((domain, name))).collect();
        Setup { compiler, operators, table, cases: Cases::read(), peer: None }
    }

    /// With another implementation, which this Python has.
    #[must_use]
    pub fn with_peer(self, python: &Path) -> Setup {
        Setup { peer: Some(Peer::new(python)), ..self }
    }

    /// How an operator is drawn: by a recipe of its own, from a node that is known to be right, or not at all.
    pub fn is_drawn(&self, operator: &Operator) -> bool {
        operator.recipe.is_some() || !self.cases.of(&operator.domain, &operator.name).is_empty()
    }
}

impl Default for Setup {
    fn default() -> Self {
        Setup::new(Compiler::standard())
    }
}
