"""Two reporting checklists, TRIPOD+AI and CLAIM, and where each item stands: in the run, or with a person.

`docs/checklists.md` is written from these tables (`page_text.py`), the report fills them in from its run
(`medray.report.section_checklists`). Topics are in our own words; the checklists themselves are the authority.
"""
