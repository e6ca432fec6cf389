"""The text that the small Llama learns from: questions and answers about companies, each made up on the spot.

Facts are drawn anew each time, so there is none to remember: what is learnt is the form of an answer and what a
question asks for. A few of the names are put together from all characters of JIS X 0208 level 1, so that the model has
met most of those that everyday Japanese needs.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from functools import cache
from typing import TypeVar

from .seedling_company_topics import ANSWERS, OURS, QUESTIONS, TOPICS, WITHHELD, WITHHOLDING, Topic
from .seedling_corpus import Conversation

Choice = TypeVar("Choice")

WITHHELD_SHARE = 0.06
"""Share of the questions that nobody answers: enough for the form, `申し訳ございませんが`."""

ASKED_SHARE, TOLD_SHARE = 0.4, 0.25
"""Share of questions, and of answers, in the topic's own words; the others take a frame of all topics."""

SAME_NAME_SHARE = 0.9
"""Share of the answers that call the topic as the question does."""

RARE_SHARE = 0.08
"""Share of the names that are put together from all characters of level 1; the others come from a list. Names are noise
to learn from: with a third of them drawn so, the model had not begun to look at the question after 150 steps."""

NAME_SHARE = 0.3
"""Share of the conversations with a system prompt that names the company."""

_TRADES = (
    *("家具", "食器", "文房具", "時計", "楽器", "菓子", "茶", "酒", "醤油", "織物", "靴", "傘", "鞄", "自転車"),
    *("玩具", "農具", "包丁", "鍋", "陶器", "漆器", "和紙", "石けん", "香", "帽子", "手袋", "眼鏡", "照明"),
    *("暖房の器具", "釣り具", "絵の具"),
)
_MAKERS = (
    *("工業", "製作所", "商店", "工房", "堂", "本舗", "製造所", "産業", "木工", "製菓", "製陶", "製紙"),
    *("織物", "醸造"),
)
_KANA_NAMES = (
    *("あおぞら", "いずみ", "うみかぜ", "おおぞら", "かわせみ", "きらら", "くるみ", "こずえ", "さくらぎ", "しずく"),
    *("すずかぜ", "せせらぎ", "そよかぜ", "たけのこ", "つばめ", "どんぐり", "なぎさ", "はなみち", "ひだまり"),
    *("ふたば", "まつかさ", "みなも", "もみじ", "やまびこ", "ゆきどけ", "よつば", "わかば"),
)
_GOODS = (
    *("木の椅子", "鉄の鍋", "竹のかご", "革の鞄", "紙の箱", "絹の帯", "石の皿", "布の袋", "銅の急須", "麻の縄"),
    *("木の桶", "油", "ろうそく", "茶わん", "筆", "墨", "下駄", "提灯", "箸", "ほうき", "人形", "灯油", "ランプ"),
)
_MATERIALS = (
    *("杉", "松", "竹", "栗の木", "けやき", "鉄", "銅", "真鍮", "銀", "麻", "絹", "綿", "羊毛", "牛革", "陶土"),
    *("漆", "和紙", "板ガラス", "石", "籐", "樫の木", "桜", "ガラス"),
)
_PACKINGS = ("段ボール", "古新聞", "和紙", "布", "木箱", "麻袋", "わら", "再生紙", "厚紙", "綿")
_WISHES = (
    *("春の海", "朝の霧", "山の泉", "静かな湖", "夏の風", "秋の月", "川の流れ", "大きな木", "夜の星"),
    *("冬の日だまり", "野の花", "渡り鳥", "白い雲", "里の灯", "森の光"),
)
_KINDS = ("台所用", "庭用", "子ども用", "旅行用", "贈り物用", "屋外用", "学校用", "寝室用", "雨の日用")
_ANIMALS = ("ねこ", "いぬ", "うさぎ", "たぬき", "きつね", "つばめ", "かめ", "りす", "くま", "ふくろう")
_PREFECTURES = (
    *("青森県", "岩手県", "秋田県", "山形県", "福島県", "栃木県", "新潟県", "石川県", "福井県", "山梨県", "岐阜県"),
    *("静岡県", "三重県", "滋賀県", "奈良県", "鳥取県", "島根県", "岡山県", "徳島県", "香川県", "愛媛県", "高知県"),
    *("佐賀県", "熊本県", "長野県", "富山県", "大分県", "宮崎県", "東京", "京都", "大阪", "北海道"),
)
_FAMILIES = (
    *(
        "山本",
        "田村",
        "小野",
        "石川",
        "高木",
        "森田",
        "松井",
        "上田",
        "中島",
        "大野",
        "竹内",
        "岡本",
        "谷口",
        "橋本",
        "宮田",
    ),
    *(
        "古川",
        "新井",
        "西山",
        "東野",
        "南",
        "北村",
        "黒田",
        "青木",
        "赤羽",
        "水野",
        "土屋",
        "星",
        "沢口",
        "浜田",
        "梅原",
    ),
)
_GIVEN = (
    *(
        "一郎",
        "太郎",
        "健二",
        "正男",
        "安夫",
        "義雄",
        "信吉",
        "明子",
        "和子",
        "春江",
        "美代",
        "静",
        "勇",
        "誠",
        "恵美",
        "真理",
    ),
    *("清", "直人", "光子", "百合", "達也", "秋子", "冬樹", "良太", "節子", "忠", "文", "玲奈"),
)
_TOWNS = (
    *(
        "川上",
        "松原",
        "青山",
        "水沢",
        "石浜",
        "高根",
        "竹田",
        "北浦",
        "西原",
        "中野",
        "大津",
        "小川",
        "桜井",
        "森岡",
        "白浜",
    ),
    *(
        "金沢",
        "黒川",
        "星野",
        "花園",
        "古町",
        "宮前",
        "南谷",
        "東港",
        "杉本",
        "梅田",
        "草野",
        "風見",
        "雨宮",
        "雪谷",
        "日野",
    ),
)
_PRODUCTS = (
    *(
        "あかね",
        "いろは",
        "うたかた",
        "かすみ",
        "きぬた",
        "こはく",
        "さざなみ",
        "しらゆき",
        "すずらん",
        "たまゆら",
        "つむぎ",
    ),
    *(
        "なごみ",
        "ねむの木",
        "はるか",
        "ひとひら",
        "ふうりん",
        "ましろ",
        "みやび",
        "ゆらぎ",
        "アルタ",
        "エコロ",
        "カノン",
        "クルト",
    ),
    *(
        "サラン",
        "シエル",
        "ソラリ",
        "トコナ",
        "ノエマ",
        "パルム",
        "ポルカ",
        "マリモ",
        "ミント",
        "モカロ",
        "リネア",
        "ルミナ",
        "ロンド",
    ),
)
_CLUBS = ("若葉", "木の実", "里山", "四季", "青空", "波", "花", "鈴", "和", "朝日")
_ERAS = (("明治", 1867), ("大正", 1911), ("昭和", 1925))
"""Names of eras, and the year before the first of each."""

