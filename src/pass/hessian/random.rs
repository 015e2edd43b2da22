//! Reproducible normal variates.

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): the same on every machine.
pub struct Random(u64);

impl Random {
    /// One of many independent streams of a seed.
    #[must_use]
    pub const fn new(seed: u64, stream: u64) -> Self {
        Self(seed ^ stream.wrapping_mul(0xd6e8_feb8_6659_fd93))
    }

    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In `(0, 1)`.
    fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// Standard normal variates (Box–Muller).
    pub fn normals(&mut self, count: usize) -> Vec<f64> {
        let mut normals = Vec::with_capacity(count + 1);
        while normals.len() < count {
            let radius = (-2.0 * self.uniform().ln()).sqrt();
            let (sine, cosine) = (std::f64::consts::TAU * self.uniform()).sin_cos();
            normals.extend([radius * cosine, radius * sine]);
        }
        normals.truncate(count);
        normals
    }
}
