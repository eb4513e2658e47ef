"""The oracle itself: it accepts what is allowed and catches what is not."""

import unittest

from history import History, Read
from values import ABSENT, Value

A, B, C = (Value(number, 1, "", "") for number in (1, 2, 3))


class HistoryTest(unittest.TestCase):
    def setUp(self):
        self.time = 0.0
        self.history = History(now=lambda: self.time)

    def at(self, time: float) -> History:
        self.time = time
        return self.history

    def acknowledged(self, value: Value, start: float, end: float) -> None:
        write = self.at(start).begin("k", value)
        self.at(end).acknowledged(write)

    def read(self, value: Value, start: float, end: float) -> None:
        self.at(end).check_read("k", start, value)

    def refuses(self, value: Value, start: float, end: float) -> None:
        with self.assertRaises(AssertionError):
            self.read(value, start, end)

    def test_an_acknowledged_write_supersedes(self):
        self.read(ABSENT, 0, 0.5)
        self.acknowledged(A, 1, 2)
        self.read(A, 3, 4)
        self.refuses(ABSENT, 3, 4)
        self.refuses(B, 3, 4)
        self.acknowledged(ABSENT, 5, 6)  # a delete
        self.refuses(A, 7, 8)
        self.read(ABSENT, 7, 8)

    def test_a_read_beside_a_write_may_show_either(self):
        self.acknowledged(A, 1, 2)
        write = self.at(3).begin("k", B)
        self.read(A, 4, 5)
        self.read(B, 4, 5)
        self.at(6).acknowledged(write)
        self.read(A, 5, 7)  # began before the acknowledgement
        self.refuses(A, 7, 8)

    def test_overlapping_writes_may_end_in_either_order(self):
        first, second = self.at(1).begin("k", A), self.at(2).begin("k", B)
        self.at(3).acknowledged(second)
        self.at(4).acknowledged(first)
        self.read(A, 5, 6)
        self.read(B, 5, 6)

    def test_doubt_ends_with_the_next_acknowledged_write(self):
        self.acknowledged(A, 1, 2)
        self.at(3).begin("k", B)
        self.at(4).died()
        self.read(A, 5, 6)
        self.read(B, 5, 6)
        self.acknowledged(C, 7, 8)
        self.refuses(B, 9, 10)
        self.refuses(A, 9, 10)

    def test_what_was_seen_does_not_vanish(self):
        self.acknowledged(A, 1, 2)
        self.at(3).begin("k", B)
        self.read(A, 4, 5)
        self.read(B, 6, 7)
        self.at(8).died()
        self.read(B, 9, 10)
        self.refuses(A, 9, 10)

    def test_a_read_beside_the_one_that_saw_it_may_miss_it(self):
        self.acknowledged(A, 1, 2)
        self.at(3).begin("k", B)
        self.read(B, 4, 6)
        self.read(A, 5, 7)

    def test_what_dead_writers_left_is_undecided_until_the_next_write(self):
        self.acknowledged(A, 1, 2)
        self.at(3).begin("k", B)
        self.assertFalse(self.history.undecided("k"), "it may still be answered")
        self.at(4).died()
        self.assertTrue(self.history.undecided("k"))
        self.read(B, 5, 6)  # a read may have been lucky
        self.assertTrue(self.history.undecided("k"))
        self.history.in_doubt(self.at(7).begin("k", C))
        self.acknowledged(A, 7.5, 9)  # began after the one in doubt had, and after the dead one's end
        self.assertFalse(self.history.undecided("k"))
        self.assertFalse(self.history.undecided("another"))

    def test_unanswered_stays_possible_while_the_process_lives(self):
        self.at(1).begin("k", A)
        self.acknowledged(B, 2, 3)
        self.read(A, 4, 5)

    def test_refused_and_settled(self):
        self.acknowledged(A, 1, 2)
        self.history.refused("k", self.at(3).begin("k", B))
        self.refuses(B, 4, 5)
        self.at(6).begin("k", C)
        self.at(7).died()
        self.at(8).settle("k", A)
        self.refuses(C, 9, 10)

    def test_linear(self):
        self.acknowledged(A, 1, 10)
        write = self.at(1).begin("k", B)
        self.at(10).acknowledged(write)
        self.read(A, 2, 3)
        self.read(B, 4, 5)
        self.history.check_linear("k")
        self.read(A, 6, 7)  # allowed one by one, but A, B, A is no order
        with self.assertRaises(AssertionError):
            self.history.check_linear("k")

    def test_linear_backward_zone(self):
        self.acknowledged(A, 1, 2)
        self.acknowledged(B, 3, 4)
        self.history.of("k").reads.append(Read(A, 5, 6))  # check_read would refuse it before
        with self.assertRaises(AssertionError):
            self.history.check_linear("k")


if __name__ == "__main__":
    unittest.main()
