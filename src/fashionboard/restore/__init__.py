"""`fashionboard restore`: the way back to the last commit after a run that failed or was killed."""
