import unittest

from millrace_plugin import Event, Invalid, testing
from python_anomaly import PythonAnomaly, Running


def event(value: object, host: str = "a") -> Event:
    return Event(f'{{"ms": {value}, "n": 1}}'.encode(), {"host": host})


class Scores(unittest.TestCase):
    def setUp(self):
        testing.reset()

    def scores(self, events: list[Event], **config: object) -> list[str | None]:
        plugin = testing.configure(PythonAnomaly, {"field": "ms", "key": "host", "warm-up": 4} | config)
        return [event.headers.get("anomaly-score") for event in testing.intercept(plugin, events).kept]

    def test_what_is_usual_scores_low_and_what_is_not_scores_high(self):
        usual = [10, 12, 8, 10]
        self.assertEqual(self.scores([event(ms) for ms in [*usual, 10, 30]]), [None] * 4 + ["0.00", "15.81"])

    def test_each_key_has_its_own_mean(self):
        events = [event(ms, host) for ms in (9, 11, 9, 11) for host in ("a", "b")]
        self.assertEqual(self.scores([*events, event(10, "a"), event(12, "b")])[-2:], ["0.00", "2.00"])

    def test_the_state_is_all_that_is_remembered(self):
        for ms in (9, 11, 9, 11):
            self.assertEqual(self.scores([event(ms)]), [None])
        self.assertEqual(self.scores([event(12)]), ["2.00"])

    def test_events_without_the_number_pass(self):
        bodies = [b"", b"\xff\x00", b'{"ms": null}', b'{"ms": "12"}', b'{"nms": 3}', b'"ms"', b": 5"]
        self.assertEqual(self.scores([Event(body) for body in bodies]), [None] * len(bodies))
        self.assertEqual(testing.stored, {})

    def test_numbers_of_every_form_are_read(self):
        self.scores([event("-1.5e2"), event("1E+3"), event("1e999")])
        [(stored, _)] = testing.stored.values()
        self.assertEqual((Running(stored).count, Running(stored).mean), (2, 425.0))

    def test_what_never_changes_has_no_deviation(self):
        self.assertEqual(self.scores([event(5)] * 5 + [event(6)])[-2:], ["0.00", "inf"])

    def test_it_forgets(self):
        events = [event(ms) for ms in [0, 1000] * 20 + [9, 11] * 200]
        self.scores(events, memory=20)
        [(stored, _)] = testing.stored.values()
        self.assertAlmostEqual(Running(stored).mean, 10, delta=1)

    def test_a_field_is_required(self):
        with self.assertRaises(Invalid) as caught:
            testing.configure(PythonAnomaly, {"warm-up": 1})
        self.assertEqual([issue.path for issue in caught.exception.issues], ["", "/warm-up"])


if __name__ == "__main__":
    unittest.main()
