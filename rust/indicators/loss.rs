//! What a query loses with a point: the less the better the point is, in every objective.

/// A loss that is a sum or a maximum of one term per objective.
///
/// No term grows when the point's value does, in rounded arithmetic too. So a point that is at
/// least as good as all of a block loses no more than any of them: a bound without an allowance.
pub(super) trait Loss: Copy + Sync {
    /// The loss before the first term.
    const START: f64;
    /// No loss is less.
    const LEAST: f64;

    /// The term of objective `j`, in which the query has the number `query` and the point `value`.
    fn term(self, j: usize, query: f64, value: f64) -> f64;

    fn join(self, loss: f64, term: f64) -> f64;
}

/// The squared length of what the point lacks: the shortfall of IGD+, times `scale`, squared.
#[derive(Clone, Copy)]
pub(super) struct Shortfall {
    pub scale: f64,
}

impl Loss for Shortfall {
    const START: f64 = 0.0;
    const LEAST: f64 = 0.0;

    #[inline(always)]
    fn term(self, _: usize, query: f64, value: f64) -> f64 {
        let lacks = (query - value) * self.scale;
        let lacks = if lacks > 0.0 { lacks } else { 0.0 };
        lacks * lacks
    }

    #[inline(always)]
    fn join(self, loss: f64, term: f64) -> f64 {
        loss + term
    }
}

/// By how much the query is better in the objective where that is most.
#[derive(Clone, Copy)]
pub(super) struct Excess;

impl Loss for Excess {
    const START: f64 = f64::NEG_INFINITY;
    const LEAST: f64 = f64::NEG_INFINITY;

    #[inline(always)]
    fn term(self, _: usize, query: f64, value: f64) -> f64 {
        query - value
    }

    #[inline(always)]
    fn join(self, loss: f64, term: f64) -> f64 {
        if term > loss { term } else { loss }
    }
}

/// The weighted Tchebycheff distance to an ideal that no point is beyond; a query is its weights.
#[derive(Clone, Copy)]
pub(super) struct Tchebycheff<'a> {
    pub ideal: &'a [f64],
}

impl Loss for Tchebycheff<'_> {
    const START: f64 = 0.0;
    const LEAST: f64 = 0.0;

    #[inline(always)]
    fn term(self, j: usize, weight: f64, value: f64) -> f64 {
        weight * (self.ideal[j] - value)
    }

    #[inline(always)]
    fn join(self, loss: f64, term: f64) -> f64 {
        // No weight times an infinite difference is NaN, which is passed over.
        if term > loss { term } else { loss }
    }
}
