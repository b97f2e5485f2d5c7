//! The base case of divide and conquer: small sets, compared row by row.

use pulp::NullaryFnOnce;

use super::divide::{Divide, Scratch};

impl Divide {
    /// Numbers `set` among itself: each row against those before it.
    #[inline(always)]
    fn within_directly(&self, set: &[u32], k: usize, Scratch { scan, .. }: &mut Scratch) {
        scan.reset(set.len(), k);
        let mut placed = 0;
        for &i in set {
            let row = self.row(i, k);
            let layer = self.layer(i).max(scan.least_layer(placed, row));
            self.raise(i, layer);
            if layer < self.cap {
                scan.set(placed, row, layer);
                placed += 1;
            }
        }
    }

    /// Raises `high` by the finished `low`: each row against those before it.
    #[inline(always)]
    fn across_directly(
        &self,
        low: &[u32],
        high: &[u32],
        k: usize,
        Scratch { scan, .. }: &mut Scratch,
    ) {
        scan.reset(low.len(), k);
        let mut placed = 0;
        for &i in high {
            while placed < low.len() && low[placed] < i {
                scan.set(placed, self.row(low[placed], k), self.layer(low[placed]));
                placed += 1;
            }
            self.raise(i, scan.least_layer(placed, self.row(i, k)));
        }
    }
}

/// [`Divide::within_directly`] as something that can be compiled for several instruction sets.
/// (A closure will not do: it is not inlined into the function that enables them.)
pub(super) struct Within<'a> {
    pub divide: &'a Divide,
    pub set: &'a [u32],
    pub k: usize,
    pub scratch: &'a mut Scratch,
}

impl NullaryFnOnce for Within<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.divide.within_directly(self.set, self.k, self.scratch);
    }
}

/// [`Divide::across_directly`] likewise.
pub(super) struct Across<'a> {
    pub divide: &'a Divide,
    pub low: &'a [u32],
    pub high: &'a [u32],
    pub k: usize,
    pub scratch: &'a mut Scratch,
}

impl NullaryFnOnce for Across<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.divide.across_directly(self.low, self.high, self.k, self.scratch);
    }
}
