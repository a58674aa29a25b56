"""Language models behind one interface; see `interface`."""
