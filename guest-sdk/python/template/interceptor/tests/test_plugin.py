import unittest

from millrace_plugin import Event, Invalid, testing
from my_plugin import MyPlugin


def passed(config: dict, *bodies: bytes) -> list[Event]:
    plugin = testing.configure(MyPlugin, config)
    return testing.intercept(plugin, [Event(body) for body in bodies]).kept


class Masking(unittest.TestCase):
    def test_runs_of_13_to_19_digits_keep_their_last_four(self):
        self.assertEqual(
            passed({}, b"card 4111111111111111 and 4222222222222.", b"nothing"),
            [Event(b"card ############1111 and #########2222.", {"redacted": "2"}), Event(b"nothing")],
        )

    def test_runs_of_any_other_length_stay(self):
        bodies = [b"123456789012", b"12345678901234567890", b"", b"1234 5678 9012 3456"]
        self.assertEqual(passed({}, *bodies), [Event(body) for body in bodies])

    def test_digits_of_neighbours_are_no_run(self):
        kept = passed({}, b"1234567", b"890123456", b"1234567890123")
        self.assertEqual([event.body for event in kept], [b"1234567", b"890123456", b"#########0123"])

    def test_bytes_that_are_no_text_stay_as_they_are(self):
        [event] = passed({"mask": "*", "keep": 0}, b"\xff\x801234567890123\x00\xb2")
        self.assertEqual(event.body, b"\xff\x80*************\x00\xb2")

    def test_mistakes_in_the_options_are_reported_together(self):
        with self.assertRaises(Invalid) as caught:
            testing.configure(MyPlugin, {"mask": "##", "keep": 14, "maks": 1})
        self.assertEqual({issue.path for issue in caught.exception.issues}, {"/mask", "/keep", "/maks"})


if __name__ == "__main__":
    unittest.main()
