//! What can go wrong, and the error that a packed function leaves behind.

use std::cell::RefCell;
use std::fmt;
use std::path::PathBuf;

use orogen_abi::DLDataType;

/// Why the runtime refused or failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RuntimeError {
    /// A library file could not be loaded.
    Open {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// A library lacks a symbol that every Orogen library has.
    MissingSymbol {
        /// Name of the library.
        library: String,
        /// The symbol.
        symbol: String,
    },
    /// A library was made for another version of the interface.
    Version {
        /// Name of the library.
        library: String,
        /// What this runtime speaks.
        expected: u32,
        /// What the library says.
        got: u32,
    },
    /// A library uses instructions that this machine lacks.
    Instructions {
        /// Name of the library.
        library: String,
        /// What is missing, in the spelling of Rust's target features.
        missing: Vec<String>,
    },
    /// The embedded signature or metadata cannot be read.
    Signature {
        /// Name of the library.
        library: String,
        /// What is wrong.
        reason: String,
    },
    /// Parameters that lie outside of a library were not given, or given twice.
    Parameters {
        /// Name of the library.
        library: String,
        /// Whether it has them.
        given: bool,
    },
    /// No function has that name.
    NoFunction {
        /// Where it was looked for.
        place: String,
        /// The name.
        name: String,
        /// Names that exist there.
        available: Vec<String>,
    },
    /// Wrong number of arguments.
    ArgumentCount {
        /// The function.
        function: String,
        /// Names of the inputs it takes.
        expected: Vec<String>,
        /// Number of arguments given.
        got: usize,
    },
    /// Wrong element type.
    DataType {
        /// Which tensor.
        what: String,
        /// The one that is needed.
        expected: DLDataType,
        /// The one it has.
        got: DLDataType,
    },
    /// Wrong rank or extents.
    Shape {
        /// Which tensor.
        what: String,
        /// As in the signature, such as `[batch,3]`.
        expected: String,
        /// The extents it has.
        got: String,
    },
    /// A tensor is not row-major, not aligned to its element, on another device, or shared.
    Layout {
        /// Which tensor.
        what: String,
        /// What is in the way.
        reason: String,
        /// How to get past it.
        help: &'static str,
    },
    /// A value of another kind was needed.
    Kind {
        /// Which value.
        what: String,
        /// Kind that is needed.
        expected: &'static str,
        /// Kind that it is.
        got: String,
    },
    /// Memory could not be had, or a size does not fit the address space.
    OutOfMemory {
        /// What it was for.
        what: String,
        /// Bytes, where they can be counted.
        bytes: Option<u64>,
    },
    /// A packed function reported an error.
    Raised {
        /// The function.
        function: String,
        /// Class of the error, such as `ValueError`.
        kind: String,
        /// What it says.
        message: String,
    },
    /// A Rust panic was caught at the border of a call.
    Panic {
        /// Where.
        what: String,
        /// Its message.
        message: String,
    },
}

impl fmt::Display for RuntimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RuntimeError::Open { path, reason } => write!(f, "cannot load `{}`: {reason}", path.display()),
            RuntimeError::MissingSymbol { library, symbol } => write!(
                f,
                "`{library}` has no symbol `{symbol}`\nhelp: is it a library that `orogen compile` made?"
            ),
            RuntimeError::Version { library, expected, got } => write!(
                f,
                "`{library}` was compiled for interface version {got}, this runtime speaks version {expected}\n\
                 help: compile the model again with the `orogen` that belongs to this runtime"
            ),
            RuntimeError::Instructions { library, missing } => write!(
                f,
                "`{library}` uses instructions that this machine lacks: {}\n\
                 help: compile the model on this machine, or with `--cpu baseline` for any",
                missing.join(", ")
            ),
            RuntimeError::Signature { library, reason } => {
                write!(f, "`{library}` has an unreadable signature: {reason}")
            }
            RuntimeError::Parameters { library, given: false } => write!(
                f,
                "`{library}` does not hold its parameters\n\
                 help: give it those that the compiler wrote: `Library::set_parameters`, or `--params FILE.npz`"
            ),
            RuntimeError::Parameters { library, .. } => write!(f, "`{library}` has its parameters already"),
            RuntimeError::NoFunction { place, name, available } => {
                write!(f, "{place} has no function `{name}`\nhelp: it has {}", list(available))?;
                match name.starts_with("orogen.") {
                    true => {
                        f.write_str("\nhelp: `orogen_hosted::register` of the crate `orogen-hosted` adds it")
                    }
                    false => Ok(()),
                }
            }
            RuntimeError::ArgumentCount { function, expected, got } => write!(
                f,
                "`{function}` takes {} inputs, got {got}\nhelp: the inputs are {}",
                expected.len(),
                list(expected)
            ),
            RuntimeError::DataType { what, expected, got } => {
                write!(f, "{what}: expected data type {expected}, got {got}")
            }
            RuntimeError::Shape { what, expected, got } => {
                write!(f, "{what}: expected shape {expected}, got {got}")
            }
            RuntimeError::Layout { what, reason, help } => write!(f, "{what} {reason}\nhelp: {help}"),
            RuntimeError::Kind { what, expected, got } => write!(f, "{what}: expected {expected}, got {got}"),
            RuntimeError::OutOfMemory { what, bytes: Some(bytes) } => {
                write!(f, "out of memory: {bytes} bytes for {what}")
            }
            RuntimeError::OutOfMemory { what, bytes: None } => {
                write!(f, "out of memory: the size of {what} does not fit the address space")
            }
            RuntimeError::Raised { function, kind, message } => write!(f, "`{function}`: {kind}: {message}"),
            RuntimeError::Panic { what, message } => write!(f, "{what} panicked: {message}"),
        }
    }
}

