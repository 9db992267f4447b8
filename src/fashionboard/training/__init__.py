"""The training loop, step by step, and how a stopped one goes on."""
