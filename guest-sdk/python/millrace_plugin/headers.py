"""Headers of a batch: one of them as a column, or all of them as a table."""

from __future__ import annotations

from collections.abc import Iterator

from .packed import Packed


class HeaderColumn:
    """One header, chosen by name, of every event."""

    __slots__ = ("missing", "values", "_texts")

    def __init__(self, values: Packed, missing: list[int]) -> None:
        self.values = values
        self.missing = missing
        self._texts: list[str | None] | None = None

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, row: int) -> str | None:
        """The value in one row; None where there is none."""
        return self.texts()[row]

    def __iter__(self) -> Iterator[str | None]:
        return iter(self.texts())

    def texts(self) -> list[str | None]:
        """The values of all rows; None where there is none. Made once."""
        if self._texts is None:
            texts: list[str | None] = list(self.values.texts())
            for row in self.missing:
                texts[row] = None
            self._texts = texts
        return self._texts

    def rows_with(self, *values: str) -> list[int]:
        """The rows that have one of these values, ascending."""
        wanted = frozenset(values)
        return [row for row, text in enumerate(self.texts()) if text in wanted]


class Headers:
    """All headers of a list of events."""

    __slots__ = ("_counts", "_name_ids", "_rows", "_values", "names")

    def __init__(self, names: list[str], counts: list[int], name_ids: list[int], values: Packed) -> None:
        self.names = names
        self._counts = counts
        self._name_ids = name_ids
        self._values = values
        self._rows: list[dict[str, str]] | None = None

    def __len__(self) -> int:
        return len(self._counts)

    def __getitem__(self, row: int) -> dict[str, str]:
        """The headers of one event, in its order."""
        return self._read()[row]

    def __iter__(self) -> Iterator[dict[str, str]]:
        return iter(self._read())

    def _read(self) -> list[dict[str, str]]:
        if self._rows is None:
            names = self.names
            pairs = zip((names[name_id] for name_id in self._name_ids), self._values.texts())
            self._rows = [dict(next(pairs) for _ in range(count)) for count in self._counts]
        return self._rows
