"""What the law keeps of a person who asks for erasure, for how long, and which text says so."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Retained:
    """One kind of record the law keeps. ``years`` from the end of the year of the last one, None: while it stands."""

    code: str
    zh: str
    en: str
    source_zh: str
    source_en: str
    years: int | None


RETAINED = {
    each.code: each
    for each in (
        Retained(
            code="claims_and_payments",
            zh="补贴申领、兑付决定、发放记录和它们的凭证（含收款钱包、发票号、旧车照片、姓名和证件号码）",
            en="claims, decisions and payments with their vouchers (wallet, invoice number, photos, name, ID number)",
            source_zh="《会计档案管理办法》（财政部、国家档案局令第 79 号）：会计凭证、账簿自年度终了后保管 30 年",
            source_en="Measures for Accounting Archives (Ministry of Finance, State Archives, order 79): vouchers and"
            " books are kept for 30 years from the end of the accounting year",
            years=30,
        ),
        Retained(
            code="appeals",
            zh="您申诉里写的话和交的照片（答复满六个月后删掉，只留下申诉的编号、日期和结果）",
            en="what you wrote and sent in an appeal (erased six months after the answer; its number, dates and outcome"
            " stay)",
            source_zh="《中华人民共和国行政诉讼法》第四十六条：自知道行政行为之日起六个月内可以起诉",
            source_en="Administrative Litigation Law, article 46: a suit may be brought within six months",
            years=None,
        ),
        Retained(
            code="filings_and_plates",
            zh="车辆备案和号牌登记（含车主姓名和证件号码）",
            en="the register of filed bikes and plates (with the owner's name and ID number)",
            source_zh="《浙江省电动自行车管理条例》：电动自行车登记、备案是法定登记，车辆在册期间保存",
            source_en="Zhejiang Regulations on Electric Bicycles: the register is statutory and kept while the bike is"
            " in it",
            years=None,
        ),
        Retained(
            code="processing_records",
            zh="谁在什么时候处理过您的信息的记录，您给过和撤回的同意，本次申请",
            en="who processed the data and when, consents given and withdrawn, this request",
            source_zh="《中华人民共和国个人信息保护法》第五十六条：处理情况记录至少保存三年",
            source_en="Personal Information Protection Law, article 56: records of processing are kept for at least"
            " three years",
            years=3,
        ),
    )
}
