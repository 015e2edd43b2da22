//! Exact rational arithmetic and number generators for the tests of this room.

use dashu::integer::IBig;
pub use dashu::rational::RBig;

use super::round::scale_pow2;

/// The exact value of a finite float.
pub fn rational(x: f64) -> RBig {
    RBig::try_from(x).expect("finite")
}

/// 2ᵏ exactly.
pub fn power_of_two(k: i32) -> RBig {
    let power = RBig::from(IBig::ONE << (k.unsigned_abs() as usize));
    if k >= 0 { power } else { RBig::ONE / power }
}

/// |x|.
pub fn absolute(x: RBig) -> RBig {
    if x < RBig::ZERO { -x } else { x }
}

/// xorshift64*: enough for picking test inputs.
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.bits() >> 33) as usize % n
    }

    /// Uniform in (−1, 1), full precision.
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 10) as f64 / (1_u64 << 53) as f64 - 1.0
    }

    /// A float with a random exponent in `low..high`.
    pub fn spread(&mut self, low: i32, high: i32) -> f64 {
        let exponent = low + self.below((high - low) as usize) as i32;
        let value = scale_pow2(self.uniform() / 2.0 + 1.5, exponent);
        if self.below(2) == 0 { value } else { -value }
    }

    /// A finite float that tends to hurt: subnormal, huge, few bits, ties, neighbours of powers.
    pub fn nasty(&mut self) -> f64 {
        let value = match self.below(12) {
            0 => f64::from_bits(self.bits() & ((1 << 52) - 1)),
            1 => f64::from_bits(self.bits() & 0xff),
            2 => self.spread(-1074, -900),
            3 => self.spread(950, 1023),
            4 => self.below(1000) as f64,
            5 => self.spread(-540, -440),
            6 => (1.0 + self.below(3) as f64 * f64::EPSILON) * self.power(-60, 60),
            7 => (1.0 - self.below(3) as f64 * f64::EPSILON) * self.power(-60, 60),
            8 => self.power(-1022, 1023),
            9 => f64::from(self.uniform() as f32),
            10 => [0.0, -0.0, 1.0, f64::MAX, f64::MIN_POSITIVE, f64::from_bits(1)][self.below(6)],
            _ => self.uniform(),
        };
        if self.below(2) == 0 { value } else { -value }
    }

    /// A power of two with exponent in `low..high`.
    pub fn power(&mut self, low: i32, high: i32) -> f64 {
        scale_pow2(1.0, low + self.below((high - low) as usize) as i32)
    }
}
