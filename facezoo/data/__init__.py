"""Bytes to batches: records, images, sources, preprocessing, sampling."""
