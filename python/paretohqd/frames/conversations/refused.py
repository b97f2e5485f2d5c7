"""Rows that cannot be read: refused by name, or left out where a run is told to drop them."""

from __future__ import annotations

from dataclasses import dataclass, field

CANNOT_BE_READ = "cannot be read"
"""What a run says of the rows that it leaves out here."""

ADVICE = "mend such rows or drop them"
"""What to do about them; a run has a setting for it."""


@dataclass
class Refused:
    """The rows of a frame that cannot be read, by where they are read and what is wrong."""

    rows: dict[tuple[str, str], list[int]] = field(default_factory=dict)

    def add(self, where: str, reason: str, row: int) -> None:
        """Note a row: `where` is a column or a data set, `reason` follows the row's number."""
        self.rows.setdefault((where, reason), []).append(row)

    def check(self, count: int, advice: str = ADVICE) -> None:
        """Refuse such rows, if there are any, among so many rows.

        Raises:
            ValueError: Names the first row, how many rows have the same reason, and what to do.
        """
        for (where, reason), rows in self.rows.items():
            alike = f" ({len(rows)} of {count} rows)" if len(rows) > 1 else ""
            raise ValueError(f"{where}: row {rows[0]} {reason}{alike}: {advice}")
