"""Batched forms of albumentations' transforms: the same distribution, drawn for a whole batch at once.

`arguments` reads a step, `pipeline` draws which images undergo it, the files of transforms draw their parameters
with NumPy, and `host` or `device` computes the pixels. Random numbers are drawn in one way only, so the geometry
and the grey levels of an image don't depend on where it is computed.
"""
