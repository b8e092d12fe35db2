"""The text-message gateway: client, sandbox server, fake."""

LABEL = "短信平台"
