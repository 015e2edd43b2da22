//! The loops of backward bounds, compiled for wider vector instructions where the processor has them.

// What is not inlined does not get the wider instructions.
#![allow(clippy::inline_always)]

use pulp::{Arch, Simd, WithSimd};

use crate::bounds::{Kernel, Vectorise};

/// The widest vectors of this processor.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wide(Arch);

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

    #[inline(always)]
    fn run(&self, kernel: impl Kernel) {
        self.0.dispatch(Compiled(kernel));
    }
}
