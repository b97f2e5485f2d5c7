import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import oracle
from helpers.twins import layers
from paretohqd.kernels.layers import pareto_layers

values = st.integers(0, 5).map(float) | st.floats(allow_nan=False, width=32)
TWINS = [layers.one_objective, layers.two_objectives, layers.three_objectives, layers.few_rows]


@pytest.mark.parametrize("twin", TWINS, ids=lambda twin: twin.__name__)
@given(data=st.data())
def test_twins_agree_with_the_definition_and_the_kernels(twin, data):
    m = 1 + TWINS.index(twin)
    rows = data.draw(st.lists(st.tuples(*[values] * m), max_size=30))
    points = np.array(rows).reshape(-1, m)
    expected = oracle.layers(points).tolist()
    assert twin(rows) == expected
    assert pareto_layers(points).tolist() == expected


@pytest.mark.parametrize("twin", TWINS, ids=lambda twin: twin.__name__)
def test_twins_agree_with_the_kernels_on_many_rows(twin):
    m = 1 + TWINS.index(twin)
    rng = np.random.default_rng(m)
    for points in (rng.random((3000, m)), rng.integers(0, 9, (3000, m)).astype(float)):
        assert twin(list(map(tuple, points.tolist()))) == pareto_layers(points).tolist()
