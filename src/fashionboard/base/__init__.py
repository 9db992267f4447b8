"""What every room stands on: errors, parameters, how files are written, how a process computes and ends."""
