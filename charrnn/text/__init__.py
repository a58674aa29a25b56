"""Text: bytes to code points, code points to ids, documents, corpora and their cache."""
