//! What became of a kernel, as text.

use cranelift_codegen::isa::TargetIsa;
use iced_x86::{Decoder, DecoderOptions, Formatter, Instruction, IntelFormatter};
use indexmap::{IndexMap, IndexSet};
use orogen_ir::diag::{Diagnostic, Diagnostics};
use std::fmt::Write as _;

use crate::clif::unit::{Symbol, Unit};
use crate::library::Compiled;
use crate::select::routine::Routine;

use super::code;
use super::record::{Code, Place};

/// How a kernel is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// The vector programs that it calls.
    Vector,
    /// Its functions in Cranelift's IR.
    Clif,
    /// The machine code of its functions and of those that they call.
    Asm,
}

impl Compiled {
    /// A kernel, by its place in [`kernels`](Self::kernels), as text.
    ///
    /// # Errors
    /// `C010`: machine code of a target whose instructions are not decoded here. Code that the target cannot express.
    pub fn listing(&self, kernel: usize, view: View) -> Result<String, Diagnostics> {
        let phases = &self.kernels[kernel].phases;
        let own: Vec<&Unit> =
            phases.iter().filter_map(|it| self.units.iter().find(|unit| unit.name == it.symbol)).collect();
        match view {
            View::Vector => Ok(self.vector(&own)),
            View::Clif => Ok(own.iter().map(|it| clif(it)).collect::<Vec<_>>().join("\n")),
            View::Asm => self.asm(&own),
        }
    }

    fn vector(&self, own: &[&Unit]) -> String {
        let called: IndexSet<&str> = own.iter().flat_map(|it| local(it)).collect();
        let mut text = String::new();
        for (symbol, routine) in self.routines.iter().filter(|it| called.contains(it.0)) {
            let made = match routine {
                Routine::Program(program, isa) => format!("// {symbol}, for {isa:?}\n{program}"),
                other => format!(
                    "// {symbol}: functions around vector programs; their code is in the view `asm`\n{other:#?}\n"
                ),
            };
            text.push_str(&made);
        }
        if text.is_empty() {
            "// no vector program: all of it is in the view `clif`\n".to_owned()
        } else {
            text
        }
    }

    fn asm(&self, own: &[&Unit]) -> Result<String, Diagnostics> {
        let isa = self.isa(true)?;
        let code = code::compile(self, &*isa)?;
        let named: IndexMap<&str, &Code> = code.iter().map(|it| (it.name.as_str(), it)).collect();
        let mut shown: IndexSet<&str> = own.iter().map(|it| it.name.as_str()).collect();
        let mut text = String::new();
        let mut at = 0;
        while let Some(code) = shown.get_index(at).and_then(|it| named.get(it)) {
            at += 1;
            text.push_str(&disassembled(&*isa, code)?);
            for place in code.relocations.iter().map(|it| &it.place) {
                if let Place::Symbol(Symbol::Local(name), _) = place {
                    shown.insert(name);
                }
            }
        }
        Ok(text)
    }
}

fn local(unit: &Unit) -> impl Iterator<Item = &str> {
    unit.symbols.keys().filter_map(|it| match it {
        Symbol::Local(name) => Some(name.as_str()),
        _ => None,
    })
}

/// A function, after the names of what it refers to by number.
fn clif(unit: &Unit) -> String {
    let mut text = format!("; {}\n", unit.name);
    for (i, symbol) in unit.symbols.keys().enumerate() {
        writeln!(text, ";   u0:{i} is {}", symbol.name()).expect("writing to a string");
    }
    text + &unit.function.display().to_string()
}

/// The instructions of a function. Targets of jumps are offsets from its beginning.
fn disassembled(isa: &dyn TargetIsa, code: &Code) -> Result<String, Diagnostic> {
    if isa.triple().architecture != target_lexicon::Architecture::X86_64 {
        let message = format!("machine code of `{}` is not decoded", isa.triple());
        return Err(Diagnostic::error("C010", message).help("the view `clif` is the same for all targets"));
    }
    let mut formatter = IntelFormatter::new();
    let options = formatter.options_mut();
    options.set_hex_prefix("0x");
    options.set_hex_suffix("");
    options.set_uppercase_hex(false);
    options.set_branch_leading_zeros(false);
    options.set_space_after_operand_separator(true);
    let mut text = format!("{}: {} bytes\n", code.name, code.bytes.len());
    let mut decoder = Decoder::with_ip(64, &code.bytes, 0, DecoderOptions::NONE);
    let mut instruction = Instruction::default();
    while decoder.can_decode() {
        decoder.decode_out(&mut instruction);
        let range = instruction.ip()..instruction.next_ip();
        let mut line = String::new();
        formatter.format(&instruction, &mut line);
        let named = code.relocations.iter().filter(|it| range.contains(&u64::from(it.offset)));
        let names: Vec<String> = named.map(|it| name_of(&it.place)).collect();
        let comment = if names.is_empty() { String::new() } else { format!("  ; {}", names.join(", ")) };
        writeln!(text, "  {:5x}  {line}{comment}", range.start).expect("writing to a string");
    }
    Ok(text)
}

fn name_of(place: &Place) -> String {
    match place {
        Place::Symbol(symbol, _) => symbol.name().to_owned(),
        Place::LibCall(call) => call.to_string(),
        Place::Inside(offset) => format!("+{offset:x}"),
    }
}
