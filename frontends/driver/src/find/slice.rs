//! A program as lines: what each defines and uses, so that parts can be left out.
//!
//! It takes the text that the printer writes, not text in general: a binding begins on a line of its own, and what it opens
//! it closes on a line that is indented as far.

use crate::Lowered;
use indexmap::{IndexMap, IndexSet};

/// A binding of the entry function, or a node.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Item {
    /// Names of values that it defines, without the sigil.
    pub(super) defines: Vec<String>,
    /// Names of values that it reads.
    pub(super) uses: IndexSet<String>,
    /// Types that the text says, in the order of what it defines; empty for constants of graphs.
    types: Vec<String>,
    /// Where it comes from, as the text says it.
    pub(super) source: String,
    /// Its lines, without the indentation of the first.
    lines: Vec<String>,
}

impl Item {
    /// The type of the only value that it defines, unless it is a constant.
    fn only(&self) -> Option<(&str, &str)> {
        match (&self.defines[..], &self.types[..]) {
            ([name], [ty]) if !self.is_constant() => Some((name, ty)),
            _ => None,
        }
    }

    /// The name of a kernel that it defines, whatever the kernel is made of.
    fn kernel(&self) -> Option<&str> {
        kernel_of(&self.lines[0])
    }

    pub(super) fn is_constant(&self) -> bool {
        let value = self.lines[0].split_once(" = ").map_or("", |it| it.1);
        value.starts_with("const ")
    }
}

/// A block of bindings.
#[derive(Clone, Debug, PartialEq)]
struct Block {
    /// `dataflow` or `effect`; empty in a graph.
    kind: String,
    items: Vec<Item>,
}

/// A parameter of the entry function.
#[derive(Clone, Debug, PartialEq)]
struct Param {
    name: String,
    text: String,
}

/// A program of one of the two graph IRs, cut at the lines of its entry function.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Slice {
    is_flow: bool,
    /// Definitions before the entry function, and what opens the program.
    before: Vec<String>,
    /// `fn @main` or `graph @g`.
    head: String,
    params: Vec<Param>,
    effects: String,
    blocks: Vec<Block>,
    /// Public names, and values.
    outputs: Vec<(String, String)>,
    after: Vec<String>,
}

