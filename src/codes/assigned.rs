//! Which code every kind of error has.

use super::{INTERNAL, USAGE, WRITE};
use crate::kernel::check::{ClaimRefusal, Refusal};
use crate::kernel::curvature::CurvatureRefusal;
use crate::kernel::lipschitz::LipschitzRefusal;
use crate::kernel::model::onnx::{FormatError, GraphError, LoadError, NodeError, TensorError};
use crate::kernel::proof::{Content, ReadError};
use crate::kernel::read::data::{DataError, Problem};
use crate::kernel::region::RegionRefusal;
use crate::query::WriteError;

/// What is said with a code at its end.
pub trait Coded: std::fmt::Display {
    fn code(&self) -> &'static str;
}

impl<T: Coded + ?Sized> Coded for &T {
    fn code(&self) -> &'static str {
        T::code(self)
    }
}

/// Plain text is about the command line.
impl Coded for str {
    fn code(&self) -> &'static str {
        USAGE
    }
}

impl Coded for String {
    fn code(&self) -> &'static str {
        self.as_str().code()
    }
}

impl Coded for serde_json::Error {
    fn code(&self) -> &'static str {
        INTERNAL
    }
}

impl Coded for ReadError {
    fn code(&self) -> &'static str {
        "NV501"
    }
}

impl Coded for WriteError {
    fn code(&self) -> &'static str {
        WRITE
    }
}

impl Coded for LoadError {
    fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "NV101",
            Self::Format(error) => match error {
                FormatError::Empty
                | FormatError::NotOnnx { .. }
                | FormatError::Damaged { .. }
                | FormatError::Compression { .. }
                | FormatError::NoGraph => "NV102",
                FormatError::Limit { .. } => "NV103",
                FormatError::Ambiguous { .. } | FormatError::DuplicateAttribute { .. } => "NV104",
                FormatError::Functions { .. } => "NV105",
            },
            Self::Implicit(_) => "NV106",
            Self::Tensor { kind, .. } => kind.code(),
            Self::Graph(error) => match error {
                GraphError::Cycle { .. }
                | GraphError::DuplicateValue { .. }
                | GraphError::MissingValue { .. }
                | GraphError::MissingOutput { .. }
                | GraphError::ConstantOutput { .. } => "NV120",
                GraphError::NoInput
                | GraphError::SeveralInputs { .. }
                | GraphError::NoOutput
                | GraphError::SeveralOutputs { .. }
                | GraphError::Value { .. } => "NV121",
                GraphError::NoOpset { .. } | GraphError::DuplicateOpset { .. } | GraphError::UnsupportedOpset { .. } => "NV122",
                GraphError::SparseInitializer { .. } => "NV110",
                GraphError::TooLarge(_) => "NV103",
            },
            Self::Node { kind, .. } => match kind.as_ref() {
                NodeError::UnsupportedOperator { .. } => "NV130",
                NodeError::Unsupported { .. } => "NV131",
                NodeError::Invalid { .. } | NodeError::Attribute { .. } | NodeError::Shape(_) => "NV132",
                NodeError::Tensor(error) => error.code(),
            },
        }
    }
}

impl Coded for TensorError {
    fn code(&self) -> &'static str {
        match self {
            Self::TooManyDimensions { .. } | Self::TooLarge { .. } | Self::Budget { .. } => "NV103",
            Self::External(_) => "NV111",
            Self::UnsupportedType(_)
            | Self::NegativeDimension { .. }
            | Self::Length { .. }
            | Self::Conflict { .. }
            | Self::WrongField { .. }
            | Self::OutOfRange { .. }
            | Self::Segmented
            | Self::UnknownLocation(_) => "NV110",
        }
    }
}

impl Coded for Refusal {
    fn code(&self) -> &'static str {
        match self {
            Self::UnknownSchema { .. } => "NV502",
            Self::DigestMismatch | Self::BundleMismatch => "NV503",
            Self::AnotherModel { .. } | Self::AnotherExternalData => "NV504",
            Self::NoClaims | Self::TooManyClaims { .. } | Self::ClaimId { .. } | Self::DuplicateClaim { .. } => "NV505",
            Self::Claim { reason, .. } => reason.code(),
        }
    }
}

impl Coded for ClaimRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::Lipschitz(refusal) => refusal.code(),
            Self::Region(refusal) => refusal.code(),
            Self::Curvature(refusal) => refusal.code(),
            Self::Kind { .. } => "NV513",
            Self::Assurance { .. } => "NV514",
            Self::Implicit { .. } => "NV517",
        }
    }
}

impl Coded for Content {
    fn code(&self) -> &'static str {
        match self {
            Self::MissingFile { .. } | Self::MissingModel { .. } => "NV511",
            Self::File { .. } | Self::Data(_) => "NV512",
            Self::Number { .. } | Self::Scope { .. } | Self::Incomplete { .. } | Self::MissingVector | Self::Shape { .. } => {
                "NV513"
            }
            Self::Semantics => "NV514",
            Self::NotReached { .. } => "NV515",
            Self::Work { .. } | Self::Evaluation(_) => "NV517",
        }
    }
}

impl Coded for LipschitzRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::Content(content) => content.code(),
            Self::NoMatrix { .. } | Self::NotDefinite { .. } => "NV516",
            Self::Form(_) | Self::NoRule { .. } => "NV517",
        }
    }
}

impl Coded for RegionRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::Content(content) => content.code(),
            Self::Lipschitz(refusal) => refusal.code(),
            Self::Channels { .. } | Self::Sizes { .. } | Self::Vacuity { .. } | Self::Region(_) => "NV513",
            Self::Bounds(_) | Self::Compose(_) => "NV517",
            Self::NotRefuted | Self::Outside | Self::NotUnsafe | Self::NotDisagreeing => "NV518",
        }
    }
}

impl Coded for CurvatureRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::Content(content) => content.code(),
            Self::NotDefinite { .. } => "NV516",
            Self::Frozen { .. } => "NV519",
        }
    }
}

impl Coded for DataError {
    fn code(&self) -> &'static str {
        match self.problem {
            Problem::NotFinite { .. }
            | Problem::TargetCount { .. }
            | Problem::InputShape { .. }
            | Problem::Layout { .. }
            | Problem::Empty
            | Problem::NoTargets(_)
            | Problem::Label { .. }
            | Problem::TargetShape { .. }
            | Problem::NoSamples(_) => "NV202",
            _ => "NV201",
        }
    }
}
