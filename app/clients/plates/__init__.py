"""The traffic police's plate system (云申领): client, stub server, fake, and the callback they send us."""

LABEL = "交警云申领"
