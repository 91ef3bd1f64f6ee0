//! P3 and P4: where slots lie, and which of them share memory.
//!
//! An arena may say the parts that it is made of. Where they add up to its size, a slot at the start of one that holds
//! it lies within the arena, and apart from what lies in another one. A plan need not be believed: each of these is a
//! question that is proven or not, and so is every one that parts do not answer.

use super::facts::Established;
use super::proof::{Asked, Spot};
use super::samples::{Range, Samples};
use super::sizes::{Answer, Question, Sizes};
use super::state::{Extent, State, Write};
use super::{Verifier, buffer_text, is_read_only};
use crate::plan::{ALIGNMENT, ArenaId, BufferRef, CallPlan, ObjectId, PlanOutput, SlotId};
use crate::shape::{Dim, Sym};
use indexmap::{IndexMap, IndexSet};

/// Where everything lies.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// The end of each slot; `None` where that overflows.
    ends: Vec<Option<Dim>>,
    /// The bytes of each slot.
    bytes: Vec<Option<Dim>>,
    /// Each slot at samples, as far as asked.
    ranges: IndexMap<SlotId, Option<Range>>,
    /// Which part of its arena each slot lies in, where that is proven, and what it is no larger than: the part, or another
    /// slot in it.
    parts: Vec<Option<(u32, Dim)>>,
    /// The arenas whose parts add up.
    divided: Vec<bool>,
    /// Pairs of slots, as far as asked.
    pairs: IndexMap<(SlotId, SlotId), Overlap>,
    /// Whose size or layout a symbol is in.
    mentions: IndexMap<Sym, Mentions>,
}

/// What a symbol is a size of.
#[derive(Debug, Default)]
struct Mentions {
    arenas: Vec<ArenaId>,
    outputs: Vec<u32>,
    objects: Vec<ObjectId>,
}

/// Whether two buffers share a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overlap {
    /// For no sizes: this is proven.
    Never,
    /// For some sizes.
    Sometimes,
    /// Neither is known.
    Unknown,
}

impl Layout {
    pub(super) fn new(plan: &CallPlan, sizes: &mut Sizes) -> Layout {
        let mut layout = Layout::default();
        let mut starts: Vec<IndexMap<Dim, (u32, Dim)>> = Vec::new();
        for arena in &plan.arenas {
            let mut found = IndexMap::new();
            let mut at = Some(sizes.shapes.int(0));
            for (i, part) in arena.parts.iter().enumerate() {
                let Some(start) = at else { break };
                found.insert(start, (i as u32, *part));
                at = sizes.shapes.add(start, *part).ok();
            }
            layout.divided.push(!arena.parts.is_empty() && at == Some(arena.bytes));
            starts.push(found);
        }
        let mut candidates = Vec::new();
        for slot in &plan.slots {
            let bytes = slot.bytes(&mut sizes.shapes).ok();
            layout.bytes.push(bytes);
            layout.ends.push(bytes.and_then(|it| sizes.shapes.add(slot.offset, it).ok()));
            let arena = slot.arena.0 as usize;
            let divided = layout.divided.get(arena).copied().unwrap_or_default();
            let part = starts.get(arena).and_then(|it| it.get(&slot.offset)).copied().filter(|_| divided);
            candidates.push(part.zip(bytes).map(|(part, bytes)| Candidate { arena, part, bytes }));
        }
        layout.parts = within_parts(&candidates, sizes);
        layout.mention(plan, sizes);
        layout
    }

    fn mention(&mut self, plan: &CallPlan, sizes: &Sizes) {
        let in_arenas = plan.arenas.iter().enumerate().map(|(i, it)| (i as u32, it.bytes));
        let in_slots = plan
            .slots
            .iter()
            .flat_map(|it| it.dims.iter().copied().chain([it.offset]).map(|dim| (it.arena.0, dim)));
        for (arena, dim) in in_arenas.chain(in_slots) {
            for symbol in sizes.shapes.free_symbols(dim) {
                let arenas = &mut self.mentions.entry(symbol).or_default().arenas;
                if arenas.last() != Some(&ArenaId(arena)) {
                    arenas.push(ArenaId(arena));
                }
            }
        }
        for (i, output) in plan.outputs.iter().enumerate() {
            for symbol in output.sizes().flat_map(|it| sizes.shapes.free_symbols(it)) {
                self.mentions.entry(symbol).or_default().outputs.push(i as u32);
            }
        }
        for (i, object) in plan.objects.iter().enumerate() {
            let dims = object.dims().unwrap_or_default();
            for symbol in dims.iter().flat_map(|it| sizes.shapes.free_symbols(*it)) {
                self.mentions.entry(symbol).or_default().objects.push(ObjectId(i as u32));
            }
        }
    }
}

