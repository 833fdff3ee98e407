"""Tables as people have them: their bytes, columns, cells of images, and labels."""
