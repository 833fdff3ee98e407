"""Answers as DICOM: a structured report (SR) and an overlay, in the study of the image that was sent."""
