//! A test file and its parts.
//!
//! ```text
//! // run: opt --passes canonicalize
//! graph @g(%x: f32[2]) { … }
//! // -----
//! graph @g(%x: f32[2]) { … }
//! ```

use anyhow::{Result, bail, ensure};

/// What stands in front of a command.
const RUN: &str = "// run: ";
/// What stands in front of what is said about values.
const VALUES: &str = "// values: ";
/// The line above each expected text.
const SEPARATOR: &str = "// -----";

/// How values before and after passes compare.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Values {
    /// Floats are close, all others equal.
    #[default]
    Close,
    /// All are equal.
    Equal,
    /// They are not evaluated, for the reason given.
    Unknown(String),
}

/// A test file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct File {
    /// Commands, in order.
    pub commands: Vec<String>,
    /// What is said about values.
    pub values: Values,
    /// The text that commands read: all of the file above the first separator, so that places are those in the file.
    pub input: String,
    /// What each command should print.
    pub expected: Vec<String>,
}

impl File {
    /// Reads a file.
    ///
    /// # Errors
    /// Law J3; and directives that mean nothing.
    pub fn parse(text: &str) -> Result<File> {
        let mut file = File::default();
        let mut parts = vec![String::new()];
        for line in text.lines() {
            if line == SEPARATOR {
                parts.push(String::new());
                continue;
            }
            let part = parts.last_mut().expect("there is one");
            part.push_str(line);
            part.push('\n');
        }
        file.input = parts.remove(0);
        file.expected = parts;
        for line in file.input.lines().take_while(|it| it.starts_with("//") || it.is_empty()) {
            if let Some(command) = line.strip_prefix(RUN) {
                file.commands.push(command.trim().to_owned());
            } else if let Some(values) = line.strip_prefix(VALUES) {
                file.values = match values.trim().split_once(' ') {
                    None if values.trim() == "equal" => Values::Equal,
                    Some(("none,", reason)) => Values::Unknown(reason.to_owned()),
                    _ => bail!("`{line}` is neither `{VALUES}equal` nor `{VALUES}none, REASON`"),
                };
            }
        }
        ensure!(!file.commands.is_empty(), "the file begins with no line `{RUN}COMMAND`");
        ensure!(
            file.expected.len() <= file.commands.len(),
            "there are {} expected texts for {} commands (law J3)",
            file.expected.len(),
            file.commands.len()
        );
        Ok(file)
    }

    /// The text of the file when its commands print this.
    pub fn with_expected(&self, printed: &[String]) -> String {
        let mut text = self.input.clone();
        for it in printed {
            text.push_str(&format!("{SEPARATOR}\n{}\n", it.trim_end()));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_read_and_write_back() {
        let text = "// run: a b\n// run: c\n// About it.\nx\n// -----\ny\nz\n// -----\nw\n";
        let file = File::parse(text).expect("a test");
        assert_eq!(file.commands, ["a b", "c"]);
        assert_eq!(file.expected, ["y\nz\n", "w\n"]);
        assert_eq!(file.with_expected(&["y\nz\n\n".to_owned(), "w".to_owned()]), text);
        assert!(File::parse("x\n").is_err());
        assert!(File::parse("// run: a\nx\n// -----\n// -----\n").is_err());
        assert!(File::parse("// run: a\n// values: maybe\nx\n").is_err());
        let values = File::parse("// run: a\n// values: none, it has no inputs\n").expect("a test").values;
        assert_eq!(values, Values::Unknown("it has no inputs".to_owned()));
    }
}
