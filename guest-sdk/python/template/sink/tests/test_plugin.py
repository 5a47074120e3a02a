import unittest

from millrace_plugin import Event, Invalid, Reject, Retry, testing
from millrace_plugin.http import HttpError
from my_plugin import MyPlugin

URL = "https://logs.example.com/in"


class Posting(unittest.TestCase):
    def setUp(self):
        testing.reset()
        self.plugin = testing.configure(MyPlugin, {"url": URL})

    def deliver(self, status: int, headers: dict | None = None):
        testing.serve(lambda _: (status, headers or {}, ""))
        return testing.deliver(self.plugin, [Event(b"a"), Event(b"")], "batch-7")

    def test_a_batch_is_one_request_with_the_delivery_as_its_key(self):
        self.assertEqual(self.deliver(204), [])
        [request] = testing.requests
        self.assertEqual((request.method, request.url, request.body), ("POST", URL, b"a\n\n"))
        self.assertEqual(dict(request.headers)["idempotency-key"], b"batch-7")

    def test_what_may_work_later_is_tried_again(self):
        for status, headers, after in [(503, {}, None), (429, {"retry-after": "7"}, 7000), (408, {"retry-after": "?"}, None)]:
            with self.subTest(status=status), self.assertRaises(Retry) as caught:
                self.deliver(status, headers)
            self.assertEqual(caught.exception.after_ms, after)

    def test_without_an_answer_it_is_tried_again(self):
        def fail(_):
            raise HttpError("timeout")

        testing.serve(fail)
        with self.assertRaises(Retry):
            testing.deliver(self.plugin, [Event(b"a")])

    def test_what_can_never_work_is_rejected_with_the_status(self):
        with self.assertRaisesRegex(Reject, "the service answered 400"):
            self.deliver(400)

    def test_an_address_is_required(self):
        for config, path in [({}, ""), ({"url": "logs"}, "/url")]:
            with self.assertRaises(Invalid) as caught:
                testing.configure(MyPlugin, config)
            self.assertEqual([issue.path for issue in caught.exception.issues], [path])


if __name__ == "__main__":
    unittest.main()
