//! Functions and properties of the rule language.

macro_rules! table {
    ($(#[$outer:meta])* $table:ident { $($(#[$doc:meta])* $row:ident, $name:literal, $arity:literal;)* }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $table {
            $($(#[$doc])* $row,)*
        }

        impl $table {
            /// All of them.
            pub const ALL: &[$table] = &[$($table::$row,)*];

            /// How it is written.
            pub const fn name(self) -> &'static str {
                match self { $($table::$row => $name,)* }
            }

            /// Number of arguments.
            pub const fn arity(self) -> usize {
                match self { $($table::$row => $arity,)* }
            }

            /// The one of that name.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|it| it.name() == name)
            }
        }
    };
}

table! {
    /// What is computed of values, numbers and lists.
    Function {
        /// Number of dimensions of a value.
        Rank, "rank", 1;
        /// A dimension of a value.
        Dim, "dim", 2;
        /// All dimensions of a value.
        Shape, "shape", 1;
        /// The elements of an integer tensor, where they are known.
        Elements, "elements", 1;
        /// How often a value is used.
        Uses, "uses", 1;
        /// The bits of an element type.
        Bits, "bits", 1;
        /// The element type of a value.
        Type, "type", 1;
        /// The number that a constant of one element is.
        Scalar, "scalar", 1;
        /// Number of members of a list, or of operands.
        Len, "len", 1;
        /// The permutation that undoes another one.
        Inverse, "inverse", 1;
        /// The integers from one up to, and without, another one.
        UpTo, "upto", 2;
        /// So many times an integer.
        Times, "times", 2;
        /// The part of a list from one place up to, and without, another one.
        Part, "part", 3;
        /// A list without what is at some places.
        Without, "without", 2;
        /// The place of a number in a list.
        Find, "find", 2;
        /// A list with 1 put in, so that it stands at these places of the result.
        Widened, "widened", 2;
        /// The members of a list from the least to the largest.
        Sorted, "sorted", 1;
        /// Their sum.
        Sum, "sum", 1;
        /// Their product.
        Product, "product", 1;
        /// The larger of two numbers.
        Larger, "larger", 2;
        /// The smaller of two numbers.
        Smaller, "smaller", 2;
        /// The largest finite number of a float type.
        Largest, "largest", 1;
    }
}

table! {
    /// What may be known of values, numbers and lists.
    Predicate {
        /// A constant.
        Const, "const", 1;
        /// A value that follows from constants alone.
        Made, "made", 1;
        /// An optional operand that is there.
        Present, "present", 1;
        /// A constant whose elements lie between two numbers, these included.
        Within, "within", 3;
        /// A constant whose elements are finite and greater than 0.
        Positive, "positive", 1;
        /// A permutation that changes nothing.
        Identity, "identity", 1;
        /// A list whose members differ.
        Distinct, "distinct", 1;
        /// A list each of whose members is less than the next.
        Increasing, "increasing", 1;
        /// A number is a member of a list.
        Member, "member", 2;
        /// Two shapes have one shape that both broadcast to: the first.
        Covers, "covers", 2;
    }
}
