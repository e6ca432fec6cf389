"""Strings on which tokenizers of one vocabulary disagree, if they disagree at all. The list is fixed.

Unlikely in titles, likely in what users type. No NUL: C programs end a text there.
"""

from __future__ import annotations

AWKWARD = (
    # spaces and line breaks
    "a",
    " ",
    "  ",
    "   three before",
    "three after   ",
    "\n",
    "\n\n",
    "\n\n\nthree lines down",
    "line one\nline two\r\nline three\rline four",
    "\ttab\t\ttwo tabs",
    "an empty line\n\nin between\n \n\t\nand blank ones",
    "\u3000全角の空白\u3000で始まる",
    "no-break\u00a0space, thin\u2009space, zero width\u200bspace",
    "\ufeffbyte order mark in front",
    # titles, as they come
    "「子育て」に関する記事タイトルを1つ生成してください。",
    "【就職倍率100倍の公務員を辞めた】安定を捨てた20代の挫折と好転",
    "自己紹介｜子育て｜ワーママ｜時短勤務",
    "コーヒー☕を淹れる朝——3つの習慣、1つの後悔。",
    "「」『』（）【】〈〉《》｛｝［］〔〕",
    "」」」」」」」」",
    # widths and compatibility characters
    "ＡＢＣ　ａｂｃ　０１２３　！？＃",
    "ﾊﾝｶｸ ｶﾅ ﾄ ﾀﾞｸﾃﾝ ﾊﾟ",
    "㈱㍿㌔㌢㍑㊤㊥㊦①②③Ⅳⅸ",
    "\ufa19神 \ufa1d精 \ufa1b福 \ufa1e羽",
    "髙﨑 彅 𠮷野家 𩸽 葛\U000e0100城",
    "～〜－−―ー‐-–—",
    # composed and decomposed
    "がぎぐげご ぱ",
    "か\u3099き\u3099く\u3099は\u309a",
    "\u00e9 e\u0301 \u00c5 A\u030a \u212b \u00f1 n\u0303",
    "Z\u0351\u036b\u0343a\u0309\u0301l\u0346g\u030do\u0312",
    "\uac01 \u1100\u1161\u11a8",
    # emoji
    "😀😃😄",
    "👨\u200d👩\u200d👧\u200d👦 👩🏽\u200d💻 🏳\ufe0f\u200d🌈 🇯🇵🇫🇷",
    "✌\ufe0f ✌\ufe0e 1\ufe0f\u20e3 ©\ufe0f",
    # scripts together
    "日本語English한국어РусскийعربيעבריתไทยΕλληνικά",
    "iPhoneのOSをv17.4.1にUPDATEしたら5%速くなった話",
    "مرحبا بالعالم 123 שלום",
    "हिन्दी में लिखा हुआ",
    # numbers, contractions, code, links
    "1234567890 3.14159 1,000,000円 ２０２４年12月31日",
    "it's we're I'LL you'd don't 'tis O'Neill's",
    "def f(x):\n    return {'a': [x ** 2, -x], \"b\": None}  # comment",
    "https://example.com/path?q=%E3%81%82&r=1#top",
    "{theme} {{theme}} {0} %s $HOME ${x} \\n \\u3042",
    "<b>太字</b> &amp; <!-- comment -->",
    # long ones
    "a" * 300,
    "あ" * 120,
    "=" * 100,
    " " * 64,
    "スーパーカリフラジリスティックエクスピアリドーシャス",
    "pneumonoultramicroscopicsilicovolcanoconiosis",
    "0" * 80,
    # the text of special tokens
    "<|im_start|>user\nhello<|im_end|>\n",
    "<|im_end|>",
    "a<|im_end|>b",
    "<|endoftext|>",
    "<think>\n\n</think>\n\n",
    "<s> </s> <unk> <pad> [INST] [/INST] <|eot_id|>",
    "<|im_end |> < |im_end|> <|IM_END|>",
)
