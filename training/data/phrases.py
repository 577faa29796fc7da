"""What lines of text say: words, numbers, dates and amounts, in Latin script and in Chinese."""

import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import jieba
import numpy as np
import sklearn.datasets

FREQUENT = 400  # Han characters, by jieba's counts; those of TERMS and NUMERALS come on top
TERMS = (  # of invoices
    "电子 普通 专用 发票 代码 号码 开票 日期 校验码 机器 编号 购买方 销售方 名称 纳税人 识别号 地址 电话 开户行 "
    "账号 货物 应税 劳务 服务 规格 型号 单位 数量 单价 金额 税率 税额 合计 价税合计 大写 小写 备注 收款人 复核 "
    "增值税 密码区 有限公司 科技 贸易 银行 支行 北京 上海 广东 深圳 浙江 江苏 杭州 南京 中国 工商 建设 农业 招商 "
    "省市区 路号 办公 用品 纸张 打印 餐饮 住宿 运输 咨询 技术 软件 材料 设备 配件"
)
NUMERALS = "零壹贰叁肆伍陆柒捌玖"
UNITS = "拾佰仟万元角分整"
OFTEN = 20  # in jieba's counts: rarer words are left out
APART = 5  # every fifth word is kept for the test split
PUNCTUATION = ".,:;-/%&()#@+'!?*="

Random = np.random.Generator


def pick(options: Sequence[str], random: Random) -> str:
    return options[int(random.integers(len(options)))]


@cache
def latin_words() -> tuple[list[str], list[str]]:
    """(train, test): the words of scikit-learn's descriptions of its data sets, none of them in both."""
    texts = sorted((Path(sklearn.datasets.__file__).parent / "descr").glob("*.rst"))
    words = {word for file in texts for word in re.findall(r"\b[A-Za-z]{2,12}\b", file.read_text(encoding="utf-8"))}
    return apart(sorted({word.lower() for word in words}))


@cache
def chinese_words() -> tuple[list[str], list[str]]:
    """(train, test): jieba's words of 2 to 4 of the characters that come most often in them, and TERMS."""
    lines = (Path(jieba.__file__).parent / "dict.txt").read_text(encoding="utf-8").splitlines()
    rows = ((word, int(count)) for word, count, *_ in map(str.split, lines))
    counts = {word: count for word, count in rows if count >= OFTEN and re.fullmatch(r"[\u4e00-\u9fff]{2,4}", word)}
    often: Counter[str] = Counter()
    for word, count in counts.items():
        often.update(dict.fromkeys(word, count))
    frequent = sorted(often, key=lambda one: (-often[one], one))[:FREQUENT]
    known = {*frequent, *TERMS, *NUMERALS, *UNITS}
    train, test = apart(sorted({word for word in counts if known.issuperset(word)}))
    train += TERMS.split()
    trained = set("".join(train))
    return train, [word for word in test if word not in train and trained.issuperset(word)]


def apart(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """(most of them, every fifth)."""
    return [word for place, word in enumerate(words) if place % APART], list(words[::APART])


class Phrases:
    """Draws lines out of a list of words. All characters of Chinese words come about as often as each other."""

    def __init__(self, words: Sequence[str], chinese: bool) -> None:
        self.words = words
        self.chinese = chinese
        self.having: dict[str, list[str]] = {}
        for word in words:
            for character in dict.fromkeys(word):
                self.having.setdefault(character, []).append(word)
        self.characters = sorted(self.having)

    def line(self, random: Random) -> str:
        """Mostly a word or two, otherwise a number, a date, an amount."""
        if random.random() < 0.7:
            words = [self.word(random) for _ in range(random.integers(1, 3))]
            return ("" if self.chinese else pick((" ", " ", "-", ": ", ", "), random)).join(words)
        return self.chinese_figure(random) if self.chinese else self.latin_figure(random)

    def word(self, random: Random) -> str:
        if self.chinese:
            return pick(self.having[pick(self.characters, random)], random)
        word = pick(self.words, random)
        return (word, word, word.capitalize(), word.upper())[random.integers(4)]

    @staticmethod
    def digits(count: int, random: Random) -> str:
        return "".join(map(str, random.integers(0, 10, size=count)))

    def amount(self, random: Random) -> str:
        return f"{random.integers(1, 10 ** int(random.integers(1, 6))):,}.{self.digits(2, random)}"

    def latin_figure(self, random: Random) -> str:
        year, month, day = random.integers((1980, 1, 1), (2031, 13, 29))
        letters = pick(self.words, random)[:2].upper()
        return pick(
            (
                f"{year}-{month:02}-{day:02}",
                f"{day:02}/{month:02}/{year}",
                self.amount(random),
                f"{random.integers(100)}.{random.integers(10)}%",
                f"{letters}-{self.digits(5, random)}",
                self.digits(int(random.integers(3, 11)), random),
                "".join(pick([*PUNCTUATION, *"0123456789", *letters], random) for _ in range(6)),
            ),
            random,
        )

    def chinese_figure(self, random: Random) -> str:
        year, month, day = random.integers((1980, 1, 1), (2031, 13, 29))
        some = sorted(random.choice(4, size=random.integers(1, 4), replace=False), reverse=True)
        capitals = "".join(pick(NUMERALS[1:], random) + ("", *UNITS)[unit] for unit in some) + "元"
        return pick(
            (
                f"{year}年{month:02}月{day:02}日",
                f"￥{self.amount(random)}",
                capitals + pick(("整", f"{pick(NUMERALS, random)}角{pick(NUMERALS, random)}分"), random),
                f"{self.word(random)}：{self.digits(int(random.integers(2, 8)), random)}",
                f"{self.word(random)}（{self.word(random)}）",
            ),
            random,
        )
