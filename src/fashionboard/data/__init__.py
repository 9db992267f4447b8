"""A data set on disk, and its images in memory."""
