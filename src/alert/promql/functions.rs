//! Which functions are in the subset, and what do they take and give?

use super::compile::Type;

macro_rules! functions {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),+ $(,)?) => {
        /// A function of the subset. The stable ones of Prometheus 3.x without those over histograms:
        /// the experimental ones need a flag there, so a shipped rule must not use them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "a variant is the function of its name; Prometheus documents them")]
        pub enum Function { $($variant),+ }

        impl Function {
            /// All of them.
            pub const ALL: &'static [Function] = &[$(Function::$variant),+];

            /// The name as it is written.
            pub fn name(self) -> &'static str {
                match self { $(Function::$variant => $name),+ }
            }
        }
    };
}

functions! {
    Abs = "abs", Absent = "absent", AbsentOverTime = "absent_over_time", Acos = "acos", Acosh = "acosh", Asin = "asin",
    Asinh = "asinh", Atan = "atan", Atanh = "atanh", AvgOverTime = "avg_over_time", Ceil = "ceil", Changes = "changes",
    Clamp = "clamp", ClampMax = "clamp_max", ClampMin = "clamp_min", Cos = "cos", Cosh = "cosh",
    CountOverTime = "count_over_time", DayOfMonth = "day_of_month", DayOfWeek = "day_of_week",
    DayOfYear = "day_of_year", DaysInMonth = "days_in_month", Deg = "deg", Delta = "delta", Deriv = "deriv", Exp = "exp",
    Floor = "floor", Hour = "hour", Idelta = "idelta", Increase = "increase", Irate = "irate", LabelJoin = "label_join",
    LabelReplace = "label_replace", LastOverTime = "last_over_time", Ln = "ln", Log10 = "log10", Log2 = "log2",
    MaxOverTime = "max_over_time", MinOverTime = "min_over_time", Minute = "minute", Month = "month", Pi = "pi",
    PredictLinear = "predict_linear", PresentOverTime = "present_over_time", QuantileOverTime = "quantile_over_time",
    Rad = "rad", Rate = "rate", Resets = "resets", Round = "round", Scalar = "scalar", Sgn = "sgn", Sin = "sin",
    Sinh = "sinh", Sort = "sort", SortDesc = "sort_desc", Sqrt = "sqrt", StddevOverTime = "stddev_over_time",
    StdvarOverTime = "stdvar_over_time", SumOverTime = "sum_over_time", Tan = "tan", Tanh = "tanh", Time = "time",
    Timestamp = "timestamp", Vector = "vector", Year = "year",
}

/// What a function takes: fixed arguments, then optional ones, then any number of one type.
pub(super) struct Signature {
    pub(super) fixed: &'static [Type],
    pub(super) optional: &'static [Type],
    pub(super) rest: Option<Type>,
    pub(super) result: Type,
}

impl Function {
    /// The function of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|function| function.name() == name)
    }

    pub(super) fn signature(self) -> Signature {
        use Function as F;
        let vector = |fixed| Signature { fixed, optional: &[], rest: None, result: Type::Vector };
        match self {
            F::AbsentOverTime
            | F::AvgOverTime
            | F::Changes
            | F::CountOverTime
            | F::Delta
            | F::Deriv
            | F::Idelta
            | F::Increase
            | F::Irate
            | F::LastOverTime
            | F::MaxOverTime
            | F::MinOverTime
            | F::PresentOverTime
            | F::Rate
            | F::Resets
            | F::StddevOverTime
            | F::StdvarOverTime
            | F::SumOverTime => vector(&[Type::Matrix]),
            F::PredictLinear => vector(&[Type::Matrix, Type::Scalar]),
            F::QuantileOverTime => vector(&[Type::Scalar, Type::Matrix]),
            F::Clamp => vector(&[Type::Vector, Type::Scalar, Type::Scalar]),
            F::ClampMax | F::ClampMin => vector(&[Type::Vector, Type::Scalar]),
            F::Round => Signature { optional: &[Type::Scalar], ..vector(&[Type::Vector]) },
            F::DayOfMonth | F::DayOfWeek | F::DayOfYear | F::DaysInMonth | F::Hour | F::Minute | F::Month | F::Year => {
                Signature { optional: &[Type::Vector], ..vector(&[]) }
            }
            F::LabelReplace => vector(&[Type::Vector, Type::Text, Type::Text, Type::Text, Type::Text]),
            F::LabelJoin => Signature { rest: Some(Type::Text), ..vector(&[Type::Vector, Type::Text, Type::Text]) },
            F::Scalar => Signature { result: Type::Scalar, ..vector(&[Type::Vector]) },
            F::Time | F::Pi => Signature { result: Type::Scalar, ..vector(&[]) },
            F::Vector => vector(&[Type::Scalar]),
            F::Abs
            | F::Absent
            | F::Acos
            | F::Acosh
            | F::Asin
            | F::Asinh
            | F::Atan
            | F::Atanh
            | F::Ceil
            | F::Cos
            | F::Cosh
            | F::Deg
            | F::Exp
            | F::Floor
            | F::Ln
            | F::Log10
            | F::Log2
            | F::Rad
            | F::Sgn
            | F::Sin
            | F::Sinh
            | F::Sort
            | F::SortDesc
            | F::Sqrt
            | F::Tan
            | F::Tanh
            | F::Timestamp => vector(&[Type::Vector]),
        }
    }
}
