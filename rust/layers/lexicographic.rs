//! Distinct rows in lexicographic order, best first.
//!
//! In that order a row is dominated only by rows before it, so the first objective needs no
//! further look: an earlier row dominates a later one exactly when it is at least as good in all
//! the other objectives.

use super::ranks::Ranked;

/// The distinct rows and where each input row went.
pub(super) struct Distinct {
    /// The second and later objectives of the distinct rows, in lexicographic order.
    pub columns: Vec<Vec<u32>>,
    /// The distinct row that each input row equals.
    place: Vec<u32>,
}

impl Distinct {
    /// Merges equal rows of two or more ranked columns and sorts the rest.
    pub fn new(ranked: &mut [Ranked]) -> Self {
        // The finest column leaves the shortest ties to sort.
        if let Some(finest) =
            (0..ranked.len()).max_by_key(|&j| (ranked[j].distinct, usize::MAX - j))
        {
            ranked.swap(0, finest);
        }
        let Some((first, rest)) = ranked.split_first_mut() else {
            return Self { columns: Vec::new(), place: Vec::new() };
        };
        let mut order = std::mem::take(&mut first.order);
        for ties in order.chunk_by_mut(|&a, &b| first.ranks[a as usize] == first.ranks[b as usize])
        {
            if ties.len() > 1 {
                ties.sort_unstable_by(|&a, &b| {
                    let at = |row: u32| rest.iter().map(move |column| column.ranks[row as usize]);
                    at(a).cmp(at(b))
                });
            }
        }
        let mut columns: Vec<Vec<u32>> =
            rest.iter().map(|_| Vec::with_capacity(order.len())).collect();
        let mut place = vec![0; order.len()];
        let mut distinct = 0u32;
        let mut last: Option<usize> = None;
        for &row in &order {
            let row = row as usize;
            let new = last.is_none_or(|last| {
                first.ranks[last] != first.ranks[row]
                    || rest.iter().any(|column| column.ranks[last] != column.ranks[row])
            });
            if new {
                for (out, column) in columns.iter_mut().zip(rest.iter()) {
                    out.push(column.ranks[row]);
                }
                distinct += 1;
                last = Some(row);
            }
            place[row] = distinct - 1;
        }
        Self { columns, place }
    }

    /// Numbers of the distinct rows, handed to the rows they stand for.
    pub fn spread<T>(&self, numbers: &[u32], f: impl Fn(u32) -> T) -> Vec<T> {
        self.place.iter().map(|&place| f(numbers[place as usize])).collect()
    }
}
