"""SECURITY.md names a test for each promise, and the test is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_promise_is_held_by_a_test_that_is_there():
    page = (ROOT / "SECURITY.md").read_text()
    rows = [row.split("|") for row in page.splitlines() if row.startswith("| ")][1:]
    assert len(rows) > 10
    for _, _, promise, tests, _ in rows:
        files = re.findall(r"`([\w./]+\.py)`", tests)
        assert files, promise
        for file in files:
            assert (ROOT / "tests" / "safety" / file).is_file(), file


def test_the_page_names_no_host():
    page = (ROOT / "SECURITY.md").read_text()
    assert re.findall(r"https?://|@[a-z]+\.[a-z]", page) == []
