"""The demo district: made-up people, bikes and dealers, the same for the same seed."""
