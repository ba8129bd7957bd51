//! Sorting of lists that are rarely sorted: one copy of the algorithm for all of them.
//!
//! In: a list and an order. Out: the list in that order, equals as they were. `slice::sort_by` is faster, and is
//! compiled anew for each kind of list: some 8 KB of program each time. Not for what media waits for.

use alloc::vec::Vec;
use core::{cmp::Ordering, mem};

/// Sorts `items`, stably.
pub fn sort_by<T>(items: &mut Vec<T>, compare: impl Fn(&T, &T) -> Ordering) {
    let order = order(items.len(), &|one, other| compare(&items[one], &items[other]));
    let mut left: Vec<Option<T>> = mem::take(items).into_iter().map(Some).collect();
    items.extend(order.into_iter().filter_map(|index| left[index].take()));
}

/// Sorts `items` by what `key` says of each, stably.
pub fn sort_by_key<T, K: Ord>(items: &mut Vec<T>, key: impl Fn(&T) -> K) {
    sort_by(items, |one, other| key(one).cmp(&key(other)));
}

/// The places of `count` items in their order.
fn order(count: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|one, other| compare(*one, *other));
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn a_list_is_sorted_and_equals_stay_as_they_were() {
        let mut items = vec![(3, 'a'), (1, 'b'), (3, 'c'), (2, 'd'), (1, 'e')];
        sort_by_key(&mut items, |item| item.0);
        assert_eq!(items, [(1, 'b'), (1, 'e'), (2, 'd'), (3, 'a'), (3, 'c')]);
        sort_by(&mut items, |one, other| other.1.cmp(&one.1));
        assert_eq!(items, [(1, 'e'), (2, 'd'), (3, 'c'), (1, 'b'), (3, 'a')]);
    }

    #[test]
    fn lists_of_none_and_one_stay_as_they_are() {
        for mut items in [vec![], vec![7]] {
            let before = items.clone();
            sort_by_key(&mut items, |item| *item);
            assert_eq!(items, before);
        }
    }
}
