//! `orogen adoption`

use crate::args::{AdoptionArgs, ModelArgs};
use crate::failure::Failure;
use crate::files;
use crate::output::{plain, say};
use crate::parity::{self, AcceptedFile, MEDIAN_TIME, Parity};
use orogen::OptIn;
use orogen::passes::bridge::{LEDGER, Native, Port, waterline};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::ExitCode;

/// Something red keeps the dataflow IR from being the default.
const RED: u8 = 1;

pub(crate) fn run(args: &AdoptionArgs) -> Result<ExitCode, Failure> {
    if args.parity.is_empty() {
        ledger(args.json);
        return Ok(ExitCode::SUCCESS);
    }
    orogen_ir::flow::available()?;
    let accepted = match &args.accepted {
        None => AcceptedFile::default(),
        Some(path) => toml::from_str(&files::read_text(path)?)
            .map_err(|error| Failure::file(path, "understand", error.to_string().trim_end()))?,
    };
    let models = args.parity.iter().map(|model| {
        // Both paths are compared, whichever the model takes.
        let both = ModelArgs { opt_in: Some(OptIn::DataflowIr), ..args.options.clone() };
        let settled = both.settled(model)?;
        settled.with_compiler(|compiler| parity::compare(compiler, model, &settled.options()?, args.counted))
    });
    let models = models.collect::<Result<Vec<_>, _>>()?;
    let report = Report::of(models, &accepted);
    if args.json {
        say!("{}", report.json())
    } else {
        report.print()
    }
    Ok(if report.red.is_empty() && report.stale.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(RED) })
}

fn ledger(json: bool) {
    let line = waterline(LEDGER).map_or_else(|it| format!("none, {it} is missing"), |it| it.to_string());
    let port = |it: Port| match it {
        Port::LegacyOnly => "legacy graph alone".to_string(),
        Port::Ported { square } => format!("ported, square {square}"),
        Port::Shared => "shared".to_string(),
    };
    if json {
        let steps = LEDGER.iter().map(|it| {
            json!({ "step": it.step.name(), "port": port(it.port), "native": it.native == Native::Runs })
        });
        say!("{}", json!({ "waterline": line, "steps": steps.collect::<Vec<_>>() }));
        return;
    }
    for entry in LEDGER {
        say!("{:16} {}", entry.step.name(), port(entry.port));
    }
    say!("waterline: {line}");
    if orogen_ir::flow::available().is_err() {
        say!("this tool was built without the dataflow IR");
    }
}

/// A count, or a measurement.
fn number(it: f64) -> String {
    if it.fract() == 0.0 { format!("{it}") } else { format!("{it:.6}") }
}

/// What is said of all models together.
struct Report {
    models: Vec<Parity>,
    /// Models by operator, and those of them that the dataflow path alone refuses.
    operators: BTreeMap<String, (usize, usize)>,
    /// The median of the ratios of times with its noise, where there is one.
    median: Option<(f64, f64)>,
    /// Model, row and why.
    red: Vec<(String, String, String)>,
    /// Accepted, with the reason.
    accepted: Vec<(String, String, String)>,
    /// Accepted differences that are none any more.
    stale: Vec<(String, String)>,
}

impl Report {
    fn of(models: Vec<Parity>, file: &AcceptedFile) -> Report {
        let mut report = Report {
            operators: BTreeMap::new(),
            median: None,
            red: Vec::new(),
            accepted: Vec::new(),
            stale: Vec::new(),
            models,
        };
        let mut ratios = Vec::new();
        let mut used = vec![false; file.accepted.len()];
        for model in report.models.iter().filter(|it| it.not_legacy.is_none()) {
            let refused = model.red.iter().any(|it| it.0 == "refused");
            for (name, _) in &model.operators {
                let counts = report.operators.entry(name.clone()).or_default();
                counts.0 += 1;
                counts.1 += usize::from(refused);
            }
            ratios.extend(
                model.rows.iter().filter(|it| it.what.starts_with("time")).map(|it| (it.ratio, it.noise)),
            );
            for (row, why, ratio) in model.red_rows() {
                let model = model.model.clone();
                match file.accepted.iter().position(|it| it.accepts(&model, row, ratio)) {
                    Some(at) => {
                        used[at] = true;
                        report.accepted.push((model, row.to_owned(), file.accepted[at].reason.clone()));
                    }
                    None => report.red.push((model, row.to_owned(), why)),
                }
            }
        }
        for (name, (all, refused)) in &report.operators {
            if all == refused {
                report.red.push((String::new(), format!("operator {name}"), "refused".to_owned()));
            }
        }
        ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
        report.median = ratios.get(ratios.len() / 2).copied();
        if let Some((median, noise)) = report.median.filter(|it| it.0 - it.1 > MEDIAN_TIME) {
            let why = format!("{median:.3} ± {noise:.3}, at most {MEDIAN_TIME:.2}");
            report.red.push((String::new(), "median of times".to_owned(), why));
        }
        // Of models that are not looked at nothing is known.
        let seen = |it: &parity::Accepted| report.models.iter().any(|model| it.is_of(&model.model));
        let stale = file.accepted.iter().zip(used).filter(|it| !it.1 && seen(it.0));
        report.stale = stale.map(|(it, _)| (it.model.clone(), it.row.clone())).collect();
        report
    }

