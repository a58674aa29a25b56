"""Training: settings, data order, optimisation, the mixture, resumable state."""
