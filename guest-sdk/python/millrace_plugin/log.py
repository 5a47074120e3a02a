"""Log lines, which go to the log of the agent with the name of the component. Each plugin has a quota."""

from collections.abc import Callable

from . import _host

_log = _host.load("log")
_LEVELS = {level.name.lower(): level for level in _log.Level}


def enabled(level: str) -> bool:
    """Whether a line of this level (`trace`, `debug`, `info`, `warn`, `error`) would be kept."""
    return _log.enabled(_LEVELS[level])


def emit(level: str, text: str | Callable[[], str], **fields: object) -> None:
    """Writes one line, with named values beside its text. A function is only called when the line is kept."""
    kept = _LEVELS[level]
    if _log.enabled(kept):
        line = text() if callable(text) else text
        _log.emit(kept, line, [(name, str(value)) for name, value in fields.items()])


def trace(text: str | Callable[[], str], **fields: object) -> None:
    emit("trace", text, **fields)


def debug(text: str | Callable[[], str], **fields: object) -> None:
    emit("debug", text, **fields)


def info(text: str | Callable[[], str], **fields: object) -> None:
    emit("info", text, **fields)


def warn(text: str | Callable[[], str], **fields: object) -> None:
    emit("warn", text, **fields)


def error(text: str | Callable[[], str], **fields: object) -> None:
    emit("error", text, **fields)
