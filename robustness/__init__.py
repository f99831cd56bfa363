"""How easily attacks on whole frames pass fakes off as real, and whether a defence holds what it promises."""
