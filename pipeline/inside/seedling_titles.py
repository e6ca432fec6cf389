"""Title grammar of the seedling: frames with slots, in the manner of Japanese article titles.

A frame names its slots in braces. `{theme}` is the row's theme, `{n}` a number; every other name is a
key of `SLOTS`. No slot knows the theme: what a small model learns here is how titles are built.
"""

from __future__ import annotations

import random
import re

SLOTS: dict[str, tuple[str, ...]] = {
    "bracket": (
        *("保存版", "実体験", "初心者向け", "失敗談", "体験談", "完全ガイド", "まとめ", "無料公開"),
        *("超入門", "忙しい人へ", "検証", "告白", "やってみた", "写真つき", "10分で読める", "2026年版"),
    ),
    "persona": (
        *("三日坊主の私", "人見知りの私", "40代会社員", "30代ワーママ", "元公務員", "新卒2年目", "不器用な父", "双子の母"),
        *("文系出身の私", "夜型人間", "心配性の私", "50代主婦", "元銀行員", "飽きっぽい私", "完璧主義の私", "ズボラな私"),
    ),
    "period": (
        *("3日", "1週間", "10日", "2週間", "30日", "1か月", "3か月", "100日", "半年", "1年", "2年", "3年", "5年", "10年"),
    ),
    "n": ("3", "4", "5", "6", "7", "8", "9"),
    "many": (
        *("10", "12", "15", "20", "30"),
    ),
    "aid": (
        *("コツ", "工夫", "習慣", "準備", "手順", "基本", "気づき", "約束", "考え方"),
    ),
    "trap": (
        *("落とし穴", "失敗", "思い込み", "誤解", "後悔", "勘違い", "言い訳"),
    ),
    "item": (
        *("質問", "持ち物", "チェック項目", "小さな発見", "お悩み"),
    ),
    "change": (
        *("毎朝が楽しみになった", "自分を責めなくなった", "家族の会話が増えた", "肩の力が抜けた", "休日の過ごし方が変わった"),
        *("お金の使い方が変わった", "よく眠れるようになった", "迷いが消えた", "少しだけ自信がついた", "人に優しくなれた"),
        *("時間の使い方が変わった", "けんかが減った", "想像より大変だった", "友だちが増えた", "心に余白ができた"),
        *("笑う回数が増えた", "体が軽くなった", "世界が広がった"),
    ),
    "lesson": (
        *("学んだこと", "後悔したこと", "気づいた本音", "手放したもの", "変わったこと", "変わらなかったこと"),
        *("伝えたいこと", "失ったもの", "得られたもの", "いちばん驚いたこと", "買ってよかったもの"),
    ),
    "scene": (
        *("朝の15分", "週末の2時間", "昼休みの10分", "台所のすみ", "深夜のリビング", "通勤電車の中", "一人の夜", "雨の日曜日", "六畳の部屋"),
    ),
    "audience": (
        *("忙しい人", "はじめての人", "三日坊主の人", "一度挫折した人", "一歩踏み出せない人", "時間がない人"),
        *("完璧を求める人", "お金をかけたくない人", "一人で悩んでいる人", "体力に自信がない人", "やり直したい人"),
    ),
    "hook": (
        *("最初の一歩はこれだけ", "道具は一つで十分", "続けるより始めるが勝ち", "頑張らないほうがうまくいく", "今日からできる小さな工夫"),
        *("やる気は要りません", "失敗しても大丈夫", "お金をかけずに楽しむ方法", "迷ったらここから", "私の手順をすべて公開"),
        *("1日5分で十分です", "うまくいく人の共通点", "まず一つやめてみる", "買う前に読んでほしい", "家族を味方につける"),
    ),
    "quote": (
        *("もう遅い", "向いていない", "お金がない", "いつかやる", "時間がない", "才能がない", "意味がない", "無理しないで", "どうせ続かない", "みんなやっている", "まだ早い"),
    ),
    "cause": (
        *("才能", "根性", "意志の弱さ", "お金", "年齢", "性格", "時間", "環境", "道具", "やる気"),
    ),
    "event": (
        *("異動の春", "母が倒れた夏", "会社を辞めた日", "30歳の誕生日", "結婚1年目の冬", "引っ越した夜"),
        *("眠れない夜", "産休の終わり", "大雪の朝", "試験に落ちた日", "健康診断の翌日", "42歳の春"),
    ),
    "about": (
        *("小さなコツ", "楽しみ方", "続け方", "選び方", "はじめ方", "終わらせ方", "意外な効果"),
        *("地味な魅力", "正しい休み方", "お金の話", "本当の目的", "心の準備", "黄金ルール", "よくある失敗"),
    ),
    "money": (
        *("0円", "500円", "1000円", "3000円", "1万円", "3万円", "10万円"),
    ),
}

FRAMES: tuple[str, ...] = (
    "{theme}を{period}続けてわかった{n}つの{aid}",
    "{theme}を{period}続けて{lesson}",
    "{persona}が{theme}を{period}続けたら、{change}",
    "{persona}が{theme}を始めたら、{change}話",
    "【{bracket}】{theme}を始める前に知りたい{n}つの{trap}",
    "【{bracket}】{persona}の{theme}、{period}の記録",
    "【{bracket}】{scene}でできる{theme}の{n}つの{aid}",
    "【{bracket}】{theme}で{lesson}。{hook}",
    "【{bracket}】{audience}のための{theme}入門",
    "【{bracket}】{theme}の{about}を{many}個の{item}で解説",
    "【{bracket}】{theme}に{money}かけた{persona}の結論",
    "なぜ{persona}は{theme}でつまずいたのか",
    "なぜ{theme}は{period}で飽きるのか。{hook}",
    "{theme}に失敗した{persona}が、{period}後に{lesson}",
    "{theme}って本当に必要？{persona}が{period}試した結果",
    "もう{theme}で悩まない！{hook}",
    "「{quote}」と言われても、{theme}を続ける理由",
    "「{quote}」と笑われた{theme}で、{change}",
    "{theme}をやめて{period}。{change}",
    "{persona}、{theme}を始めます。{hook}",
    "{theme}が続かないのは{cause}のせいじゃない。{hook}",
    "{cause}より大切な、{theme}の{n}つの{aid}",
    "ゼロから始める{theme}｜{hook}",
    "{theme}とわたしの{period}。{change}",
    "{event}、わたしは{theme}を始めた",
    "{event}に{theme}をやめて、{change}",
    "{money}で始める{theme}。{hook}",
    "{scene}に{theme}。それだけで{change}",
    "{theme}が苦手な{persona}を助けた{n}つの{aid}",
    "{period}で{theme}はどう変わる？{persona}の場合",
    "{persona}に教わった{theme}の{about}",
    "{many}回失敗してやっと見つけた、{theme}の{about}",
    "{audience}にすすめたい{theme}の{about}",
)

_SLOT = re.compile(r"\{(\w+)\}")


def make_title(theme: str, frame: str, chance: random.Random) -> str:
    """Return one title: `frame` with its slots filled by chance."""
    return _SLOT.sub(lambda slot: theme if slot[1] == "theme" else chance.choice(SLOTS[slot[1]]), frame)
