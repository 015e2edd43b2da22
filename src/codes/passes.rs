//! Which code the errors of passes, policies and reports have.

use super::{Coded, USAGE, WRITE};
use crate::files::TreeError;
use crate::kernel::lipschitz::form::FormError;
use crate::kernel::model::ir::EvaluationError;
use crate::kernel::read::vnnlib::SpecificationError;
use crate::kernel::region::bounds::{BoundsError, RegionError};
use crate::pass::derivatives::{DataError, ParameterError};
use crate::pass::hessian::HessianError;
use crate::pass::ibp::TightnessError;
use crate::pass::lipschitz::LipschitzError;
use crate::pass::mfac::{CollectError, InverseError};
use crate::pass::robustness::RobustnessError;
use crate::policy::{LockError, PolicyError};
use crate::query::{PatchError, QueryError};
use crate::report::audit::ResultsError;

/// Errors that are all of one kind.
macro_rules! coded {
    ($($error:ty => $code:expr),* $(,)?) => {
        $(impl Coded for $error {
            fn code(&self) -> &'static str {
                $code
            }
        })*
    };
}

/// The model can be used, but not for this.
const QUESTION: &str = "NV140";
const NOTHING: &str = "NV605";

coded! {
    BoundsError => QUESTION,
    DataError => "NV202",
    EvaluationError => QUESTION,
    FormError => QUESTION,
    PatchError => QUESTION,
    RegionError => USAGE,
    ResultsError => "NV405",
    SpecificationError => "NV301",
    // What is read into memory and written to temporary files: only the latter fails this way.
    std::io::Error => WRITE,
}

impl Coded for QueryError {
    fn code(&self) -> &'static str {
        match self {
            Self::Data(error) => error.code(),
            Self::Specification(error) => error.code(),
            Self::Region(error) => error.code(),
            Self::Lipschitz(error) => error.code(),
            Self::Bounds(error) => error.code(),
            Self::Evaluation(error) => error.code(),
            Self::Robustness(error) => error.code(),
            Self::Tightness(error) => error.code(),
            Self::Hessian(error) => error.code(),
            Self::Objective(error) => error.code(),
            Self::Parameters(error) => error.code(),
            Self::Collect(error) => error.code(),
            Self::Inverse(error) => error.code(),
            Self::Curvature(error) => error.code(),
            Self::Kernel(error) => error.code(),
            Self::Patch(error) => error.code(),
            Self::Pruned(error) | Self::Baseline { error, .. } => error.code(),
            Self::TemporaryFile(_) | Self::Journal { .. } => WRITE,
            Self::TooFewSamples { .. } | Self::RegionSize { .. } | Self::OutsideClip { .. } | Self::VectorSize { .. } => "NV202",
            Self::Implicit { .. }
            | Self::OneOutput
            | Self::NotOneOutput { .. }
            | Self::NoMinimiser
            | Self::TooLargeToProve { .. }
            | Self::OneLogit
            | Self::NoTightness
            | Self::Compose { .. }
            | Self::OneClass
            | Self::NoValues
            | Self::CompressedModel => QUESTION,
            Self::TooManyClaims { .. }
            | Self::NotABox
            | Self::TooManyRows { .. }
            | Self::TooManySplits { .. }
            | Self::TooFewGradients { .. }
            | Self::NoRows
            | Self::NoFirstNetwork { .. }
            | Self::AnotherNetwork { .. }
            | Self::Limit { .. }
            | Self::Share { .. }
            | Self::NoRegion
            | Self::NotABoxAround
            | Self::AnotherJournal { .. } => USAGE,
            Self::OutOfTime { .. } => NOTHING,
        }
    }
}

impl Coded for LipschitzError {
    fn code(&self) -> &'static str {
        match self {
            Self::Form(_) | Self::Bounds(_) => QUESTION,
            Self::Refused(_) | Self::NoBound(_) | Self::IllPosed { .. } => NOTHING,
        }
    }
}

impl Coded for RobustnessError {
    fn code(&self) -> &'static str {
        match self {
            Self::Bounds(_) | Self::Evaluation => QUESTION,
            Self::Data(error) => error.code(),
            Self::Shape | Self::Float64 | Self::Float32 => "NV301",
        }
    }
}

impl Coded for TightnessError {
    fn code(&self) -> &'static str {
        match self {
            Self::Bounds(error) => error.code(),
            Self::Label { .. } => "NV202",
        }
    }
}

impl Coded for HessianError {
    fn code(&self) -> &'static str {
        match self {
            Self::Data(error) => error.code(),
            Self::File(_) => WRITE,
            Self::Batch { .. } => USAGE,
        }
    }
}

impl Coded for CollectError {
    fn code(&self) -> &'static str {
        match self {
            Self::TimedOut(_) => NOTHING,
            Self::File(_) => WRITE,
        }
    }
}

impl Coded for InverseError {
    fn code(&self) -> &'static str {
        match self {
            Self::Damping(_) => USAGE,
            Self::Empty => "NV202",
            Self::NotDefinite { .. } => NOTHING,
            Self::File(_) => WRITE,
        }
    }
}

impl Coded for ParameterError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unknown(_) => USAGE,
            Self::Frozen { .. } | Self::None(_) => QUESTION,
        }
    }
}

impl Coded for LockError {
    fn code(&self) -> &'static str {
        match self {
            Self::File(error) => error.code(),
            Self::Text { .. } => "NV408",
        }
    }
}

impl Coded for TreeError {
    fn code(&self) -> &'static str {
        match self {
            Self::Link { .. } | Self::Outside { .. } | Self::Kind { .. } | Self::Exchanged { .. } => "NV407",
            Self::Io { .. } | Self::TooLarge { .. } => "NV201",
        }
    }
}

impl Coded for PolicyError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "NV401",
            Self::Io { .. } | Self::TooLarge { .. } | Self::Encoding { .. } => "NV402",
            Self::Text { .. } => "NV403",
        }
    }
}
