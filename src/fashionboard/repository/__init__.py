"""What git's and DVC's own files say: the only room that knows them."""
