//! Counted loops.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, BlockArg, InstBuilder, Value, types};

use super::unit::FunctionCx;

/// A loop whose body is being built.
#[derive(Debug)]
pub(crate) struct OpenLoop {
    body: Block,
    exit: Block,
    end: Value,
    /// The loop variable.
    pub(crate) index: Value,
    /// Values carried from one iteration to the next.
    pub(crate) carried: Vec<Value>,
}

impl FunctionCx<'_> {
    /// Starts a loop over `begin..end`; code built until [`FunctionCx::close_loop`] is its body.
    pub(crate) fn open_loop(&mut self, begin: Value, end: Value, carried: &[Value]) -> OpenLoop {
        let (body, exit) = (self.b.create_block(), self.b.create_block());
        let index = self.b.append_block_param(body, types::I64);
        let mut params = Vec::new();
        for value in carried {
            let ty = self.b.func.dfg.value_type(*value);
            params.push(self.b.append_block_param(body, ty));
            self.b.append_block_param(exit, ty);
        }
        let out: Vec<BlockArg> = carried.iter().map(|it| BlockArg::Value(*it)).collect();
        let mut into = vec![BlockArg::Value(begin)];
        into.extend_from_slice(&out);
        let any = self.b.ins().icmp(IntCC::SignedLessThan, begin, end);
        self.b.ins().brif(any, body, &into, exit, &out);
        self.b.switch_to_block(body);
        OpenLoop { body, exit, end, index, carried: params }
    }

    /// Ends the body with the carried values of the next iteration; returns their values after the loop.
    pub(crate) fn close_loop(&mut self, open: OpenLoop, carried: &[Value]) -> Vec<Value> {
        let next = self.b.ins().iadd_imm_s(open.index, 1);
        let more = self.b.ins().icmp(IntCC::SignedLessThan, next, open.end);
        let out: Vec<BlockArg> = carried.iter().map(|it| BlockArg::Value(*it)).collect();
        let mut again = vec![BlockArg::Value(next)];
        again.extend_from_slice(&out);
        self.b.ins().brif(more, open.body, &again, open.exit, &out);
        self.b.switch_to_block(open.exit);
        self.b.block_params(open.exit).to_vec()
    }
}
