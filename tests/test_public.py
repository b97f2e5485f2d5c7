"""What `import paretohqd` gives."""

from importlib.util import find_spec

import paretohqd as pq


def test_no_module_hides_behind_a_public_name():
    """`import paretohqd.layers` would bind the function, not the module."""
    assert [name for name in pq.__all__ if find_spec(f"paretohqd.{name}")] == []


def test_every_public_name_is_there():
    for name in pq.__all__:
        assert getattr(pq, name) is not None
