"""The estimate of a hypervolume: honest in any number of objectives."""

import numpy as np
import pytest

import helpers.twins.hypervolume as twin
from paretohqd.kernels.hypervolume import hypervolume, hypervolume_estimate


def front(n, m, seed=0):
    return np.random.default_rng(seed).dirichlet(np.ones(m), n)


@pytest.mark.parametrize("kind", ["simplex", "cloud", "sphere"])
@pytest.mark.parametrize("m", range(2, 9))
def test_the_standard_error_is_honest(m, kind):
    rng = np.random.default_rng(m)
    points = {
        "simplex": front(40, m),
        "cloud": rng.random((60, m)) * 10.0 ** -np.arange(m) + 1,
        "sphere": np.sqrt(front(40, m)),
    }[kind]
    ref = np.ones(m) if kind == "cloud" else np.zeros(m)
    exact = hypervolume(points, ref=ref)
    volume = [hypervolume_estimate(points, ref=ref, samples=8192, seed=seed) for seed in range(60)]
    errors = [(value - exact) / error for value, error in volume]
    assert 0.6 < np.sqrt(np.mean(np.square(errors))) < 1.6
    assert np.median([error for _, error in volume]) < 0.05 * exact


def unions(m, seed):
    """Sets of points whose volume is known, by name."""
    random = np.random.default_rng(seed)
    corner, notch, spike = random.random(m) + 0.2, random.random() / 2, 1 - random.random() / m
    sides = np.eye(m) > 0
    close = np.vstack([np.ones((60, m)), [[3.0] + [0.6] * (m - 1)]])
    close[:60, 1:] -= 1e-9 * random.random((60, m - 1))
    return {
        "a box": (corner[None], corner.prod()),
        # A cube and a slab at each of its sides.
        "slabs": (np.where(sides, 1.0, spike), spike**m + m * spike ** (m - 1) * (1 - spike)),
        # All but a cube.
        "notches": (np.where(sides, notch, 1.0), 1 - (1 - notch) ** m),
        "thin slabs": (np.where(sides, 1.0, 0.3), 0.3**m + m * 0.3 ** (m - 1) * 0.7),
        "a sliver": (
            np.array([[1.0] * (m - 1) + [0.01], [0.97] * (m - 1) + [1.0]]),
            0.01 + 0.97 ** (m - 1) * 0.99,
        ),
        "many close points and one that is not": (close, 1 + 2 * 0.6 ** (m - 1)),
    }


@pytest.mark.parametrize("m", [10, 15, 25, 40, 60])
@pytest.mark.parametrize("kind", list(unions(2, 0)))
def test_four_standard_errors_hold_the_volume(m, kind):
    outside = 0
    for seed in range(100):
        points, volume = unions(m, seed)[kind]
        value, error = hypervolume_estimate(points, ref=np.zeros(m), samples=2048, seed=seed)
        outside += abs(value - volume) > 4 * error
        assert error < 0.1 * volume
    assert outside <= 1


@pytest.mark.parametrize("exponent", [300, -300])
def test_estimates_of_any_numbers(exponent):
    points = front(30, 6)
    scales = np.ldexp(1.0, exponent * (-1) ** np.arange(6))
    expected = hypervolume_estimate(points, ref=np.zeros(6), samples=256)
    assert hypervolume_estimate(points * scales, ref=np.zeros(6), samples=256) == expected
    value, error = hypervolume_estimate([[1.5e308, 1e-10]], ref=[-1.5e308, 0], samples=256)
    assert abs(value - 3e298) <= 4 * error < 1e297
    assert hypervolume_estimate([[1e300] * 3], ref=[0] * 3) == (np.inf, np.inf)
    assert hypervolume_estimate([[1e-300] * 3], ref=[0] * 3) == (0, 0)
    value, error = hypervolume_estimate([[1e300, 1e-300], [1e-300, 1e300]], ref=[0, 0])
    assert abs(value - 2) <= 4 * error < 0.1


def test_estimates():
    points = front(50, 4)
    volume = hypervolume_estimate(points, ref=np.zeros(4), seed=3)
    assert volume == hypervolume_estimate(points[::-1].copy(), ref=np.zeros(4), seed=3)
    assert volume != hypervolume_estimate(points, ref=np.zeros(4), seed=4)
    assert (volume.value, volume.standard_error) == volume
    value, error = twin.estimate(points.tolist(), 20_000, 0)
    assert abs(volume[0] - value) < 5 * (error + volume[1])
    doubled = hypervolume_estimate(points * [2, 1, 4, 1], ref=np.zeros(4), seed=3)
    assert doubled == pytest.approx((volume[0] * 8, volume[1] * 8))
    flipped = hypervolume_estimate(-points, ref=np.zeros(4), maximize=False, seed=3)
    assert flipped == volume
    assert hypervolume_estimate([[1, -1]], ref=[0, 0]) == (0, 0)
    assert hypervolume_estimate(np.zeros((0, 2)), ref=[0, 0]) == (0, 0)
    assert hypervolume_estimate([[3.0]], ref=[1])[0] == pytest.approx(2)
    many, error = hypervolume_estimate(np.ones((1, 20)), ref=np.zeros(20), samples=2**14)
    assert abs(many - 1) < 5 * error


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 255}, "samples must be an integer from 256 to 4294967296, got 255"),
        ({"samples": 0}, "samples must be an integer from 256"),
        ({"samples": 1e4}, "samples must be an integer"),
        ({"samples": 2**60}, "samples must be an integer from 256"),
        ({"seed": -1}, "seed must be an integer from 0"),
        ({"seed": 2**64}, "seed must be an integer from 0"),
        ({"seed": 0.5}, "seed must be an integer from 0"),
        ({"seed": True}, "seed must be an integer from 0"),
        ({"seed": None}, "seed must be an integer from 0"),
    ],
)
def test_refused_options_of_estimates(options, message):
    with pytest.raises(ValueError, match=message):
        hypervolume_estimate([[1, 2]], ref=[0, 0], **options)
