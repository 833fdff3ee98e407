"""DICOM files, in folders of classes or without."""
