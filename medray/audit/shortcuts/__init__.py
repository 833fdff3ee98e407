"""Shortcuts: facts of an image, none of them the disease, by which a class can be recognised.

`file_facts` reads what a file says of how it was made, `facts` and `name_facts` collect the facts of all images,
`separation` measures how well one fact tells a class from all others, `find_shortcuts` names those that do.
"""
