"""Collects what should change, row by row, and turns it into columns.

All rows that get the same header share one edit, all new bodies one run of bytes, and so on. Changes to one header, or to
bodies, are sent in the order in which they were made. What ends an event (drop, split, reject) is sent behind what changes
it, so a row may be changed and dropped in any order. The rows of each edit ascend.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .events import Events
from .packed import Packed


@dataclass
class Change:
    """One edit: its case in the interface, what it names, its rows and, for each of them, what they get."""

    kind: str
    label: str = ""
    rows: list[int] = field(default_factory=list)
    parts: list[bytes] = field(default_factory=list)
    packed: Packed | None = None
    value: Any = None

    def may_take(self, row: int) -> bool:
        """Whether a row can join without breaking the order."""
        return self.packed is None and (not self.rows or self.rows[-1] <= row)

    def add(self, row: int, part: bytes | None = None) -> None:
        if self.rows and self.rows[-1] == row:
            if part is not None:
                self.parts[-1] = part
            return
        self.rows.append(row)
        if part is not None:
            self.parts.append(part)

    def columns(self) -> Packed:
        """What the rows get; a header that is the same for all of them is there once."""
        if self.packed is not None:
            return self.packed
        parts = self.parts
        if self.kind == "set-header" and parts.count(parts[0]) == len(parts):
            parts = parts[:1]
        return Packed.of(parts)


class Edits:
    """What should change in the batch of this call. Nothing noted means: keep all as it is."""

    __slots__ = ("_bodies", "_changes", "_drops", "_headers", "_rejects", "_route", "_split")

    def __init__(self) -> None:
        self._changes: list[Change] = []
        self._open()
        self._drops: list[int] = []
        self._rejects: dict[str, list[int]] = {}
        self._split: tuple[list[int], list[int], Events] = ([], [], Events())

    def __bool__(self) -> bool:
        """Whether anything was noted."""
        return bool(self._changes or self._drops or self._rejects or self._split[0])

    def drop(self, row: int) -> None:
        """Drops an event."""
        self._drops.append(row)

    def drop_rows(self, rows: Iterable[int]) -> None:
        """Drops many events."""
        self._drops.extend(rows)

    def set_body(self, row: int, body: bytes | str) -> None:
        """Replaces a body."""
        if self._bodies is None or not self._bodies.may_take(row):
            self._bodies = self._changed(Change("set-bodies"))
        self._bodies.add(row, _encoded(body))

    def set_bodies(self, rows: Sequence[int], bodies: Packed) -> None:
        """Replaces the bodies of some rows, which ascend."""
        _same_length(rows, bodies)
        if rows:
            self._bodies = None
            self._changed(Change("set-bodies", rows=list(rows), packed=bodies))

    def set_all_bodies(self, bodies: Packed) -> None:
        """Replaces the bodies of rows 0, 1, 2, … by these."""
        self.set_bodies(range(len(bodies)), bodies)

    def set_header(self, row: int, name: str, value: object) -> None:
        """Sets a header of one event; an older value is replaced."""
        change = self._headers.get(name)
        if change is None or change.kind != "set-header" or not change.may_take(row):
            change = self._headers[name] = self._changed(Change("set-header", name))
        change.add(row, str(value).encode())

    def set_headers(self, rows: Sequence[int], name: str, values: Sequence[object] | Packed) -> None:
        """Sets a header on some rows, which ascend, to a value each."""
        _same_length(rows, values)
        if rows:
            self._headers.pop(name, None)
            packed = values if isinstance(values, Packed) else Packed.of(map(str, values))
            self._changed(Change("set-header", name, list(rows), packed=packed))

    def set_header_rows(self, rows: Sequence[int], name: str, value: object) -> None:
        """Sets a header to the same value on some rows, which ascend."""
        if rows:
            self._headers.pop(name, None)
            self._changed(Change("set-header", name, list(rows), packed=Packed.of([str(value)])))

    def set_header_on_all(self, name: str, value: object) -> None:
        """Sets a header on every event that is still there, those from earlier splits included. The cheapest way."""
        self._close_ended()
        self._changed(Change("set-header-on-all", name, value=str(value)))

    def remove_header(self, row: int, name: str) -> None:
        """Removes a header of one event. An event without it stays as it is."""
        change = self._headers.get(name)
        if change is None or change.kind != "remove-header" or not change.may_take(row):
            change = self._headers[name] = self._changed(Change("remove-header", name))
        change.add(row)

    def remove_header_on_all(self, name: str) -> None:
        """Removes a header from every event that is still there."""
        self._close_ended()
        self._changed(Change("remove-header-on-all", name))

    def split(self, row: int, events: Iterable[tuple[bytes | str, Mapping[str, object]] | bytes | str]) -> None:
        """Puts other events in the place of one: bodies, or pairs of body and headers. Rows must ascend."""
        rows, counts, written = self._split
        before = len(written)
        for event in events:
            body, headers = event if isinstance(event, tuple) else (event, {})
            written.append(body, headers)
        rows.append(row)
        counts.append(len(written) - before)

    def route(self, row: int, channel: str) -> None:
        """Sends an event to a channel that the operator granted, whatever the selector says. The last route counts."""
        if self._route is None or self._route.label != channel or not self._route.may_take(row):
            self._route = self._changed(Change("route", channel))
        self._route.add(row)

    def reject(self, row: int, reason: object) -> None:
        """Sends an event to the dead-letter channel, with a reason."""
        self._rejects.setdefault(str(reason), []).append(row)

    def finish(self) -> list[Change]:
        """The edits in the order in which they are sent."""
        self._close_ended()
        return self._changes

    def _open(self) -> None:
        """Begins anew: what is noted from here on joins nothing from before."""
        self._bodies: Change | None = None
        self._route: Change | None = None
        self._headers: dict[str, Change] = {}

    def _changed(self, change: Change) -> Change:
        self._changes.append(change)
        return change

    def _close_ended(self) -> None:
        """Moves what ends events behind the changes made so far."""
        if self._drops:
            self._changed(Change("drop", rows=_ascending(self._drops)))
            self._drops = []
        rows, counts, events = self._split
        if rows:
            self._changed(Change("split", rows=rows, value=(counts, events)))
            self._split = ([], [], Events())
        for reason, rejected in self._rejects.items():
            self._changed(Change("reject", reason, _ascending(rejected)))
        self._rejects = {}
        self._open()


def _encoded(body: bytes | str) -> bytes:
    return body.encode() if isinstance(body, str) else bytes(body)


def _ascending(rows: list[int]) -> list[int]:
    return sorted(set(rows))


def _same_length(rows: Sequence[int], values: Sequence[object] | Packed) -> None:
    if len(rows) != len(values):
        raise ValueError(f"{len(values)} values for {len(rows)} rows")
