"""Runs a plugin on the machine it is written on, without an agent.

Batches come from events, edits are applied by the rules of the interface, and log, clock, state and HTTP are your own:

    plugin = testing.configure(Redact, {"mask": "*"})
    outcome = testing.intercept(plugin, [Event(b"card 4111111111111111")])
    assert outcome.kept == [Event(b"card ************1111", {"redacted": "1"})]
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ._fakes import clock as _clock
from ._fakes import http as _http
from ._fakes import log as _log
from ._fakes import metrics as _metrics
from ._fakes import state as _state
from ._fakes.batch import HeldBatch
from .batch import Batch, Event
from .config import read
from .edits import Change, Edits
from .events import Events
from .headers import Headers
from .packed import Packed
from .roles import Delivery, Instance, Interceptor, Plugin, Polled, Refused, Sink, Source, config_type

_P = TypeVar("_P", bound=Plugin)

logged = _log.lines
recorded = _metrics.recorded
requests = _http.requests
stored = _state.entries
advance = _clock.advance


def batch(events: list[Event]) -> Batch:
    """A batch of events."""
    return Batch(HeldBatch(events))


def configure(cls: type[_P], config: dict[str, Any] | None = None, **instance: Any) -> _P:
    """Makes an instance from options as they stand in JSON. Raises `Invalid`."""
    who = {"agent": "test", "component": "test", "lane": 0, "lanes": 1, "generation": 1} | instance
    options = read(config_type(cls), config or {})
    plugin = cls()
    plugin.configure(options, Instance(**who))
    return plugin


@dataclass
class Outcome:
    """What became of the events of a batch."""

    kept: list[Event] = field(default_factory=list)
    dropped: list[Event] = field(default_factory=list)
    routed: dict[str, list[Event]] = field(default_factory=dict)
    rejected: dict[str, list[Event]] = field(default_factory=dict)


def intercept(plugin: Interceptor, events: list[Event]) -> Outcome:
    """Passes events through an interceptor. Edits that break a rule are an `AssertionError` that names the rule."""
    edits = Edits()
    plugin.intercept(batch(events), edits)
    return apply(events, edits)


def deliver(plugin: Sink, events: list[Event], id: str = "delivery-1", attempt: int = 1) -> list[tuple[int, tuple[str, Any]]]:
    """Passes events to a sink, and gives the rows that it refused."""
    refused = Refused()
    plugin.deliver(batch(events), Delivery(id, attempt), refused)
    return refused.finish()


def poll(plugin: Source, events_max: int = 1000, bytes_max: int = 1 << 20) -> tuple[list[Event], Polled]:
    """Asks a source once: its events, and the whole answer."""
    polled = plugin.poll(events_max, bytes_max)
    return unpacked(polled.events), polled


def unpacked(events: Events) -> list[Event]:
    """Events in the making, as a list."""
    names, counts, name_ids, values, bodies = events.finish()
    return [Event(body, headers) for body, headers in zip(bodies, Headers(names, counts, name_ids, values))]


def serve(answer: Callable[[Any], tuple[int, dict[str, str], bytes | str]] | None) -> None:
    """Answers requests by a function that gives status, headers and body, or raises `HttpError`."""
    _http.answer = answer


def reset() -> None:
    """Forgets log lines, metrics, state and requests, and sets the clock back."""
    for kept in (logged, recorded, requests, stored):
        kept.clear()
    _http.answer = None
    _clock.passed = 0


class _Row:
    def __init__(self, event: Event) -> None:
        self.original = event
        self.events = [Event(event.body, dict(event.headers))]
        self.ended: str | None = None
        self.reason = ""
        self.channel: str | None = None


def apply(events: list[Event], edits: Edits) -> Outcome:
    """Applies edits as the interface says, rule by rule. Slow and plain on purpose: it is what tests trust."""
    rows = [_Row(event) for event in events]
    for change in edits.finish():
        _apply(rows, change)
    outcome = Outcome()
    for row in rows:
        if row.ended == "drop":
            outcome.dropped.append(row.original)
        elif row.ended == "reject":
            outcome.rejected.setdefault(row.reason, []).append(row.original)
        elif row.channel is not None:
            outcome.routed.setdefault(row.channel, []).extend(row.events)
        else:
            outcome.kept.extend(row.events)
    return outcome


def _apply(rows: list[_Row], change: Change) -> None:
    kind, name = change.kind, change.label
    if kind.endswith("-on-all"):
        there = [row for row in rows if row.ended in (None, "split")]
        for event in (event for row in there for event in row.events):
            _change_header(event, name, change.value if kind == "set-header-on-all" else None)
        return
    named = _named(rows, change.rows)
    if kind in ("drop", "reject"):
        for row in named:
            row.ended, row.reason = kind, name
    elif kind == "route":
        for row in named:
            row.channel = name
    elif kind == "split":
        counts, written = change.value
        parts = iter(unpacked(written))
        assert len(counts) == len(named), "a split needs one count for each row"
        for row, count in zip(named, counts):
            row.events, row.ended = [next(parts) for _ in range(count)], "split"
    elif kind == "set-bodies":
        for row, body in zip(named, _checked(change.columns(), len(named))):
            row.events[0].body = body
    elif kind == "set-header":
        packed = change.columns()
        values = [value.decode() for value in _checked(packed, 1 if len(packed) == 1 else len(named))]
        for place, row in enumerate(named):
            _change_header(row.events[0], name, values[0 if len(values) == 1 else place])
    else:
        for row in named:
            _change_header(row.events[0], name, None)


def _named(rows: list[_Row], numbers: list[int]) -> list[_Row]:
    """The rows of these numbers, after checking that they ascend, are in range and still there."""
    assert numbers == sorted(set(numbers)), f"rows do not ascend: {numbers}"
    assert all(0 <= number < len(rows) for number in numbers), f"out of range: {numbers}"
    ended = [number for number in numbers if rows[number].ended is not None]
    assert not ended, f"rows have ended already: {ended}"
    return [rows[number] for number in numbers]


def _change_header(event: Event, name: str, value: str | None) -> None:
    assert name, "a header without a name"
    if value is None:
        event.headers.pop(name, None)
    else:
        event.headers[name] = value


def _checked(packed: Packed, count: int) -> Packed:
    is_whole = packed.ends == sorted(packed.ends) and (packed.ends or [0])[-1] == len(packed.data)
    assert len(packed) == count and is_whole, f"expected {count} strings, got {len(packed)} that do not add up"
    return packed
