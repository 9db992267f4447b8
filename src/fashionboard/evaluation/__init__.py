"""What a network's answers say about it: numbers and curves."""
