"""Does the explanation survive a change of the picture that changes nothing else?"""
