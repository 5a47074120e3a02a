"""Time, for worlds that have a clock. Pure interceptors have `batch.formed_at`. The module `time` does not work in a plugin."""

from datetime import UTC, datetime, timedelta

from . import _host

_clock = _host.load("clock")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def unix_nanos() -> int:
    """Nanoseconds since 1970. It can jump, as the clock of the machine can."""
    return _clock.unix_nanos()


def now() -> datetime:
    """The time in UTC, to the microsecond."""
    return _EPOCH + timedelta(microseconds=_clock.unix_nanos() // 1000)


def monotonic_nanos() -> int:
    """Nanoseconds since some moment before the plugin started. It never goes back."""
    return _clock.monotonic_nanos()
