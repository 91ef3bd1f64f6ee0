//! Numbers of programs in memory: programs that differ in nothing else are one function of a library.

use indexmap::IndexSet;

use crate::vector::ir::Stmt;
use crate::vector::{Addr, IReg, Inst, Program};

/// Makes programs of one width read their constants, but for zeros, through one more parameter; the result is what must
/// lie there, as lanes. Without constants there is no parameter.
pub(super) fn outside(programs: &mut [Program]) -> Vec<u64> {
    let mut pool = IndexSet::new();
    for stmt in programs.iter().flat_map(|it| &it.body) {
        if let Stmt::Inst(Inst::Splat { bits, .. }) = stmt
            && *bits != 0
        {
            pool.insert(*bits);
        }
    }
    if pool.is_empty() {
        return Vec::new();
    }
    for program in programs {
        let at = IReg(program.ints);
        program.ints += 1;
        program.params.push(at);
        let (from, lane) = (program.width.storage(), i64::from(program.width.bytes()));
        for stmt in &mut program.body {
            if let Stmt::Inst(inst @ Inst::Splat { .. }) = stmt
                && let Inst::Splat { dst, bits } = *inst
                && let Some(place) = pool.get_index_of(&bits)
            {
                *inst = Inst::LoadSplat { dst, addr: Addr::new(at).offset(lane * place as i64), from };
            }
        }
    }
    pool.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector::Builder;

    fn scaled(by: f32) -> Program {
        let mut b = Builder::new("scaled");
        let [x, y] = b.params();
        let (by, zero) = (b.constant(by), b.constant(0.0));
        let value = b.load(x, None);
        let value = b.mul(value, by);
        let value = b.max(zero, value);
        b.store(value, y, None);
        b.finish()
    }

    #[test]
    fn programs_that_differ_in_numbers_become_equal() {
        let (mut one, mut other) = ([scaled(0.5)], [scaled(3.0)]);
        assert_ne!(one, other);
        assert_eq!(outside(&mut one), [u64::from(0.5f32.to_bits())]);
        assert_eq!(outside(&mut other), [u64::from(3.0f32.to_bits())]);
        assert_eq!(one, other);
        assert_eq!(one[0].params.len(), 3);
        assert_eq!(outside(&mut one), [0; 0]);
        assert_eq!(one[0].params.len(), 3, "there is nothing left to read");
    }
}
