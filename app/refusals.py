"""What the edge itself says «no» to, before the domain is asked: who you are, how often, and under which key."""

from __future__ import annotations

from typing import ClassVar

from registry.base import Refusal


class EdgeRefusal(Refusal):
    """A refusal with an HTTP status of its own; ``retry_after_s`` becomes the header Retry-After."""

    status: ClassVar[int] = 400
    retry_after_s: ClassVar[int | None] = None


class NotSignedIn(EdgeRefusal):
    """The route needs an account and the request carries no valid sign-in."""

    code = "not_signed_in"
    kind = "forbidden"
    status = 401
    zh = "请先登录。"
    en = "Sign in first."
    remedy_zh = "用您的账号登录后再试；登录 12 小时后会自动退出。"
    remedy_en = "Sign in with your account and try again; a sign-in lasts 12 hours."


class WrongCredentials(EdgeRefusal):
    """Login and password do not belong together. It never says which of the two was wrong."""

    code = "wrong_credentials"
    kind = "forbidden"
    status = 401
    zh = "账号或密码不对。"
    en = "The login or the password is wrong."
    remedy_zh = "请再核对一遍，注意大小写。"
    remedy_en = "Check both again; capitals matter."
    default_field = "password"


class WrongRole(EdgeRefusal):
    """Signed in, and the account's role does not reach this route."""

    code = "wrong_role"
    kind = "forbidden"
    status = 403
    zh = "您的账号不能用这个功能。"
    en = "Your account does not have access to this."
    remedy_zh = "如果您应当能用，请联系区市场监管局的平台管理员。"
    remedy_en = "If you should have access, ask the bureau's administrator."


class TooManyAttempts(EdgeRefusal):
    """Too many wrong passwords for one login from one address, or for all of them from it."""

    code = "too_many_attempts"
    kind = "forbidden"
    status = 429
    retry_after_s = 900
    zh = "输错密码的次数太多，请 15 分钟后再试。"
    en = "Too many wrong passwords; try again in 15 minutes."
    remedy_zh = "忘记密码的，请联系区市场监管局的平台管理员。"
    remedy_en = "If you forgot the password, ask the bureau's administrator."


class TooManySigningIn(EdgeRefusal):
    """More passwords have come at once than are looked at at a time; nothing counts against anybody."""

    code = "too_many_signing_in"
    kind = "unavailable"
    status = 503
    retry_after_s = 3
    zh = "现在登录的人太多，密码还没有核对。"
    en = "Too many people are signing in just now; your password was not checked."
    remedy_zh = "请过几秒再试一次。"
    remedy_en = "Try again in a few seconds."


class SecondFactorNeeded(EdgeRefusal):
    """The password was right and the account has an authenticator, whose code was not sent."""

    code = "second_factor_needed"
    kind = "forbidden"
    status = 401
    zh = "密码对了，还要填动态口令。"
    en = "The password is right; the authenticator code is missing."
    remedy_zh = "请填验证器里显示的 6 位数字，或者一个恢复码。"
    remedy_en = "Send the 6 digits your authenticator shows, or a recovery code."
    default_field = "totp"


class SecondFactorToSetUp(EdgeRefusal):
    """Staff sign in with a second factor here, and this account has none."""

    code = "second_factor_to_set_up"
    kind = "forbidden"
    status = 403
    zh = "这个账号还没有绑定动态口令，不能登录。"
    en = "This account has no authenticator yet and cannot sign in."
    remedy_zh = "请在网页上登录一次，照着提示绑定。"
    remedy_en = "Sign in on the web page once and set it up there."


class TooCrowded(EdgeRefusal):
    """Completions are arriving faster than pages can be made beside them: readers come again in a moment."""

    code = "too_crowded"
    kind = "unavailable"
    status = 503
    retry_after_s = 3
    zh = "现在来看的人太多，这一页一时打不开。"
    en = "Too many people are looking just now."
    remedy_zh = "过几秒会自动再打开。已经办好的、排好的都不受影响。"
    remedy_en = "This page opens by itself in a few seconds. What was done, and everybody's place, stand."


class KeyMissing(EdgeRefusal):
    """Every writing request carries an Idempotency-Key."""

    code = "idempotency_key_missing"
    status = 422
    zh = "请求头里要有 Idempotency-Key：8 到 80 个可见的 ASCII 字符。"
    en = "The header Idempotency-Key is required: 8 to 80 visible ASCII characters."
    remedy_zh = "每笔新的办理用一个新的键（例如 UUID）；重发同一笔时用原来的键。"
    remedy_en = "Use a fresh key, a UUID for one, for each new deed, and the same key when you send it again."
    default_field = "Idempotency-Key"


class KeyReused(EdgeRefusal):
    """The key already stands for a request with other content."""

    code = "idempotency_key_reused"
    kind = "conflict"
    status = 409
    zh = "这个 Idempotency-Key 已经用于另一个内容不同的请求。"
    en = "This Idempotency-Key already stands for a request with other content."
    remedy_zh = "请换一个新的键。"
    remedy_en = "Use a fresh key."
    default_field = "Idempotency-Key"


class StillRunning(EdgeRefusal):
    """The first request under this key has not been answered yet."""

    code = "still_running"
    kind = "conflict"
    status = 409
    retry_after_s = 1
    zh = "同一个请求正在办理，还没有结果。"
    en = "The same request is being worked on."
    remedy_zh = "请等一秒再发，用同一个键。"
    remedy_en = "Wait a second and send it again under the same key."
    default_field = "Idempotency-Key"


class DatabaseAway(EdgeRefusal):
    """The database cannot be reached or broke off: nothing unfinished was kept."""

    code = "database_away"
    kind = "unavailable"
    status = 503
    retry_after_s = 2
    zh = "系统暂时忙不过来，这一次没有办成。"
    en = "The system is briefly unavailable; this request was not carried out."
    remedy_zh = "请过几秒再试，不会重复办理。"
    remedy_en = "Try again in a few seconds; nothing will be done twice."
