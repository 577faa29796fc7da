"""English with Chinese: what translators of programs wrote, and phrases of dates and numbers."""

from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from babel.messages.pofile import read_po

from training.data.bilingual import phrase

ORIGIN = (
    "English and Chinese: gettext.txt is from the catalogues of Django and Sphinx, by human translators; phrases.txt "
    "are dates, times and numbers as Babel (Unicode CLDR) and num2words have them, in short sentences"
)
LICENCE = "BSD-3-Clause (Django, Babel), BSD-2-Clause (Sphinx), LGPL (num2words); CLDR: Unicode-3.0"
PHRASES, SEED = 12_000, 0
LONGEST = 120  # characters; longer ones are whole paragraphs of help
CATALOGUES = (("django", "**/zh_Hans/**/*.po"), ("sphinx", "locale/zh_CN/**/*.po"))


def write(folder: Path) -> None:
    """Two files in the layout of manythings.org/anki."""
    random = np.random.default_rng(SEED)
    write_pairs(folder / "phrases.txt", (phrase(random) for _ in range(PHRASES)), "Babel")
    write_pairs(folder / "gettext.txt", translated(), "human translators")


def write_pairs(file: Path, pairs: Iterable[tuple[str, str]], by: str) -> None:
    """Each pair once."""
    unique = list(dict.fromkeys(pairs))
    file.write_text("".join(f"{source}\t{target}\t{by}\n" for source, target in unique), encoding="utf-8")


def translated() -> Iterator[tuple[str, str]]:
    """What has a translation in a catalogue: of one line, and without markup."""
    for name, pattern in CATALOGUES:
        package = find_spec(name)  # found, not imported: none of its code runs
        assert package is not None
        assert package.origin is not None
        for file in sorted(Path(package.origin).parent.glob(pattern)):
            with file.open("rb") as stream:
                catalogue = read_po(stream)
            for message in catalogue:
                # Of one thing and of many: Chinese has one form, which goes with the English plural.
                source = message.id if isinstance(message.id, str) else message.id[-1]
                target = message.string if isinstance(message.string, str) else (message.string or [""])[0]
                if is_sentence(source) and is_sentence(target) and not message.fuzzy and source != target:
                    yield source, target


def is_sentence(text: str) -> bool:
    return 1 < len(text) <= LONGEST and not set(text) & set("<>\n\t")
