"""`medray init`: looks at the data and writes a search space for it, with a reason beside each decision.

command.py    the command line
naming.py     the study's name, the file's place, the source as the file writes it
study.py      what becomes of the images: the file's own rules, applied to what was seen
images.py     the sections that say it: images, labels, splits
goals.py      objective, budget, resources
searched.py   space, fixed, baselines
pipelines.py  transforms
document.py   lines with reasons -> YAML
writer.py     all sections -> the file's text
report.py     what a person is told, and which commands come next

All but the command and the source's spelling are pure functions of a survey.
"""
