//! What a user admits of a compiler that rewrites arithmetic.

/// Which rewrites a compilation may apply, by how exact they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accuracy {
    /// Those that keep every bit.
    Strict,
    /// Those too that are equal over the reals.
    #[default]
    Default,
    /// All, also those with a stated error.
    Fast,
}

impl Accuracy {
    /// All of them.
    pub const ALL: [Accuracy; 3] = [Accuracy::Strict, Accuracy::Default, Accuracy::Fast];

    /// The name on the command line, in `orogen.toml` and in metadata.
    pub const fn name(self) -> &'static str {
        match self {
            Accuracy::Strict => "strict",
            Accuracy::Default => "default",
            Accuracy::Fast => "fast",
        }
    }

    /// The accuracy of that name.
    pub fn from_name(name: &str) -> Option<Accuracy> {
        Accuracy::ALL.into_iter().find(|it| it.name() == name)
    }
}
