"""What tasks share that mark the pixels of images: crops, counts of pixels, overlays."""
