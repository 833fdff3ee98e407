"""`medray predict`: an ensemble's predictions of image files, as a table in the form that a user chooses."""
