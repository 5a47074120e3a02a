"""What a plugin is: a class that extends one of the roles here and is marked with `@plugin`."""

from __future__ import annotations

import typing

from dataclasses import dataclass, field
from typing import Any, TypeVar

from .batch import Batch
from .edits import Edits
from .events import Events
from .packed import Packed


@dataclass
class Instance:
    """Who this instance is."""

    agent: str
    component: str
    lane: int
    lanes: int
    generation: int


@dataclass
class Snapshot:
    """What an instance leaves to the next generation, in a form of its own with a name and a version."""

    data: bytes
    schema: str = ""
    version: int = 0


class Plugin:
    """What all roles share."""

    def configure(self, config: Any, instance: Instance) -> None:
        """Takes the options. The annotation of `config` says as what: a dataclass (see `config`), or a plain dict without one.

        Raise `Invalid` with every mistake that the types do not say. It also runs for `millrace check`: no effects.
        """

    def stop(self, deadline_ms: int) -> None:
        """Called last, if the agent has the time. Nothing may depend on it."""

    def save(self) -> Snapshot | None:
        """What the next generation gets (worlds with `handover`). None: it starts afresh."""

    def restore(self, snapshot: Snapshot) -> None:
        """Takes what the last generation left. Raise `Refusal` to keep that one."""


class Interceptor(Plugin):
    """Looks at events between a source and its channels."""

    def intercept(self, batch: Batch, edits: Edits) -> None:
        """Looks at one batch and notes in `edits` what should change. It must be safe to repeat."""
        raise NotImplementedError


@dataclass(frozen=True)
class After:
    """Ask again, but not before so many milliseconds."""

    ms: int


NOW = "now"
"""Ask again at once: there is more."""
END = "end"
"""Do not ask again: all has been read."""


@dataclass
class Polled:
    """One answer of a source."""

    events: Events = field(default_factory=Events)
    position: bytes | str | None = None
    """Where reading stands behind these events; stored in the same commit as they are. None: unchanged."""
    pace: str | After = NOW
    """When to ask again: `NOW`, `After(ms)` or `END`."""


class Source(Plugin):
    """Brings events in by being asked for them."""

    def open(self, position: bytes | None) -> None:
        """Starts, or starts again, behind the events of the last position that was committed."""

    def poll(self, events_max: int, bytes_max: int) -> Polled:
        """Returns what there is, without waiting: at most `events_max`, about `bytes_max` of bodies."""
        raise NotImplementedError

    def committed(self, position: bytes) -> None:
        """Everything up to this position is durable."""


@dataclass
class Delivery:
    """Which batch this is: the same id always is the same events, so it serves as an idempotency key."""

    id: str
    attempt: int


class Refused:
    """The rows that a sink did not take. All others count as delivered."""

    def __init__(self) -> None:
        self._rows: dict[int, tuple[str, Any]] = {}

    def retry(self, row: int, after_ms: int | None = None) -> None:
        """The row comes again, under another delivery."""
        self._rows[row] = ("retry", after_ms)

    def reject(self, row: int, reason: object) -> None:
        """The row goes to the dead-letter channel, with this reason."""
        self._rows[row] = ("reject", str(reason))

    def finish(self) -> list[tuple[int, tuple[str, Any]]]:
        return sorted(self._rows.items())


class Sink(Plugin):
    """Takes events out."""

    def deliver(self, batch: Batch, delivery: Delivery, refused: Refused) -> None:
        """Delivers a batch: when it returns, the destination has all rows but those noted in `refused`."""
        raise NotImplementedError


@dataclass
class Decoded:
    """The events of many frames, frame by frame."""

    events: Events = field(default_factory=Events)
    counts: list[int] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)
    """Frames that made no event because they are damaged, with the reason."""


class Codec(Plugin):
    """Turns frames into events and back."""

    def frame(self, data: bytes, at_end: bool) -> tuple[list[int], int]:
        """Where each whole frame ends, and how many bytes are needed at least before asking again (0: not known)."""
        raise NotImplementedError

    def decode(self, frames: Packed) -> Decoded:
        """Decodes whole frames."""
        raise NotImplementedError

    def encode(self, batch: Batch) -> Packed:
        """Encodes a batch: one byte string for each event."""
        raise NotImplementedError


_Class = TypeVar("_Class", bound=type[Plugin])
_registered: list[type[Plugin]] = []


def plugin(cls: _Class) -> _Class:
    """Marks the class that is the plugin."""
    _registered[:] = [cls]
    return cls


def registered() -> type[Plugin]:
    """The class that was marked."""
    if not _registered:
        raise LookupError("no class is marked with @plugin")
    return _registered[0]


def config_type(cls: type[Plugin]) -> Any:
    """As what `configure` of a class wants its options: the annotation of its first parameter."""
    names = cls.configure.__code__.co_varnames
    return typing.get_type_hints(cls.configure).get(names[1]) if len(names) > 1 else None


