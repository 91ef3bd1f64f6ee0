//! Options of passes, and what they are set to.

use orogen_ir::diag::Diagnostic;

/// What values an option has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionKind {
    /// A number from 1 on.
    Count,
    /// A number of bytes: `65536`, `64KiB`, `1MB`.
    Bytes,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Names with colons between them, or nothing.
    Names,
    /// Any text, or nothing; in quotes where it holds commas, braces or spaces.
    Text,
}

impl OptionKind {
    /// How a value is written.
    pub fn form(self) -> String {
        match self {
            OptionKind::Count => "a number from 1 on".to_owned(),
            OptionKind::Bytes => "a number of bytes, such as 65536, 64KiB or 1MB".to_owned(),
            OptionKind::Word(words) => format!("one of {}", words.join(", ")),
            OptionKind::Names => "names with colons between them".to_owned(),
            OptionKind::Text => "a text, in quotes where it holds commas, braces or spaces".to_owned(),
        }
    }

    fn read(self, text: &str) -> Option<Value> {
        match self {
            OptionKind::Count => text.parse().ok().filter(|it| *it >= 1).map(Value::Number),
            OptionKind::Bytes => bytes(text).map(Value::Number),
            OptionKind::Word(words) => words.iter().find(|it| **it == text).map(|it| Value::Word(it)),
            OptionKind::Names => {
                let names: Vec<String> = text.split(':').map(str::to_owned).collect();
                match text.is_empty() {
                    true => Some(Value::Names(Vec::new())),
                    false => (!names.iter().any(String::is_empty)).then_some(Value::Names(names)),
                }
            }
            OptionKind::Text => Some(Value::Text(text.to_owned())),
        }
    }
}

/// A number of bytes, with a unit or without.
fn bytes(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 7] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("KB", 1000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("B", 1),
    ];
    let (number, unit) =
        UNITS.iter().find_map(|(unit, it)| Some((text.strip_suffix(unit)?, *it))).unwrap_or((text, 1));
    number.parse::<u64>().ok()?.checked_mul(unit)
}

/// Something of a pass that can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionDef {
    /// Its name.
    pub name: &'static str,
    /// What values it has.
    pub kind: OptionKind,
    /// What it is when nobody sets it, as a user would write it.
    pub default: &'static str,
    /// What it means: a clause.
    pub about: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Number(u64),
    Word(&'static str),
    Names(Vec<String>),
    Text(String),
}

/// What the options of a pass are set to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    values: Vec<(&'static str, Value)>,
}

impl Settings {
    /// Those of a pass, some of which are written.
    ///
    /// # Errors
    /// `N024`: an option that the pass does not have, one that is given twice, or a value that is none of its.
    pub fn of(
        pass: &str,
        options: &[OptionDef],
        written: &[(String, String)],
    ) -> Result<Settings, Diagnostic> {
        for (i, (name, _)) in written.iter().enumerate() {
            if !options.iter().any(|it| it.name == name) {
                let names: Vec<&str> = options.iter().map(|it| it.name).collect();
                let message = format!("pass `{pass}` has no option `{name}`");
                return Err(Diagnostic::error("N024", message).help(match names.as_slice() {
                    [] => "it has none: leave the braces out".to_owned(),
                    names => format!("its options are: {}", names.join(", ")),
                }));
            }
            if written[..i].iter().any(|it| it.0 == *name) {
                let message = format!("option `{name}` of pass `{pass}` is given twice");
                return Err(Diagnostic::error("N024", message).help("leave one of them out"));
            }
        }
        let mut values = Vec::with_capacity(options.len());
        for option in options {
            let text = written.iter().find(|it| it.0 == option.name).map_or(option.default, |it| &it.1);
            let Some(value) = option.kind.read(text) else {
                let message = format!("option `{}` of pass `{pass}` cannot be `{text}`", option.name);
                return Err(Diagnostic::error("N024", message).help(format!("write {}", option.kind.form())));
            };
            values.push((option.name, value));
        }
        Ok(Settings { values })
    }

