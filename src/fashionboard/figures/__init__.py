"""What people look at: figures, and the data set in words."""
