"""`medray predict`: what an ensemble says of image files, as a table in any course's or contest's form."""
