"""Does the explanation depend on what the detector has learned?"""
