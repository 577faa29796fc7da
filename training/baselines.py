"""What simple models reach on the same words: a text network has to be better than these."""

from collections.abc import Callable, Sequence

from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from training.data.dataset import Dataset


def accuracies(words: Callable[[str], Sequence[str]], data: Dataset) -> dict[str, float]:
    """Test accuracy of logistic regression on counts of words and on TF-IDF; `words` cuts a text into them."""
    train, test = ([words(text) for text in split.inputs] for split in (data.train, data.test))
    result = {}
    for name, vectorizer in (("bag_of_words", CountVectorizer), ("tfidf", TfidfVectorizer)):
        model = make_pipeline(vectorizer(analyzer=list, min_df=2), LogisticRegression(max_iter=1000))
        model.fit(train, data.train.targets)
        result[name] = float(model.score(test, data.test.targets))
    return result
