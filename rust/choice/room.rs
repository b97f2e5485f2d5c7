//! Answers that are refused before they are made, if there is no memory for them.

use crate::error::{Error, Kind};

/// Bytes of a row number, as wide as Python has it, and of the number that goes with it.
const ANSWER_BYTES: usize = size_of::<i64>() + size_of::<f64>();

/// Checks that there is memory for an answer of `per_query` rows for each of some queries, each
/// with a number, and for `work_bytes` more a row.
pub(crate) fn require_room(
    per_query: usize,
    queries: usize,
    work_bytes: usize,
) -> Result<(), Error> {
    let rows = per_query.saturating_mul(queries);
    // What the system would not give in one piece it does not give in several either.
    let bytes = rows.saturating_mul(ANSWER_BYTES + work_bytes);
    let refused = |_| {
        Kind::TooMuchMemory { what: "the answer", bytes: rows.saturating_mul(ANSWER_BYTES) }.into()
    };
    Vec::<u8>::new().try_reserve_exact(bytes).map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_much_is_refused() {
        assert_eq!(require_room(3, 2, 1), Ok(()));
        let error = require_room(usize::MAX, 2, 0).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Memory);
        let error = require_room(1 << 25, 1 << 25, 16).unwrap_err().to_string();
        assert!(error.contains("takes 18014398509481984 bytes"), "{error}");
    }
}