/// A slot at the start of a part, which may be larger than it.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    arena: usize,
    part: (u32, Dim),
    bytes: Dim,
}

/// The parts of those that are proven to be no larger, or no larger than another one that is: a part is the size of its
/// largest slot rounded up, which is harder to compare with. With each what it was compared with.
fn within_parts(candidates: &[Option<Candidate>], sizes: &mut Sizes) -> Vec<Option<(u32, Dim)>> {
    let mut at_most = |a, b| sizes.ask(Question::AtMost(a, b), &Established::default()) == Answer::Proven;
    let mut within: IndexMap<(usize, u32), IndexMap<Dim, Dim>> = IndexMap::new();
    // With how many of those within its part each was compared: there are only ever more of them.
    let mut open: IndexMap<(usize, u32, Dim), usize> = IndexMap::new();
    for Candidate { arena, part, bytes } in candidates.iter().flatten() {
        let known = within.entry((*arena, part.0)).or_default();
        let slot = (*arena, part.0, *bytes);
        if known.contains_key(bytes) || open.contains_key(&slot) {
            continue;
        }
        if at_most(*bytes, part.1) {
            known.insert(*bytes, part.1);
        } else {
            open.insert(slot, 0);
        }
    }
    loop {
        let before = open.len();
        open.retain(|(arena, part, bytes), asked| {
            let Some(known) = within.get_mut(&(*arena, *part)) else { return true };
            let larger = known.keys().copied().skip(*asked).find(|it| at_most(*bytes, *it));
            *asked = known.len();
            known.extend(larger.map(|it| (*bytes, it)));
            larger.is_none()
        });
        if open.len() == before {
            break;
        }
    }
    let bound =
        |it: &Candidate| within.get(&(it.arena, it.part.0)).and_then(|known| known.get(&it.bytes)).copied();
    candidates.iter().map(|it| it.and_then(|it| Some((it.part.0, bound(&it)?)))).collect()
}

