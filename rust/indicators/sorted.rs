//! The order of values, ties by a rule of the caller's.

use crate::points::Column;
use crate::sort::{ColumnKeys, FIRST, Slabs, descending_key};
use crate::threads;

/// Fewer values are sorted by comparison.
const MIN_SLABBED_ROWS: usize = 1 << 14;

/// The places of values, the largest first; `settle` orders the places of equal values.
pub(super) fn sorted(
    values: &[f64],
    settle: impl Fn(&mut [u32]) + Sync,
    items: &mut Vec<(u64, u32)>,
) -> Vec<u32> {
    if values.len() >= MIN_SLABBED_ROWS {
        let slabs = Slabs::new(ColumnKeys::new(Column::F64(values)));
        let slabs = threads::map(values.len(), slabs.count(), |slab| {
            let mut places = slabs.sorted(slab);
            let mut start = 0;
            while start < places.len() {
                let more = places[start + 1..].iter().take_while(|&&place| place & FIRST == 0);
                let end = start + 1 + more.count();
                places[start] &= !FIRST;
                if end > start + 1 {
                    settle(&mut places[start..end]);
                }
                start = end;
            }
            places
        });
        return slabs.concat();
    }
    items.clear();
    items.extend((0..).zip(values).map(|(place, &value)| (descending_key(value), place)));
    items.sort_unstable();
    let mut places: Vec<u32> = items.iter().map(|item| item.1).collect();
    let mut start = 0;
    for equal in items.chunk_by(|a, b| a.0 == b.0) {
        if equal.len() > 1 {
            settle(&mut places[start..start + equal.len()]);
        }
        start += equal.len();
    }
    places
}