/// Splits at a separator outside of brackets and strings.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut depth, mut quoted, mut escaped) = (0_i32, false, false);
    let mut parts = Vec::new();
    let mut start = 0;
    for (i, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' | '[' | '{' | '<' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            '>' if !text[..i].ends_with('-') => depth -= 1,
            c if c == separator && depth == 0 => {
                parts.push(text[start..i].trim());
                start = i + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts.retain(|it| !it.is_empty());
    parts
}

/// The place of a text outside of strings, the last one.
fn last_outside(text: &str, wanted: &str) -> Option<usize> {
    let (mut quoted, mut escaped, mut found) = (false, false, None);
    for (i, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if !quoted && text[i..].starts_with(wanted) => found = Some(i),
            _ => {}
        }
    }
    found
}

/// Names behind `%`.
fn values(text: &str) -> Vec<String> {
    let name = |it: &str| -> String {
        it.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.')).collect()
    };
    text.split('%').skip(1).map(name).filter(|it| !it.is_empty()).collect()
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The index behind the line that closes what the line at `at` opens.
fn closed(lines: &[&str], at: usize) -> usize {
    if !lines[at].ends_with('{') {
        return at + 1;
    }
    let depth = indent(lines[at]);
    let end = (at + 1..lines.len()).find(|it| indent(lines[*it]) <= depth && !lines[*it].ends_with('{'));
    end.map_or(lines.len(), |it| it + 1)
}

fn kernel_of(line: &str) -> Option<&str> {
    let (word, rest) = line.split_once(" @")?;
    ["kernel", "routine", "extern"]
        .contains(&word)
        .then(|| rest.split(" =").next().unwrap_or(rest).trim_end_matches(" {"))
}

fn item(lines: &[&str]) -> Item {
    let depth = indent(lines[0]);
    let lines: Vec<String> = lines.iter().map(|it| it[depth.min(indent(it))..].to_owned()).collect();
    let first = &lines[0];
    let (defined, rest) = match last_outside_head(first) {
        Some(at) => first.split_at(at),
        None => ("", first.as_str()),
    };
    let last = lines.last().map_or("", String::as_str);
    let (typed, source) = match last_outside(last, " loc(") {
        Some(at) => last.split_at(at),
        None => (last, ""),
    };
    let types = last_outside(typed, " : ").map_or(Vec::new(), |at| split(&typed[at + 3..], ','));
    let mut uses: IndexSet<String> = IndexSet::new();
    // Names inside of a kernel are its own.
    if kernel_of(first).is_none() {
        uses.extend(values(rest));
        uses.extend(lines[1..].iter().flat_map(|it| values(it)));
    }
    Item {
        defines: values(defined),
        uses,
        types: types.into_iter().map(str::to_owned).collect(),
        source: source.trim().trim_start_matches("loc(").trim_end_matches(')').to_owned(),
        lines,
    }
}

/// Where the results end, for a line that has any.
fn last_outside_head(line: &str) -> Option<usize> {
    let begins = line.starts_with('%') || line.starts_with("local %");
    begins.then(|| line.find(" = ")).flatten()
}

impl Slice {
    /// Cuts a program that is printed; `None` for one whose entry function is not there, and for plans.
    pub(super) fn of(program: &Lowered, text: &str) -> Option<Slice> {
        match program {
            Lowered::Graph(_) => Self::graph(text),
            Lowered::Flow(module) => {
                Self::flow(text, &format!("fn @{}(", orogen_ir::text::name_text(module.entry()?.0)))
            }
            Lowered::Plan(_) => None,
        }
    }

    fn graph(text: &str) -> Option<Slice> {
        let lines: Vec<&str> = text.lines().collect();
        let (head, params) = lines.first()?.split_once('(')?;
        let params = params.strip_suffix(") {")?;
        let mut slice = Slice::empty(false, head, params);
        let mut block = Block { kind: String::new(), items: Vec::new() };
        let mut at = 1;
        while at < lines.len() && lines[at] != "}" {
            if let Some(outputs) = lines[at].trim_start().strip_prefix("return ") {
                for output in split(outputs, ',') {
                    let (name, value) = output.rsplit_once(" = %")?;
                    slice.outputs.push((name.to_owned(), value.to_owned()));
                }
                at += 1;
                continue;
            }
            let end = closed(&lines, at);
            block.items.push(item(&lines[at..end]));
            at = end;
        }
        slice.blocks.push(block);
        slice.after = vec!["}".to_owned()];
        Some(slice)
    }

    fn flow(text: &str, head: &str) -> Option<Slice> {
        let lines: Vec<&str> = text.lines().collect();
        let start = lines.iter().position(|it| it.trim_start().starts_with(head))?;
        let (name, rest) = lines[start].trim_start().split_once('(')?;
        let parts = last_outside(rest, ") -> (")?;
        let (params, outputs) = (&rest[..parts], &rest[parts + 6..]);
        let (outputs, effects) = outputs.strip_suffix(" {")?.rsplit_once(')')?;
        let mut slice = Slice::empty(true, name, params);
        slice.effects = effects.to_owned();
        slice.before = lines[..start].iter().map(|it| (*it).to_owned()).collect();
        let public = split(outputs, ',').into_iter().map(|it| it.split(": ").next().unwrap_or(it).to_owned());
        let public: Vec<String> = public.collect();
        let end = closed(&lines, start);
        let mut at = start + 1;
        while at + 1 < end {
            let line = lines[at].trim_start();
            if let Some(results) = line.strip_prefix("return") {
                slice.outputs = public.iter().cloned().zip(values(results)).collect();
                at += 1;
                continue;
            }
            let close = closed(&lines, at);
            let mut block = Block { kind: line.strip_suffix(" {")?.to_owned(), items: Vec::new() };
            at += 1;
            while at + 1 < close {
                if lines[at].trim_start().starts_with("yield ") {
                    at += 1;
                    continue;
                }
                let next = closed(&lines, at);
                block.items.push(item(&lines[at..next]));
                at = next;
            }
            slice.blocks.push(block);
            at = close;
        }
        slice.after = lines[end..].iter().map(|it| (*it).to_owned()).collect();
        Some(slice)
    }

    fn empty(is_flow: bool, head: &str, params: &str) -> Slice {
        let param = |text: &str| Param {
            name: values(text).into_iter().next().unwrap_or_default(),
            text: text.to_owned(),
        };
        Slice {
            is_flow,
            before: Vec::new(),
            head: head.to_owned(),
            params: split(params, ',').into_iter().map(param).collect(),
            effects: String::new(),
            blocks: Vec::new(),
            outputs: Vec::new(),
            after: Vec::new(),
        }
    }

    /// The text.
    pub(super) fn text(&self) -> String {
        let mut text = self.before.iter().map(|it| format!("{it}\n")).collect::<String>();
        let params: Vec<&str> = self.params.iter().map(|it| it.text.as_str()).collect();
        let pad = if self.is_flow { "  " } else { "" };
        if !self.is_flow {
            text.push_str(&format!("{}({}) {{\n", self.head, params.join(", ")));
        } else {
            let outputs: Vec<&str> = self.outputs.iter().map(|it| it.0.as_str()).collect();
            let (params, outputs) = (params.join(", "), outputs.join(", "));
            text.push_str(&format!("  {}({params}) -> ({outputs}){} {{\n", self.head, self.effects));
        }
        for (i, block) in self.blocks.iter().enumerate() {
            self.write_block(i, block, &mut text);
        }
        if self.is_flow {
            let results: Vec<String> = self.outputs.iter().map(|it| format!("%{}", it.1)).collect();
            text.push_str(format!("    return {}", results.join(", ")).trim_end());
        } else {
            let results: Vec<String> =
                self.outputs.iter().map(|it| format!("{} = %{}", it.0, it.1)).collect();
            text.push_str(format!("  return {}", results.join(", ")).trim_end());
        }
        text.push_str(&format!("\n{pad}"));
        text.push_str(if self.is_flow { "}\n" } else { "" });
        text.push_str(&self.after.iter().map(|it| format!("{it}\n")).collect::<String>());
        text
    }

    fn write_block(&self, i: usize, block: &Block, text: &mut String) {
        let pad = if self.is_flow { "      " } else { "  " };
        if self.is_flow {
            text.push_str(&format!("    {} {{\n", block.kind));
        }
        for line in block.items.iter().flat_map(|it| &it.lines) {
            text.push_str(&format!("{pad}{line}\n"));
        }
        if self.is_flow {
            let later = self.blocks[i + 1..].iter().flat_map(|it| &it.items).flat_map(|it| &it.uses);
            let outside: IndexSet<&String> = later.chain(self.outputs.iter().map(|it| &it.1)).collect();
            let defined = block.items.iter().flat_map(|it| &it.defines);
            let yielded: Vec<String> =
                defined.filter(|it| outside.contains(it)).map(|it| format!("%{it}")).collect();
            if block.kind == "dataflow" && !yielded.is_empty() {
                text.push_str(&format!("{pad}yield {}\n", yielded.join(", ")));
            }
            text.push_str("    }\n");
        }
    }

    /// All items, in order.
    pub(super) fn items(&self) -> impl Iterator<Item = &Item> {
        self.blocks.iter().flat_map(|it| &it.items)
    }

    /// Names of the inputs, in order.
    pub(super) fn inputs(&self) -> Vec<String> {
        self.params.iter().map(|it| it.name.clone()).collect()
    }

    /// Values that may become an output: those of operations with one result that is a tensor.
    pub(super) fn taps(&self) -> Vec<String> {
        let is_tensor = |ty: &str| !self.is_flow || ty.starts_with("Tensor<");
        let taps = self.items().filter_map(Item::only).filter(|it| is_tensor(it.1));
        taps.map(|it| it.0.to_owned()).collect()
    }

    /// The same program that returns these values, without what they do not need.
    pub(super) fn returning(&self, values: &[String]) -> Slice {
        let output = |it: &String| (orogen_ir::text::quote(it), it.clone());
        let mut slice = Slice { outputs: values.iter().map(output).collect(), ..self.clone() };
        slice.prune();
        slice
    }

    /// The same with one of its outputs alone.
    pub(super) fn with_output(&self, i: usize) -> Slice {
        let mut slice = Slice { outputs: vec![self.outputs[i].clone()], ..self.clone() };
        slice.prune();
        slice
    }

    /// The values that it returns.
    pub(super) fn returned(&self) -> Vec<String> {
        self.outputs.iter().map(|it| it.1.clone()).collect()
    }

    /// The same with these values as inputs; those that cannot be one are left as they are.
    pub(super) fn cut(&self, names: &IndexSet<String>) -> Slice {
        let mut slice = self.clone();
        for block in &mut slice.blocks {
            let (cut, kept) = std::mem::take(&mut block.items)
                .into_iter()
                .partition(|it| it.only().is_some_and(|it| names.contains(it.0)));
            block.items = kept;
            let cut: Vec<Item> = cut;
            for item in &cut {
                if let Some((name, ty)) = item.only() {
                    // A number is no name for an input.
                    let is_number = name.starts_with(|it: char| it.is_ascii_digit());
                    let public = if is_number { format!(" as \"v{name}\"") } else { String::new() };
                    let text = format!("%{name}{public}: {ty}");
                    slice.params.push(Param { name: name.to_owned(), text });
                }
            }
        }
        slice.prune();
        slice
    }

    /// The same where an operation is left out and one of its operands of the same type stands for its result.
    pub(super) fn bypassed(&self, name: &str) -> Vec<Slice> {
        let types: IndexMap<&str, &str> = self.items().filter_map(Item::only).collect();
        let param = |it: &Param| {
            let text = it.text.split(" = ").next().unwrap_or(&it.text);
            Some((it.name.clone(), text.split_once(": ")?.1.to_owned()))
        };
        let params: IndexMap<String, String> = self.params.iter().filter_map(param).collect();
        let Some(item) = self.items().find(|it| it.defines[..] == [name.to_owned()]) else {
            return Vec::new();
        };
        let Some((_, wanted)) = item.only() else { return Vec::new() };
        let fits = |it: &&String| {
            let ty = types.get(it.as_str()).copied().or_else(|| params.get(it.as_str()).map(String::as_str));
            ty == Some(wanted)
        };
        item.uses.iter().filter(fits).map(|with| self.replaced(name, with)).collect()
    }

    fn replaced(&self, name: &str, with: &str) -> Slice {
        let mut slice = self.clone();
        for block in &mut slice.blocks {
            block.items.retain(|it| it.defines[..] != [name.to_owned()]);
            for item in block.items.iter_mut().filter(|it| it.uses.contains(name)) {
                for line in &mut item.lines {
                    *line = renamed(line, name, with);
                }
                item.uses.shift_remove(name);
                item.uses.insert(with.to_owned());
            }
        }
        for output in slice.outputs.iter_mut().filter(|it| it.1 == name) {
            output.1 = with.to_owned();
        }
        slice.prune();
        slice
    }

    /// The same without the items that define nothing, such as checks.
    pub(super) fn without_checks(&self) -> Slice {
        let mut slice = self.clone();
        for block in &mut slice.blocks {
            block.items.retain(|it| !it.defines.is_empty() || it.kernel().is_some());
        }
        slice.prune();
        slice
    }

    /// What an item is from the outputs, in steps: values within `distance` are kept.
    pub(super) fn beyond(&self, distance: usize) -> IndexSet<String> {
        let mut near: IndexSet<String> = self.outputs.iter().map(|it| it.1.clone()).collect();
        let mut edge: IndexSet<String> = near.clone();
        for _ in 0..distance {
            let of = |it: &&Item| it.defines.iter().any(|name| edge.contains(name));
            let next: IndexSet<String> =
                self.items().filter(of).flat_map(|it| it.uses.iter().cloned()).collect();
            near.extend(next.iter().cloned());
            edge = next;
        }
        // What lies on the edge is read from outside.
        self.taps().into_iter().filter(|it| edge.contains(it) || !near.contains(it)).collect()
    }

    /// Leaves out what no output needs: items, blocks, inputs, kernels and functions that are not called.
    fn prune(&mut self) {
        let mut needed: IndexSet<String> = self.outputs.iter().map(|it| base(&it.1, self)).collect();
        for block in self.blocks.iter_mut().rev() {
            let mut kept: Vec<Item> = Vec::new();
            for item in std::mem::take(&mut block.items).into_iter().rev() {
                let is_needed = item.defines.iter().any(|it| needed.contains(it));
                if is_needed || item.defines.is_empty() {
                    needed.extend(item.uses.iter().cloned());
                    // `%7.1` is an output of `%7`.
                    let bases = item.uses.iter().filter_map(|it| it.rsplit_once('.'));
                    needed.extend(bases.map(|it| it.0.to_owned()));
                    kept.push(item);
                }
            }
            kept.reverse();
            block.items = kept;
        }
        let called: String = self.items().flat_map(|it| &it.lines).map(|it| format!("{it}\n")).collect();
        for block in &mut self.blocks {
            block
                .items
                .retain(|it| it.kernel().is_none_or(|name| called.contains(&format!("kernel @{name}("))));
        }
        if self.is_flow {
            self.blocks.retain(|it| !it.items.is_empty());
        }
        self.params.retain(|it| needed.contains(&it.name));
    }
}

/// The value that `%7.1` is an output of, unless it is a name itself.
fn base(name: &str, slice: &Slice) -> String {
    let is_defined = slice.items().any(|it| it.defines.iter().any(|it| it == name));
    match name.rsplit_once('.') {
        Some((node, _)) if !is_defined => node.to_owned(),
        _ => name.to_owned(),
    }
}

/// A line where a value has another name.
fn renamed(line: &str, name: &str, with: &str) -> String {
    let mut parts = line.split('%');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end =
            part.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.'))).unwrap_or(part.len());
        let (found, rest) = part.split_at(end);
        text.push('%');
        text.push_str(if found == name { with } else { found });
        text.push_str(rest);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use orogen_ir::ops::OpRegistry;
    use orogen_ir::{flow, graph};

    const GRAPH: &str = "\
graph @g(%x: f32[2, 3], %0 as \"in, put\": f32[3] = f32[3] [1, 2, 3]) {
  kernel @twice {
    in %x: f32[2, 3]
    out %y: f32[2, 3]
    for i < 2, j < 3 { %y[i, j] = %x[i, j] + %x[i, j] }
  }
  kernel @pair {
    in %x: f32[2, 3]
    out %a: f32[2, 3]
    out %b: f32[3]
    for i < 2, j < 3 { %a[i, j] = neg(%x[i, j]) }
    for k < 3 { %b[k] = %x[1, k] }
  }
  %c = const \"c\" f32[3] [1, 2, 3]
  %1 = add(%x, %c) : f32[2, 3] loc(\"node `a, (b) : %z` (Add)\")
  %2 = kernel @twice(%1) : f32[2, 3]
  %3 = kernel @pair(%2) : f32[2, 3], f32[3]
  %4 = relu(%2) : f32[2, 3]
  return y = %4, \"z, w\" = %3.1
}
";

    const FLOW: &str = "\
module @m {
  sym n
  fn @main(%x: Tensor<f32, [n, 3]>, %c: Tensor<bool, []>) -> (y: Tensor<f32, [n, 3]>, z: Tensor<f32, [n, 3]>) {
    dataflow {
      %0 = relu(%x) : Tensor<f32, [n, 3]>
      %1 = neg(%0) : Tensor<f32, [n, 3]>
      yield %0, %1
    }
    effect {
      %2 = if %c {
        return %0
      } else {
        return %1
      } : Tensor<f32, [n, 3]>
    }
    dataflow {
      %3 = add(%2, %x) : Tensor<f32, [n, 3]>
      yield %3
    }
    return %3, %1
  }
}
";

    fn read(text: &str, ops: &OpRegistry) -> Lowered {
        match text.starts_with("graph") {
            true => Lowered::Graph(graph::text::parse(text, ops).unwrap_or_else(|it| panic!("{it}\n{text}"))),
            false => Lowered::Flow(flow::text::parse(text, ops).unwrap_or_else(|it| panic!("{it}\n{text}"))),
        }
    }

    /// Reads a part of a program and checks that it keeps the laws.
    fn lawful(slice: &Slice, ops: &OpRegistry) -> String {
        let text = slice.text();
        match read(&text, ops) {
            Lowered::Graph(it) => it.verify(ops).unwrap_or_else(|it| panic!("{it}\n{text}")),
            Lowered::Flow(it) => it.verify(ops).unwrap_or_else(|it| panic!("{it}\n{text}")),
            Lowered::Plan(_) => {}
        }
        text
    }

    fn sliced(text: &str, ops: &OpRegistry) -> Slice {
        let program = read(text, ops);
        Slice::of(&program, &program.print(ops)).expect("it has an entry")
    }

    #[test]
    fn a_program_is_its_lines() {
        let ops = OpRegistry::standard();
        for text in [GRAPH, FLOW] {
            let whole = sliced(text, &ops);
            let again = sliced(&lawful(&whole, &ops), &ops);
            assert_eq!(whole, again);
        }
    }

    #[test]
    fn parts_keep_the_laws() {
        let ops = OpRegistry::standard();
        let graph = sliced(GRAPH, &ops);
        assert_eq!(graph.taps(), ["1", "2", "4"]);
        let first = graph.returning(&["1".to_owned()]);
        let text = lawful(&first, &ops);
        assert!(
            !text.contains("kernel") && !text.contains("%0 as") && text.contains("return \"1\" = %1"),
            "{text}"
        );
        let cut = graph.with_output(0).cut(&["1".to_owned()].into_iter().collect());
        let text = lawful(&cut, &ops);
        assert!(text.contains("(%1 as \"v1\": f32[2, 3]) {") && text.contains("kernel @twice(%1)"), "{text}");
        let bypassed = graph.with_output(0).bypassed("2");
        let text = lawful(&bypassed[0], &ops);
        assert!(text.contains("relu(%1)") && !text.contains("twice"), "{text}");
        assert_eq!(
            graph.items().find(|it| it.defines == ["1"]).expect("there").source,
            "\"node `a, (b) : %z` (Add)\""
        );
        lawful(&graph.with_output(1), &ops);

        let flow = sliced(FLOW, &ops);
        let text = lawful(&flow.returning(&["1".to_owned()]), &ops);
        assert!(!text.contains("if ") && !text.contains("%c:"), "{text}");
        let cut = flow.with_output(0).cut(&["2".to_owned()].into_iter().collect());
        let text = lawful(&cut, &ops);
        assert!(text.contains("%2 as \"v2\": Tensor<f32, [n, 3]>") && !text.contains("relu"), "{text}");
        for distance in 0..4 {
            lawful(&flow.cut(&flow.beyond(distance)), &ops);
        }
    }
}
