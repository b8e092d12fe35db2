"""The WSGI application every web worker serves."""

from app.config import Settings
from app.factory import create_app
from app.serving import end_with_server

end_with_server()
app = create_app(Settings.from_env())
