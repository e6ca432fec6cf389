"""Hand-written fakes and small real things that several tests share."""
