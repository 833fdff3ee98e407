"""Folders, tables and DICOM files as a list of labelled image files; nothing is decoded here."""
