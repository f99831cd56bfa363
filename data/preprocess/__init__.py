"""Face crops, manipulated-pixel masks and an index from the videos of FaceForensics++ and Celeb-DF."""
