//! Names that error messages hold, looked up by number in tables of the library.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{BlockArg, InstBuilder, MemFlagsData, Value, types};
use orogen_abi::{DLDataType, TypeIndex};
use orogen_ir::types::DType;

use super::I;
use crate::clif::unit::{FunctionCx, Symbol};

/// The DLPack form of an element type.
pub(crate) fn dlpack(dtype: DType) -> DLDataType {
    let (code, bits) = dtype.row().dlpack;
    DLDataType::new(code, bits)
}

const PREFIX: &str = "orogen.names.";
/// Bytes of a row: the number in four, then the name, filled up with NULs, at least one.
const ROW: usize = 32;
const NAME: i64 = 4;

/// A table; the name of its last row is that of all other numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    /// What an `Any` of a tag is, in words.
    Kinds,
    /// An element type, by its four bytes.
    ElementTypes,
}

impl Table {
    const ALL: [Table; 2] = [Table::Kinds, Table::ElementTypes];

    fn name(self) -> &'static str {
        match self {
            Table::Kinds => "kinds",
            Table::ElementTypes => "element_types",
        }
    }

    /// Of several rows of one number the first counts.
    fn rows(self) -> Vec<(u32, &'static str)> {
        match self {
            Table::Kinds => {
                let names = TypeIndex::NAMES.iter().map(|it| (it.0.cast_unsigned(), it.1));
                names.chain([(0, TypeIndex::OTHER)]).collect()
            }
            Table::ElementTypes => {
                let names = DType::ALL.into_iter().rev().map(|it| (dlpack(it).to_bits(), it.name()));
                names.chain([(0, "another type")]).collect()
            }
        }
    }

    fn bytes(self) -> Vec<u8> {
        let row = |(number, name): (u32, &str)| {
            let mut row = [0; ROW];
            row[..NAME as usize].copy_from_slice(&number.to_le_bytes());
            row[NAME as usize..][..name.len()].copy_from_slice(name.as_bytes());
            row
        };
        self.rows().into_iter().flat_map(row).collect()
    }
}

/// The table behind a symbol.
pub(super) fn table(symbol: &str) -> Option<Vec<u8>> {
    let name = symbol.strip_prefix(PREFIX)?;
    Table::ALL.into_iter().find(|it| it.name() == name).map(Table::bytes)
}

/// `(number) → text`
pub(super) fn look_up(cx: &mut FunctionCx<'_>, table: Table, args: &[Value]) {
    let number = cx.b.ins().ireduce(types::I32, args[0]);
    let first = cx.data_address(Symbol::LocalData(format!("{PREFIX}{}", table.name())));
    let last = cx.b.ins().iadd_imm_s(first, ((table.rows().len() - 1) * ROW) as i64);
    let (head, next, found) = (cx.b.create_block(), cx.b.create_block(), cx.b.create_block());
    let row = cx.b.append_block_param(head, I);
    cx.b.ins().jump(head, &[BlockArg::Value(first)]);
    cx.b.switch_to_block(head);
    let here = cx.b.ins().load(types::I32, MemFlagsData::trusted(), row, 0);
    let same = cx.b.ins().icmp(IntCC::Equal, here, number);
    let end = cx.b.ins().icmp(IntCC::Equal, row, last);
    let stop = cx.b.ins().bor(same, end);
    cx.b.ins().brif(stop, found, &[], next, &[]);
    cx.b.switch_to_block(next);
    let following = cx.b.ins().iadd_imm_s(row, ROW as i64);
    cx.b.ins().jump(head, &[BlockArg::Value(following)]);
    cx.b.switch_to_block(found);
    let name = cx.b.ins().iadd_imm_s(row, NAME);
    cx.b.ins().return_(&[name]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_ends_in_its_row() {
        for table in Table::ALL {
            let bytes = table.bytes();
            for ((number, name), row) in table.rows().into_iter().zip(bytes.chunks(ROW)) {
                assert_eq!(row[..4], number.to_le_bytes());
                assert_eq!(row[4..].split(|it| *it == 0).next(), Some(name.as_bytes()));
                assert!(row.ends_with(&[0]), "{name}");
            }
            assert_eq!(bytes.len(), table.rows().len() * ROW);
        }
    }
}
