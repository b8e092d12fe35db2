"""The WSGI application every web worker serves."""

import gc

from app.config import Settings
from app.factory import create_app
from app.serving import end_with_server

end_with_server()
app = create_app(Settings.from_env())

# What has been loaded by now stays for good: left out of the collector's rounds, it costs no completion a pause.
gc.collect()
gc.freeze()
gc.set_threshold(20_000, 20, 50)
