"""Whether a detector does what its class promises: what is tried when it is loaded, and what is asked of it again."""
