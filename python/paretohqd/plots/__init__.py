"""What people look at: charts, the frame of a page, progress."""
