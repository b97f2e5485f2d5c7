//! The k best rows among those met so far, for one preference.

use super::order::{Candidate, Order};

/// What a row must not come after: some k rows are at least as good as the last.
#[derive(Clone)]
pub(super) struct Bound {
    /// The last of k rows, once there are as many.
    pub last: Option<Candidate>,
    /// Its values.
    pub values: Vec<f64>,
    /// By objective, shortfalls above this are too large; where there are firm objectives, above
    /// this in another one only for rows that are no better in the firm ones.
    pub caps: Vec<f64>,
}

impl Bound {
    /// No row comes after this.
    pub fn none(m: usize) -> Self {
        Self { last: None, values: vec![0.0; m], caps: vec![f64::INFINITY; m] }
    }

    /// Rows up to `last`.
    pub fn new(last: Candidate, order: &Order<'_>) -> Self {
        let cap = |&d: &f64| if d == 0.0 { last.rank.firm } else { cap(last.rank.yielding, d) };
        Self {
            last: Some(last),
            values: order.points.columns().iter().map(|column| column.get(last.row)).collect(),
            caps: order.preference.direction.iter().map(cap).collect(),
        }
    }
}

/// A number such that all above have a quotient, divided by d, of more than `bound`; the least or
/// one of the least such numbers.
pub(crate) fn cap(bound: f64, d: f64) -> f64 {
    let within = |x: f64| x < f64::INFINITY && x / d <= bound;
    let (mut cap, mut step) = (bound * d, 1);
    if !within(cap) {
        return cap;
    }
    // Quotients of the smallest numbers are equal over a long range.
    while within(advance(cap, step)) {
        cap = advance(cap, step);
        step *= 2;
    }
    while step > 1 {
        step /= 2;
        if within(advance(cap, step)) {
            cap = advance(cap, step);
        }
    }
    advance(cap, 1)
}

/// The number that many places further up, or infinity.
fn advance(x: f64, places: i64) -> f64 {
    // Bits are in the order of the numbers, but for the negative ones, where it is reversed.
    let turned = |bits: i64| bits ^ (bits >> 63 & i64::MAX);
    let infinity = turned(f64::INFINITY.to_bits() as i64);
    let place = turned(x.to_bits() as i64).saturating_add(places).min(infinity);
    f64::from_bits(turned(place) as u64)
}

/// The best rows met so far.
pub(super) struct Best<'a> {
    pub order: Order<'a>,
    k: usize,
    pub bound: Bound,
    pub rows: Vec<Candidate>,
}

impl<'a> Best<'a> {
    pub fn new(order: Order<'a>, k: usize, bound: Bound) -> Self {
        Self { order, k, bound, rows: Vec::new() }
    }

    /// Takes a row if it does not come after the bound; whether that changed the bound.
    #[inline(always)]
    pub fn push(&mut self, row: Candidate) -> bool {
        if self.bound.last.is_some_and(|last| self.order.compare(&row, &last).is_gt()) {
            return false;
        }
        self.rows.push(row);
        self.rows.len() >= self.k + self.k.max(32) && self.shrink()
    }

    /// Drops all but the k best, and tightens the bound to them; whether it is another one.
    pub fn shrink(&mut self) -> bool {
        if self.rows.len() < self.k {
            return false;
        }
        let order = self.order;
        let (_, &mut last, _) =
            self.rows.select_nth_unstable_by(self.k - 1, |a, b| order.compare(a, b));
        self.rows.truncate(self.k);
        let tighter = self.bound.last.is_none_or(|bound| order.compare(&last, &bound).is_lt());
        if tighter {
            self.bound = Bound::new(last, &order);
        }
        tighter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caps_leave_nothing_out() {
        let numbers = [1.0, 0.3, 7e-7, 5e-324, 1e-310, 3e-160, 1e300, f64::MAX, 1.1, 2.0];
        for d in numbers {
            for bound in numbers.into_iter().flat_map(|x| [x, -x, 0.0, f64::NEG_INFINITY]) {
                let cap = cap(bound, d);
                assert!(cap.next_up() / d > bound || cap == f64::INFINITY, "{bound} {d}: {cap}");
                // And hardly anything in.
                let tight = cap - cap.abs() * 1e-13 - f64::MIN_POSITIVE * d.max(1.0);
                assert!(tight / d <= bound || cap == f64::INFINITY, "{bound} {d}: {cap}");
            }
        }
        assert_eq!(cap(f64::INFINITY, 0.5), f64::INFINITY);
    }

    #[test]
    fn places_go_up_through_zero() {
        assert_eq!(advance(1.0, 1), 1f64.next_up());
        assert_eq!(advance(-1.0, 3), (-1f64).next_up().next_up().next_up());
        assert_eq!(advance(-5e-324, 2), 0.0);
        assert_eq!(advance(1e308, i64::MAX), f64::INFINITY);
    }
}
