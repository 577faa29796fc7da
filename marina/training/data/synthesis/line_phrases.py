"""Random phrases for text lines: words, numbers, dates and amounts, in Latin script and in Chinese."""

import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import jieba
import numpy as np
import sklearn.datasets

FREQUENT = 400  # Han characters, by jieba's counts; those of TERMS and NUMERALS are added
TERMS = (  # the vocabulary of invoices
    "电子 普通 专用 发票 代码 号码 开票 日期 校验码 机器 编号 购买方 销售方 名称 纳税人 识别号 地址 电话 开户行 "
    "账号 货物 应税 劳务 服务 规格 型号 单位 数量 单价 金额 税率 税额 合计 价税合计 大写 小写 备注 收款人 复核 "
    "增值税 密码区 有限公司 科技 贸易 银行 支行 北京 上海 广东 深圳 浙江 江苏 杭州 南京 中国 工商 建设 农业 招商 "
    "省市区 路号 办公 用品 纸张 打印 餐饮 住宿 运输 咨询 技术 软件 材料 设备 配件"
)
NUMERALS = "零壹贰叁肆伍陆柒捌玖"
UNITS = "拾佰仟万元角分整"
MIN_COUNT = 20  # in jieba's counts: rarer words are left out
TEST_STRIDE = 5  # every fifth word is for the test split
PUNCTUATION = ".,:;-/%&()#@+'!?*="

Random = np.random.Generator


def choose(options: Sequence[str], random: Random) -> str:
    """Draw one of the options."""
    return options[int(random.integers(len(options)))]


@cache
def latin_words() -> tuple[list[str], list[str]]:
    """Return (train, test): the words of scikit-learn's descriptions of its data sets, none of them in both."""
    texts = sorted((Path(sklearn.datasets.__file__).parent / "descr").glob("*.rst"))
    words = {word for file in texts for word in re.findall(r"\b[A-Za-z]{2,12}\b", file.read_text(encoding="utf-8"))}
    return split_words(sorted({word.lower() for word in words}))


@cache
def chinese_words() -> tuple[list[str], list[str]]:
    """Return (train, test): jieba's words of 2 to 4 characters, all of them frequent, and TERMS.

    No word is in both, and every character of the test words is in a training word.
    """
    lines = (Path(jieba.__file__).parent / "dict.txt").read_text(encoding="utf-8").splitlines()
    rows = ((word, int(count)) for word, count, *_ in map(str.split, lines))
    counts = {word: count for word, count in rows if count >= MIN_COUNT and re.fullmatch(r"[\u4e00-\u9fff]{2,4}", word)}
    frequency: Counter[str] = Counter()
    for word, count in counts.items():
        frequency.update(dict.fromkeys(word, count))
    frequent = sorted(frequency, key=lambda one: (-frequency[one], one))[:FREQUENT]
    known = {*frequent, *TERMS, *NUMERALS, *UNITS}
    train, test = split_words(sorted({word for word in counts if known.issuperset(word)}))
    train += TERMS.split()
    trained = set("".join(train))
    return train, [word for word in test if word not in train and trained.issuperset(word)]


def split_words(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Divide words into (train, test): every fifth is for testing.

    >>> split_words("abcdefg")
    (['b', 'c', 'd', 'e', 'g'], ['a', 'f'])
    """
    return [word for index, word in enumerate(words) if index % TEST_STRIDE], list(words[::TEST_STRIDE])


class PhraseGenerator:
    """Generator of phrases from a list of words. All characters of Chinese words have about the same frequency."""

    def __init__(self, words: Sequence[str], chinese: bool) -> None:
        self.words = words
        self.chinese = chinese
        self.words_with: dict[str, list[str]] = {}
        for word in words:
            for character in dict.fromkeys(word):
                self.words_with.setdefault(character, []).append(word)
        self.characters = sorted(self.words_with)

    def line(self, random: Random) -> str:
        """Draw a line: in 70 % of cases a word or two, otherwise a number, a date or an amount."""
        if random.random() < 0.7:
            words = [self.word(random) for _ in range(random.integers(1, 3))]
            return ("" if self.chinese else choose((" ", " ", "-", ": ", ", "), random)).join(words)
        return self.chinese_value(random) if self.chinese else self.latin_value(random)

    def word(self, random: Random) -> str:
        """Draw a word; a Latin one in lower case, capitalized or in capitals."""
        if self.chinese:
            return choose(self.words_with[choose(self.characters, random)], random)
        word = choose(self.words, random)
        return (word, word, word.capitalize(), word.upper())[random.integers(4)]

    @staticmethod
    def digits(count: int, random: Random) -> str:
        """Draw so many digits."""
        return "".join(map(str, random.integers(0, 10, size=count)))

    def amount(self, random: Random) -> str:
        """Draw an amount of up to five digits before the point, with commas, and two digits after it."""
        return f"{random.integers(1, 10 ** int(random.integers(1, 6))):,}.{self.digits(2, random)}"

    def latin_value(self, random: Random) -> str:
        """Draw a date, an amount, a percentage, a reference, a number, or six arbitrary characters."""
        year, month, day = random.integers((1980, 1, 1), (2031, 13, 29))
        letters = choose(self.words, random)[:2].upper()
        return choose(
            (
                f"{year}-{month:02}-{day:02}",
                f"{day:02}/{month:02}/{year}",
                self.amount(random),
                f"{random.integers(100)}.{random.integers(10)}%",
                f"{letters}-{self.digits(5, random)}",
                self.digits(int(random.integers(3, 11)), random),
                "".join(choose([*PUNCTUATION, *"0123456789", *letters], random) for _ in range(6)),
            ),
            random,
        )

    def chinese_value(self, random: Random) -> str:
        """Draw a date, an amount in digits or numerals, or a word with a number or another word."""
        year, month, day = random.integers((1980, 1, 1), (2031, 13, 29))
        units = sorted(random.choice(4, size=random.integers(1, 4), replace=False), reverse=True)
        numerals = "".join(choose(NUMERALS[1:], random) + ("", *UNITS)[unit] for unit in units) + "元"
        return choose(
            (
                f"{year}年{month:02}月{day:02}日",
                f"￥{self.amount(random)}",
                numerals + choose(("整", f"{choose(NUMERALS, random)}角{choose(NUMERALS, random)}分"), random),
                f"{self.word(random)}：{self.digits(int(random.integers(2, 8)), random)}",
                f"{self.word(random)}（{self.word(random)}）",
            ),
            random,
        )
