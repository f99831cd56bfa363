"""Who scores a run's frames: this process, several of its own, or a Ray cluster's; frames are handed out one by one."""
