"""From texts to vectors: tokenize, plan batches, run them, store what comes out."""
