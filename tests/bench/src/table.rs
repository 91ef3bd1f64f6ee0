//! The table as text.

use orogen::ir::types::DType;
use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::classes::Class;
use crate::measure::Cell;

/// What was measured of one type: the class, the cell, and the time of `f32` that the class goes by.
pub type Column = Vec<(Class, DType, Cell, f64)>;

/// Shares below this count as slow.
const SLOW: f64 = 0.25;

fn share(class: &Class, dtype: DType, cell: &Cell, f32_time: f64) -> f64 {
    class.scale.factor(dtype) * f32_time / cell.time
}

/// The table of one instruction set: a row for each class, a column for each type.
pub fn render(cells: &Column, types: &[DType]) -> String {
    let mut text = String::from("| kernel | of |");
    for dtype in types {
        let _ = write!(text, " {} |", dtype.name());
    }
    text.push('\n');
    let _ = writeln!(text, "|---|---|{}", "---|".repeat(types.len()));
    let mut at = 0;
    while at < cells.len() {
        let class = cells[at].0;
        let _ = write!(text, "| {} | {} |", class.name, class.unit);
        for dtype in types {
            match cells[at..].iter().find(|it| it.0.name == class.name && it.1 == *dtype) {
                None => text.push_str(" – |"),
                Some((_, _, cell, f32_time)) => {
                    let share = share(&class, *dtype, cell, *f32_time);
                    let how = if cell.scalar { " scalar" } else { "" };
                    let _ = write!(text, " {} {share:.2}{how} |", short(cell.time / cell.work));
                }
            }
        }
        text.push('\n');
        at += cells[at..].iter().take_while(|it| it.0.name == class.name).count();
    }
    text
}

/// Three digits.
fn short(value: f64) -> String {
    let digits = (2.0 - value.log10().floor()).clamp(0.0, 6.0) as usize;
    format!("{value:.digits$}")
}

/// How many cells there are, and which are scalar or slow, by class.
pub fn summary(cells: &Column) -> String {
    let list = |wanted: &dyn Fn(&(Class, DType, Cell, f64)) -> bool| {
        let mut classes: Vec<(&str, Vec<&str>)> = Vec::new();
        for cell in cells.iter().filter(|it| wanted(it)) {
            match classes.last_mut().filter(|it| it.0 == cell.0.name) {
                Some((_, types)) => types.push(cell.1.name()),
                None => classes.push((cell.0.name, vec![cell.1.name()])),
            }
        }
        let count: usize = classes.iter().map(|it| it.1.len()).sum();
        let names = classes.iter().map(|(name, types)| format!("\n- {name}: {}", types.join(" ")));
        format!("{count} of {}{}", cells.len(), names.collect::<String>())
    };
    let scalar = list(&|it| it.2.scalar);
    let slow = list(&|(class, dtype, cell, f32_time)| share(class, *dtype, cell, *f32_time) < SLOW);
    format!("Cells with scalar loops: {scalar}\n\nCells below {SLOW} of what is allowed: {slow}\n")
}

/// The processor's name.
pub fn machine() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = text.lines().find(|it| it.split(':').next().is_some_and(|it| it.trim() == name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let model = field("model name").unwrap_or_else(|| "an unnamed processor".to_owned());
    let (family, number) = (field("cpu family"), field("model"));
    let flags = field("flags").unwrap_or_default();
    let vnni = if flags.split(' ').any(|it| it == "avx512_vnni") { ", with VNNI" } else { "" };
    format!("{model}, family {} model {}{vnni}", family.unwrap_or_default(), number.unwrap_or_default())
}

/// The date, in UTC: year, month, day.
pub fn today() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_secs());
    civil(seconds / 86_400)
}

/// The date of a day counted from 1 January 1970.
fn civil(mut day: u64) -> String {
    let leap = |year: u64| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let mut year = 1970;
    loop {
        let days = if leap(year) { 366 } else { 365 };
        if day < days {
            break;
        }
        day -= days;
        year += 1;
    }
    let february = if leap(year) { 29 } else { 28 };
    let mut month = 1;
    for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < days {
            break;
        }
        day -= days;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", day + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        let expected = [(0, "1970-01-01"), (59, "1970-03-01"), (789, "1972-02-29"), (11_016, "2000-02-29")];
        for (day, date) in expected {
            assert_eq!(civil(day), date);
        }
    }

    #[test]
    fn a_cell_says_time_share_and_scalar_code() {
        let class = crate::CLASSES[0];
        let cell = |time, scalar| Cell { time, work: 1000.0, scalar };
        let cells = vec![
            (class, DType::F32, cell(100.0, false), 100.0),
            (class, DType::F64, cell(100.0, false), 100.0),
            (class, DType::I8, cell(125.0, true), 100.0),
        ];
        let text = render(&cells, &[DType::F32, DType::F64, DType::I8, DType::Bool]);
        let row = text.lines().last().unwrap_or_default();
        assert_eq!(row, "| add | element | 0.100 1.00 | 0.100 2.00 | 0.125 0.20 scalar | – |");
        let expected = "Cells with scalar loops: 1 of 3\n- add: i8\n\nCells below 0.25 of what is allowed: 1 of 3\n- add: i8\n";
        assert_eq!(summary(&cells), expected);
    }
}
