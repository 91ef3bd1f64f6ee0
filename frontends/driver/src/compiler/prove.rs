//! Proofs of rules, which are made in the dataflow IR.

use crate::Compiler;
use orogen_ir::flow::Module;
use orogen_ir::types::TensorData;
use orogen_passes::proof::{Prover, RuleProof};
use orogen_passes::rewrite::Rewrite;
use orogen_reference::{Value, eval_function};

impl Compiler {
    /// What a machine can show of a rule, for all sizes: with the operators of this compiler and how it lowers them. Where
    /// no proof is found, the reference looks for a difference.
    pub fn prove(&self, rule: &Rewrite) -> RuleProof {
        let evaluate = |module: &Module, name: &str, args: &[TensorData]| {
            let args: Vec<Value> = args.iter().cloned().map(Value::from).collect();
            let results = eval_function(&self.ops, module, name, &args).map_err(|it| it.to_string())?;
            let tensor =
                |it: Value| it.as_tensor().cloned().ok_or_else(|| "a result is no tensor".to_owned());
            results.into_iter().map(tensor).collect()
        };
        Prover::new(&self.ops)
            .with_table(self.passes.table().clone())
            .with_evaluator(&evaluate)
            .prove_rule(rule)
    }
}
