"""Files of pictures, of any format and size, made into images of one kind."""
