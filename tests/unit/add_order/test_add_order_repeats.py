"""Order numbers that come twice, among many."""

import tracemalloc

from omisync.add_order.repeats import Repeats


def test_the_second_of_a_number_tells_the_line_of_the_first() -> None:
    repeats = Repeats()
    assert repeats.first_line("A", 3) is None
    assert repeats.first_line("B", 4) is None
    assert repeats.first_line("A", 9) == 3
    assert repeats.first_line("A", 12) == 3
    assert repeats.first_line("a", 13) is None


def test_a_hundred_thousand_are_kept_apart_and_take_little_memory() -> None:
    repeats = Repeats()
    tracemalloc.start()
    try:
        for place in range(100_000):
            assert repeats.first_line(f"WEB-{place:08}", place + 1) is None
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 5_000_000
    assert [repeats.first_line(f"WEB-{place:08}", 0) for place in (0, 4095, 4096, 99_999)] == [1, 4096, 4097, 100_000]
    assert not repeats.full
