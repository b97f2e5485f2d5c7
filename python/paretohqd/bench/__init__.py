"""Our public calls against the best of other packages, in one process, on the same data.

Every comparison asserts first that the answers are equal; a ratio is the other package's time over
ours. `paretohqd bench` and `make bench` run the tasks that `tasks` lists; packages that are not
installed are passed over.
"""
