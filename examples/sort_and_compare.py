"""Sort points into layers and compare sets of points, on arrays alone: no models, no frames.

python examples/sort_and_compare.py
"""

import numpy as np

import paretohqd as pq


def main(n: int = 1_000_000) -> None:
    """Layers of a cloud, and which of two selections from it covers more."""
    points = np.random.default_rng(0).normal(size=(n, 3))
    layers = pq.pareto_layers(points, upto=10)
    sizes = np.bincount(layers[layers >= 0])
    print("rows of the first layers:", *sizes)

    front = points[layers == 0]
    ref = points.min(axis=0)
    whole = pq.hypervolume(front, ref=ref)
    kept = pq.hypervolume_subset(front, k=10, ref=ref)
    drawn = np.random.default_rng(1).choice(len(front), 10, replace=False)
    for name, rows in {"chosen for volume": kept.rows, "drawn": drawn}.items():
        part = front[rows]
        print(
            f"10 rows {name}: {pq.hypervolume(part, ref=ref) / whole:.1%} of the front's volume, "
            f"IGD+ {pq.igd_plus(part, ref=front):.3f}, "
            f"additive epsilon {pq.epsilon_additive(part, ref=front):.3f}"
        )

    weights = pq.preference_grid(3, 4)
    best = pq.least_achievement(points, None, weights, k=1)
    for w, row in zip(weights, best.rows[:, 0], strict=True):
        print("weights", w.round(2), "take row", row, points[row].round(2))


if __name__ == "__main__":
    main()
