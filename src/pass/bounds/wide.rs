//! The loops of backward bounds, compiled for wider vector instructions where the processor has them.

// What is not inlined does not get the wider instructions.
#![allow(clippy::inline_always)]

use pulp::{Arch, Simd, WithSimd};

use crate::deadline::Deadline;
use crate::kernel::region::bounds::{Kernel, Vectorise};

/// The widest vectors of this processor, until a deadline.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wide {
    arch: Arch,
    deadline: Deadline,
}

impl Wide {
    /// Passes that are not done by then end without a bound.
    #[must_use]
    pub fn until(deadline: Deadline) -> Self {
        Self { arch: Arch::default(), deadline }
    }
}

/// A kernel that is compiled again for every set of instructions.
struct Compiled<K>(K);

impl<K: Kernel> WithSimd for Compiled<K> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        self.0.run();
    }
}

impl Vectorise for Wide {
    const WIDE: bool = true;

    fn interrupted(&self) -> bool {
        self.deadline.has_passed()
    }

    #[inline(always)]
    fn run(&self, kernel: impl Kernel) {
        self.arch.dispatch(Compiled(kernel));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::kernel::proof::Semantics;
    use crate::kernel::region::bounds::{BoxRegion, Loops};
    use crate::kernel::region::{Refuter, misclassified};

    /// A search that saw other bounds than the checker would propose what is refused.
    #[test]
    fn bounds_are_those_of_plain_loops_bit_by_bit() {
        for name in ["digits_cnn", "digits_residual", "digits_groupsort"] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("models/{name}.onnx"));
            let network = crate::kernel::model::onnx::load(&path).unwrap().network;
            let centre: Vec<f64> = (0..network.input_size()).map(|i| 0.5 + 0.5 * (i as f64 * 0.7).sin()).collect();
            let region = BoxRegion::around(&centre, 0.05).unwrap().into();
            let clauses = [misclassified(network.output_size(), 3)];
            let plain = Refuter::with_vectors(&network, Semantics::Real, Loops).unwrap().bound(&region, &clauses).unwrap();
            let wide =
                Refuter::with_vectors(&network, Semantics::Real, Wide::default()).unwrap().bound(&region, &clauses).unwrap();
            assert!(plain.method == crate::kernel::region::Method::Backward, "{name}: intervals were enough");
            assert_eq!(format!("{plain:?}"), format!("{wide:?}"), "{name}");
        }
    }
}
