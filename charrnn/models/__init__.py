"""Language models, all behind one protocol: see `language_model`."""
