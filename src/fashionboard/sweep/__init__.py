"""`fashionboard sweep`: many experiments, here or elsewhere, whose results come home as DVC's own."""
