//! State across calls: inputs that a call updates in the caller's memory.

use orogen_ir::diag::Diagnostic;

/// An input and the output that is its new value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Name of the input.
    pub input: String,
    /// Name of the output.
    pub output: String,
}

/// For each output, the input that it renews.
///
/// # Errors
/// Names that are no input or output, or are given twice (`M021`).
pub fn resolve(
    states: &[State],
    inputs: &[&str],
    outputs: &[&str],
) -> Result<Vec<Option<usize>>, Diagnostic> {
    let mut renewed: Vec<Option<usize>> = vec![None; outputs.len()];
    for State { input, output } in states {
        let from = find(inputs, input, "input")?;
        let to = find(outputs, output, "output")?;
        if renewed.contains(&Some(from)) || renewed[to].is_some() {
            let message = format!("state `{input}` to `{output}`: one of them is state already");
            return Err(Diagnostic::error("M021", message));
        }
        renewed[to] = Some(from);
    }
    Ok(renewed)
}

fn find(names: &[&str], wanted: &str, what: &str) -> Result<usize, Diagnostic> {
    let unknown = || {
        Diagnostic::error("M021", format!("state: the model has no {what} `{wanted}`"))
            .help(format!("its {what}s are: {}", names.join(", ")))
    };
    names.iter().position(|it| *it == wanted).ok_or_else(unknown)
}

/// A new value that cannot lie where the state is.
pub fn misfit(state: &State, input: &str, output: &str) -> Diagnostic {
    let State { input: from, output: to } = state;
    let message = format!("state `{from}` is {input}, but its new value `{to}` is {output}");
    Diagnostic::error("M022", message)
        .help("memory of the caller does not grow: give the state its greatest size and write rows into it")
}

/// State that a caller may leave out: there would be nothing to write.
pub fn constant(input: &str) -> Diagnostic {
    let message = format!("state `{input}` has a default, which no call can write");
    Diagnostic::error("M024", message).help("state is memory of the caller: an input that must be given")
}