impl std::error::Error for RuntimeError {}

impl RuntimeError {
    /// The class under which a packed function reports this error.
    pub fn kind(&self) -> &str {
        match self {
            RuntimeError::Raised { kind, .. } => kind,
            RuntimeError::DataType { .. }
            | RuntimeError::Kind { .. }
            | RuntimeError::ArgumentCount { .. } => "TypeError",
            RuntimeError::Shape { .. } | RuntimeError::Layout { .. } => "ValueError",
            RuntimeError::OutOfMemory { .. } => "MemoryError",
            RuntimeError::NoFunction { .. } | RuntimeError::MissingSymbol { .. } => "AttributeError",
            _ => "RuntimeError",
        }
    }
}

impl RuntimeError {
    /// The same error, with what it is about in front.
    pub(crate) fn about(self, what: String) -> Self {
        let kind = self.kind().to_owned();
        let message = match self {
            RuntimeError::Raised { message, .. } => message,
            other => other.to_string(),
        };
        RuntimeError::Raised { kind, message: format!("{what}: {message}"), function: what }
    }
}

fn list(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        names => names.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", "),
    }
}

/// The error that a packed function left for its caller on this thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Raised {
    pub(crate) kind: String,
    pub(crate) message: String,
}

thread_local! {
    static RAISED: RefCell<Option<Raised>> = const { RefCell::new(None) };
}

/// Leaves an error; it replaces one that nobody took.
pub(crate) fn raise(kind: &str, message: &str) {
    let raised = Raised { kind: kind.to_owned(), message: message.to_owned() };
    // While the thread ends there is nobody left to read it.
    let _ = RAISED.try_with(|slot| slot.replace(Some(raised)));
}

/// Puts a place before the message of the error that was left.
pub(crate) fn raised_within(place: &str) {
    let _ = RAISED.try_with(|slot| {
        if let Some(raised) = slot.borrow_mut().as_mut() {
            raised.message = format!("{place}: {}", raised.message);
        }
    });
}

/// Leaves `error` for the caller of a packed function.
pub(crate) fn raise_error(error: &RuntimeError) {
    match error {
        RuntimeError::Raised { kind, message, .. } => raise(kind, message),
        other => raise(other.kind(), &other.to_string()),
    }
}

/// Takes the error that `function` left.
pub(crate) fn take_raised(function: &str) -> RuntimeError {
    let raised = RAISED.try_with(|slot| slot.take()).ok().flatten();
    let Raised { kind, message } = raised.unwrap_or_else(|| Raised {
        kind: "RuntimeError".to_owned(),
        message: "it failed without setting an error".to_owned(),
    });
    RuntimeError::Raised { function: function.to_owned(), kind, message }
}

/// Forgets an error from an earlier call, so that it cannot be taken for a new one.
pub(crate) fn clear_raised() {
    let _ = RAISED.try_with(|slot| slot.take());
}

/// Runs `body` and turns a panic into an error: no panic may cross into foreign code.
pub(crate) fn contain<T>(
    what: &str,
    body: impl FnOnce() -> Result<T, RuntimeError>,
) -> Result<T, RuntimeError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).unwrap_or_else(|payload| {
        Err(RuntimeError::Panic { what: what.to_owned(), message: panic_message(&*payload) })
    })
}

/// The text of a panic.
pub(crate) fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("unknown reason").to_owned()
}
