"""Frames and where they come from: indexes, image stores, FaceForensics++ videos, demo faces."""
