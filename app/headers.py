"""Security headers on every answer. Pages load nothing from elsewhere and run no inline script or style."""

from __future__ import annotations

from flask import Flask, Response, request

from app.auth import COOKIE
from app.clients.wechat import WeChatSetup

POLICY = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "img-src 'self'; script-src 'self'; style-src 'self'; connect-src 'self'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=(), payment=()",
}

HTTPS_ONLY = "max-age=31536000"


def policy_of(wechat: WeChatSetup | None) -> str:
    """Return the content security policy: scripts of ours alone, and of WeChat's host where its scanner is set up."""
    return POLICY if wechat is None else POLICY.replace("script-src 'self'", f"script-src 'self' {wechat.script_host}")


def init_app(app: Flask) -> None:
    """Set the headers on every answer of ``app``, errors included."""

    settings = app.extensions["mapai.settings"]
    headers = {**HEADERS, "Content-Security-Policy": policy_of(settings.wechat)}
    if settings.public_url.startswith("https:"):
        headers["Strict-Transport-Security"] = HTTPS_ONLY

    @app.after_request
    def set_headers(answer: Response) -> Response:
        for name, value in headers.items():
            answer.headers.setdefault(name, value)
        _lead_by_path_only(answer)
        # What is shown to somebody signed in stays on no shared computer and in no proxy.
        if COOKIE in request.cookies or "Authorization" in request.headers:
            answer.headers.setdefault("Cache-Control", "private, no-store")
        return answer


def _lead_by_path_only(answer: Response) -> None:
    """Let a redirect within the platform name no host: the one a request named is the client's word.

    The framework leads to the right spelling of an address with the host of the request in it, made up or not.
    """
    target = answer.headers.get("Location", "")
    if target.startswith(request.host_url):
        answer.headers["Location"] = "/" + target.removeprefix(request.host_url).lstrip("/\\")
