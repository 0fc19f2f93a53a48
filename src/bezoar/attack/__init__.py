"""Attack: what holds of a remedy when somebody tries to undo it. Attacks are edits too."""

from bezoar.attack.scale_keys import ScaleKeys

__all__ = ["ScaleKeys"]
