"""Public test vectors, transcribed as tables with their sources named."""
