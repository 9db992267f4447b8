"""`fashionboard predict`: what a network takes a picture for."""
