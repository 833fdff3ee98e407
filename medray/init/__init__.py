"""`medray init`: look at the data and write a search space for it, with a reason for each decision.

A survey of the images becomes a StudyProposal (proposal.py), whose sections (*_sections.py, pipelines.py) are
lines with reasons, which writer.py renders as YAML. All but the command and naming.py are pure functions.
"""
