//! Independent pieces of a check on several threads, as many as the caller allows. What is proved does not depend on them.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One, unless the caller allows more.
static ALLOWED: AtomicUsize = AtomicUsize::new(1);

/// Allows the checks of this process as many threads each.
pub fn allow_threads(count: usize) {
    ALLOWED.store(count.max(1), Ordering::Relaxed);
}

/// Returns what a function gives for every item, in their order.
pub(crate) fn map<T: Sync, U: Send>(items: &[T], of: impl Fn(&T) -> U + Sync) -> Vec<U> {
    let threads = ALLOWED.load(Ordering::Relaxed).min(items.len());
    if threads <= 1 {
        return items.iter().map(of).collect();
    }
    let next = AtomicUsize::new(0);
    let work = || {
        let mut found = Vec::new();
        while let Some((index, item)) = Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|i| Some((i, items.get(i)?))) {
            found.push((index, of(item)));
        }
        found
    };
    let mut found: Vec<(usize, U)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    found.sort_by_key(|(index, _)| *index);
    found.into_iter().map(|(_, value)| value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_the_items() {
        allow_threads(3);
        let items: Vec<usize> = (0..100).collect();
        assert_eq!(map(&items, |item| item * 2), items.iter().map(|item| item * 2).collect::<Vec<_>>());
        assert_eq!(map(&[] as &[usize], |item| *item), Vec::<usize>::new());
        allow_threads(1);
    }
}
