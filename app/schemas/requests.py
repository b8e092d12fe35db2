"""What callers send."""

from __future__ import annotations

from app.schemas.fields import Choice, Day, Flag, Image, StrictSchema, Text, Whole
from registry.code_limits import SIGN_IN
from registry.compliance import BATTERY_KINDS
from registry.trade_ins import PHOTO_KINDS, TRADE_IN, WAITS_FOR
from registry.unmasking import FIELDS, SHORTEST_REASON

# A code to sign a commitment is asked for by the dealer, who is signed in.
CODE_PURPOSES = (SIGN_IN, "dealer_application", "dealer_password")
WAITERS = tuple(dict.fromkeys(WAITS_FOR.values()))


class SignInRequest(StrictSchema):
    """Login and password of an account."""

    login = Text("login, case matters", longest=40, required=True, example="point-0001")
    password = Text("password, case matters", longest=200, required=True)
    totp = Text(
        "the authenticator's 6 digits, or a recovery code; where the account has one", longest=20, load_default=None
    )


class OneTimeCodeRequest(StrictSchema):
    """Where to send a code."""

    phone = Text("mobile number, 11 digits", longest=30, required=True, example="13800000000")
    device = Text("a random name this device gave itself and keeps, for the limits", shortest=8, longest=64)
    purpose = Choice("what the code is for; it proves nothing else", CODE_PURPOSES, load_default=SIGN_IN)


class CodeSignInRequest(StrictSchema):
    """A phone and the code it received."""

    phone = Text("mobile number, 11 digits", longest=30, required=True, example="13800000000")
    code = Text("the 6 digits of the latest message", longest=12, required=True)
    id_tail = Text("last 4 characters of the ID number; needed where several owners share the phone", longest=8)


class UnmaskingRequest(StrictSchema):
    """Which field of a person is to be seen in clear, and why."""

    field = Choice("the field", FIELDS, required=True)
    reason = Text("why it has to be seen, for the record", shortest=SHORTEST_REASON, longest=200, required=True)


class PhoneRequest(StrictSchema):
    """Another phone of a person, and why."""

    phone = Text("mobile number in mainland China, 11 digits", longest=20, required=True, example="13800138001")
    reason = Text("how the person asked for it, for the record", shortest=SHORTEST_REASON, longest=200, required=True)


class OpenTradeInRequest(StrictSchema):
    """The old bike's plate and its owner, as the point reads them off plate and ID card."""

    plate_no = Text("plate of the old bike: one letter and six digits", longest=20, required=True, example="B382617")
    owner_name = Text("owner's name as on the ID card", longest=64, required=True)
    owner_id_no = Text("owner's citizen ID number, 18 characters (GB 11643)", longest=30, required=True)
    owner_phone = Text("owner's mobile number, 11 digits", longest=30, required=True)


class PhotoRequest(StrictSchema):
    """One photo of the old bike. May be sent as multipart/form-data instead: text ``kind``, file ``image``."""

    kind = Choice("what the photo shows", PHOTO_KINDS, required=True)
    image = Image("JPEG or PNG, Base64, at most 3 MB of picture", required=True)


class ReceiptRequest(StrictSchema):
    """What the point writes down when it takes the old bike in."""

    recycling_certificate_no = Text("number of the recycling certificate", longest=40, required=True)
    frame_no = Text("frame number as read off the old bike", longest=60, required=True)
    complete = Flag("frame, motor and battery are all there", required=True)
    owner_knows = Flag(
        "the owner was told that this bike gets no subsidy and goes on; required to be true where «foreseen» says so",
        load_default=False,
    )


class StockRequest(StrictSchema):
    """A new bike as its certificate describes it."""

    vehicle_code = Text("vehicle code: 15 digits, the fifth is 2", longest=20, required=True, example="118222512345678")
    certificate_no = Text("number of the CCC certificate", longest=40)
    certificate_url = Text("address in the certificate's QR code", longest=400)
    battery_code = Text("battery code, 6 to 40 letters and digits", longest=60, required=True)
    battery_kind = Choice("chemistry of the battery", BATTERY_KINDS, required=True)
    model = Text("maker's model name", longest=64, required=True)
    standard = Text("edition of the national standard, one of GET /api/standards", longest=16, required=True)
    made_on = Day("day it was made, Asia/Shanghai", required=True)
    weight_g = Whole("mass of the whole bike in g", low=1, high=500_000, required=True, example=54_000)
    top_speed_m_h = Whole("top speed in m/h", low=1, high=200_000, required=True, example=25_000)
    motor_w = Whole("continuous rated motor power in W", low=1, high=20_000, required=True, example=400)
    voltage_mv = Whole("nominal battery voltage in mV", low=1, high=500_000, required=True, example=48_000)


class SaleRequest(StrictSchema):
    """The sale of a bike from stock: paid = list price − discount − deduction."""

    vehicle_code = Text("vehicle code of the bike in stock, 15 digits", longest=20, required=True)
    invoice_no = Text("number of the invoice in the owner's name", longest=40, required=True)
    list_price_fen = Whole("displayed price in fen", low=1, required=True, example=299_900)
    discount_fen = Whole("maker's discount in fen", required=True, example=20_000)
    deduction_fen = Whole("deduction for the old bike in fen", required=True, example=10_000)
    paid_fen = Whole("price paid in fen", required=True, example=269_900)


class WalletRequest(StrictSchema):
    """The owner's digital-yuan wallet."""

    wallet_id = Text(
        "wallet number from the digital-yuan app: 4 to 68 letters, digits or -_.@", longest=200, required=True
    )


class TradeInQuery(StrictSchema):
    """Which trade-ins to list."""

    state = Choice("only those in this state", tuple(TRADE_IN.edges))
    waiting_for = Choice("only those that wait for this party", WAITERS)
    before = Text("only those older than this reference: the next page", longest=20)
    limit = Whole("how many, newest first", low=1, high=200, from_text=True, load_default=50)
