"""What everything else stands on: errors, atomic files, configuration, seeds, progress."""
