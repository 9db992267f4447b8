"""`fashionboard verify`: all stages run again, and every byte compared."""
