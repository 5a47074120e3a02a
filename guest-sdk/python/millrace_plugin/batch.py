"""The batch that the agent lends for one call. What is not read is not copied."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from .headers import HeaderColumn, Headers
from .packed import Packed

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class Event:
    """One event by value."""

    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


def packed_of(host: Any) -> Packed:
    return Packed(host.bytes, host.ends)


def headers_of(table: Any) -> Headers:
    return Headers(table.names, table.counts, table.name_ids, packed_of(table.values))


class Batch:
    """A batch of events. It is lent for one call and cannot be kept beyond it; what was read of it can."""

    __slots__ = ("_bodies", "_count", "_headers", "_host")

    def __init__(self, host: Any) -> None:
        """`host` is the handle of the agent, or what stands for it in a test."""
        self._host = host
        self._count: int | None = None
        self._bodies: Packed | None = None
        self._headers: Headers | None = None

    def __len__(self) -> int:
        """How many events there are."""
        if self._count is None:
            self._count = self._host.count()
        return self._count

    @property
    def body_bytes(self) -> int:
        """The size of all bodies together."""
        return self._host.body_bytes()

    @property
    def formed_at_nanos(self) -> int:
        """When the agent formed the batch, in nanoseconds since 1970. The same when the batch is tried again."""
        return self._host.formed_at()

    @property
    def formed_at(self) -> datetime:
        """The same as a time in UTC, to the microsecond."""
        return _EPOCH + timedelta(microseconds=self.formed_at_nanos // 1000)

    def bodies(self) -> Packed:
        """All bodies. Copied once."""
        if self._bodies is None:
            self._bodies = packed_of(self._host.bodies())
        return self._bodies

    def bodies_of(self, rows: Iterable[int]) -> Packed:
        """The bodies of some rows, in the order asked for."""
        return packed_of(self._host.bodies_of(list(rows)))

    def header_column(self, name: str) -> HeaderColumn:
        """One header of every event."""
        column = self._host.header_column(name)
        return HeaderColumn(packed_of(column.values), column.missing)

    def header_names(self) -> list[str]:
        """The header names that occur, each once."""
        return self._host.header_names()

    def headers(self) -> Headers:
        """All headers of all events. Copied once."""
        if self._headers is None:
            self._headers = headers_of(self._host.headers())
        return self._headers

    def events(self) -> list[Event]:
        """Everything, in one call."""
        if self._headers is None or self._bodies is None:
            everything = self._host.events()
            self._headers = headers_of(everything.headers)
            self._bodies = packed_of(everything.bodies)
        return [Event(body, headers) for body, headers in zip(self._bodies, self._headers)]

    def body(self, row: int) -> bytes:
        """The body of one row. A call of its own: for a few rows of many."""
        return self._host.body(row)

    def body_part(self, row: int, start: int, length: int) -> bytes:
        """A part of the body of one row, cut short where the body ends."""
        return self._host.body_part(row, start, length)

    def header(self, row: int, name: str) -> str | None:
        """One header of one row; None where the event does not have it."""
        return self._host.header(row, name)

    def event(self, row: int) -> Event:
        """One whole event."""
        event = self._host.event(row)
        return Event(event.body, dict(event.headers))
