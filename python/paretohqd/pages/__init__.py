"""The HTML pages of a run and of a comparison: self-contained, they load nothing."""
