//! What can be wrong with the input, said in words a caller can act on.

use std::fmt;

/// Why a kernel refused its input.
///
/// The message names the column, the count and the first row, and says what to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Error {
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// No objective at all.
    NoColumns,
    /// Objectives of different lengths.
    Ragged { column: usize, expected: usize, actual: usize },
    /// More rows than a 32-bit layer number can count.
    TooManyRows { rows: usize },
    /// NaN cannot be ordered.
    Nan { column: usize, count: usize, first: usize },
    /// Infinity where arithmetic needs a range.
    Infinite { column: usize, count: usize, first: usize },
    /// A count that must be at least one.
    Zero { name: &'static str },
    /// A count outside the range that is possible.
    OutOfRange { name: &'static str, least: usize, most: usize, actual: usize },
    /// More neighbours asked for than there are rows.
    TooFewRows { k: usize, rows: usize },
    /// A vector that must have one entry per objective.
    WrongLength { name: &'static str, expected: usize, actual: usize },
    /// A vector that must be finite.
    NotFinite { name: &'static str, position: usize },
    /// A vector that must not be negative.
    Negative { name: &'static str, position: usize },
    /// A direction without a length.
    ZeroDirection { preference: usize },
    /// A vector that must have one entry per group and objective.
    WrongPerGroup { name: &'static str, expected: usize, actual: usize },
    /// A ray from a point through itself.
    NoDirection { ray: usize },
    /// A key per row that is missing or left over.
    WrongGroups { expected: usize, actual: usize },
    /// Starts of groups that do not cut the rows into groups.
    BadStarts { position: usize, rows: usize },
    /// Spans that are not one per group and objective.
    WrongSpans { expected: usize, actual: usize },
    /// A group id that is not below the number of groups.
    BadGroup { row: usize, id: u32, groups: usize },
    /// A reference set without a row.
    NoReference,
    /// A reference set of other objectives than the points.
    OtherObjectives { expected: usize, actual: usize },
    /// Points better than what should be ideal.
    BeyondIdeal { column: usize, count: usize, first: usize },
    /// Weights that are not whole vectors, or none.
    PartialWeights { objectives: usize, actual: usize },
    /// A weight vector with a negative or infinite weight, NaN, or zeros only.
    BadWeights { vector: usize },
    /// The system gave no threads.
    Threads { reason: String },
    /// An answer, or what it takes to find one, does not fit in memory.
    TooMuchMemory { what: &'static str, bytes: usize },
    /// The call was stopped.
    Cancelled,
}

/// What kind of [`Error`] it is.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The input is not what the kernel takes.
    Input,
    /// The system gave no threads.
    Threads,
    /// The answer does not fit in memory.
    Memory,
    /// The call was [cancelled](crate::Cancel).
    Cancelled,
}

impl Error {
    /// What kind of error this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self.kind {
            Kind::Threads { .. } => ErrorKind::Threads,
            Kind::TooMuchMemory { .. } => ErrorKind::Memory,
            Kind::Cancelled => ErrorKind::Cancelled,
            _ => ErrorKind::Input,
        }
    }
}

impl From<Kind> for Error {
    fn from(kind: Kind) -> Self {
        Self { kind }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::NoColumns => write!(f, "points have no objective; pass at least one column"),
            Kind::Ragged { column, expected, actual } => write!(
                f,
                "column {column} has {actual} rows but column 0 has {expected}; \
                 pass columns of one length"
            ),
            Kind::TooManyRows { rows } => write!(
                f,
                "{rows} rows are more than the {} that one call takes; \
                 drop rows first, or work on parts of them",
                i32::MAX
            ),
            Kind::Nan { column, count, first } => write!(
                f,
                "column {column} holds {count} NaN (first at row {first}), which cannot be \
                 ordered; drop or fill these rows first"
            ),
            Kind::Infinite { column, count, first } => write!(
                f,
                "column {column} holds {count} infinite values (first at row {first}), which \
                 have no distance or volume; drop or clip these rows first"
            ),
            Kind::Zero { name } => write!(f, "{name} must be at least 1, got 0"),
            Kind::OutOfRange { name, least, most, actual } => {
                write!(f, "{name} must be an integer from {least} to {most}, got {actual}")
            }
            Kind::TooFewRows { k, rows } => {
                write!(f, "k = {k} is more than the {rows} rows there are; ask for at most {rows}")
            }
            Kind::WrongLength { name, expected, actual } => write!(
                f,
                "{name} has length {actual} but there are {expected} objectives; \
                 pass one value per objective"
            ),
            Kind::NotFinite { name, position } => {
                write!(f, "{name} is not finite at position {position}; pass finite numbers")
            }
            Kind::Negative { name, position } => {
                write!(f, "{name} is negative at position {position}; pass numbers of at least 0")
            }
            Kind::ZeroDirection { preference } => write!(
                f,
                "direction {preference} is 0 in all objectives; pass how far each may fall, \
                 at least one above 0"
            ),
            Kind::WrongPerGroup { name, expected, actual } => write!(
                f,
                "{name} has length {actual}; pass {expected}, one per group and objective"
            ),
            Kind::NoDirection { ray } => write!(
                f,
                "ray {ray} has no direction: it starts at the point it should go through; \
                 pass a point that differs from the origin"
            ),
            Kind::WrongGroups { expected, actual } => write!(
                f,
                "groups has {actual} keys but there are {expected} rows; pass one key per row"
            ),
            Kind::BadGroup { row, id, groups } => {
                write!(f, "group id {id} at row {row} is not below the number of groups, {groups}")
            }
            Kind::BadStarts { position, rows } => write!(
                f,
                "starts must ascend from 0 to the number of rows, {rows}, but does not at \
                 position {position}"
            ),
            Kind::WrongSpans { expected, actual } => {
                write!(f, "spans has length {actual}; pass {expected}, one per group and objective")
            }
            Kind::NoReference => {
                write!(f, "the reference set has no row; pass at least one reference point")
            }
            Kind::OtherObjectives { expected, actual } => write!(
                f,
                "the reference set has {actual} objectives but the points have {expected}; \
                 pass the same objectives of both"
            ),
            Kind::BeyondIdeal { column, count, first } => write!(
                f,
                "column {column} holds {count} values better than the ideal (first at row \
                 {first}); pass an ideal that is at least as good as every point"
            ),
            Kind::PartialWeights { objectives, actual } => write!(
                f,
                "weights has length {actual}; pass vectors of {objectives}, one weight per \
                 objective, and at least one vector"
            ),
            Kind::BadWeights { vector } => write!(
                f,
                "weight vector {vector} is not finite, non-negative and positive somewhere; \
                 pass such weights"
            ),
            Kind::Threads { reason } => write!(
                f,
                "no thread pool of that size could be started ({reason}); ask for fewer threads"
            ),
            Kind::TooMuchMemory { what, bytes } => write!(
                f,
                "{what} takes {bytes} bytes, more than there is memory for; ask for less at a time"
            ),
            Kind::Cancelled => write!(f, "the call was cancelled"),
        }
    }
}

impl std::error::Error for Error {}
