"""The operating bank of the digital yuan (运营机构): client, sandbox server, fake, callback and daily statement."""

LABEL = "数字人民币运营机构"