    /// A number.
    ///
    /// # Panics
    /// When the pass does not define an option of that name whose values are numbers.
    pub fn number(&self, name: &str) -> usize {
        match self.get(name) {
            Value::Number(it) => usize::try_from(*it).unwrap_or(usize::MAX),
            _ => panic!("option `{name}` is no number"),
        }
    }

    /// A word.
    ///
    /// # Panics
    /// When the pass does not define an option of that name whose values are words.
    pub fn word(&self, name: &str) -> &'static str {
        match self.get(name) {
            Value::Word(it) => it,
            _ => panic!("option `{name}` is no word"),
        }
    }

    /// Names.
    ///
    /// # Panics
    /// When the pass does not define an option of that name whose values are names.
    pub fn names(&self, name: &str) -> &[String] {
        match self.get(name) {
            Value::Names(it) => it,
            _ => panic!("option `{name}` is no list of names"),
        }
    }

    /// A text.
    ///
    /// # Panics
    /// When the pass does not define an option of that name whose values are texts.
    pub fn text(&self, name: &str) -> &str {
        match self.get(name) {
            Value::Text(it) => it,
            _ => panic!("option `{name}` is no text"),
        }
    }

    fn get(&self, name: &str) -> &Value {
        let found = self.values.iter().find(|it| it.0 == name);
        &found.unwrap_or_else(|| panic!("the pass defines no option `{name}`")).1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: &[OptionDef] = &[
        OptionDef { name: "most", kind: OptionKind::Bytes, default: "64KiB", about: "" },
        OptionDef { name: "rounds", kind: OptionKind::Count, default: "8", about: "" },
        OptionDef { name: "type", kind: OptionKind::Word(&["f16", "bf16"]), default: "f16", about: "" },
        OptionDef { name: "of", kind: OptionKind::Names, default: "", about: "" },
        OptionDef { name: "like", kind: OptionKind::Text, default: "", about: "" },
    ];

    fn settings(written: &[(&str, &str)]) -> Result<Settings, Diagnostic> {
        let written: Vec<_> = written.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        Settings::of("p", OPTIONS, &written)
    }

    #[test]
    fn what_is_not_written_has_its_default() {
        let it = settings(&[("most", "1MB"), ("type", "bf16")]).expect("they fit");
        assert_eq!((it.number("most"), it.number("rounds"), it.word("type")), (1_000_000, 8, "bf16"));
        assert_eq!(settings(&[("most", "2GiB")]).expect("they fit").number("most"), 2 << 30);
        assert!(it.names("of").is_empty() && it.text("like").is_empty());
        let it = settings(&[("of", "a:b.c"), ("like", "mul(x, y)")]).expect("they fit");
        assert_eq!((it.names("of"), it.text("like")), (&["a".to_owned(), "b.c".to_owned()][..], "mul(x, y)"));
        assert_eq!(settings(&[("most", "7")]).expect("they fit").number("most"), 7);
    }

    #[test]
    fn what_does_not_fit_is_said_with_a_way_out() {
        for (written, message, help) in [
            (&[("least", "1")][..], "has no option `least`", "most, rounds, type"),
            (&[("rounds", "1"), ("rounds", "2")], "is given twice", "leave one"),
            (&[("rounds", "0")], "cannot be `0`", "from 1 on"),
            (&[("rounds", "-1")], "cannot be `-1`", "from 1 on"),
            (&[("most", "1PB")], "cannot be `1PB`", "64KiB"),
            (&[("most", "99999999999GiB")], "cannot be", "64KiB"),
            (&[("type", "f8")], "cannot be `f8`", "one of f16, bf16"),
            (&[("of", "a::b")], "cannot be `a::b`", "colons"),
        ] {
            let found = settings(written).expect_err(message);
            assert_eq!(found.code, "N024");
            assert!(found.message.contains(message), "{found}");
            assert!(found.help.as_ref().is_some_and(|it| it.contains(help)), "{found}");
        }
    }
}
