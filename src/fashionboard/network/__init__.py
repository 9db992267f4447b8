"""The networks, their weights on disk, and what they make of images."""
