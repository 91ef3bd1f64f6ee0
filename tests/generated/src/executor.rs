//! Ways to compute a model: those of the differential suite, each with an instruction set, an accuracy and choices.

use orogen::ir::choices::Choices;
use orogen::passes::Place;
use orogen::rules::{AnyRule, ApplyRules, Rewrite, RuleSet};
use orogen::{Accuracy, CompileOptions, Compiler, Cpu, Diagnostics, Step};
use orogen_differential::{Executor, Way};
use orogen_ir::generate::Random;
use std::fmt;
use std::sync::{Arc, LazyLock};

/// What is other than usual about an executor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Form {
    /// Nothing.
    Usual,
    /// The instruction set of the code.
    Cpu(Cpu),
    /// Which rewrites of arithmetic are admitted.
    Accuracy(Accuracy),
    /// Other choices where several are legal, from the seed of the model.
    Chaos,
    /// Rules that ship, some of them in some order and both directions, from the seed of the model, before anything else: an
    /// equivalent model.
    Rules,
    /// Not Orogen at all: another implementation, in a process of its own.
    Peer,
}

/// A way to compute a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Column {
    /// Which IRs it goes through, and who computes.
    pub executor: Executor,
    /// What is other than usual.
    pub form: Form,
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let executor = self.executor;
        match self.form {
            Form::Usual => write!(f, "{executor}"),
            Form::Cpu(cpu) => write!(f, "{executor}/{cpu}"),
            Form::Accuracy(it) => write!(f, "{executor}/{}", it.name()),
            Form::Chaos => write!(f, "{executor}/chaos"),
            Form::Rules => write!(f, "{executor}/rules"),
            Form::Peer => f.write_str("onnxruntime"),
        }
    }
}

impl Column {
    /// Every executor that this machine has.
    pub fn all() -> Vec<Column> {
        let usual = |executor| Column { executor, form: Form::Usual };
        let mut all: Vec<Column> = Vec::new();
        for way in [Way::Native, Way::Legacy] {
            let steps = [Step::Import, Step::Simplify, Step::Layout, Step::Fuse, Step::PlanMemory];
            all.extend(steps.map(|step| usual(Executor::Reference(way, step))));
            let jit = Executor::Jit(way);
            all.extend([usual(jit), usual(Executor::Library(way))]);
            all.extend(
                orogen_bench::cpus().into_iter().map(|it| Column { executor: jit, form: Form::Cpu(it) }),
            );
            let accuracies = [Accuracy::Strict, Accuracy::Fast];
            all.extend(accuracies.map(|it| Column { executor: jit, form: Form::Accuracy(it) }));
            all.push(Column { executor: jit, form: Form::Chaos });
        }
        all.push(Column { executor: Executor::Jit(Way::Native), form: Form::Rules });
        all.push(Column { executor: Executor::Reference(Way::Native, Step::Simplify), form: Form::Rules });
        all.extend(Executor::waterlines().into_iter().map(|it| usual(Executor::Jit(Way::Waterline(it)))));
        all
    }

    /// So many of these, from a seed: seeds that follow each other take all in turn.
    pub fn some(all: &[Column], seed: u64, n: usize) -> Vec<Column> {
        let first = seed.wrapping_mul(n as u64);
        let at = |i: u64| all[(first.wrapping_add(i) % all.len().max(1) as u64) as usize];
        (0..n.min(all.len()) as u64).map(at).collect()
    }

    /// The same, where code is generated for one in `every` models alone and the others are interpreted: that is a fifth of the
    /// work.
    pub fn some_with_code(all: &[Column], seed: u64, n: usize, every: u64) -> Vec<Column> {
        let every = every.max(1);
        let (code, interpreted): (Vec<Column>, Vec<Column>) = all.iter().partition(|it| it.makes_code());
        let (before, rest) = (seed / every, seed % every);
        match rest {
            0 => Column::some(&code, before, n),
            _ => Column::some(&interpreted, seed - before - 1, n),
        }
    }

    /// Whether machine code is made for it.
    fn makes_code(self) -> bool {
        !matches!(self.executor, Executor::Reference(..)) && self.form != Form::Peer
    }

    /// Another implementation; `Column::all` has it not.
    pub fn peer() -> Column {
        Column { executor: Executor::Reference(Way::Native, Step::Import), form: Form::Peer }
    }

    /// Whether sizes must be known when it compiles.
    pub fn is_static(self) -> bool {
        self.executor.way().is_static()
    }

    /// Options with these sizes.
    pub fn options(self, sizes: &[(String, u64)]) -> CompileOptions {
        let mut options = self.executor.way().options();
        if self.is_static() {
            options.dims = sizes.to_vec();
        }
        match self.form {
            Form::Cpu(cpu) => options.cpu = cpu,
            Form::Accuracy(accuracy) => options.accuracy = accuracy,
            Form::Usual | Form::Chaos | Form::Rules | Form::Peer => {}
        }
        options
    }

    /// The compiler for a seed, where it is not the usual one.
    ///
    /// # Errors
    /// Rules and passes that do not fit together.
    pub(crate) fn compiler(self, seed: u64) -> Result<Option<Compiler>, Diagnostics> {
        Ok(match self.form {
            Form::Chaos => Some(Compiler::builder().chaos(Choices::random(seed, u64::MAX)).build()?),
            Form::Rules => Some(rewriting(seed)?),
            Form::Usual | Form::Cpu(_) | Form::Accuracy(_) | Form::Peer => None,
        })
    }
}

/// What ships: it is made once, for its rules are parsed then.
static SHIPPED: LazyLock<Compiler> = LazyLock::new(Compiler::standard);

/// A compiler that begins with a part of the rules that ship, those that are explored too, a few times.
fn rewriting(seed: u64) -> Result<Compiler, Diagnostics> {
    let mut random = Random::new(seed);
    let text = |it: &AnyRule| match it {
        AnyRule::Text(rule) => Some(rule.clone()),
        AnyRule::Code(_) => None,
    };
    let mut rules: Vec<Arc<Rewrite>> = SHIPPED.rules().filter_map(|it| text(it.1)).collect();
    let mut set = RuleSet::default();
    while !rules.is_empty() {
        let rule = rules.swap_remove(random.below(rules.len()));
        if random.below(3) == 0 {
            set.insert_rewrite(SHIPPED.ops(), rule)?;
        }
    }
    let pass = ApplyRules::new("drawn-rules", set).with_rounds(1 + random.below(3));
    Compiler::builder().flow_pass(Place::after("import"), pass).build()
}
