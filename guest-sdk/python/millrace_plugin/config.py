"""Reads the options of the configuration into a dataclass and collects every mistake, each with its JSON pointer.

A field `drop_status: list[int]` is the option `drop-status`. What may stand as the type of a field: `str`, `int`, `float`, `bool`,
`Literal[…]`, `list[…]` (a single value counts as a list of one), `dict[str, …]`, `… | None`, and another dataclass. A field
without a default must be given. `option(…)` adds limits, and a method `check(self)` may yield further `Issue`s.
"""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Iterable
from typing import Any, Literal

_NUMBER = {int: "a whole number", float: "a number", bool: "#true or #false", str: "a text"}


@dataclasses.dataclass
class Issue:
    """One mistake: a JSON pointer into the options, and what is wrong there."""

    path: str
    reason: str


class Invalid(Exception):
    """The configuration has mistakes, all of which are reported at once."""

    def __init__(self, issues: Iterable[Issue]) -> None:
        self.issues = list(issues)
        super().__init__("; ".join(f"{issue.path or 'the options'}: {issue.reason}" for issue in self.issues))


def option(
    *,
    default: Any = dataclasses.MISSING,
    minimum: float | None = None,
    maximum: float | None = None,
    pattern: str | None = None,
    expected: str | None = None,
) -> Any:
    """A field with limits. `pattern` is a regular expression for the whole text, `expected` says in words what it means."""
    limits = {"minimum": minimum, "maximum": maximum, "pattern": pattern, "expected": expected}
    if isinstance(default, (list, dict)):
        return dataclasses.field(default_factory=lambda: type(default)(default), metadata=limits)
    return dataclasses.field(default=default, metadata=limits)


def read(kind: Any, config: Any) -> Any:
    """Makes an instance of a dataclass of the options. Raises `Invalid`."""
    if not dataclasses.is_dataclass(kind):
        return config
    issues: list[Issue] = []
    value = _section(kind, config, "", issues)
    if not issues and hasattr(value, "check"):
        issues.extend(value.check() or ())
    if issues:
        raise Invalid(issues)
    return value


class _Wrong(Exception):
    """The value is not what was expected, which is the text."""


def _section(kind: Any, config: Any, path: str, issues: list[Issue]) -> Any:
    if not isinstance(config, dict):
        issues.append(Issue(path, f"expected a block of options, got {config!r}"))
        return None
    hints = typing.get_type_hints(kind)
    fields = {field.name.rstrip("_").replace("_", "-"): field for field in dataclasses.fields(kind) if field.init}
    for name in (name for name in config if name not in fields):
        known = ", ".join(f"`{known}`" for known in fields)
        issues.append(Issue(f"{path}/{_escaped(name)}", f"unknown option `{name}`, expected {known or 'none'}"))
    values = {}
    before = len(issues)
    for name, field in fields.items():
        if name in config:
            values[field.name] = _value(hints[field.name], config[name], f"{path}/{_escaped(name)}", field.metadata, issues)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            issues.append(Issue(path, f"missing option `{name}`"))
    return kind(**values) if len(issues) == before else None


def _value(kind: Any, value: Any, path: str, limits: Any, issues: list[Issue]) -> Any:
    try:
        return _converted(kind, value, path, limits, issues)
    except _Wrong as wrong:
        expected = limits.get("expected") or wrong
        issues.append(Issue(path, f"expected {expected}, got {_shown(value)}"))
        return None


def _converted(kind: Any, value: Any, path: str, limits: Any, issues: list[Issue]) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        [inner] = [argument for argument in arguments if argument is not type(None)]
        return None if value is None else _converted(inner, value, path, limits, issues)
    if origin is Literal:
        if value not in arguments:
            raise _Wrong("one of " + ", ".join(map(_shown, arguments)))
        return value
    if origin is list:
        items = value if isinstance(value, list) else [value]
        places = [f"{path}/{place}" for place in range(len(items))] if items is value else [path]
        return [_value(arguments[0], item, place, limits, issues) for item, place in zip(items, places)]
    if origin is dict:
        if not isinstance(value, dict):
            raise _Wrong("a block of options")
        return {key: _value(arguments[1], item, f"{path}/{_escaped(key)}", limits, issues) for key, item in value.items()}
    if dataclasses.is_dataclass(kind):
        return _section(kind, value, path, issues)
    return _scalar(kind, value, limits)


def _scalar(kind: Any, value: Any, limits: Any) -> Any:
    if kind is Any:
        return value
    # A bool is an int in Python, but not in a configuration.
    is_good = isinstance(value, (int, float) if kind is float else kind)
    if not is_good or (isinstance(value, bool) and kind is not bool):
        raise _Wrong(_NUMBER.get(kind, kind.__name__) + _range(limits))
    minimum, maximum, pattern = limits.get("minimum"), limits.get("maximum"), limits.get("pattern")
    if (minimum is not None and value < minimum) or (maximum is not None and value > maximum):
        raise _Wrong(_NUMBER[kind] + _range(limits))
    if pattern is not None and not re.fullmatch(pattern, value, re.DOTALL):
        raise _Wrong(f"a text like {pattern}")
    return kind(value)


def _range(limits: Any) -> str:
    minimum, maximum = limits.get("minimum"), limits.get("maximum")
    if minimum is None and maximum is None:
        return ""
    if maximum is None:
        return f", {minimum} or more"
    return f", {maximum} or less" if minimum is None else f" from {minimum} to {maximum}"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "#true" if value else "#false"
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
