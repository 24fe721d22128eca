"""Selection methods on arrays of scores and features."""
