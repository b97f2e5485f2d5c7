"""Arrays in, arrays out: Pareto layers, groups, rays, hypervolume, hull."""
