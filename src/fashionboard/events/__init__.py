"""TensorBoard's files, with the same bytes each time: the only room that writes them."""
