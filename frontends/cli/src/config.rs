//! `orogen.toml`: how models are compiled, one by one.
//!
//! ```toml
//! [models."silero_*.onnx"]
//! opt-in = ["dataflow-ir"]
//! dim = { batch = 1 }
//! cpu = "baseline"
//! threads = 4
//! accuracy = "strict"
//! rules = ["silero.rules"]          # paths are from the folder of this file
//! plugins = ["target/libacme.so"]
//! passes = ["default", "canonicalize"]
//! ```
//!
//! The file is looked for in the folder of the model and in those above it; the nearest one counts. A key is the
//! model's file name or its path from the folder of `orogen.toml`, or a glob over either. An exact name comes before
//! globs, and these are tried in alphabetical order. What the command line says comes before what an entry says.

use crate::failure::Failure;
use crate::files;
use crate::parse::{parse_accuracy, parse_cpu, parse_threads};
use globset::Glob;
use orogen::passes::PassList;
use orogen::{Accuracy, Cpu, Diagnostic, Diagnostics, OptIn};
use orogen_ir::diag::Place;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;

/// Diagnostics of a file that says what is not so.
const WRONG: &str = "D025";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    models: BTreeMap<Spanned<String>, ModelConfig>,
}

type Texts = Vec<Spanned<String>>;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ModelConfig {
    opt_in: Option<Texts>,
    #[serde(default)]
    dim: BTreeMap<String, Spanned<i64>>,
    cpu: Option<Spanned<String>>,
    threads: Option<Spanned<i64>>,
    accuracy: Option<Spanned<String>>,
    #[serde(default)]
    rules: Texts,
    #[serde(default)]
    plugins: Texts,
    passes: Option<Texts>,
}

/// What `orogen.toml` says of a model; nothing without an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) opt_in: Option<OptIn>,
    pub(crate) dims: Vec<(String, u64)>,
    pub(crate) cpu: Option<Cpu>,
    pub(crate) threads: Option<usize>,
    pub(crate) accuracy: Option<Accuracy>,
    /// With the folder of the file before them.
    pub(crate) rules: Vec<PathBuf>,
    pub(crate) plugins: Vec<PathBuf>,
    /// A list as `--passes` takes it.
    pub(crate) passes: Option<String>,
}

/// What the nearest `orogen.toml` says of a model.
pub(crate) fn entry(model: &Path) -> Result<Entry, Failure> {
    let full = std::path::absolute(model).map_err(|error| Failure::file(model, "find", error))?;
    for folder in full.ancestors().skip(1) {
        let path = folder.join("orogen.toml");
        match std::fs::symlink_metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            _ => {}
        }
        let text = files::read_text(&path)?;
        return choose(&text, &full, folder).map_err(|found| {
            let of = |it: Diagnostic| it.note(format!("in `{}`", path.display()));
            Failure::Config(Diagnostics(found.0.into_iter().map(of).collect()))
        });
    }
    Ok(Entry::default())
}

/// The entry of a model in the text of a file of this folder.
fn choose(text: &str, model: &Path, folder: &Path) -> Result<Entry, Diagnostics> {
    let reader = Reader { text, folder };
    let config: Config = toml::from_str(text).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        let known = "keys of an entry are: opt-in, dim, cpu, threads, accuracy, rules, plugins, passes";
        reader.wrong(span, error.message().trim_end()).help(known)
    })?;
    // Entries of other models too: what is wrong with them should not wait for their models.
    let mut found = Diagnostics::new();
    let mut entries = Vec::new();
    for (pattern, config) in &config.models {
        let glob = Glob::new(pattern.get_ref()).map(|it| it.compile_matcher());
        match reader.entry(config) {
            Ok(entry) => entries.push((pattern, glob, entry)),
            Err(it) => found.0.extend(it.0),
        }
    }
    let name = model.file_name().map(Path::new).unwrap_or(model);
    let relative = model.strip_prefix(folder).unwrap_or(model);
    let is_exact = |it: &str| Path::new(it) == name || Path::new(it) == relative;
    found.into_result(())?;
    if let Some((.., entry)) = entries.iter().find(|it| is_exact(it.0.get_ref())) {
        return reader.there(entry.clone(), &config);
    }
    for (pattern, glob, entry) in &entries {
        let glob = glob.as_ref().map_err(|error| {
            reader
                .wrong(pattern.span(), &error.to_string())
                .help("a key is the name of a model's file, its path from here, or a glob over either")
        })?;
        if glob.is_match(name) || glob.is_match(relative) {
            return reader.there(entry.clone(), &config);
        }
    }
    Ok(Entry::default())
}