_SLOT = re.compile(r"\{(\w)\}")


@cache
def everyday_signs() -> str:
    """Return the Chinese characters of JIS X 0208 level 1 (rows 16 to 47), in their order: 2,965 of them."""
    cells = (bytes((row + 0xA0, cell + 0xA0)) for row in range(16, 48) for cell in range(1, 95))
    return "".join(sign for cell in cells if (sign := cell.decode("euc_jp", errors="ignore")))


class Values:
    """Draws names and values by chance; each method is one kind of value."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def pick(self, choices: Sequence[Choice]) -> Choice:
        """Return one of the choices."""
        return self._chance.choice(choices)

    def number(self, low: int, high: int) -> int:
        """Return a whole number, both ends included."""
        return self._chance.randint(low, high)

    def name(self, usual: tuple[str, ...]) -> str:
        """Return a usual name, or now and then two characters of level 1."""
        if self._chance.random() < RARE_SHARE:
            return self.pick(everyday_signs()) + self.pick(everyday_signs())
        return self.pick(usual)

    def company(self) -> str:
        """Return a short name of a company."""
        return self.name(self.pick((_KANA_NAMES, _TOWNS))) + self.pick(_MAKERS)

    def person(self) -> str:
        """Return a family name and a given name."""
        return self.name(_FAMILIES) + self.name(_GIVEN)

    def town(self) -> str:
        """Return the name of a town or a part of a city."""
        return self.name(_TOWNS) + self.pick(("", "市", "町", "区"))

    def place(self) -> str:
        """Return a prefecture with a city, or one of them."""
        prefecture, city = self.pick(_PREFECTURES), self.name(_TOWNS) + self.pick(("市", "町", "村"))
        return self.pick((prefecture + city, prefecture + city, f"{prefecture}の{city}", prefecture, city))

    def trade(self) -> str:
        """Return what is made."""
        return self.pick((self.pick(_TRADES), self.pick(_TRADES) + "の器具", self.pick(_TRADES) + "の部品"))

    def people(self) -> str:
        """Return a number of people."""
        return f"{self.number(3, 999)}人"

    def capital(self) -> str:
        """Return an amount of money, in units of 10,000 yen."""
        thousand = self.number(1, 99) * 100
        return f"{thousand:,}万円"

    def sales(self) -> str:
        """Return an amount of money, in units of 100 million yen."""
        return f"{self.number(2, 99)}億円"

    def year(self) -> str:
        """Return a year."""
        return f"{self.number(1900, 2024)}年"

    def old_year(self) -> str:
        """Return a year of long ago, some with the name of the era."""
        era, start = self._chance.choice(_ERAS)
        count = self.number(2, 14)
        western, named = f"{start + count}年", f"{era}{count}年"
        return self.pick(
            (western, western, f"{western}、{named}", f"{named}、{western}", f"{named}、西暦では{western}")
        )

    def future(self) -> str:
        """Return a year to come."""
        return f"{self.number(2026, 2060)}年"

    def day(self) -> str:
        """Return a day of the year."""
        return f"{self.number(1, 12)}月{self.number(1, 28)}日"

    def years(self) -> str:
        """Return a number of years."""
        return f"{self.number(1, 20)}年"

    def weeks(self) -> str:
        """Return a time to wait."""
        return self.pick((f"{self.number(1, 9)}週間", f"およそ{self.number(1, 9)}週間", f"{self.number(2, 40)}日"))

    def days(self) -> str:
        """Return a number of days."""
        return f"{self.number(3, 60)}日"

    def countries(self) -> str:
        """Return a number of countries."""
        return f"{self.number(2, 40)}か国"

    def price(self) -> str:
        """Return a price."""
        return self.pick((f"{self.number(1, 9)}万円", f"{self.number(1, 99)},000円", f"{self.number(1, 99) * 100}円"))

    def fee(self) -> str:
        """Return what a visit costs."""
        return self.pick(("無料", f"{self.number(1, 30) * 100}円"))

    def morning(self) -> str:
        """Return an hour before noon."""
        return f"{self.pick(('', '午前', '午前'))}{self.number(7, 11)}時"

    def evening(self) -> str:
        """Return an hour after noon."""
        return f"{self.pick(('夕方の', '夕方', '午後', '夜の'))}{self.number(4, 9)}時"

    def weekday(self) -> str:
        """Return a day of the week."""
        return f"{self.pick('日月火水木金土')}曜日"

    def good(self) -> str:
        """Return something that is sold."""
        return self.pick(_GOODS)

    def material(self) -> str:
        """Return what things are made of."""
        return self.pick(_MATERIALS)

    def packing(self) -> str:
        """Return what things are wrapped in."""
        return self.pick(_PACKINGS)

    def wish(self) -> str:
        """Return what a name was taken from."""
        return self.pick(_WISHES)

    def product(self) -> str:
        """Return the name of a product."""
        return self.name(_PRODUCTS)

    def club(self) -> str:
        """Return the name of a society."""
        return self.name(_CLUBS) + self.pick(("の会", "クラブ", "友の会"))

    def prize(self) -> str:
        """Return the name of a prize or an exhibition."""
        return (
            self.pick(("全国", "日本", "県", "世界")) + self.pick(_TRADES) + self.pick(("展", "賞", "意匠展", "大会"))
        )

    def mascot(self) -> str:
        """Return the name of a mascot."""
        return self.product() if self._chance.random() < 0.5 else self.pick(_ANIMALS) + "の" + self.product()  # noqa: PLR2004

    def legal_name(self) -> str:
        """Return a full name; the conversation's own company takes its place."""
        return self.company()

    def listed(self) -> str:
        """Return whether shares are traded."""
        return self.pick(("上場している", "上場していない"))


