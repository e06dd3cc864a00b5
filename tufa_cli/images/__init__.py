"""Photos: listing, reading (EXIF upright), warping and drawing."""
