"""Parts that virtual instruments of one kind share."""
