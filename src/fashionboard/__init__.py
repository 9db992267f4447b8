"""Fashion-MNIST from download to precision-recall curves: DVC runs it, TensorBoard shows it."""
