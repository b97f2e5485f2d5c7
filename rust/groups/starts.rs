//! Groups that lie one after another, and the places of their answers.

use crate::error::{Error, Kind};

/// Where the groups end, if the starts ascend from 0 to the number of rows.
pub(crate) fn check_starts(starts: &[u32], rows: usize) -> Result<&[u32], Error> {
    let wrong = |position| Error::from(Kind::BadStarts { position, rows });
    let (&first, ends) = starts.split_first().ok_or_else(|| wrong(0))?;
    if first != 0 {
        return Err(wrong(0));
    }
    if let Some(position) = starts.windows(2).position(|group| group[0] > group[1]) {
        return Err(wrong(position + 1));
    }
    if starts[starts.len() - 1] as usize != rows {
        return Err(wrong(starts.len() - 1));
    }
    Ok(ends)
}

/// How many rows there are if each group gives `k`, or all it has.
pub(crate) fn held(starts: &[u32], k: usize) -> usize {
    starts.windows(2).map(|group| k.min((group[1] - group[0]) as usize)).sum()
}

/// Rows and numbers yet to be filled in.
pub(crate) type Part<'a> = (&'a mut [u32], &'a mut [f64]);

/// The first places of a part, of which that many are left.
pub(crate) fn split_off<'a>((rows, numbers): &mut Part<'a>, places: usize) -> Part<'a> {
    let rows = rows.split_off_mut(..places).unwrap_or_default();
    (rows, numbers.split_off_mut(..places).unwrap_or_default())
}

/// Fills in, from place `at` on, the rows of a group that begins at `start`.
#[inline(always)]
pub(crate) fn write(
    (rows, numbers): &mut Part<'_>,
    start: usize,
    at: usize,
    found: impl Iterator<Item = (u32, f64)>,
) {
    let places = rows[at..].iter_mut().zip(&mut numbers[at..]);
    for ((row, number), (row_of_group, its_number)) in places.zip(found) {
        (*row, *number) = (start as u32 + row_of_group, its_number);
    }
}
