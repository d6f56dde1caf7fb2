"""Why a row failed, as the page shows it."""

from omisync.checks.refusals import SEEN, explained
from omisync.web.pages import reason


def test_the_hint_that_stands_in_the_error_is_taken() -> None:
    shown = reason(explained("SKU X does not exist in the catalogue."))
    assert shown.words == "SKU X does not exist in the catalogue."
    assert str(shown.advice).startswith("put the product into Omisell's catalogue")


def test_what_was_seen_before_gives_no_hint_of_its_own() -> None:
    shown = reason(f"no\n{SEEN}items: SKU X does not exist.")
    assert (shown.words, shown.advice) == (f"no\n{SEEN}items: SKU X does not exist.", None)
    assert reason("no").advice is None
    assert reason(None).words == "–"
