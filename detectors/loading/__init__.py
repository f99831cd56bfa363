"""Files of weights read without running them: what they say of their network, what the user says, what is assumed."""
