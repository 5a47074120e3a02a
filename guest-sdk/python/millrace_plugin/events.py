"""A list of events in the making: what takes the place of a split event, or what a source brings in.

Names of headers are kept once each: the form that crosses the boundary.
"""

from __future__ import annotations

from collections.abc import Mapping

from .packed import Packed


class Events:
    """Events in the making."""

    __slots__ = ("_bodies", "_bytes", "_counts", "_name_ids", "_names", "_values")

    def __init__(self) -> None:
        self._names: dict[str, int] = {}
        self._counts: list[int] = []
        self._name_ids: list[int] = []
        self._values: list[bytes] = []
        self._bodies: list[bytes] = []
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._counts)

    @property
    def body_bytes(self) -> int:
        """How large all bodies are together."""
        return self._bytes

    def append(self, body: bytes | str, headers: Mapping[str, object] | None = None) -> None:
        """Adds an event."""
        data = body.encode() if isinstance(body, str) else bytes(body)
        self._bodies.append(data)
        self._bytes += len(data)
        for name, value in (headers or {}).items():
            self._name_ids.append(self._names.setdefault(name, len(self._names)))
            self._values.append(str(value).encode())
        self._counts.append(len(headers or {}))

    def finish(self) -> tuple[list[str], list[int], list[int], Packed, Packed]:
        """Names, counts, name ids, values and bodies."""
        values, bodies = Packed.of(self._values), Packed.of(self._bodies)
        return list(self._names), self._counts, self._name_ids, values, bodies
