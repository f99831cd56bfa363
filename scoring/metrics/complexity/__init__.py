"""Over how many pixels is the saliency spread?"""