struct Reader<'a> {
    text: &'a str,
    folder: &'a Path,
}

impl Reader<'_> {
    fn entry(&self, config: &ModelConfig) -> Result<Entry, Diagnostics> {
        let mut found = Diagnostics::new();
        let mut note = |outcome: Result<(), Diagnostic>| found.0.extend(outcome.err());
        let mut entry = Entry::default();
        if let Some(features) = &config.opt_in {
            entry.opt_in = Some(if features.is_empty() { OptIn::Legacy } else { OptIn::DataflowIr });
            for feature in features.iter().filter(|it| it.get_ref() != OptIn::DATAFLOW_IR) {
                let message = format!("there is no feature `{}`", feature.get_ref());
                let help = format!("`opt-in` takes `{}`, or nothing at all", OptIn::DATAFLOW_IR);
                note(Err(self.wrong(feature.span(), &message).help(help)));
            }
        }
        for (name, size) in &config.dim {
            match u64::try_from(*size.get_ref()) {
                Ok(it) => entry.dims.push((name.clone(), it)),
                Err(_) => {
                    let message = format!("dimension `{name}` cannot be {}", size.get_ref());
                    note(Err(self.wrong(size.span(), &message).help("a size is 0 or more")));
                }
            }
        }
        entry.cpu = self.word("cpu", config.cpu.as_ref(), parse_cpu, &mut note);
        entry.accuracy = self.word("accuracy", config.accuracy.as_ref(), parse_accuracy, &mut note);
        let threads = config.threads.as_ref().map(|it| Spanned::new(it.span(), it.get_ref().to_string()));
        entry.threads = self.word("threads", threads.as_ref(), parse_threads, &mut note);
        let paths = |list: &Texts| list.iter().map(|it| self.folder.join(it.get_ref())).collect();
        (entry.rules, entry.plugins) = (paths(&config.rules), paths(&config.plugins));
        for item in config.passes.iter().flatten() {
            note(PassList::parse(item.get_ref()).map(drop).map_err(|it| {
                let wrong =
                    self.wrong(item.span(), &format!("`passes` is no list of passes: {}", it.message));
                Diagnostic { help: it.help, ..wrong }
            }));
        }
        let join = |it: &Texts| it.iter().map(|it| it.get_ref().as_str()).collect::<Vec<_>>().join(",");
        entry.passes = config.passes.as_ref().map(join);
        found.into_result(entry)
    }

    /// A value that the command line takes too, in the same words.
    fn word<T>(
        &self,
        key: &str,
        value: Option<&Spanned<String>>,
        parse: fn(&str) -> Result<T, String>,
        note: &mut dyn FnMut(Result<(), Diagnostic>),
    ) -> Option<T> {
        let value = value?;
        match parse(value.get_ref()) {
            Ok(it) => Some(it),
            Err(help) => {
                let message = format!("`{key}` cannot be `{}`", value.get_ref());
                note(Err(self.wrong(value.span(), &message).help(help)));
                None
            }
        }
    }

    /// The entry that counts, when the files that it names are there.
    fn there(&self, entry: Entry, config: &Config) -> Result<Entry, Diagnostics> {
        let mut found = Diagnostics::new();
        for config in config.models.values() {
            for (key, list, own) in
                [("rules", &config.rules, &entry.rules), ("plugins", &config.plugins, &entry.plugins)]
            {
                for it in list {
                    let path = self.folder.join(it.get_ref());
                    if own.contains(&path) && !path.is_file() {
                        let message = format!("`{key}` names `{}`, where no file is", it.get_ref());
                        let help = "a path is from the folder of `orogen.toml`";
                        found.push(self.wrong(it.span(), &message).help(help));
                    }
                }
            }
        }
        found.into_result(entry)
    }

    /// What is wrong, with the line that it stands in.
    fn wrong(&self, span: Range<usize>, message: &str) -> Diagnostic {
        let start = span.start.min(self.text.len());
        let before = self.text.get(..start).unwrap_or_default();
        let line = before.rfind('\n').map_or(0, |it| it + 1);
        let source = self.text[line..].lines().next().unwrap_or_default();
        let column = before[line..].chars().count();
        let rest = source.chars().count().saturating_sub(column).max(1);
        let length = self.text.get(start..span.end).map_or(1, |it| it.chars().count());
        let count = |it: usize| u32::try_from(it).unwrap_or(u32::MAX);
        Diagnostic::error(WRONG, message).at_place(Place::Text {
            line: count(before.matches('\n').count() + 1),
            column: count(column + 1),
            length: count(length.clamp(1, rest)),
            source: source.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str, model: &str) -> Result<Entry, String> {
        choose(text, Path::new(model), Path::new("/models")).map_err(|it| it.to_string())
    }

    fn opt_in(text: &str, model: &str) -> OptIn {
        entry(text, model).expect("it is right").opt_in.unwrap_or_default()
    }

    #[test]
    fn an_exact_name_comes_before_globs() {
        let text = "[models.\"a.onnx\"]\nopt-in = []\n[models.\"*.onnx\"]\nopt-in = [\"dataflow-ir\"]\n";
        assert_eq!(opt_in(text, "/models/a.onnx"), OptIn::Legacy);
        assert_eq!(opt_in(text, "/models/b.onnx"), OptIn::DataflowIr);
        assert_eq!(entry(text, "/models/b.tflite"), Ok(Entry::default()));
    }

    #[test]
    fn a_name_is_itself_before_it_is_a_pattern() {
        let text = "[models.\"we[ird.onnx\"]\nopt-in = [\"dataflow-ir\"]\n";
        assert_eq!(opt_in(text, "/models/we[ird.onnx"), OptIn::DataflowIr);
        let text = "[models.\"sub/[ab].onnx\"]\nopt-in = [\"dataflow-ir\"]\n";
        assert_eq!(opt_in(text, "/models/sub/b.onnx"), OptIn::DataflowIr);
        assert_eq!(opt_in(text, "/models/sub/c.onnx"), OptIn::Legacy);
    }

    #[test]
    fn an_entry_holds_what_the_command_line_takes() {
        let text = "[models.\"a\"]\ndim = { n = 2, \"m x\" = 0 }\ncpu = \"avx2\"\nthreads = 4\naccuracy = \"fast\"\n\
                    passes = [\"+explore{nodes=10,region=2}\", \"-layout\"]\n";
        let it = entry(text, "/models/a").expect("it is right");
        assert_eq!(it.dims, [("m x".to_owned(), 0), ("n".to_owned(), 2)]);
        assert_eq!((it.cpu, it.threads, it.accuracy), (Some(Cpu::Avx2), Some(4), Some(Accuracy::Fast)));
        assert_eq!(it.passes.as_deref(), Some("+explore{nodes=10,region=2},-layout"));
        let table = entry("[models.\"a\".dim]\nn = 3\n", "/models/a").expect("it is right");
        assert_eq!(table.dims, [("n".to_owned(), 3)]);
    }

    #[test]
    fn each_wrong_value_has_its_line_and_a_way_out() {
        for (line, at, said, help) in [
            ("opt-in = [\"x\"]", "2:11", "there is no feature `x`", "`dataflow-ir`"),
            ("opt-in = \"dataflow-ir\"", "2:10", "expected a sequence", "keys of an entry are"),
            ("optin = []", "2:1", "unknown field `optin`", "keys of an entry are: opt-in, dim"),
            ("dim = { n = -1 }", "2:13", "dimension `n` cannot be -1", "0 or more"),
            ("dim = { n = \"a\" }", "2:13", "expected i64", "keys of an entry are"),
            ("cpu = \"fast\"", "2:7", "`cpu` cannot be `fast`", "choose host, baseline"),
            ("threads = 0", "2:11", "`threads` cannot be `0`", "from 1 to 1024"),
            ("accuracy = \"exact\"", "2:12", "`accuracy` cannot be `exact`", "choose strict"),
            (
                "rules = [\"absent.rules\"]",
                "2:10",
                "`rules` names `absent.rules`, where no file is",
                "from the folder",
            ),
            (
                "plugins = [\"absent.so\"]",
                "2:12",
                "`plugins` names `absent.so`, where no file is",
                "from the folder",
            ),
            (
                "passes = [\"a{\"]",
                "2:11",
                "`passes` is no list of passes: the name of an option is missing",
                "write names",
            ),
            ("cpu = ", "2:7", "", "keys of an entry are"),
        ] {
            let found = entry(&format!("[models.\"b\"]\n{line}\n"), "/models/b").expect_err(line);
            assert!(
                found.contains(&format!("--> {at}\n")) && found.contains("error[D025]"),
                "{line}: {found}"
            );
            assert!(found.contains(said) && found.contains(help), "{line}: {found}");
        }
        let all =
            entry("[models.\"b\"]\ncpu = \"x\"\nthreads = -1\n", "/models/a").expect_err("both are wrong");
        assert!(all.contains("--> 2:7") && all.contains("--> 3:11"), "{all}");
        let glob = entry("[models.\"[b\"]\nopt-in = []\n", "/models/a").expect_err("no glob");
        assert!(glob.contains("--> 1:9") && glob.contains("a glob over either"), "{glob}");
    }
}
