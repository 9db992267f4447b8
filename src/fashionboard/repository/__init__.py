"""What git's and DVC's own files say, read for all rooms."""
