import random
import re
import sys
import types
import unittest
from dataclasses import dataclass, field
from typing import Literal

from millrace_plugin import (
    Batch,
    Edits,
    Event,
    Events,
    Interceptor,
    Invalid,
    Issue,
    Packed,
    Reject,
    Retry,
    Sink,
    log,
    option,
    plugin,
    state,
    testing,
)
from millrace_plugin.config import read
from millrace_plugin.http import HttpError, Request, send, send_many


class PackedStrings(unittest.TestCase):
    def test_strings_come_back_as_they_went_in(self):
        packed = Packed.of(["one", "", b"\x00\xff", "ä"])
        self.assertEqual(packed.ends, [3, 3, 5, 7])
        self.assertEqual(list(packed), [b"one", b"", b"\x00\xff", b"\xc3\xa4"])
        self.assertEqual(packed.texts(), ["one", "", "\x00\ufffd", "ä"])
        self.assertEqual((packed[0], bytes(packed.view(2))), (b"one", b"\x00\xff"))
        for row in (4, -1):
            with self.assertRaises(IndexError):
                packed[row]

    def test_every_place_belongs_to_the_row_that_holds_it(self):
        packed = Packed.of([b"ab", b"", b"", b"c", b""])
        self.assertEqual([packed.row_at(place) for place in range(3)], [0, 0, 3])

    def test_matching_finds_what_matching_each_string_alone_finds(self):
        pattern = re.compile(rb"[01]{2,4}|a+b|x*")
        rolls = random.Random(7)
        for _ in range(1000):
            strings = [bytes(rolls.choices(b"0011abx\xff", k=rolls.randrange(12))) for _ in range(rolls.randrange(8))]
            expected = [(row, match) for row, text in enumerate(strings) for match in pattern.findall(text) if match]
            found = [(row, match.group()) for row, match in Packed.of(strings).matches(pattern)]
            self.assertEqual(found, expected, strings)

    def test_rows_with_finds_what_searching_each_string_alone_finds(self):
        rolls = random.Random(8)
        for _ in range(1000):
            strings = [bytes(rolls.choices(b"ab", k=rolls.randrange(6))) for _ in range(rolls.randrange(8))]
            for needle in (b"", b"a", b"aba"):
                expected = [row for row, text in enumerate(strings) if needle in text]
                self.assertEqual(Packed.of(strings).rows_with(needle), expected, strings)

    def test_other_bytes_must_have_the_same_length(self):
        self.assertEqual(list(Packed.of([b"a", b"bc"]).with_data(b"xyz")), [b"x", b"yz"])
        with self.assertRaises(ValueError):
            Packed.of([b"a"]).with_data(b"")


class Editing(unittest.TestCase):
    def run_edits(self, count, note):
        edits = Edits()
        note(edits)
        return testing.apply([Event(body.encode(), {"k": "v"}) for body in "abcde"[:count]], edits)

    def test_nothing_noted_keeps_everything(self):
        self.assertFalse(Edits())
        self.assertEqual(Edits().finish(), [])

    def test_every_edit_does_what_it_says(self):
        def note(edits):
            edits.set_body(0, "A")
            edits.remove_header(0, "k")
            edits.drop(1)
            edits.reject(2, "why")
            edits.route(3, "fast")
            edits.split(4, [("e1", {"n": 1}), b"e2"])
            edits.remove_header_on_all("n")

        outcome = self.run_edits(5, note)
        self.assertEqual(outcome.kept, [Event(b"A"), Event(b"e1"), Event(b"e2")])
        self.assertEqual(outcome.dropped, [Event(b"b", {"k": "v"})])
        self.assertEqual(outcome.rejected, {"why": [Event(b"c", {"k": "v"})]})
        self.assertEqual(outcome.routed, {"fast": [Event(b"d", {"k": "v"})]})

    def test_rows_that_get_the_same_header_share_one_edit_and_one_value(self):
        edits = Edits()
        for row in (0, 2):
            edits.set_header(row, "n", "x")
        edits.set_header(1, "m", "ä")
        edits.set_header(3, "m", "b")
        first, second = edits.finish()
        self.assertEqual((first.label, first.rows, list(first.columns())), ("n", [0, 2], [b"x"]))
        self.assertEqual((second.label, second.rows, second.columns().ends), ("m", [1, 3], [2, 3]))

    def test_a_later_change_to_the_same_row_wins(self):
        def note(edits):
            edits.set_header(1, "n", "first")
            edits.set_header(0, "n", "second")
            edits.set_header(1, "n", "third")
            edits.set_body(1, b"old")
            edits.set_body(1, bytearray(b"new"))
            edits.set_body(0, b"zero")
            edits.remove_header(0, "k")
            edits.set_header(0, "k", "again")

        kept = self.run_edits(2, note).kept
        self.assertEqual(kept, [Event(b"zero", {"n": "second", "k": "again"}), Event(b"new", {"k": "v", "n": "third"})])

    def test_a_row_may_be_changed_and_dropped_in_any_order(self):
        def note(edits):
            edits.drop(2)
            edits.set_body(2, b"x")
            edits.drop(0)
            edits.drop_rows([2, 2])

        outcome = self.run_edits(3, note)
        self.assertEqual((len(outcome.kept), len(outcome.dropped)), (1, 2))

    def test_a_header_on_all_passes_over_what_has_ended(self):
        def note(edits):
            edits.drop(0)
            edits.split(1, [b"b1"])
            edits.set_header_on_all("seen", 1)
            edits.set_header(2, "seen", "two")

        kept = self.run_edits(3, note).kept
        self.assertEqual([event.headers for event in kept], [{"seen": "1"}, {"k": "v", "seen": "two"}])

    def test_columns_are_taken_as_they_are_and_must_fit(self):
        def note(edits):
            edits.set_bodies([0, 2], Packed.of(["x", "z"]))
            edits.set_headers([0, 2], "n", [1, 2])
            edits.set_header_rows([1, 2], "m", "same")
            edits.set_bodies([], Packed.of([]))

        kept = self.run_edits(3, note).kept
        self.assertEqual([event.body for event in kept], [b"x", b"b", b"z"])
        self.assertEqual(kept[2].headers, {"k": "v", "n": "2", "m": "same"})
        with self.assertRaises(ValueError):
            Edits().set_headers([0], "n", [])

    def test_edits_that_break_a_rule_are_named(self):
        for note, rule in [
            (lambda edits: edits.drop(2), "out of range"),
            (lambda edits: (edits.drop(0), edits.reject(0, "x")), "ended already"),
            (lambda edits: edits.set_header_rows([1, 0], "n", "x"), "do not ascend"),
        ]:
            with self.assertRaisesRegex(AssertionError, rule):
                self.run_edits(2, note)


