"""Posts each batch by HTTP, one event per line.

The id of the delivery is sent as an idempotency key: a batch that is tried again has the same one, so the service can tell
that it has it already.
"""

from dataclasses import dataclass

from millrace_plugin import Batch, Delivery, Instance, Refused, Reject, Retry, Sink, option, plugin
from millrace_plugin.http import HttpError, Request, Response, send

RETRY_AFTER_SECONDS_MAX = 3600


@dataclass
class Config:
    url: str = option(pattern="https?://.+", expected="an address such as https://host/path")
    secret: str | None = None


@plugin
class MyPlugin(Sink):
    def configure(self, config: Config, instance: Instance) -> None:
        self.config = config

    def deliver(self, batch: Batch, delivery: Delivery, refused: Refused) -> None:
        response = self.post(b"".join(body + b"\n" for body in batch.bodies()), delivery.id)
        if response.ok:
            return
        if response.status in (408, 425, 429) or response.status >= 500:
            seconds = response.header("retry-after") or ""
            raise Retry(min(int(seconds), RETRY_AFTER_SECONDS_MAX) * 1000 if seconds.isdecimal() else None)
        raise Reject(f"the service answered {response.status}")

    def post(self, body: bytes, key: str) -> Response:
        headers = {"content-type": "application/octet-stream", "idempotency-key": key}
        try:
            return send(Request(self.config.url, "POST", headers, body, auth=self.config.secret))
        except HttpError:
            # No answer, or not granted yet: the events stay in the channel until it works.
            raise Retry from None
