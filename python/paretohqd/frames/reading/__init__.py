"""Files and tables of other libraries as Polars frames: found, typed, read or refused by name."""