class Reading(unittest.TestCase):
    def test_a_batch_is_read_in_columns_and_in_rows(self):
        events = [Event("ä".encode(), {"level": "info", "a": "1"}), Event(b""), Event(b"c", {"level": ""})]
        batch = testing.batch(events)
        self.assertEqual((len(batch), batch.body_bytes, list(batch.bodies())), (3, 3, [b"\xc3\xa4", b"", b"c"]))
        column = batch.header_column("level")
        self.assertEqual((list(column), column[1], column.rows_with("", "info")), (["info", None, ""], None, [0, 2]))
        self.assertEqual(list(batch.headers()), [event.headers for event in events])
        self.assertEqual(batch.header_names(), ["level", "a"])
        self.assertEqual(list(batch.bodies_of([2, 0])), [b"c", b"\xc3\xa4"])
        self.assertEqual((batch.header(0, "a"), batch.header(1, "a"), batch.body_part(0, 1, 9)), ("1", None, b"\xa4"))
        self.assertEqual((batch.event(2), batch.events()), (events[2], events))
        self.assertEqual(batch.formed_at.year, 2023)
        with self.assertRaises(IndexError):
            batch.body(3)

    def test_names_of_headers_are_kept_once(self):
        events = Events()
        events.append("a", {"k": 1, "l": "2"})
        events.append(b"")
        events.append("c", {"l": "ü", "k": "4"})
        names, counts, name_ids, values, bodies = events.finish()
        self.assertEqual((names, counts, name_ids), (["k", "l"], [2, 0, 2], [0, 1, 1, 0]))
        self.assertEqual((values.ends, bodies.ends, events.body_bytes), ([1, 2, 4, 5], [1, 1, 2], 2))


@dataclass
class Inner:
    low: float = option(default=0, minimum=0, maximum=1)


@dataclass
class Config:
    name: str
    count: int = option(minimum=1)
    mode: Literal["a", "b"] = "a"
    flag: bool = False
    drop_status: list[int] = field(default_factory=list)
    tags: dict[str, int] = field(default_factory=dict)
    inner: Inner = field(default_factory=Inner)
    in_: str | None = None

    def check(self):
        if self.name == "bad":
            yield Issue("/name", "a bad name")


class Options(unittest.TestCase):
    def issues(self, config):
        with self.assertRaises(Invalid) as caught:
            read(Config, config)
        return [f"{issue.path}: {issue.reason}" for issue in caught.exception.issues]

    def test_good_options_are_read(self):
        config = {"name": "x", "count": 2, "drop-status": 404, "tags": {"a": 1}, "inner": {"low": 1}, "in": "y"}
        self.assertEqual(read(Config, config), Config("x", 2, "a", False, [404], {"a": 1}, Inner(1.0), "y"))

    def test_mistakes_are_reported_all_at_once(self):
        config = {"count": 0, "mode": "c", "flag": 1, "drop-status": [1, "2"], "tags": [], "inner": {"low": 2, "a/b~": 1}}
        self.assertEqual(
            self.issues(config),
            [
                ": missing option `name`",
                "/count: expected a whole number, 1 or more, got 0",
                '/mode: expected one of "a", "b", got "c"',
                "/flag: expected #true or #false, got 1",
                '/drop-status/1: expected a whole number, got "2"',
                "/tags: expected a block of options, got []",
                "/inner/a~1b~0: unknown option `a/b~`, expected `low`",
                "/inner/low: expected a number from 0 to 1, got 2",
            ],
        )
        self.assertEqual(self.issues({"name": "x", "count": True}), ["/count: expected a whole number, 1 or more, got #true"])
        self.assertEqual(self.issues({"name": "bad", "count": 1}), ["/name: a bad name"])