    /// What keeps the dataflow IR from stage S1.
    fn verdict(&self) -> String {
        let waterline = waterline(LEDGER).is_ok_and(|it| it == orogen::Step::Import);
        let blocking = self.red.iter().filter(|it| !it.1.starts_with("compile time"));
        let mut rows: BTreeMap<&str, usize> = BTreeMap::new();
        blocking.for_each(|it| *rows.entry(it.1.split(',').next().unwrap_or_default()).or_default() += 1);
        let stale = self.stale.len();
        if stale > 0 {
            rows.insert("accepted but no longer different", stale);
        }
        match (waterline, rows.len()) {
            (true, 0) => {
                "S1: nothing that is measured here stands against it; two releases of shadow comparison do \
                 (`orogen run --shadow`)"
                    .to_owned()
            }
            (true, _) => {
                let rows: Vec<String> = rows.iter().map(|(row, count)| format!("{row} ({count})")).collect();
                format!("S1: no, red are: {}", rows.join(", "))
            }
            (false, _) => "S1: no, the waterline is not at import".to_owned(),
        }
    }

    fn print(&self) {
        for model in &self.models {
            say!("{}", plain(&model.model));
            if let Some(why) = &model.not_legacy {
                say!("  nothing to compare, the legacy path refuses it: {}", plain(why));
            }
            if let Some(why) = &model.not_run {
                say!("  not run, for both paths refuse what it is given at random: {}", plain(why));
            }
            if !model.dims.is_empty() {
                let dims: Vec<String> = model.dims.iter().map(|it| format!("{}={}", it.0, it.1)).collect();
                say!("  sizes: {}", plain(&dims.join(", ")));
            }
            for row in &model.rows {
                let red = if row.is_red() { "  RED" } else { "" };
                let (old, new, ratio, noise) = (row.legacy, row.dataflow, row.ratio, row.noise);
                let noise = if noise > 0.0 { format!(" ± {noise:.3}") } else { String::new() };
                let (old, new) = (number(old), number(new));
                say!(
                    "  {:16} legacy {old} dataflow {new} ratio {ratio:.3}{noise} ({}){red}",
                    row.what,
                    row.how
                );
            }
        }
        let refused: Vec<&str> =
            self.operators.iter().filter(|it| it.1.1 > 0).map(|it| it.0.as_str()).collect();
        let refused = if refused.is_empty() { "none".to_owned() } else { refused.join(", ") };
        say!("{} operators, in models that are refused: {refused}", self.operators.len());
        if let Some((median, noise)) = self.median {
            say!("median of the ratios of times {median:.3} ± {noise:.3}, at most {MEDIAN_TIME:.2}");
        }
        for (model, row, reason) in &self.accepted {
            say!("accepted: {} {row}: {}", plain(model), plain(reason));
        }
        for (model, row) in &self.stale {
            say!("RED accepted, but no longer different: {} {}", plain(model), plain(row));
        }
        for (model, row, why) in &self.red {
            say!("RED {} {row}: {}", plain(model), plain(why));
        }
        say!("{}", self.verdict());
    }

    fn json(&self) -> Value {
        let models = self.models.iter().map(|model| {
            let rows = model.rows.iter().map(|it| {
                json!({
                    "row": it.what, "legacy": it.legacy, "dataflow": it.dataflow, "ratio": it.ratio,
                    "noise": it.noise, "limit": it.limit, "how": it.how, "red": it.is_red(),
                })
            });
            let dims: BTreeMap<&String, u64> = model.dims.iter().map(|it| (&it.0, it.1)).collect();
            json!({
                "model": model.model, "not_legacy": model.not_legacy, "not_run": model.not_run, "sizes": dims,
                "rows": rows.collect::<Vec<_>>(),
            })
        });
        let three = |list: &[(String, String, String)], last: &str| {
            let object = |it: &(String, String, String)| json!({ "model": it.0, "row": it.1, last: it.2 });
            list.iter().map(object).collect::<Vec<_>>()
        };
        let operators: BTreeMap<&String, Value> = self
            .operators
            .iter()
            .map(|(name, it)| (name, json!({ "models": it.0, "refused": it.1 })))
            .collect();
        json!({
            "models": models.collect::<Vec<_>>(), "operators": operators, "median_time": self.median.map(|it| it.0),
            "red": three(&self.red, "why"), "accepted": three(&self.accepted, "reason"),
            "stale": self.stale, "verdict": self.verdict(),
        })
    }
}
