"""Facts that an answer must or must not hold: numbers, dates and eras read in whatever form they are written."""
