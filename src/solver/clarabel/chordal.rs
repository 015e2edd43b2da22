//! Sizes of the cliques that a chordal decomposition works with.
//!
//! The pattern of the matrix is made chordal by eliminating a vertex of least
//! degree at a time; the cliques are then merged where one clique is cheaper
//! than two, by the rule of Clarabel's clique-graph merge: the cubes of the
//! orders. The solver orders and merges a little differently, so this is an
//! estimate of what it will do, not a replay.

use std::collections::BinaryHeap;

/// A set of vertices `0..n`, with its size.
#[derive(Clone)]
struct VertexSet {
    words: Vec<u64>,
}

impl VertexSet {
    fn empty(vertices: usize) -> Self {
        Self { words: vec![0; vertices.div_ceil(64)] }
    }

    fn insert(&mut self, vertex: usize) {
        self.words[vertex / 64] |= 1 << (vertex % 64);
    }

    fn remove(&mut self, vertex: usize) {
        self.words[vertex / 64] &= !(1 << (vertex % 64));
    }

    fn absorb(&mut self, other: &Self) {
        for (word, extra) in self.words.iter_mut().zip(&other.words) {
            *word |= extra;
        }
    }

    fn len(&self) -> usize {
        self.words.iter().map(|w| w.count_ones() as usize).sum()
    }

    fn common(&self, other: &Self) -> usize {
        let pairs = self.words.iter().zip(&other.words);
        pairs.map(|(a, b)| (a & b).count_ones() as usize).sum()
    }

    fn members(&self) -> impl Iterator<Item = usize> {
        self.words
            .iter()
            .enumerate()
            .flat_map(|(index, &word)| (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| index * 64 + bit))
    }
}

/// The orders of the cliques after merging, largest first.
///
/// `pattern` lists the positions of the N × N matrix that may be nonzero, in any
/// order; the diagonal counts as present. Time is at most of order N³/64, and of
/// order N² for a pattern without zeros.
pub(super) fn cliques(dimension: usize, pattern: impl Iterator<Item = (usize, usize)>) -> Vec<usize> {
    let mut neighbours = vec![VertexSet::empty(dimension); dimension];
    for (row, column) in pattern.filter(|(row, column)| row != column) {
        neighbours[row].insert(column);
        neighbours[column].insert(row);
    }
    let mut sizes = merge(maximal_cliques(neighbours));
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    sizes
}

/// A clique of the chordal extension, joined to the tree by its separator.
struct Clique {
    vertices: VertexSet,
    /// The clique that is next in the tree, if any.
    parent: Option<usize>,
}

/// Greedy minimum-degree elimination; cliques contained in another are left out.
fn maximal_cliques(mut neighbours: Vec<VertexSet>) -> Vec<Clique> {
    let dimension = neighbours.len();
    let mut degrees: Vec<usize> = neighbours.iter().map(VertexSet::len).collect();
    let mut alive = VertexSet::empty(dimension);
    (0..dimension).for_each(|vertex| alive.insert(vertex));
    // The vertex whose elimination made the clique, and its other members.
    let mut fronts: Vec<(usize, VertexSet)> = Vec::new();
    let mut step_of = vec![usize::MAX; dimension];
    let mut remaining = dimension;
    while remaining > 0 {
        let Some(vertex) = alive.members().min_by_key(|&v| degrees[v]) else {
            break;
        };
        let front = std::mem::replace(&mut neighbours[vertex], VertexSet::empty(0));
        if degrees[vertex] + 1 == remaining {
            // What is left is complete: one clique.
            alive.members().for_each(|v| step_of[v] = fronts.len());
            fronts.push((vertex, front));
            break;
        }
        for member in front.members() {
            let set = &mut neighbours[member];
            set.absorb(&front);
            set.remove(member);
            set.remove(vertex);
            degrees[member] = set.len();
        }
        step_of[vertex] = fronts.len();
        fronts.push((vertex, front));
        alive.remove(vertex);
        remaining -= 1;
    }

    let next_step = |step: usize| fronts[step].1.members().map(|v| step_of[v]).filter(|&s| s > step).min();
    // A front that lies inside an earlier one is absorbed by it.
    let mut home: Vec<usize> = (0..fronts.len()).collect();
    let sizes: Vec<usize> = fronts.iter().map(|(_, front)| front.len()).collect();
    let mut last = home.clone();
    for step in 0..fronts.len() {
        if let Some(next) = next_step(step)
            && home[next] == next
            && sizes[step] == sizes[next] + 1
        {
            home[next] = home[step];
            last[home[step]] = next;
        }
    }
    let mut index_of = vec![usize::MAX; fronts.len()];
    let kept = (0..fronts.len()).filter(|&step| home[step] == step);
    for (count, step) in kept.enumerate() {
        index_of[step] = count;
    }
    (0..fronts.len())
        .filter(|&step| home[step] == step)
        .map(|step| {
            let mut vertices = fronts[step].1.clone();
            vertices.insert(fronts[step].0);
            let parent = next_step(last[step]).map(|next| index_of[home[next]]);
            Clique { vertices, parent }
        })
        .collect()
}

