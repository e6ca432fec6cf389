"""Container engines: how one is reached, for images and for jobs alike."""
