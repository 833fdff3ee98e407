"""Masks, overlays and thumbnails beside the images that they were made from."""
