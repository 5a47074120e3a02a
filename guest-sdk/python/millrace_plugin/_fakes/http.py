"""Stands for HTTP in tests: a function answers each request, with a response or by raising an `HttpError`."""

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any


@dataclass
class Request:
    method: str
    url: str
    headers: list[tuple[str, bytes]]
    body: bytes
    timeout_ms: int | None
    auth: str | None


requests: list[Request] = []
answer: Callable[[Request], Any] | None = None


def send(request: Request) -> Any:
    from millrace_plugin.http import HttpError

    requests.append(request)
    if answer is None:
        raise HttpError("denied")
    status, headers, body = answer(request)
    pairs = [(name, value.encode()) for name, value in headers.items()]
    return SimpleNamespace(status=status, headers=pairs, body=body.encode() if isinstance(body, str) else body)


def send_many(many: list[Request], parallel: int) -> list[Any]:
    from millrace_plugin.http import HttpError

    answers: list[Any] = []
    for request in many:
        try:
            answers.append(SimpleNamespace(value=send(request)))
        except HttpError as error:
            answers.append(error)
    return answers
