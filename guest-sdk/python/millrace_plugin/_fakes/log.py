"""Stands for the log of the agent in tests: keeps the lines."""

from enum import Enum

lines: list[tuple[str, str, dict[str, str]]] = []


class Level(Enum):
    TRACE = 0
    DEBUG = 1
    INFO = 2
    WARN = 3
    ERROR = 4


def enabled(level: Level) -> bool:
    return level.value >= Level.INFO.value


def emit(level: Level, text: str, fields: list[tuple[str, str]]) -> None:
    lines.append((level.name.lower(), text, dict(fields)))
