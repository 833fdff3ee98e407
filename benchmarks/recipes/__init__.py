"""Recipes of training that medray lacks or leaves to the user, on several data sets: parts of recipe.py."""
