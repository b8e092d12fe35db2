"""What the records call things, in an owner's words."""

from __future__ import annotations

DOCUMENT_WORDS = {
    "citizen": "居民身份证",
    "hong_kong_permit": "香港居民居住证",
    "macau_permit": "澳门居民居住证",
    "taiwan_permit": "台湾居民居住证",
    "permanent_resident": "外国人永久居留身份证",
}
FIELD_WORDS = {"name": "姓名", "id_no": "证件号码", "phone": "手机号码"}
PURPOSE_WORDS = {"progress_messages": "进度短信", "survey": "电话回访"}
RELATION_WORDS = {
    "spouse": "配偶",
    "parent": "父母",
    "child": "子女",
    "sibling": "兄弟姐妹",
    "other_relative": "其他亲属",
    "point": "代办点工作人员",
}
REMOVED_WORDS = {
    "phone": "手机号码",
    "one_time_codes": "验证码记录",
    "message_texts": "消息内容",
    "photos_of_withdrawn_trade_ins": "撤回的置换的照片",
    "authorities_to_act_for_others": "替别人代办的授权",
    "sign_ins": "登录",
    "consents": "给过的同意",
    "wallets_of_withdrawn_trade_ins": "撤回的置换的钱包",
    "kept_answers": "办理时的应答记录",
}