impl Verifier<'_> {
    /// P4: slots lie in their arena and are aligned; so are arenas. Asked where the arena is allocated, or of
    /// slots whose size is known only later, where they are written.
    pub(super) fn check_p4_arena(&mut self, id: ArenaId, slots: &[SlotId], known: &Established) {
        let plan = self.plan;
        let Some(arena) = plan.arenas.get(id.0 as usize) else { return };
        let (zero, alignment) = (self.sizes.shapes.int(0), ALIGNMENT as i64);
        let divided = self.layout.divided[id.0 as usize];
        // A part that holds a slot is no smaller than that.
        let held: IndexSet<u32> =
            slots.iter().filter_map(|it| self.layout.parts[it.0 as usize]).map(|it| it.0).collect();
        let parts = (0..).zip(&arena.parts).filter(|(i, _)| divided && !held.contains(i));
        let empty: Vec<Dim> = parts.map(|it| *it.1).collect();
        for part in &empty {
            self.ask("P4", Spot::Plan, Question::AtMost(zero, *part), known, || {
                format!("`{}`, a part of arena ^{}, is at least 0", plan.shapes.display(*part), id.0)
            });
        }
        self.ask("P4", Spot::Plan, Question::Divides(alignment, arena.bytes), known, || {
            let text = plan.shapes.display(arena.bytes);
            format!("`{text}`, the size of arena ^{}, is a multiple of {alignment}", id.0)
        });
        slots.iter().for_each(|it| self.check_p4_slot(*it, known));
    }

    fn check_p4_slot(&mut self, id: SlotId, known: &Established) {
        let (plan, at) = (self.plan, id.0 as usize);
        let slot = &plan.slots[at];
        let (zero, alignment) = (self.sizes.shapes.int(0), ALIGNMENT as i64);
        self.ask("P4", Spot::Slot(id), Question::Divides(alignment, slot.offset), known, || {
            let text = plan.shapes.display(slot.offset);
            format!("`{text}`, the offset of %s{at}, is a multiple of {alignment}")
        });
        for dim in &slot.dims {
            self.ask("P4", Spot::Slot(id), Question::AtMost(zero, *dim), known, || {
                format!("`{}`, a dimension of %s{at}, is at least 0", plan.shapes.display(*dim))
            });
        }
        let within = || format!("%s{at} lies within arena ^{}", slot.arena.0);
        if let (Some((_, larger)), Some(bytes)) = (self.layout.parts[at], self.layout.bytes[at]) {
            self.ask("P4", Spot::Slot(id), Question::AtMost(bytes, larger), known, within);
            return;
        }
        let Some(end) = self.layout.ends[at] else {
            self.report_at("P004", format!("P4: the size of %s{at} overflows"), Spot::Slot(id));
            return;
        };
        self.ask("P4", Spot::Slot(id), Question::AtMost(zero, slot.offset), known, within);
        self.ask(
            "P4",
            Spot::Slot(id),
            Question::AtMost(end, plan.arenas[slot.arena.0 as usize].bytes),
            known,
            within,
        );
    }

    /// The part of memory that a slot lies in, if it is known.
    pub(super) fn extent(&self, id: SlotId) -> Option<Extent> {
        let at = id.0 as usize;
        let arena = self.plan.slots.get(at)?.arena;
        if let Some((part, _)) = self.layout.parts[at] {
            return Some(Extent { arena, start: i64::from(part), end: i64::from(part) + 1 });
        }
        if self.layout.divided.get(arena.0 as usize).copied().unwrap_or_default() {
            return None;
        }
        let shapes = &self.sizes.shapes;
        let (start, end) =
            (shapes.as_int(self.plan.slots[at].offset)?, shapes.as_int(self.layout.ends[at]?)?);
        Some(Extent { arena, start, end })
    }

    /// A symbol gets another value: memory that was got for the old one is none for the new one.
    pub(super) fn redefine(&mut self, symbol: Sym, state: &mut State) {
        if !state.bound.contains(&symbol) {
            return;
        }
        let Some(mentions) = self.layout.mentions.get(&symbol) else { return };
        mentions.arenas.iter().for_each(|it| {
            state.arenas.shift_remove(it);
        });
        mentions.outputs.iter().for_each(|it| {
            state.outputs.shift_remove(it);
        });
        for it in &mentions.objects {
            state.valid.remove(&BufferRef::Object(*it));
            state.fresh.shift_remove(it);
        }
    }

    pub(super) fn write(&mut self, buffer: BufferRef, state: &mut State) {
        let mut extent = None;
        if let BufferRef::Slot(id) = buffer {
            extent = self.extent(id);
            if self.late.contains(&id) {
                self.check_p4_slot(id, &state.established);
            }
            state.doubtful.remove(&id);
            for other in state.valid.near(extent) {
                if other == id {
                    continue;
                }
                match self.overlap(buffer, BufferRef::Slot(other)) {
                    Overlap::Never => {}
                    Overlap::Sometimes => {
                        state.valid.remove(&BufferRef::Slot(other));
                        self.destroyed.insert(other, id);
                    }
                    Overlap::Unknown if self.apart_here(id, other, state) => {}
                    Overlap::Unknown => {
                        state.doubtful.insert(other, Write { slot: id, step: self.step });
                    }
                }
            }
        }
        if let BufferRef::Output(i) = buffer
            && let Some(input) = self.plan.outputs.get(i as usize).and_then(PlanOutput::over)
        {
            state.valid.remove(&BufferRef::Input(input));
        }
        if !is_read_only(buffer) {
            state.valid.insert(buffer, extent);
        }
    }

    /// P3: two buffers of one step share no memory.
    pub(super) fn check_p3_apart(
        &mut self,
        a: BufferRef,
        b: BufferRef,
        state: &State,
        message: impl FnOnce() -> String,
    ) {
        let asked = Asked::Apart(a.min(b), a.max(b));
        match (self.overlap(a, b), a, b) {
            (Overlap::Never, ..) => self.questions.proven("P3", self.spot(), asked),
            (Overlap::Unknown, BufferRef::Slot(x), BufferRef::Slot(y)) if self.apart_here(x, y, state) => {
                self.questions.proven("P3", self.spot(), asked);
            }
            (Overlap::Unknown, ..) => {
                let text = format!("{} and {} do not overlap", buffer_text(a), buffer_text(b));
                if let (BufferRef::Slot(x), BufferRef::Slot(y)) = (a, b) {
                    self.guard_apart(self.step, x, y, &text);
                }
                self.questions.open("P3", self.spot(), asked, text);
            }
            (Overlap::Sometimes, ..) => self.report("P003", message()),
        }
    }

    /// Where one of two slots ends and the other begins, either way round: the first before the second if that is so at
    /// more samples.
    fn orders(&mut self, a: SlotId, b: SlotId) -> Option<[(Dim, Dim); 2]> {
        [a, b].into_iter().for_each(|it| self.place(it));
        let range = |id: SlotId| self.layout.ranges.get(&id).and_then(|it| it.as_ref());
        let (x, y) = (range(a)?, range(b)?);
        let orders = [(x.end, y.start), (y.end, x.start)];
        Some(if Samples::before(x, y) >= Samples::before(y, x) { orders } else { [orders[1], orders[0]] })
    }

    /// Whether what is known here proves that two slots lie apart.
    fn apart_here(&mut self, a: SlotId, b: SlotId, state: &State) -> bool {
        self.orders(a, b).is_some_and(|orders| {
            orders.into_iter().any(|(end, start)| {
                self.sizes.ask(Question::AtMost(end, start), &state.established) == Answer::Proven
            })
        })
    }

    /// A check in front of a step that two slots lie apart.
    pub(super) fn guard_apart(&mut self, step: Option<usize>, a: SlotId, b: SlotId, text: &str) {
        let Some([(end, start), _]) = self.orders(a, b) else { return };
        let check = Question::AtMost(end, start).constraint(&mut self.sizes.shapes);
        if let (Some(step), Some(check)) = (step, check) {
            self.questions.guard(step, check, text);
        }
    }

    /// Whether two buffers share a byte.
    pub(super) fn overlap(&mut self, a: BufferRef, b: BufferRef) -> Overlap {
        let (BufferRef::Slot(a), BufferRef::Slot(b)) = (a, b) else {
            return if self.plan.same_place(a, b) { Overlap::Sometimes } else { Overlap::Never };
        };
        if a == b {
            return Overlap::Sometimes;
        }
        let pair = (a.min(b), a.max(b));
        if let Some(known) = self.layout.pairs.get(&pair) {
            return *known;
        }
        let overlap = self.slots_overlap(a, b);
        self.layout.pairs.insert(pair, overlap);
        overlap
    }

    fn slots_overlap(&mut self, a: SlotId, b: SlotId) -> Overlap {
        let plan = self.plan;
        let (Some(first), Some(second)) = (plan.slots.get(a.0 as usize), plan.slots.get(b.0 as usize)) else {
            return Overlap::Never;
        };
        if first.arena != second.arena {
            return Overlap::Never;
        }
        if let (Some(x), Some(y)) = (self.extent(a), self.extent(b))
            && (x.start >= x.end || y.start >= y.end || x.end <= y.start || y.end <= x.start)
        {
            return Overlap::Never;
        }
        for id in [a, b] {
            self.place(id);
        }
        let (Some(Some(x)), Some(Some(y))) = (self.layout.ranges.get(&a), self.layout.ranges.get(&b)) else {
            return Overlap::Unknown;
        };
        if Samples::meet(x, y) {
            return Overlap::Sometimes;
        }
        let (before, after) = (Question::AtMost(x.end, y.start), Question::AtMost(y.end, x.start));
        let known = Established::default();
        let proven = [before, after].into_iter().any(|it| self.sizes.ask(it, &known) == Answer::Proven);
        if proven { Overlap::Never } else { Overlap::Unknown }
    }

    /// Works out a slot at the samples.
    fn place(&mut self, id: SlotId) {
        if !self.layout.ranges.contains_key(&id) {
            let at = id.0 as usize;
            let (start, end) = (self.plan.slots[at].offset, self.layout.ends[at]);
            let range = end.map(|end| self.sizes.samples.range(&self.sizes.shapes, start, end));
            self.layout.ranges.insert(id, range);
        }
    }
}
