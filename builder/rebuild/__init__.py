"""What changed since the last good image, and what of it the image contains: pure comparisons."""