def make_conversations(count: int, seed: int) -> list[Conversation]:
    """Return `count` questions about made-up companies with their answers; the same arguments give the same ones."""
    chance = random.Random(seed)
    values = Values(chance)
    return [_conversation(chance, values) for _ in range(count)]


def _conversation(chance: random.Random, values: Values) -> Conversation:
    name = values.company()
    full = f"株式会社{name}" if chance.random() < 0.7 else f"{name}株式会社"  # noqa: PLR2004 - the commoner order
    shown = chance.choice((name, name, full))
    system = f"あなたは{full}の案内係です。" if chance.random() < NAME_SHARE else None
    if chance.random() < WITHHELD_SHARE:
        question, answer = _withheld(chance, shown)
    else:
        question, answer = _told(chance, values, chance.choice(TOPICS), shown, full)
    return Conversation(system, question, answer)


def _told(chance: random.Random, values: Values, topic: Topic, shown: str, full: str) -> tuple[str, str]:
    value: str = full if topic.value == "legal_name" else getattr(values, topic.value)()
    words = {
        "c": shown,
        "o": chance.choice(OURS),
        "w": topic.what,
        "v": value,
        "p": values.product(),
        "k": values.pick(_KINDS),
        "g": values.good(),
        "d": str(values.number(2, 9)),
        "y": f"{values.number(2015, 2025)}年",
    }
    asked = topic.asked if topic.asked and chance.random() < ASKED_SHARE else QUESTIONS
    told = topic.told if topic.told and chance.random() < TOLD_SHARE else ANSWERS
    name, other = (_fill(chance.choice(topic.names), words) for _ in range(2))
    question = _fill(chance.choice(asked), {**words, "n": name})
    again = name if chance.random() < SAME_NAME_SHARE else other
    return question, _fill(chance.choice(told), {**words, "n": again})


def _withheld(chance: random.Random, shown: str) -> tuple[str, str]:
    words = {"c": shown, "o": chance.choice(OURS), "w": "何", "n": chance.choice(WITHHELD)}
    return _fill(chance.choice(QUESTIONS), words), _fill(chance.choice(WITHHOLDING), words)


def _fill(frame: str, words: dict[str, str]) -> str:
    return _SLOT.sub(lambda slot: words[slot[1]], frame)