/// What one clique instead of two saves, in cubes of orders.
fn saving(a: &VertexSet, b: &VertexSet) -> i128 {
    let (first, second) = (a.len() as i128, b.len() as i128);
    let union = first + second - a.common(b) as i128;
    first.pow(3) + second.pow(3) - union.pow(3)
}

/// Merges neighbours in the tree, and siblings, while that saves; returns the orders.
fn merge(cliques: Vec<Clique>) -> Vec<usize> {
    let mut related = vec![Vec::new(); cliques.len()];
    let mut children = vec![Vec::new(); cliques.len()];
    for (index, clique) in cliques.iter().enumerate() {
        if let Some(parent) = clique.parent {
            related[index].push(parent);
            related[parent].push(index);
            // A long list of siblings is searched in a window only.
            let siblings: &mut Vec<usize> = &mut children[parent];
            for &sibling in siblings.iter().rev().take(4) {
                related[index].push(sibling);
                related[sibling].push(index);
            }
            siblings.push(index);
        }
    }
    let mut sets: Vec<Option<VertexSet>> = cliques.into_iter().map(|clique| Some(clique.vertices)).collect();
    let mut versions = vec![0_usize; sets.len()];
    let mut queue = BinaryHeap::new();
    let offer = |queue: &mut BinaryHeap<_>, sets: &[Option<VertexSet>], versions: &[usize], a: usize, b: usize| {
        if let (Some(first), Some(second)) = (&sets[a], &sets[b]) {
            let gain = saving(first, second);
            if gain > 0 {
                queue.push((gain, a, b, versions[a], versions[b]));
            }
        }
    };
    for (a, around) in related.iter().enumerate() {
        for &b in around.iter().filter(|&&b| b < a) {
            offer(&mut queue, &sets, &versions, a, b);
        }
    }
    while let Some((_, a, b, version_a, version_b)) = queue.pop() {
        if versions[a] != version_a || versions[b] != version_b {
            continue;
        }
        let Some(absorbed) = sets[b].take() else {
            continue;
        };
        if let Some(kept) = &mut sets[a] {
            kept.absorb(&absorbed);
        }
        versions[a] += 1;
        versions[b] += 1;
        let mut around = std::mem::take(&mut related[a]);
        around.append(&mut related[b]);
        around.retain(|&c| c != a && c != b && sets[c].is_some());
        around.sort_unstable();
        around.dedup();
        for &c in &around {
            related[c].retain(|&d| d != b);
            if !related[c].contains(&a) {
                related[c].push(a);
            }
            offer(&mut queue, &sets, &versions, a, c);
        }
        related[a] = around;
    }
    sets.iter().flatten().map(VertexSet::len).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_chain(blocks: usize, order: usize) -> (usize, Vec<(usize, usize)>) {
        let n = blocks * order;
        let near = |i: usize, j: usize| i / order - j / order <= 1;
        let pairs = (0..n).flat_map(|i| (0..=i).map(move |j| (i, j)));
        (n, pairs.filter(|&(i, j)| near(i, j)).collect())
    }

    #[test]
    fn a_full_pattern_is_one_clique() {
        let (n, pattern) = block_chain(1, 70);
        assert_eq!(cliques(n, pattern.into_iter()), [70]);
        assert_eq!(cliques(1, std::iter::empty()), [1]);
    }

    #[test]
    fn a_diagonal_pattern_is_single_vertices() {
        assert_eq!(cliques(5, std::iter::empty()), [1; 5]);
    }

    #[test]
    fn a_chain_of_blocks_gives_pairs_of_blocks() {
        let (n, pattern) = block_chain(20, 10);
        assert_eq!(cliques(n, pattern.into_iter()), [20; 19]);
    }

    #[test]
    fn a_cycle_is_filled_and_an_arrow_is_merged() {
        let cycle = (0..6).map(|i| (i, (i + 1) % 6));
        let sizes = cliques(6, cycle);
        assert!(sizes.iter().all(|&s| s >= 3), "{sizes:?}");
        // Many vertices joined to the same twelve: pairs overlap almost wholly.
        let arrow = (0..40).flat_map(|i| (0..12_usize.min(i)).map(move |j| (i, j)));
        let sizes = cliques(40, arrow);
        assert!(sizes.len() < 14 && sizes[0] >= 14, "{sizes:?}");
    }
}
