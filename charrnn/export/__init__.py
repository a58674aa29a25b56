"""A trained model for others: in a form that they can use, and as small as they want it."""
