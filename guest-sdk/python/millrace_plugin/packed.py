"""Many byte strings back to back: the form in which bodies cross the boundary, as a view.

A loop over bytes costs about 100 ns a turn here, and what the interpreter does in C costs next to nothing: `translate`,
`find`, `count`, `replace`, regular expressions, slices. So work on `data` as a whole wherever that is possible.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise

_bytes = bytes


class Packed:
    """Byte strings back to back, numbered from 0."""

    __slots__ = ("data", "ends")

    def __init__(self, data: bytes, ends: list[int]) -> None:
        self.data = data
        self.ends = ends

    @classmethod
    def of(cls, strings: Iterable[bytes | str]) -> Packed:
        """Makes one of byte strings and texts."""
        parts = [string.encode() if isinstance(string, str) else string for string in strings]
        return cls(b"".join(parts), list(accumulate(map(len, parts))))

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, row: int) -> bytes:
        """One string, as a copy."""
        if not 0 <= row < len(self.ends):
            raise IndexError(f"row {row} of {len(self.ends)}")
        return self.data[self.ends[row - 1] if row else 0 : self.ends[row]]

    def __iter__(self) -> Iterator[bytes]:
        data = self.data
        start = 0
        for end in self.ends:
            yield data[start:end]
            start = end

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Packed) and (self.data, self.ends) == (other.data, other.ends)

    def __repr__(self) -> str:
        return f"Packed.of({list(self)!r})"

    def start(self, row: int) -> int:
        """Where a string begins in `data`."""
        return self.ends[row - 1] if row else 0

    def view(self, row: int) -> memoryview:
        """One string without a copy."""
        return memoryview(self.data)[self.start(row) : self.ends[row]]

    def row_at(self, place: int) -> int:
        """The row to which a place in `data` belongs."""
        return bisect_right(self.ends, place)

    def texts(self) -> list[str]:
        """All strings as texts; bytes that are no UTF-8 become U+FFFD."""
        if self.data.isascii():
            text = self.data.decode("ascii")
            return [text[start:end] for start, end in pairwise([0, *self.ends])]
        return [string.decode(errors="replace") for string in self]

    def with_data(self, data: bytes) -> Packed:
        """Other bytes of the same length, cut in the same places: for what `translate` gives."""
        if len(data) != len(self.data):
            raise ValueError(f"{len(data)} bytes in the place of {len(self.data)}")
        return Packed(data, self.ends)

    def pick(self, rows: Sequence[int]) -> Packed:
        """Some of the strings, in the order asked for."""
        return Packed.of(self[row] for row in rows)

    def matches(self, pattern: re.Pattern[bytes]) -> Iterator[tuple[int, re.Match[bytes]]]:
        """The matches of a regular expression, each with its row; places in them are places in `data`.

        The expression runs once over everything, and a match never crosses a border. It has no anchors or look-arounds,
        which would see the neighbours.
        """
        data, ends = self.data, self.ends
        place = 0
        while found := pattern.search(data, place):
            row = self.row_at(found.start())
            if row == len(ends):
                return
            end = ends[row]
            if found.end() > end:
                # It goes on in the next string: look again at the rest of this one alone.
                yield from ((row, alone) for alone in pattern.finditer(data, found.start(), end) if alone.group())
                place = end
            else:
                if found.group():
                    yield row, found
                place = found.end() if found.group() else found.end() + 1

    def rows_with(self, needle: bytes) -> list[int]:
        """The rows that contain these bytes, ascending."""
        if not needle:
            return list(range(len(self.ends)))
        data, ends = self.data, self.ends
        rows: list[int] = []
        place = data.find(needle)
        while place >= 0:
            row = bisect_right(ends, place)
            if place + len(needle) <= ends[row]:
                rows.append(row)
                place = data.find(needle, ends[row])
            else:
                # Across a border: look on behind its first byte.
                place = data.find(needle, place + 1)
        return rows
