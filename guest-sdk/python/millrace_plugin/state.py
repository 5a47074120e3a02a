"""Keys and values that belong to one component and outlive its instances.

What a call writes becomes durable together with its batch, or not at all. A call reads its own writes.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

from . import _host

_state = _host.load("state")
_T = TypeVar("_T")


class StateError(Exception):
    """Why the store refused: `kind` is quota, too-large, denied or unavailable."""

    def __init__(self, kind: str, reason: str | None) -> None:
        super().__init__(f"state: {kind}" if reason is None else f"state: {kind}: {reason}")
        self.kind = kind


def _asked(call: Callable[[], _T]) -> _T:
    try:
        return call()
    except Exception as raised:
        if (error := _host.error_of(raised)) is None:
            raise
        raise StateError(*error) from None


def get(key: str) -> bytes | None:
    """The value of a key; None where there is no such key or its time is over."""
    return _asked(lambda: _state.get(key))


def get_many(keys: Iterable[str]) -> list[bytes | None]:
    """The values of many keys, in the order asked for: one call instead of many."""
    return _asked(lambda: _state.get_many(list(keys)))


def set(key: str, value: bytes | str, *, ttl_ms: int | None = None) -> None:
    """Sets a value, for good or for so many milliseconds."""
    data = value.encode() if isinstance(value, str) else value
    _asked(lambda: _state.set(key, data, ttl_ms))


def delete(key: str) -> None:
    """Removes a key. A key that is not there is no error."""
    _asked(lambda: _state.delete(key))


def increment(key: str, by: int = 1) -> int:
    """Adds to a number that starts at 0 and returns the sum."""
    return _asked(lambda: _state.increment(key, by))


def list_keys(prefix: str = "", *, after: str | None = None, maximum: int = 1000) -> list[str]:
    """Keys that begin with `prefix`, in the order of their bytes, from behind `after` on."""
    return _asked(lambda: _state.list_keys(prefix, after, maximum))
