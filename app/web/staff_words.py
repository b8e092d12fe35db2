"""What the desk calls the states of dealers, batches, statements and imports, in the reader's language."""

from __future__ import annotations

from app.web.desk_words import Words
from app.web.language import _l, in_english
from registry.import_kinds import KINDS

DEALER_STATES: Words = {
    "applied": _l("已申请，待审核"),
    "refused": _l("申请未通过"),
    "accepted": _l("审核通过，待签承诺书"),
    "committed": _l("已签承诺书"),
    "trained": _l("已培训"),
    "enrolled": _l("已开通"),
    "licensed": _l("已授牌"),
    "suspended": _l("已暂停"),
    "expired": _l("授牌已到期"),
    "revoked": _l("已撤销"),
}
APPLICATION_STATES: Words = {"waiting": _l("待审核"), "accepted": _l("已通过"), "refused": _l("未通过")}
TRADE_IN_STATES: Words = {
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
BATCH_STATES: Words = {
    "cut": _l("已生成，待财务批准"),
    "half": _l("已批准一次，待第二人批准"),
    "approved": _l("已批准，等资金核对"),
    "short": _l("资金不足，等运营机构账户补足"),
    "released": _l("付款中"),
    "finished": _l("全部有结果"),
    "cancelled": _l("已取消"),
}
VERDICTS: Words = {
    "same": _l("一致"),
    "missing_here": _l("银行有，我方没有"),
    "missing_there": _l("我方有，银行没有"),
    "amount_differs": _l("金额不一致"),
    "state_differs": _l("状态不一致"),
    "listed_twice": _l("银行重复列出"),
    "totals_differ": _l("总数不一致"),
}
RESOLUTIONS: Words = {
    "settle_by_statement": _l("以对账单为准，记为已付"),
    "settle_by_document": _l("凭证证明车主已收到，记为已付"),
    "refund_received": _l("款项已退回或从未付出"),
    "wait_next_statement": _l("等下一份对账单"),
    "write_off": _l("核销"),
}
# What ended a difference without anybody: the bank's next statement.
CORRECTED = _l("后来的对账单已一致")
IMPORT_STATES: Words = {
    "queued": _l("等着开始"),
    "running": _l("正在读"),
    "done": _l("已经读完"),
    "failed": _l("没有读成"),
}
FINDINGS: Words = {
    "refused": _l("未导入"),
    "differs": _l("与已有的不同，没有改"),
    "corrected": _l("已更正"),
    "noted": _l("提示"),
}

# What the audit's deeds are called, where they are none of a claim's.
AUDITED: Words = {
    "payout_sent": _l("交给银行付款"),
    "payout_settled": _l("补贴到账"),
    "payout_rejected": _l("银行退回了付款"),
    "payout_frozen": _l("付款要人核对"),
    "payout_thawed": _l("付款核对完了"),
    "payout_reminded": _l("提醒车主填钱包"),
    "payment_batch_cut": _l("编成付款批次"),
    "payment_batch_approved": _l("批准付款批次"),
    "payment_batch_released": _l("开始付款"),
    "payment_batch_finished": _l("付款批次全部有了结果"),
    "payment_batch_cancelled": _l("取消付款批次"),
    "statement_line_resolved": _l("了结对账差异"),
    "statement_line_rejudged": _l("对账差异重新比过"),
    "filings.searched": _l("查找备案"),
    "desk.searched": _l("查找"),
    "dealers.imported": _l("导入商户名单"),
    "dealer.corrected": _l("更正商户资料"),
    "dealer.apply": _l("商户提交申请"),
    "dealer.accept": _l("商户申请通过"),
    "dealer.refuse": _l("商户申请没有通过"),
    "dealer.commit": _l("商户签承诺书"),
    "dealer.train": _l("商户培训合格"),
    "dealer.enrol": _l("开通商户的置换功能"),
    "dealer.license": _l("给商户授牌"),
    "dealer.renew": _l("商户授牌续期"),
    "dealer.suspend": _l("暂停商户"),
    "dealer.restore": _l("恢复商户"),
    "dealer.expire": _l("商户授牌到期"),
    "dealer.revoke": _l("撤销商户授牌"),
    "dealer.revocation_proposed": _l("提出撤销商户授牌"),
    "dealer.revocation_decided": _l("决定撤销商户授牌"),
    "staff.added": _l("加工作人员账号"),
    "staff.role_changed": _l("换工作人员的角色"),
    "staff.disabled": _l("停用工作人员账号"),
    "staff.enabled": _l("重新启用工作人员账号"),
    "staff.password_reset": _l("重置工作人员的密码"),
    "staff.password_changed": _l("工作人员换了自己的密码"),
    "second_factor.confirmed": _l("绑定动态口令"),
    "second_factor.codes_renewed": _l("重新生成恢复码"),
    "second_factor.reset_asked": _l("提出重置动态口令"),
    "second_factor.reset_approved": _l("批准重置动态口令"),
    "second_factor.reset_refused": _l("没有批准重置动态口令"),
    "account.added": _l("加商户账号"),
    "account.disabled": _l("停用商户账号"),
    "account.reset": _l("重置商户账号的密码"),
    "account.password_set_by_code": _l("商户用验证码设了密码"),
    "unmasked": _l("看了一项完整的个人资料"),
    "stock.imported": _l("导入新车入库名单"),
    "keys_rotated": _l("换数据密钥"),
    "signed_in_by_code": _l("用验证码登录"),
    "erasure.carried_out": _l("删除个人资料"),
    "erasure.refused": _l("没有删除个人资料"),
    "erasure.restored": _l("恢复办理资格"),
    "bike.stocked": _l("新车入库"),
    "reclaim_requested": _l("提出经银行追回"),
    "reclaim_collected": _l("银行追回了补贴"),
    "reclaim_rejected": _l("银行没有追回"),
    "reclaim_contested": _l("追回结果要人核对"),
    "reclaim_decided": _l("追回核对完了"),
    "commitment.signed": _l("签了承诺书"),
    "claims.exported": _l("导出申领"),
    "bike.returned": _l("新车退回"),
    "bike.battery_swapped": _l("换电池"),
    "filing.destroyed": _l("旧车已拆解"),
    "person.phone_changed": _l("换了车主手机号"),
    "person.phone_kept": _l("没有改动车主手机号"),
    "plate.owner_seen": _l("看了号牌的车主"),
    "appeal.erased": _l("清空了到期的申诉内容"),
    "dealer.applied": _l("商户提交申请书"),
}


def import_kind(kind: str) -> str:
    """Return what a kind of list is called."""
    known = KINDS.get(kind)
    if known is None:
        return kind
    return f"{known.name_en[:1].upper()}{known.name_en[1:]}" if in_english() else known.name_zh
