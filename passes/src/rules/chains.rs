//! The order of matrix products: `(a · b) · c` is `a · (b · c)` with another number of multiplications.
//!
//! * **MC1** A chain is what products of the same block read of each other alone; all its matrices have the same leading
//!   dimensions, or none.
//! * **MC2** Where all sizes are known the order with the fewest multiplications is taken. Where some are not, two products
//!   change their order if that is no more work for any sizes, and less for some.

use crate::rewrite::{OpCall, Rewriter, Rule, RuleClass, Value};
use orogen_ir::shape::{Dim, ShapeCx};
use orogen_ir::types::Attrs;

/// The rules of the pass.
pub const RULES: &[Rule] = &[Rule {
    name: "order-products",
    root: "matmul",
    class: RuleClass::Reassociates,
    reason: "which order is the cheapest is found by trying all",
    apply: order_products,
}];

/// The most matrices of a chain that are looked at together.
const MOST: usize = 24;

/// A product, or a matrix that is none.
enum Tree {
    Leaf(usize),
    Product(Box<[Tree; 2]>),
}

/// A matrix of a chain.
struct Matrix {
    value: Value,
    dims: Vec<Dim>,
}

fn order_products(rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<Value> {
    let mut chain = Vec::new();
    let tree = product(rewriter, call, &mut chain, 0)?;
    if chain.len() < 3 {
        return None;
    }
    let rank = chain[0].dims.len();
    let leading = chain[0].dims[..rank - 2].to_vec();
    let alike = chain.iter().all(|it| {
        let own = &it.dims[..it.dims.len() - 2];
        let same = |(a, b): (&Dim, &Dim)| rewriter.shapes().prove_eq(*a, *b).is_always();
        it.dims.len() == rank && own.iter().zip(&leading).all(same)
    });
    if !alike {
        return None;
    }
    // Matrix i is of size[i] rows and size[i + 1] columns.
    let mut sizes: Vec<Dim> = chain.iter().map(|it| it.dims[rank - 2]).collect();
    sizes.push(chain.last()?.dims[rank - 1]);
    let known: Option<Vec<u128>> =
        sizes.iter().map(|it| rewriter.shapes().as_int(*it).and_then(|it| u128::try_from(it).ok())).collect();
    let best = match known {
        Some(sizes) => cheapest(&sizes, &tree)?,
        None => turned(rewriter.shapes_mut(), &sizes, &tree)?,
    };
    build(rewriter, &best, &chain)
}

/// Reads the products that are read by this one alone, so deep.
fn product(
    rewriter: &mut dyn Rewriter,
    call: &OpCall,
    chain: &mut Vec<Matrix>,
    depth: usize,
) -> Option<Tree> {
    let mut parts = Vec::with_capacity(2);
    for value in [call.args[0], call.args[1]] {
        let inner = rewriter.definition_by(value, "matmul");
        let own = inner
            .filter(|_| rewriter.uses(value) == 1 && rewriter.is_local(value) && depth + chain.len() < MOST);
        let dims = rewriter.ty(value).as_tensor()?.dims()?.to_vec();
        if dims.len() < 2 {
            return None;
        }
        parts.push(match own {
            Some(inner) => product(rewriter, &inner, chain, depth + 1)?,
            None => {
                chain.push(Matrix { value, dims });
                Tree::Leaf(chain.len() - 1)
            }
        });
    }
    let second = parts.pop()?;
    Some(Tree::Product(Box::new([parts.pop()?, second])))
}

/// The first and the last matrix of a tree, and its multiplications.
fn cost(sizes: &[u128], tree: &Tree) -> (usize, usize, u128) {
    match tree {
        Tree::Leaf(i) => (*i, *i, 0),
        Tree::Product(parts) => {
            let ((first, middle, a), (_, last, b)) = (cost(sizes, &parts[0]), cost(sizes, &parts[1]));
            let own = sizes[first].saturating_mul(sizes[middle + 1]).saturating_mul(sizes[last + 1]);
            (first, last, own.saturating_add(a).saturating_add(b))
        }
    }
}

/// The order with the fewest multiplications, where it has fewer than this one.
fn cheapest(sizes: &[u128], tree: &Tree) -> Option<Tree> {
    let n = sizes.len() - 1;
    // Of matrices i to j: the least cost, and where the last product splits them.
    let mut best = vec![vec![(0u128, 0usize); n]; n];
    for length in 2..=n {
        for i in 0..=n - length {
            let j = i + length - 1;
            let split = |k: usize| {
                let own = sizes[i].saturating_mul(sizes[k + 1]).saturating_mul(sizes[j + 1]);
                (own.saturating_add(best[i][k].0).saturating_add(best[k + 1][j].0), k)
            };
            best[i][j] = (i..j).map(split).min()?;
        }
    }
    fn tree_of(best: &[Vec<(u128, usize)>], i: usize, j: usize) -> Tree {
        match i == j {
            true => Tree::Leaf(i),
            false => {
                let k = best[i][j].1;
                Tree::Product(Box::new([tree_of(best, i, k), tree_of(best, k + 1, j)]))
            }
        }
    }
    (best[0][n - 1].0 < cost(sizes, tree).2).then(|| tree_of(&best, 0, n - 1))
}

/// Of three matrices: the other order, where it is no more work for any sizes and less for some.
fn turned(shapes: &mut ShapeCx, sizes: &[Dim], tree: &Tree) -> Option<Tree> {
    let &[m, k, n, p] = sizes else { return None };
    let Tree::Product(parts) = tree else { return None };
    let mut sum = |a: [Dim; 3], b: [Dim; 3]| {
        let (a, b) = (shapes.product(&a).ok()?, shapes.product(&b).ok()?);
        shapes.add(a, b).ok()
    };
    let (left, right) = (sum([m, k, n], [m, n, p])?, sum([k, n, p], [m, k, p])?);
    let is_left = matches!(parts[0], Tree::Product(_));
    let (now, other) = if is_left { (left, right) } else { (right, left) };
    let saves = shapes.prove_ge(now, other).is_always() && !shapes.prove_ge(other, now).is_always();
    let [a, b, c] = [0, 1, 2].map(Tree::Leaf);
    let pair = |a: Tree, b: Tree| Tree::Product(Box::new([a, b]));
    saves.then(|| if is_left { pair(a, pair(b, c)) } else { pair(pair(a, b), c) })
}

fn build(rewriter: &mut dyn Rewriter, tree: &Tree, chain: &[Matrix]) -> Option<Value> {
    match tree {
        Tree::Leaf(i) => Some(chain[*i].value),
        Tree::Product(parts) => {
            let (a, b) = (build(rewriter, &parts[0], chain)?, build(rewriter, &parts[1], chain)?);
            rewriter.emit("matmul", Attrs::none(), &[a, b])
        }
    }
}
