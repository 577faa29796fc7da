"""Word similarity: a word -> the words that are used like it."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import jieba
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torchmetrics import MeanMetric, Metric

from handlers.codecs.words import SPECIAL, TextCodec
from marina.training.data.batches import Examples
from marina.training.data.dataset import Dataset, Split
from marina.training.task import EvaluationRequest, Task

RELATED: dict[str, frozenset[str]] = {
    word: frozenset(related.split())
    for word, related in {
        "酒店": "宾馆 饭店 旅馆 客栈 旅店 入住 住 大堂 星级 四星级 五星级 三星级",
        "房间": "客房 屋子 卧室 卫生间 浴室 床 套房 标间 标准间 大床 房子 装修",
        "服务员": "前台 员工 服务生 工作人员 经理 大堂 小姐 态度 保安 总台",
        "早餐": "早饭 自助餐 晚餐 午餐 餐厅 用餐 种类 品种 品种单一 餐 吃",
        "价格": "价钱 价位 售价 便宜 贵 性价比 房价 降价 实惠 价",
        "便宜": "贵 实惠 价格 划算 合算 优惠 价钱 低 廉价 超值",
        "屏幕": "显示屏 屏 键盘 分辨率 亮度 液晶 亮点 坏点 显示 显示器 清晰",
        "键盘": "鼠标 屏幕 触摸板 按键 手感 触摸 摄像头 接口 外壳 触控板",
        "电池": "续航 待机 电源 充电 充电器 适配器 小时 续航能力 电量 供电",
        "散热": "发热 发烫 风扇 噪音 温度 热 烫 声音 很烫 发热量 散热器",
        "系统": "xp vista 驱动 软件 windows 安装 装 重装 正版 linux 操作系统 预装",
        "内存": "硬盘 显卡 cpu 1g 2g 512m 处理器 显存 独显 配置 加 容量 512",
        "作者": "作家 笔者 书 文笔 写 文字 读者 书中 本书 观点 写作",
        "小说": "故事 情节 文学 作品 书 散文 推理 言情 故事情节 侦探 武侠 漫画",
        "孩子": "宝宝 儿子 女儿 小孩 小朋友 父母 家长 妈妈 儿童 小孩子",
        "妈妈": "爸爸 母亲 父母 孩子 宝宝 妈咪 家长 儿子 女儿 父亲 老公",
        "失望": "遗憾 后悔 不满 满意 期望 郁闷 糟糕 大失所望 差 很失望 太差",
        "喜欢": "爱 爱看 喜爱 讨厌 最爱 欣赏 适合 不喜欢 很爱 好看",
        "快递": "送货 物流 发货 包装 邮政 送 送货员 速度 配送 ems 包裹 卓越",
        "火车站": "机场 地铁 汽车站 车站 打车 公交 出租车 步行 交通 市中心 公交车 路口",
    }.items()
}


MIN_COUNT = 5  # of a word: of rarer ones too little is known
WINDOW = 5  # words to either side, the nearer the more often
NEGATIVES = 5  # words that are not near, for each that is
FREQUENT = 1e-3  # of all words: more frequent ones are left out now and then
NOISE = 0.75  # as the exponent of a word's frequency, when negatives are drawn
TOP = 5


class WordSimilarity(Task):
    """Inputs are words, (N,), targets the words near them, (N,); negatives are drawn again for each batch."""

    METRIC = "told_apart"
    codec: TextCodec

    def prepare(self) -> None:
        self.codec = TextCodec.fit(self.data.train.inputs, stop_words=[], **self.card.input, min_count=MIN_COUNT)
        self.arguments = {"vocabulary_size": len(self.codec.vocabulary)}

    def encode(self, split: Split) -> Examples:
        """Return every pair of neighbours, in texts from which frequent words were removed at random: the same ones
        each time.
        """
        generator = torch.Generator().manual_seed(self.recipe.seed)
        texts = [numbers[numbers >= len(SPECIAL)] for numbers in map(self._numbers, split.inputs)]
        kept = self._kept(torch.cat(texts))
        pairs = []
        for text in texts:
            thin = text[torch.rand(len(text), generator=generator) < kept[text]]
            reach = torch.randint(1, WINDOW + 1, (len(thin),), generator=generator)
            for distance in range(1, min(WINDOW, len(thin) - 1) + 1):
                ahead, behind = thin[:-distance], thin[distance:]
                pairs.append(torch.stack([ahead, behind])[:, reach[:-distance] >= distance])
                pairs.append(torch.stack([behind, ahead])[:, reach[distance:] >= distance])
        words, near = torch.cat(pairs, dim=1)
        return Examples(words, near)

    def _numbers(self, text: str) -> Tensor:
        return self.codec.numbers(self.codec.words(text))

    def _kept(self, words: Tensor) -> Tensor:
        """Return the probability with which an occurrence of each word is used, (V,)."""
        shares = words.bincount(minlength=len(self.codec.vocabulary)) / len(words)
        return (FREQUENT / shares).sqrt().clamp(max=1)

    @cached_property
    def noise(self) -> Tensor:
        """The probability with which each word is drawn as a negative, (V,)."""
        counts = self.train_examples.inputs.bincount(minlength=len(self.codec.vocabulary))  # type: ignore[union-attr]
        return counts.double() ** NOISE

    def new_metric(self) -> Metric:
        return MeanMetric()

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of outputs (N, 1 + K), logits of one neighbour and of K negatives; a mean over the N."""
        return bce(outputs, targets, reduction="sum") / len(outputs)

    def _outputs(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        words, near = batch
        drawn = torch.multinomial(self.noise, len(words) * NEGATIVES, replacement=True).view(-1, NEGATIVES)
        network: Any = self.network
        outputs = network.together(words, torch.cat([near[:, None], drawn.to(near)], dim=1)).float()
        return outputs, torch.eye(1, 1 + NEGATIVES, device=outputs.device).expand_as(outputs)

    def training_step(self, batch: tuple[Tensor, Any], _: int) -> Tensor:
        loss = self.loss(*self._outputs(batch))
        self.log("loss/train", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Any], _: int) -> None:
        """Measure how often the neighbour scores above the mean of the negatives."""
        outputs, targets = self._outputs(batch)
        self.metric.update((outputs[:, 0] > outputs[:, 1:].mean(dim=1)).float())
        self.log("loss/validation", self.loss(outputs, targets), batch_size=len(outputs), sync_dist=True)
        self.log(f"{self.METRIC}/validation", self.metric, prog_bar=True)

    @classmethod
    def requests(cls, data: Dataset) -> Iterator[EvaluationRequest]:
        """Yield the listed words that are frequent in the texts; for texts in another language, their most frequent
        words.
        """
        counts = Counter(word for text in data.train.inputs for word in jieba.cut(text))
        listed = [word for word in RELATED if counts[word] >= MIN_COUNT]
        often = [word for word, count in counts.most_common(50) if word.isalpha() and count >= MIN_COUNT]
        for word in listed or often:
            body = json.dumps({"text": word, "top": TOP}, ensure_ascii=False).encode()
            yield EvaluationRequest(body, "application/json", word)

    @staticmethod
    def score(truths: Sequence[Any], responses: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Return `sensible`: the share of the listed words with at least one related word among the nearest five."""
        found = [
            any(neighbour["word"] in RELATED[word] for neighbour in response["neighbours"])
            for word, response in zip(truths, responses, strict=True)
            if word in RELATED
        ]
        return {"sensible": sum(found) / len(found), "listed": float(len(found))} if found else {}

    def report(
        self, truths: Sequence[Any], responses: Sequence[Mapping[str, Any]], plots: Path
    ) -> tuple[dict[str, float], dict[str, Any]]:
        del plots
        named = zip(truths, responses, strict=True)
        return {}, {"neighbours": {word: [one["word"] for one in response["neighbours"]] for word, response in named}}
