import unittest

from millrace_plugin import END, After, Invalid, testing
from my_plugin import MyPlugin


def asked(plugin: MyPlugin, events_max: int = 1000) -> tuple:
    events, polled = testing.poll(plugin, events_max)
    return [event.body for event in events], polled.position, polled.pace


class Counting(unittest.TestCase):
    def test_numbers_come_some_at_a_time_and_the_last_ones_end_it(self):
        plugin = testing.configure(MyPlugin, {"from": 3, "to": 7, "at-once": 3, "every-ms": 500})
        plugin.open(None)
        self.assertEqual(asked(plugin), ([b"3", b"4", b"5"], "6", After(500)))
        self.assertEqual(asked(plugin), ([b"6", b"7"], "8", END))
        self.assertEqual(asked(plugin), ([], None, END))

    def test_it_goes_on_behind_the_position_that_was_committed(self):
        plugin = testing.configure(MyPlugin)
        plugin.open(b"42")
        self.assertEqual(asked(plugin, 2)[0], [b"42", b"43"])

    def test_mistakes_in_the_options_are_reported_together(self):
        with self.assertRaises(Invalid) as caught:
            testing.configure(MyPlugin, {"from": -1, "at-once": 0})
        self.assertEqual([issue.path for issue in caught.exception.issues], ["/from", "/at-once"])


if __name__ == "__main__":
    unittest.main()
