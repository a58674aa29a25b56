"""Training of the recurrent network: settings, data order, optimisation, resumable state."""
