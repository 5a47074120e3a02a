"""From the class of a plugin to what a component exports. Only imported when a component is built.

Handles become views and builders become columns. Failures pass; everything else that is raised is logged with its traceback
before it ends the call with a trap, because a component without WASI has no other place to say so.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from componentize_py_types import Err

from . import _host, log
from .batch import Batch, packed_of
from .config import Invalid, read
from .edits import Change, Edits
from .events import Events
from .failure import Failure, Fatal, Refusal, Retry
from .packed import Packed
from .roles import After, Delivery, Instance, Refused, Snapshot, config_type, registered

_types = _host.load("types")
_T = TypeVar("_T")


def _exported(name: str) -> Any:
    """The types of an exported interface; None where the world does not have it."""
    try:
        return __import__(f"wit_world.exports.{name}", fromlist=["_"])
    except ModuleNotFoundError:
        return None


_lifecycle, _source, _sink, _codec, _handover = map(_exported, ("lifecycle", "source", "sink", "codec", "handover"))

_plugin: Any = None
"""The one instance of the plugin's class, which `configure` makes."""


class Lifecycle:
    def configure(self, config: str, instance: Any) -> None:
        def configure() -> None:
            global _plugin
            cls = registered()
            options = read(config_type(cls), json.loads(config))
            _plugin = cls()
            who = Instance(instance.agent, instance.component, instance.lane, instance.lanes, instance.generation)
            _plugin.configure(options, who)

        _guarded("configure", configure)

    def stop(self, deadline_ms: int) -> None:
        _guarded("stop", lambda: _plugin.stop(deadline_ms))


class Interceptor:
    def intercept(self, batch: Any) -> list[Any]:
        def intercept() -> list[Any]:
            edits = Edits()
            _plugin.intercept(Batch(batch), edits)
            return [_edit(change) for change in edits.finish()]

        return _guarded("intercept", intercept)


class Source:
    def open(self, position: bytes | None) -> None:
        _guarded("open", lambda: _plugin.open(position))

    def poll(self, events_max: int, bytes_max: int) -> Any:
        def poll() -> Any:
            polled = _plugin.poll(events_max, bytes_max)
            position = polled.position.encode() if isinstance(polled.position, str) else polled.position
            if isinstance(polled.pace, After):
                pace = _source.Pace_After(polled.pace.ms)
            else:
                pace = {"now": _source.Pace_Now, "end": _source.Pace_End}[polled.pace]()
            return _source.Polled(_events(polled.events), position, pace)

        return _guarded("poll", poll)

    def committed(self, position: bytes) -> None:
        _guarded("committed", lambda: _plugin.committed(position))


class Sink:
    def deliver(self, batch: Any, delivery: Any) -> Any:
        def deliver() -> Any:
            refused = Refused()
            _plugin.deliver(Batch(batch), Delivery(delivery.id, delivery.attempt), refused)
            rows = refused.finish()
            if not rows:
                return _sink.Outcome_Delivered()
            return _sink.Outcome_Partial([_sink.Refusal(row, _refusal(*failure)) for row, failure in rows])

        return _guarded("deliver", deliver)


class Codec:
    def frame(self, bytes: bytes, at_end: bool) -> Any:
        return _guarded("frame", lambda: _codec.Cut(*_plugin.frame(bytes, at_end)))

    def decode(self, frames: Any) -> Any:
        def decode() -> Any:
            decoded = _plugin.decode(packed_of(frames))
            refused = [_codec.Refusal(frame, _types.Failure_Reject(reason)) for frame, reason in decoded.refused]
            return _codec.Decoded(_events(decoded.events), decoded.counts, refused)

        return _guarded("decode", decode)

    def encode(self, batch: Any) -> Any:
        return _guarded("encode", lambda: _packed(_plugin.encode(Batch(batch))))


class Handover:
    def save(self) -> Any:
        def save() -> Any:
            snapshot = _plugin.save() or Snapshot(b"")
            return _handover.Snapshot(snapshot.schema, snapshot.version, snapshot.data)

        return _guarded("save", save)

    def restore(self, snapshot: Any) -> None:
        # Without a schema, the last generation had nothing to leave.
        if snapshot.schema or snapshot.data:
            left = Snapshot(snapshot.data, snapshot.schema, snapshot.version)
            _guarded("restore", lambda: _plugin.restore(left))


def _packed(packed: Packed) -> Any:
    return _types.Packed(packed.data, packed.ends)


def _events(events: Events) -> Any:
    names, counts, name_ids, values, bodies = events.finish()
    return _types.PackedEvents(_types.HeaderTable(names, counts, name_ids, _packed(values)), _packed(bodies))


def _split(change: Change) -> Any:
    counts, events = change.value
    return _types.Edit_Split(_types.Splits(change.rows, counts, _events(events)))


_EDITS: dict[str, Callable[[Change], Any]] = {
    "drop": lambda change: _types.Edit_Drop(change.rows),
    "set-bodies": lambda change: _types.Edit_SetBodies(_types.BodyEdits(change.rows, _packed(change.columns()))),
    "set-header": lambda change: _types.Edit_SetHeader(
        _types.HeaderEdit(change.label, change.rows, _packed(change.columns()))
    ),
    "set-header-on-all": lambda change: _types.Edit_SetHeaderOnAll((change.label, change.value)),
    "remove-header": lambda change: _types.Edit_RemoveHeader(_types.HeaderRemoval(change.label, change.rows)),
    "remove-header-on-all": lambda change: _types.Edit_RemoveHeaderOnAll(change.label),
    "split": _split,
    "route": lambda change: _types.Edit_Route(_types.LabelledRows(change.label, change.rows)),
    "reject": lambda change: _types.Edit_Reject(_types.LabelledRows(change.label, change.rows)),
}


def _edit(change: Change) -> Any:
    return _EDITS[change.kind](change)


def _refusal(kind: str, value: Any) -> Any:
    return _types.Failure_Retry(value) if kind == "retry" else _types.Failure_Reject(value)


def _failure(failure: Failure) -> Any:
    if isinstance(failure, Retry):
        return _types.Failure_Retry(failure.after_ms)
    case = _types.Failure_Fatal if isinstance(failure, Fatal) else _types.Failure_Reject
    return case(str(failure))


def _guarded(name: str, call: Callable[[], _T]) -> _T:
    """Calls, and turns what is raised into the answer of the interface or into a line of the log and a trap."""
    try:
        return call()
    except Failure as failure:
        answer: Any = _failure(failure)
    except Invalid as invalid:
        answer = [_lifecycle.Issue(issue.path, issue.reason) for issue in invalid.issues]
    except Refusal as refusal:
        answer = str(refusal)
    except BaseException as error:
        log.error(f"{name}: {_story(error)}")
        raise
    raise Err(answer)


def _story(error: BaseException) -> str:
    """The traceback. The module `traceback` would look for the sources in files, which are not there."""
    lines = []
    if (cause := error.__cause__ or (None if error.__suppress_context__ else error.__context__)) is not None:
        lines += [_story(cause), "which led to:"]
    lines.append(f"{type(error).__name__}: {error}")
    return "\n".join([*lines, *_frames(error.__traceback__)])


def _frames(traceback: TracebackType | None) -> list[str]:
    frames = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if not code.co_filename.endswith("_guest.py"):
            frames.append(f"  at {code.co_qualname} ({code.co_filename}:{traceback.tb_lineno})")
        traceback = traceback.tb_next
    # The place itself first, as in the other languages.
    return frames[::-1]
