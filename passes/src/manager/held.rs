//! What is known to hold while passes run, and whether passes in an order fit together.

use super::facts::{Fact, lie};
use super::{Changed, IrRef, PassInfo};
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::ops::OpRegistry;

/// The facts that are known to hold of a program, and who took the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    facts: Vec<Fact>,
    /// Who destroyed a fact last.
    lost: Vec<(Fact, &'static str)>,
    /// Who established a fact, of those that hold.
    made: Vec<(Fact, &'static str)>,
}

impl Held {
    /// Those that hold of this program: it is looked at.
    pub fn of(ir: IrRef<'_>, ops: &OpRegistry) -> Held {
        let facts = Fact::ALL.into_iter().filter(|it| it.check(ir, ops).is_ok());
        Held { facts: facts.collect(), ..Held::default() }
    }

    /// All of them: what holds of a program that nobody has seen yet, as far as passes are to blame.
    pub fn all() -> Held {
        Held { facts: Fact::ALL.to_vec(), ..Held::default() }
    }

    /// Whether a fact is known to hold.
    pub fn contains(&self, fact: Fact) -> bool {
        self.facts.contains(&fact)
    }

    /// Whether a pass finds what it requires, and does not come too late.
    ///
    /// # Errors
    /// `N022`: a fact that it requires does not hold. `N023`: an earlier pass left it nothing to do.
    pub fn admit(&self, pass: PassInfo) -> Result<(), Diagnostic> {
        self.admit_among(pass, &[])
    }

    fn admit_among(&self, pass: PassInfo, known: &[PassInfo]) -> Result<(), Diagnostic> {
        let name = pass.name;
        if let Some(fact) = pass.facts.requires.iter().find(|it| !self.contains(**it)) {
            let message = format!("pass `{name}` requires `{fact}`, which does not hold where it stands");
            let mut found = Diagnostic::error("N022", message).note(format!("`{fact}`: {}", fact.about()));
            if let Some((_, by)) = self.lost.iter().find(|it| it.0 == *fact) {
                found = found.note(format!("pass `{by}` destroys it"));
            }
            let makers: Vec<String> = known
                .iter()
                .filter(|it| it.facts.establishes.contains(fact))
                .map(|it| format!("`{}`", it.name))
                .collect();
            return Err(match makers.is_empty() {
                true => found.help(format!("put a pass before `{name}` that establishes it")),
                false => {
                    let makers = makers.join(" or ");
                    found.help(format!("{makers} establishes it: put it before `{name}`"))
                }
            });
        }
        let late = self.made.iter().find(|it| pass.facts.before.contains(&it.0));
        if let Some((fact, by)) = late {
            let message = format!(
                "pass `{name}` comes too late: `{by}` establishes `{fact}`, after which it finds nothing to do"
            );
            return Err(Diagnostic::error("N023", message)
                .note(format!("`{fact}`: {}", fact.about()))
                .help(format!("put `{name}` before `{by}`")));
        }
        Ok(())
    }

    /// Takes a pass at its word.
    fn believe(&mut self, pass: PassInfo, changed: Changed) {
        for fact in Fact::ALL {
            if pass.facts.establishes.contains(&fact) {
                self.make(fact, pass.name);
            } else if changed == Changed::Yes && pass.facts.destroys.is_some_and(|it| it.contains(&fact)) {
                self.lose(fact, pass.name);
            }
        }
    }

    /// Notes what a pass left. What it does not say is looked at; what it says is too, where `verify` is set.
    ///
    /// # Errors
    /// `N026`: what it says of a fact is not so.
    pub(super) fn after(
        &mut self,
        (ir, ops): (IrRef<'_>, &OpRegistry),
        pass: PassInfo,
        changed: Changed,
        verify: bool,
    ) -> Result<(), Diagnostics> {
        self.believe(pass, changed);
        let mut found = Diagnostics::new();
        for fact in self.facts.clone() {
            let establishes = pass.facts.establishes.contains(&fact);
            let unsaid = !establishes && pass.facts.destroys.is_none() && changed == Changed::Yes;
            if !unsaid && !verify {
                continue;
            }
            let Err(what) = fact.check(ir, ops) else { continue };
            self.lose(fact, pass.name);
            if !unsaid {
                let says = match (establishes, changed) {
                    (true, _) => "establishes",
                    (false, Changed::Yes) => "keeps",
                    (false, Changed::No) => "changes nothing and so keeps",
                };
                found.push(lie(pass.name, says, fact, &what));
            }
        }
        found.into_result(())
    }

    fn make(&mut self, fact: Fact, by: &'static str) {
        if !self.facts.contains(&fact) {
            self.facts.push(fact);
        }
        self.lost.retain(|it| it.0 != fact);
        self.made.retain(|it| it.0 != fact);
        self.made.push((fact, by));
    }

    fn lose(&mut self, fact: Fact, by: &'static str) {
        if self.facts.contains(&fact) {
            self.facts.retain(|it| *it != fact);
            self.lost.push((fact, by));
        }
        self.made.retain(|it| it.0 != fact);
    }
}

/// Whether passes fit together in this order, on a program of which `held` holds. `known` are the passes that a user may
/// name, for the way out. A pass that does not say what it destroys is taken to keep everything: what it leaves is looked
/// at when it runs.
///
/// # Errors
/// See [`Held::admit`]; all that do not fit.
pub fn check_order(
    passes: impl IntoIterator<Item = PassInfo>,
    mut held: Held,
    known: &[PassInfo],
) -> Result<(), Diagnostics> {
    let mut found = Diagnostics::new();
    for pass in passes {
        if let Err(it) = held.admit_among(pass, known) {
            found.push(it);
        }
        held.believe(pass, Changed::Yes);
    }
    found.into_result(())
}
