"""Stands for a batch of the agent in tests: the methods of the interface over a list of events."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from millrace_plugin.batch import Event
from millrace_plugin.events import Events
from millrace_plugin.packed import Packed


def _packed(strings: Iterable[bytes | str]) -> Any:
    packed = Packed.of(strings)
    return SimpleNamespace(bytes=packed.data, ends=packed.ends)


class HeldBatch:
    def __init__(self, events: list[Event]) -> None:
        self._events = events

    def _row(self, row: int) -> Event:
        # The agent ends such a call with a trap.
        if not 0 <= row < len(self._events):
            raise IndexError(f"row {row} is out of range")
        return self._events[row]

    def count(self) -> int:
        return len(self._events)

    def body_bytes(self) -> int:
        return sum(len(event.body) for event in self._events)

    def formed_at(self) -> int:
        return 1_700_000_000_000_000_000

    def bodies(self) -> Any:
        return _packed(event.body for event in self._events)

    def bodies_of(self, rows: list[int]) -> Any:
        return _packed(self._row(row).body for row in rows)

    def header_column(self, name: str) -> Any:
        missing = [row for row, event in enumerate(self._events) if name not in event.headers]
        return SimpleNamespace(values=_packed(event.headers.get(name, "") for event in self._events), missing=missing)

    def header_names(self) -> list[str]:
        return list(dict.fromkeys(name for event in self._events for name in event.headers))

    def headers(self) -> Any:
        return self.events().headers

    def events(self) -> Any:
        events = Events()
        for event in self._events:
            events.append(event.body, event.headers)
        names, counts, name_ids, values, bodies = events.finish()
        table = SimpleNamespace(names=names, counts=counts, name_ids=name_ids, values=_packed(values))
        return SimpleNamespace(headers=table, bodies=_packed(bodies))

    def body(self, row: int) -> bytes:
        return self._row(row).body

    def body_part(self, row: int, start: int, length: int) -> bytes:
        return self._row(row).body[start : start + length]

    def header(self, row: int, name: str) -> str | None:
        return self._row(row).headers.get(name)

    def event(self, row: int) -> Any:
        event = self._row(row)
        return SimpleNamespace(headers=list(event.headers.items()), body=event.body)
