"""What the records call things, in an owner's words; the desk says the same where the table is not one of its own."""

from __future__ import annotations

from app.web.language import _l

DOCUMENT_WORDS = {
    "citizen": _l("居民身份证"),
    "hong_kong_permit": _l("香港居民居住证"),
    "macau_permit": _l("澳门居民居住证"),
    "taiwan_permit": _l("台湾居民居住证"),
    "permanent_resident": _l("外国人永久居留身份证"),
}
FIELD_WORDS = {"name": _l("姓名"), "id_no": _l("证件号码"), "phone": _l("手机号码")}
PURPOSE_WORDS = {"progress_messages": _l("进度短信"), "survey": _l("电话回访")}
RELATION_WORDS = {
    "spouse": _l("配偶"),
    "parent": _l("父母"),
    "child": _l("子女"),
    "sibling": _l("兄弟姐妹"),
    "other_relative": _l("其他亲属"),
    "point": _l("代办点工作人员"),
}
REMOVED_WORDS = {
    "phone": _l("手机号码"),
    "one_time_codes": _l("验证码记录"),
    "message_texts": _l("消息内容"),
    "photos_of_withdrawn_trade_ins": _l("撤回的置换的照片"),
    "authorities_to_act_for_others": _l("替别人代办的授权"),
    "sign_ins": _l("登录"),
    "half_filled_forms": _l("没填完的表"),
    "consents": _l("给过的同意"),
    "wallets_of_withdrawn_trade_ins": _l("撤回的置换的钱包"),
    "texts_of_appeals": _l("申诉里写的话和照片"),
    "kept_answers": _l("办理时的应答记录"),
}
PHOTO_WORDS = {"frame_no": _l("车架号"), "plate": _l("号牌"), "whole": _l("整车")}
FILED_BIKE_WORDS = {
    "filed": _l("已备案"),
    "received": _l("已收车"),
    "plate_cancelled": _l("号牌已注销"),
    "destroyed": _l("已拆解"),
}
TRADE_IN_STATES = {
    "opened": _l("已登记，待交警核对"),
    "old_bike_verified": _l("已核对，待收旧车"),
    "old_bike_received": _l("已收旧车，待注销旧牌"),
    "cancel_requested": _l("已申请注销，等交警"),
    "old_plate_cancelled": _l("旧牌已注销，待买新车"),
    "new_bike_sold": _l("已买新车，待申请新牌"),
    "plate_applied": _l("已申请新牌，等交警"),
    "completed": _l("全部办完"),
    "withdrawn": _l("已撤回"),
}
# Not the desk's words: an owner is told what the bureau does and what stays his, the desk whose turn it is.
CLAIM_WORDS = {
    "waiting": _l("排队中，等名额"),
    "held": _l("局里正在核对，名额和金额留着"),
    "to_correct": _l("等更正，名额留着"),
    "awarded": _l("给予补贴"),
    "declined": _l("不予补贴"),
    "returned": _l("已退"),
    "forfeited": _l("逾期未领"),
}
APPEAL_STATES = {
    "filed": _l("待答复"),
    "upheld": _l("拟支持，待复核"),
    "granted": _l("已支持"),
    "rejected": _l("未支持"),
}
PLATE_WORDS = {
    "valid": _l("号牌有效"),
    "stolen": _l("号牌已报失"),
    "replaced": _l("号牌已换发"),
    "cancelled": _l("号牌已注销"),
}
MESSAGE_WORDS = {
    "owed": _l("正在发"),
    "sent": _l("已发到手机"),
    "given_up": _l("没有发到手机"),
    "withheld": _l("按您的意愿没有发短信"),
}
# Why the bank sent the money back (subsidy/payouts.py tells the same in messages), and what the owner does about it.
PROBLEM_WORDS = {
    "unknown_wallet": _l("银行查不到这个钱包"),
    "name_mismatch": _l("钱包的实名和车主姓名不一致"),
    "frozen": _l("钱包被冻结了"),
    "tier_limit": _l("超过了钱包的收款限额"),
    "wallet_full": _l("钱包余额已满，收不下了"),
    "wallet_closed": _l("钱包已经注销"),
}
OTHER_PROBLEM = _l("银行没有受理")
OUTCOME_WORDS = {
    "award": _l("给予补贴"),
    "decline": _l("不予补贴"),
    "waiting": _l("排队中，等名额"),
    "held": _l("名额和金额留着，等更正或核对"),
}
