"""Faces and forgeries that need no download: shaded heads, four manipulations, frames in the FaceForensics++ layout."""