class Host(unittest.TestCase):
    def setUp(self):
        testing.reset()

    def test_state_keeps_what_was_written_for_as_long_as_it_was_meant_to(self):
        state.set("a/1", "x", ttl_ms=100)
        state.set("a/2", b"\x01")
        self.assertEqual(state.get_many(["a/1", "none"]), [b"x", None])
        self.assertEqual((state.list_keys("a/"), state.list_keys("a/", after="a/1")), (["a/1", "a/2"], ["a/2"]))
        testing.advance(100)
        self.assertIsNone(state.get("a/1"))
        state.delete("a/2")
        self.assertEqual((state.increment("n"), state.increment("n", -43)), (1, -42))
        with self.assertRaises(state.StateError) as caught:
            state.get("k" * 1025)
        self.assertEqual(caught.exception.kind, "too-large")

    def test_a_request_that_fails_says_why(self):
        with self.assertRaises(HttpError) as caught:
            send("https://a.example")
        self.assertEqual((caught.exception.kind, caught.exception.is_temporary), ("denied", False))
        testing.serve(lambda request: (404, {"x-a": "b"}, '{"a": 1}'))
        response = send(Request("https://a.example", "POST", {"n": "1"}, "x"))
        self.assertEqual((response.ok, response.header("x-a"), response.header("x-b"), response.json()), (False, "b", None, {"a": 1}))
        self.assertEqual(len(send_many(["https://a.example", "https://b.example"])), 2)

    def test_lines_that_nobody_keeps_are_not_built(self):
        log.debug(lambda: self.fail("built"))
        log.warn(lambda: "odd", row=17)
        self.assertEqual(testing.logged, [("warn", "odd", {"row": "17"})])


class Guest(unittest.TestCase):
    """What is exported, with classes that stand for the bindings."""

    @classmethod
    def setUpClass(cls):
        class Err(Exception):
            def __init__(self, value):
                self.value = value

        sys.modules["componentize_py_types"] = types.SimpleNamespace(Err=Err)
        made = lambda name: lambda *values: (name, *values)
        from millrace_plugin import _host

        class Made:
            def __getattr__(self, name):
                return made(name)

        load = _host.load
        _host.load = lambda name: Made() if name == "types" else load(name)
        try:
            from millrace_plugin import _guest
        finally:
            _host.load = load
        _guest._lifecycle = _guest._sink = Made()
        cls.guest, cls.Err = _guest, Err

    def setUp(self):
        testing.reset()

    def configure(self, config="{}"):
        instance = types.SimpleNamespace(agent="a", component="c", lane=0, lanes=1, generation=1)
        self.guest.Lifecycle().configure(config, instance)

    def test_failures_are_answers_and_mistakes_are_logged_with_their_place(self):
        @plugin
        class Fails(Interceptor):
            raises = Retry(5)

            def intercept(self, batch: Batch, edits: Edits) -> None:
                raise self.raises

        self.configure()
        for raised, answer in [(Retry(5), ("Failure_Retry", 5)), (Reject("bad"), ("Failure_Reject", "bad"))]:
            Fails.raises = raised
            with self.assertRaises(self.Err) as caught:
                self.guest.Interceptor().intercept(None)
            self.assertEqual(caught.exception.value, answer)
        self.assertEqual(testing.logged, [])
        Fails.raises = KeyError("user")
        with self.assertRaises(KeyError):
            self.guest.Interceptor().intercept(None)
        [(level, text, _)] = testing.logged
        self.assertEqual(level, "error")
        self.assertRegex(text, r"^intercept: KeyError: 'user'\n  at .*Fails\.intercept \(.*test_sdk\.py:[0-9]+\)$")

    def test_mistakes_in_the_options_are_issues(self):
        @plugin
        class Takes(Interceptor):
            def configure(self, config: Config, instance: object) -> None:
                self.fail("not called")

        with self.assertRaises(self.Err) as caught:
            self.configure('{"count": 1}')
        self.assertEqual(caught.exception.value, [("Issue", "", "missing option `name`")])

    def test_a_sink_names_the_rows_that_it_did_not_take(self):
        @plugin
        class Refuses(Sink):
            def deliver(self, batch, delivery, refused):
                if delivery.attempt > 1:
                    refused.reject(2, "bad")
                    refused.retry(0, 10)

        self.configure()
        deliver = lambda attempt: self.guest.Sink().deliver(None, types.SimpleNamespace(id="d", attempt=attempt))
        self.assertEqual(deliver(1), ("Outcome_Delivered",))
        refusals = [("Refusal", 0, ("Failure_Retry", 10)), ("Refusal", 2, ("Failure_Reject", "bad"))]
        self.assertEqual(deliver(2), ("Outcome_Partial", refusals))


if __name__ == "__main__":
    unittest.main()
