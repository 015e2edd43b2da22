//! Sorting networks: a sort written as comparators, each with a multiplier of its own.

/// Batcher's odd–even mergesort for any number of wires: pairs `(i, j)`, `i < j`, in order; each puts the smaller value
/// on `i`. Optimal in size up to eight wires (Knuth, The Art of Computer Programming, volume 3, section 5.3.4).
#[must_use]
pub fn comparators(wires: usize) -> Vec<(usize, usize)> {
    let mut network = Vec::new();
    let mut run = 1;
    while run < wires {
        let mut stride = run;
        while stride >= 1 {
            for start in (stride % run..wires.saturating_sub(stride)).step_by(2 * stride) {
                for low in start..(start + stride).min(wires - stride) {
                    if low / (2 * run) == (low + stride) / (2 * run) {
                        network.push((low, low + stride));
                    }
                }
            }
            stride /= 2;
        }
        run *= 2;
    }
    network
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The zero–one principle: a network that sorts all sequences of zeros and ones sorts everything.
    #[test]
    fn sorts_all_zero_one_sequences() {
        for wires in 0..=16 {
            let network = comparators(wires);
            for pattern in 0u32..1 << wires {
                let sorted = network.iter().fold(pattern, |bits, &(i, j)| {
                    let (low, high) = (bits >> i & 1, bits >> j & 1);
                    if low > high { bits ^ (1 << i) ^ (1 << j) } else { bits }
                });
                let ones = sorted.count_ones();
                let expected = if ones == 0 { 0 } else { ((1u32 << ones) - 1) << (u32::try_from(wires).unwrap() - ones) };
                assert_eq!(sorted, expected, "{wires} wires, {pattern:b}");
            }
        }
    }

    #[test]
    fn sizes_up_to_eight_wires_are_optimal() {
        let sizes: Vec<usize> = (1..=8).map(|wires| comparators(wires).len()).collect();
        assert_eq!(sizes, [0, 1, 3, 5, 9, 12, 16, 19]);
    }
}
