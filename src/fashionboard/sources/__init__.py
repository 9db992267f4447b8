"""Where a data set comes from: Fashion-MNIST's mirrors, a person's own files, or drawn here."""
